#include <doctest/doctest.h>

#include <limits>

#include "tests/unit/bench/sample_report.h"

namespace tandem::bench {
namespace {

TEST_CASE("a line for each interval, then their sum") {
  Report report = sample_report();
  report.limits.clear();
  report.steps.clear();
  CHECK(to_csv(report) ==
        "row,from_s,to_s,bytes,packets,lost,gbit_s,kpps,relay_cpu_s,generator_cpu_s,machine_cpu_s"
        "\r\n"
        "interval,0,1,1000000,5000,3,0.008,5,0.5,0.75,1.5\r\n"
        "interval,1,1.5,500000,2500,0,0.008,5,0.25,0.25,0.5\r\n"
        "sum,0,1.5,1500000,7500,3,0.008,5,0.75,1,2\r\n");
}

TEST_CASE("with limits, a line for each size") {
  Report report = sample_report();
  report.limits.push_back({.size = "imix", .ndr = {}, .pdr = {}, .trials = {}});
  CHECK(to_csv(report) ==
        "size,ndr_kpps,ndr_low,ndr_high,pdr_kpps,pdr_low,pdr_high,trials\r\n"
        "200,512.5,500,520,1571,560.25,1580,2\r\n"
        "imix,0,0,0,0,0,0,0\r\n");
}

TEST_CASE("with steps, a line for each, empty where nothing was measured") {
  Report report = sample_report();
  report.limits.clear();
  CHECK(to_csv(report) ==
        "clients,rooms,resident_bytes,cpu_percent,sent_per_s,delivered_per_s,p50_us,p95_us,p99_us,"
        "errors\r\n"
        "1000,125,25500000,12.5,1000,8000,90,250.5,1500,0\r\n"
        "2000,250,,,2000,16000,100,300,2500,15\r\n");
}

TEST_CASE("with neither, the summary in one line, its texts quoted where they have to be") {
  Report report;
  report.summary.add("kind", "tcp");
  report.summary.add("worst, \"as sent\"", "BIND,\r\nof 1 \"byte\"");
  report.summary.add("pairs_per_s", 4128.75);
  report.summary.add("none", std::numeric_limits<double>::quiet_NaN());
  report.summary.add("least", -std::numeric_limits<double>::infinity());
  report.summary.add("count", std::uint64_t{18'446'744'073'709'551'615u});
  CHECK(to_csv(report) ==
        "kind,\"worst, \"\"as sent\"\"\",pairs_per_s,none,least,count\r\n"
        "tcp,\"BIND,\r\nof 1 \"\"byte\"\"\",4128.75,,,18446744073709551615\r\n");
}

TEST_CASE("of nothing there is nothing") {
  CHECK(to_csv(Report()).empty());
}

}  // namespace
}  // namespace tandem::bench
