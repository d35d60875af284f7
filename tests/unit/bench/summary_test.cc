#include "bench/load/summary.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace tandem::bench {
namespace {

// Two seconds of a quiet machine, of which nothing is to be said.
Measured quiet() {
  Measured measured;
  measured.use = {.wall_s = 2,
                  .relay_s = 1,
                  .relay_kernel_s = 0,
                  .generator_s = 1.5,
                  .machine_busy_s = 2.6,
                  .stolen_s = 0.1,
                  .foreign_s = 0.1};
  measured.during = {.sent = 1'000'000,
                     .sent_bytes = 500'000'000,
                     .delivered = 800'000,
                     .delivered_bytes = 500'000'000};
  measured.overall = {.sent = 2'000'000,
                      .sent_bytes = 1'000'000'000,
                      .delivered = 1'900'000,
                      .duplicated = 1,
                      .reordered = 2,
                      .damaged = 3,
                      .late = 4};
  measured.worker_busy = 0.5;
  measured.least_share = 0.75;
  measured.most_share = 1.25;
  return measured;
}

double figure(const Figures& figures, std::string_view key) {
  const auto& all = figures.all();
  const auto found = std::ranges::find(all, key, [](const auto& entry) { return entry.first; });
  REQUIRE_MESSAGE(found != all.end(), std::string(key));
  const auto* whole = std::get_if<std::uint64_t>(&found->second);
  return whole != nullptr ? static_cast<double>(*whole) : std::get<double>(found->second);
}

std::vector<std::string> warnings(const Measured& measured, Loop loop) {
  Report report;
  warn(measured, loop, report);
  return report.warnings;
}

// One warning, which begins so.
void check_warned(const Measured& measured, Loop loop, std::string_view beginning) {
  const auto told = warnings(measured, loop);
  REQUIRE(told.size() == 1);
  CAPTURE(told[0]);
  CHECK(told[0].starts_with(beginning));
}

TEST_CASE("delivered bytes and what they cost") {
  Figures figures;
  summarize_bytes(quiet(), figures);
  CHECK(figure(figures, "throughput_gbit_s") == 2);
  CHECK(figure(figures, "relay_cpu_s_per_gb") == 2);
  CHECK(figure(figures, "machine_cpu_s_per_gb") == 5.2);
  CHECK(figure(figures, "both_cpu_s_per_gb") == 5);
  CHECK(figure(figures, "delivered_bytes") == 500'000'000);
  CHECK(figure(figures, "least_flow_share") == 0.75);
  CHECK(figure(figures, "most_flow_share") == 1.25);
}

TEST_CASE("delivered packets and what they cost, and the loss of the whole run") {
  Figures figures;
  summarize_packets(quiet(), figures);
  CHECK(figure(figures, "offered_kpps") == 500);
  CHECK(figure(figures, "delivered_kpps") == 400);
  CHECK(figure(figures, "relay_cpu_s_per_million") == 1.25);
  CHECK(figure(figures, "machine_cpu_s_per_million") == 3.25);
  CHECK(figure(figures, "packets_per_relay_cpu_s") == 800'000);
  CHECK(figure(figures, "sent") == 2'000'000);
  CHECK(figure(figures, "delivered") == 1'900'000);
  CHECK(figure(figures, "lost") == 100'000);
  CHECK(figure(figures, "lost_fraction") == 0.05);
  CHECK(figure(figures, "duplicated") == 1);
  CHECK(figure(figures, "reordered") == 2);
  CHECK(figure(figures, "damaged") == 3);
  CHECK(figure(figures, "unsent") == 0);
  CHECK(figure(figures, "late") == 4);
}

TEST_CASE("a run without anything has zeros, not infinities") {
  Figures figures;
  summarize_bytes({}, figures);
  summarize_packets({}, figures);
  for (const auto& [key, value] : figures.all()) {
    CAPTURE(key);
    const double of_none = key.ends_with("_flow_share") ? 1 : 0;
    CHECK(figure(figures, key) == of_none);
  }
}

TEST_CASE("what of a stream is still under way is not lost") {
  Measured measured = quiet();
  measured.overall = {.sent = 10, .sent_bytes = 1000, .delivered = 7, .delivered_bytes = 600};
  Figures lost;
  summarize_lost_bytes(measured.overall, lost);
  summarize_packets(measured, lost);
  CHECK(figure(lost, "lost_bytes") == 400);
  CHECK(figure(lost, "lost") == 3);
  measured.overall.unfinished = 1;
  Figures under_way;
  summarize_lost_bytes(measured.overall, under_way);
  summarize_packets(measured, under_way);
  CHECK(figure(under_way, "lost_bytes") == 0);
  CHECK(figure(under_way, "under_way_bytes") == 400);
  CHECK(figure(under_way, "lost") == 0);
  CHECK(figure(under_way, "under_way") == 3);
  CHECK(figure(under_way, "lost_fraction") == 0);
}

TEST_CASE("what came more often than it was sent is not lost") {
  Measured measured = quiet();
  measured.overall.delivered = measured.overall.sent + 5;
  Figures figures;
  summarize_packets(measured, figures);
  CHECK(figure(figures, "lost") == 0);
}

Latencies steps(std::int64_t step_ns, double jitter_ns) {
  Latencies latencies{.name = "", .histogram = {}, .jitter_ns = jitter_ns};
  for (std::int64_t i = 1; i <= 100; ++i) latencies.histogram.add(i * step_ns);
  return latencies;
}

TEST_CASE("latencies in microseconds, with their prefix") {
  Figures figures;
  summarize_latency(steps(1000, 250), "", figures);
  summarize_latency(steps(10, 0), "direct_", figures);
  CHECK(figure(figures, "latency_p50_us") == doctest::Approx(50).epsilon(0.001));
  CHECK(figure(figures, "latency_p90_us") == doctest::Approx(90).epsilon(0.001));
  CHECK(figure(figures, "latency_p99_us") == doctest::Approx(99).epsilon(0.001));
  CHECK(figure(figures, "latency_p999_us") == 100);
  CHECK(figure(figures, "latency_p9999_us") == 100);
  CHECK(figure(figures, "latency_max_us") == 100);
  CHECK(figure(figures, "latency_mean_us") == 50.5);
  CHECK(figure(figures, "jitter_us") == 0.25);
  CHECK(figure(figures, "direct_latency_max_us") == 1);
  CHECK(figure(figures, "direct_jitter_us") == 0);
}

TEST_CASE("what a route adds to the direct one, also where that is less than nothing") {
  Figures figures;
  summarize_added(steps(10, 0), steps(20, 0), figures);
  CHECK(figure(figures, "latency_added_p50_us") == -0.5);
  CHECK(figure(figures, "latency_added_p9999_us") == -1);
}

TEST_CASE("in bulk nothing may be missing, damaged or repeated, but what is still under way") {
  const Tally right{.sent_bytes = 10, .delivered_bytes = 10};
  CHECK(judge_bulk(right) == Integrity::intact);
  CHECK(judge_bulk(right + Tally{.damaged = 1}) == Integrity::damaged);
  CHECK(judge_bulk(right + Tally{.sent_bytes = 1}) == Integrity::damaged);
  CHECK(judge_bulk(right + Tally{.delivered_bytes = 1}) == Integrity::damaged);
  CHECK(judge_bulk(right + Tally{.sent_bytes = 1, .unfinished = 1}) == Integrity::intact);
  CHECK(judge_bulk(right + Tally{.damaged = 1, .unfinished = 1}) == Integrity::damaged);
  CHECK(judge_bulk({}) == Integrity::intact);
}

TEST_CASE("datagrams may be lost and reordered, but not all of them") {
  const Tally right{.sent = 10, .delivered = 1, .gaps = 9, .reordered = 1};
  CHECK(judge_datagrams(right) == Integrity::intact);
  CHECK(judge_datagrams(right + Tally{.damaged = 1}) == Integrity::damaged);
  CHECK(judge_datagrams(right + Tally{.duplicated = 1}) == Integrity::damaged);
  CHECK(judge_datagrams({.sent = 10}) == Integrity::damaged);
  CHECK(judge_datagrams({}) == Integrity::intact);
}

TEST_CASE("each message of a stream arrives, or is still under way") {
  const Tally right{.sent = 10, .delivered = 10};
  CHECK(judge_messages(right) == Integrity::intact);
  CHECK(judge_messages(right + Tally{.sent = 1}) == Integrity::damaged);
  CHECK(judge_messages(right + Tally{.damaged = 1}) == Integrity::damaged);
  CHECK(judge_messages(right + Tally{.sent = 1, .unfinished = 1}) == Integrity::intact);
  CHECK(judge_messages(right + Tally{.damaged = 1, .unfinished = 1}) == Integrity::damaged);
  CHECK(judge_messages({}) == Integrity::intact);
}

TEST_CASE("of a quiet run nothing is said") {
  CHECK(warnings(quiet(), Loop::closed).empty());
  CHECK(warnings(quiet(), Loop::open).empty());
}

TEST_CASE("a closed loop whose generator is busy") {
  Measured measured = quiet();
  measured.worker_busy = 0.949;
  CHECK(warnings(measured, Loop::closed).empty());
  measured.worker_busy = 0.961;
  check_warned(measured, Loop::closed,
               "the generator was the limit, or near it: a thread of it was busy 96 % of the time");
  CHECK(warnings(measured, Loop::open).empty());  // it spins by design
}

TEST_CASE("an open loop that is late") {
  Measured measured = quiet();
  measured.overall.late = measured.overall.sent / 1000;
  CHECK(warnings(measured, Loop::open).empty());
  measured.overall.late = measured.overall.sent / 50;
  check_warned(measured, Loop::open,
               "the generator was the limit: 2.00 % left more than 1000 us after they were due");
  CHECK(warnings(measured, Loop::closed).empty());
}

TEST_CASE("an open loop of which some never left") {
  Measured measured = quiet();
  measured.overall.unsent = 7;
  check_warned(measured, Loop::open, "7 never left: the socket did not take them at this rate");
  CHECK(warnings(measured, Loop::closed).empty());  // it tries again
}

TEST_CASE("a machine that is not quiet") {
  Measured measured = quiet();
  measured.use.foreign_s = 0.21;  // of two seconds
  check_warned(measured, Loop::closed, "others used 0.2 CPU-seconds of this machine meanwhile");
  check_warned(measured, Loop::open, "others used 0.2 CPU-seconds of this machine meanwhile");
}

TEST_CASE("a hypervisor that takes its share") {
  Measured measured = quiet();
  measured.use.stolen_s = 0.3;
  check_warned(measured, Loop::closed, "the hypervisor took 0.3 CPU-seconds meanwhile");
}

TEST_CASE("streams that were not at their end, and a run that sent nothing") {
  Measured measured = quiet();
  measured.overall.unfinished = 3;
  check_warned(measured, Loop::closed, "3 streams were not at their end");
  measured = quiet();
  measured.overall.sent_bytes = 0;
  check_warned(measured, Loop::closed, "nothing was sent");
}

TEST_CASE("the end of every summary says whether the traffic was whole") {
  Report intact;
  summarize_run(quiet(), Integrity::intact, intact);
  CHECK(figure(intact.summary, "intact") == 1);
  CHECK(intact.warnings.empty());
  Report damaged;
  summarize_run(quiet(), Integrity::damaged, damaged);
  CHECK(figure(damaged.summary, "intact") == 0);
  CHECK(damaged.warnings == std::vector<std::string>{"the traffic was damaged"});
}

TEST_CASE("what comes together is told together") {
  Measured measured = quiet();
  measured.worker_busy = 1;
  measured.use.stolen_s = 1;
  measured.use.foreign_s = 1;
  CHECK(warnings(measured, Loop::closed).size() == 3);
}

TEST_CASE("the relay's own caps are told by the setting that they have") {
  Report report;
  warn_of_caps({.batch_sizes = {}, .zero_copy_share = {}, .dropped = {{"bad_mac", 7}}}, report);
  CHECK(report.warnings.empty());
  RelayTold told;
  told.dropped = {{"over_packet_rate", 1},
                  {"over_session_bandwidth", 2},
                  {"over_global_bandwidth", 3},
                  {"too_large", 4},
                  {"paused_at_bandwidth_cap", 5}};
  warn_of_caps(told, report);
  REQUIRE(report.warnings.size() == 5);
  CHECK(report.warnings[0] ==
        "the relay's own cap was a limit: 1 times over_packet_rate (security.packets_per_second)");
  CHECK(report.warnings[1].ends_with("(bandwidth.session_mbps)"));
  CHECK(report.warnings[2].ends_with("(bandwidth.global_mbps)"));
  CHECK(report.warnings[3].ends_with("(security.max_packet_size)"));
  CHECK(report.warnings[4].ends_with("(bandwidth.session_mbps or bandwidth.global_mbps)"));
}

}  // namespace
}  // namespace tandem::bench
