#include <doctest/doctest.h>

#include "tests/unit/bench/sample_report.h"

namespace tandem::bench {
namespace {

// Without the version, which is not the same for long.
std::string text_of(const Report& report) {
  const std::string text = to_text(report);
  const std::size_t from = text.find(' ');
  return text.substr(0, from) + text.substr(text.find(' ', from + 1));
}

bool tells(const Report& report, std::string_view part) {
  return text_of(report).find(part) != std::string::npos;
}

TEST_CASE("a report with everything") {
  CHECK('\n' + text_of(sample_report()) == R"(
tandem-bench udp, 2026-01-31T12:00:00Z, Linux 6.1.0, Model 7, 2 cores
options: route relay 127.0.0.1:7777, pairs 1,000

Summary
  throughput          0.9144 Gbit/s
  delivered           1.143 GB
  relay CPU per Mpkt  1.729 s
  intact              yes

Latency in us     count    p50    p90    p95    p99  p99.9  p99.99    max   mean  jitter
  direct          1,000   50.0   90.0   95.0   99.0   99.9   100.0  100.0   50.0    20.0
  relay           1,000  1,000  1,800  1,901  1,980  1,999   2,000  2,000  1,001    40.0
  relay - direct         950.4  1,710  1,806  1,881  1,899   1,900  1,900

Limits in kpps    NDR  least to most    PDR   least to most  trials
  200           512.5     500 to 520  1,571  560.2 to 1,580       2

Climbing  clients  rooms    MB  CPU %  sent/s  delivered/s  p50 us  p95 us  p99 us  errors
  step 1    1,000    125  25.5   12.5   1,000        8,000    90.0   250.5   1,500       0
  step 2    2,000    250     -      -   2,000       16,000   100.0   300.0   2,500      15

Errors       count
  ROOM_FULL     12
  timeout        3

The relay's own metrics
  sent without a copy  97.5 %
  dropped              bad_mac 12, over_rate 3,456
  batches by size, up to
       1 |#                                                    10    0.3 %
       2 |########################################          3,000   99.7 %
    more |                                                      0    0.0 %

WARNING: the generator was the limit
)");
}

TEST_CASE("a report with nothing is its heading") {
  Report report;
  report.mode = "sessions";
  report.started_at = "2026-01-31T12:00:00Z";
  report.machine = {.kernel = "6.1.0", .cpu = "", .cores = 1};
  CHECK(text_of(report) == "tandem-bench sessions, 2026-01-31T12:00:00Z, Linux 6.1.0, 1 core\n");
}

TEST_CASE("warnings come last, that the run was interrupted first among them") {
  Report report = sample_report();
  report.interrupted = true;
  report.warnings.emplace_back("the machine was not quiet");
  CHECK(
      text_of(report).ends_with("\n\n"
                                "WARNING: interrupted; this is what was measured until then\n"
                                "WARNING: the generator was the limit\n"
                                "WARNING: the machine was not quiet\n"));
}

TEST_CASE("without a direct route nothing is told to be added") {
  Report report = sample_report();
  CHECK(tells(report, "relay - direct"));
  report.latencies.erase(report.latencies.begin());
  CHECK(!tells(report, "relay - direct"));
  CHECK(tells(report, "\n  relay "));
}

TEST_CASE("a relay that dropped nothing, sent nothing and saw no batch") {
  Report report;
  report.relay = RelayTold{.batch_sizes = {{"1", 0}}, .zero_copy_share = {}, .dropped = {}};
  CHECK(text_of(report).ends_with("\nThe relay's own metrics\n  dropped              nothing\n"));
}

TEST_CASE("a recording without samples has zeros") {
  Report report;
  report.latencies = {{.name = "direct", .histogram = {}, .jitter_ns = 0}};
  CHECK(tells(report,
              "  direct           0  0.0  0.0  0.0  0.0    0.0     0.0  0.0   0.0     0.0\n"));
}

}  // namespace
}  // namespace tandem::bench
