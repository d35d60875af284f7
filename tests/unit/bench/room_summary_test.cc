#include "bench/load/rooms/room_summary.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

namespace tandem::bench {
namespace {

const Figures::Value* find(const Figures& figures, std::string_view key) {
  const auto found =
      std::ranges::find(figures.all(), key, [](const auto& one) { return one.first; });
  return found == figures.all().end() ? nullptr : &found->second;
}

double number(const Figures& figures, std::string_view key) {
  const auto* value = find(figures, key);
  REQUIRE(value != nullptr);
  if (const auto* whole = std::get_if<std::uint64_t>(value)) return static_cast<double>(*whole);
  return std::get<double>(*value);
}

Measured two_seconds(std::uint64_t delivered) {
  Measured measured;
  measured.use.wall_s = 2;
  measured.during.delivered = delivered;
  return measured;
}

RoomStats some_events() {
  RoomStats stats;
  stats.of(RoomEvent::connect) = {.sent = 1000, .answered = 1000};
  stats.of(RoomEvent::create) = {.sent = 11, .answered = 10};
  stats.of(RoomEvent::join) = {.sent = 70, .answered = 70};
  stats.of(RoomEvent::leave) = {.sent = 80, .answered = 80};
  stats.of(RoomEvent::message) = {.sent = 100, .answered = 800};
  return stats;
}

TEST_CASE(
    "events are answered requests and delivered copies, and what clients sent is told apart") {
  const auto measured = two_seconds(800);
  const auto stats = some_events();
  CHECK(events_of(measured, stats) == 800 + 10 + 70 + 80);
  CHECK(sent_events(stats) == 100 + 11 + 70 + 80);
  Figures figures;
  summarize_events(measured, stats, 50, figures);
  CHECK(number(figures, "events_per_s") == 480);
  CHECK(number(figures, "events_sent_per_s") == 130.5);
  CHECK(number(figures, "messages_sent_per_s") == 50);
  CHECK(number(figures, "messages_delivered_per_s") == 400);
  CHECK(number(figures, "events_per_server_cpu_s") == 960);
}

TEST_CASE("of a server that nobody watched there is no CPU") {
  Figures figures;
  summarize_events(two_seconds(800), some_events(), std::numeric_limits<double>::quiet_NaN(),
                   figures);
  CHECK(find(figures, "server_cpu_percent") == nullptr);
  CHECK(find(figures, "events_per_server_cpu_s") == nullptr);
}

TEST_CASE("latencies of the events that there were, in microseconds") {
  RoomStats stats;
  for (int i = 1; i <= 1000; ++i) stats.of(RoomEvent::join).latency.add(i * 1000);
  Report report;
  summarize_event_latencies(stats, report);
  CHECK(number(report.summary, "join_p95_us") == doctest::Approx(950).epsilon(0.002));
  CHECK(number(report.summary, "join_p999_us") == doctest::Approx(999).epsilon(0.002));
  CHECK(number(report.summary, "join_max_us") == 1000);
  CHECK(find(report.summary, "create_p50_us") == nullptr);
  REQUIRE(report.latencies.size() == 1);
  CHECK(report.latencies[0].name == "join");
  CHECK(report.latencies[0].histogram.count() == 1000);
}

TEST_CASE("errors by code") {
  RoomStats stats;
  stats.errors.add("timeout", 2);
  stats.errors.add("ROOM_FULL");
  Report report;
  summarize_errors(stats, report);
  CHECK(number(report.summary, "errors") == 3);
  CHECK(report.errors == decltype(report.errors){{"ROOM_FULL", 1}, {"timeout", 2}});
}

TEST_CASE("what damages a run, and what does not") {
  CHECK(judge_rooms({}, {}) == Integrity::intact);
  for (auto field : {&Tally::damaged, &Tally::duplicated, &Tally::reordered}) {
    Tally tally;
    tally.*field = 1;
    CHECK(judge_rooms(tally, {}) == Integrity::damaged);
  }
  RoomStats stats;
  stats.errors.add("ROOM_FULL");
  stats.errors.add("timeout");
  CHECK(judge_rooms({}, stats) == Integrity::intact);
  stats.errors.add("lost");
  CHECK(judge_rooms({}, stats) == Integrity::damaged);
}

TEST_CASE("a busy or late generator, skipped events and errors are warned of") {
  const auto warnings = [](const Measured& measured, const RoomStats& stats) {
    Report report;
    warn_of_rooms(measured, stats, report);
    return report.warnings;
  };
  auto measured = two_seconds(1000);
  measured.overall.sent = 10'000;
  measured.overall.late = 10;
  CHECK(warnings(measured, {}).empty());
  measured.overall.late = 11;
  REQUIRE(warnings(measured, {}).size() == 1);
  CHECK(warnings(measured, {})[0].starts_with("the generator was the limit: 11 events left"));
  measured.overall.unsent = 3;
  measured.worker_busy = 0.96;
  RoomStats stats;
  stats.errors.add("timeout");
  CHECK(warnings(measured, stats).size() == 4);
}

}  // namespace
}  // namespace tandem::bench
