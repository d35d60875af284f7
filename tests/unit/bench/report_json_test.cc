#include <doctest/doctest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "tests/unit/bench/sample_report.h"

namespace tandem::bench {
namespace {

using Json = nlohmann::ordered_json;

Json parsed(const Report& report) {
  return Json::parse(to_json(report));
}

TEST_CASE("one line, whose head says what it is") {
  const std::string text = to_json(sample_report());
  CHECK(text.find('\n') == text.size() - 1);
  const Json json = Json::parse(text);
  CHECK(json.begin().key() == "tool");
  CHECK(json["tool"] == "tandem-bench");
  CHECK(json["version"].is_string());
  CHECK(json["mode"] == "udp");
  CHECK(json["started_at"] == "2026-01-31T12:00:00Z");
  CHECK(json["interrupted"] == false);
  CHECK(json["machine"] == Json{{"kernel", "6.1.0"}, {"cpu", "Model 7"}, {"cores", 2}});
  CHECK(json["warnings"] == Json{"the generator was the limit"});
}

TEST_CASE("figures keep their order, type and value") {
  const Json json = parsed(sample_report());
  CHECK(json["options"] == Json{{"route", "relay 127.0.0.1:7777"}, {"pairs", 1000}});
  CHECK(json["summary"].begin().key() == "throughput_gbit_s");
  CHECK(json["summary"]["throughput_gbit_s"] == 0.9144);
  CHECK(json["summary"]["delivered_bytes"] == 1'142'600'000);
  CHECK(json["summary"]["delivered_bytes"].is_number_unsigned());
}

TEST_CASE("intervals with their rates") {
  const Json intervals = parsed(sample_report())["intervals"];
  REQUIRE(intervals.size() == 2);
  CHECK(intervals[1] == Json{{"from_s", 1.0},
                             {"to_s", 1.5},
                             {"bytes", 500'000},
                             {"packets", 2500},
                             {"lost", 0},
                             {"gbit_s", 0.008},
                             {"kpps", 5.0},
                             {"relay_cpu_s", 0.25},
                             {"generator_cpu_s", 0.25},
                             {"machine_cpu_s", 0.5}});
}

TEST_CASE("latencies in microseconds, with every bucket that has any") {
  const Json latency = parsed(sample_report())["latency"];
  REQUIRE(latency.size() == 2);
  CHECK(latency[1]["name"] == "relay");
  CHECK(latency[1]["count"] == 1000);
  CHECK(latency[1]["p50_us"].get<double>() == doctest::Approx(1000).epsilon(0.001));
  CHECK(latency[1]["p95_us"].get<double>() == doctest::Approx(1900).epsilon(0.001));
  CHECK(latency[1]["p99_us"].get<double>() == doctest::Approx(1980).epsilon(0.001));
  CHECK(latency[1]["max_us"] == 2000.0);
  CHECK(latency[1]["mean_us"] == 1001.0);
  CHECK(latency[1]["jitter_us"] == 40.0);
  std::uint64_t counted = 0;
  double last = 0;
  for (const Json& bucket : latency[1]["buckets"]) {
    CHECK(bucket[0].get<double>() > last);
    last = bucket[0].get<double>();
    counted += bucket[1].get<std::uint64_t>();
  }
  CHECK(counted == 1000);
  CHECK(last == 2000);
}

TEST_CASE("limits and what the relay told") {
  const Json json = parsed(sample_report());
  const Json& limit = json["limits"][0];
  CHECK(limit["size"] == "200");
  CHECK(limit["ndr_kpps"] == 512.5);
  CHECK(limit["pdr_high"] == 1580.0);
  CHECK(limit["trials"][0] ==
        Json{{"offered_kpps", 600.0}, {"delivered_kpps", 590.0}, {"lost_fraction", 0.0125}});
  const Json& relay = json["relay"];
  CHECK(relay["batch_sizes"] == Json::parse(R"([["1",10],["2",3000],["+Inf",0]])"));
  CHECK(relay["zero_copy_share"] == 0.975);
  CHECK(relay["dropped"] == Json{{"bad_mac", 12}, {"over_rate", 3456}});
}

TEST_CASE("the steps of a climb, what was not measured being null, and errors by code") {
  const Json json = parsed(sample_report());
  REQUIRE(json["steps"].size() == 2);
  CHECK(json["steps"][0] == Json{{"clients", 1000},
                                 {"rooms", 125},
                                 {"resident_bytes", 25'500'000.0},
                                 {"cpu_percent", 12.5},
                                 {"sent_per_s", 1000.0},
                                 {"delivered_per_s", 8000.0},
                                 {"p50_us", 90.0},
                                 {"p95_us", 250.5},
                                 {"p99_us", 1500.0},
                                 {"errors", 0}});
  CHECK(json["steps"][1]["resident_bytes"].is_null());
  CHECK(json["steps"][1]["errors"] == 15);
  CHECK(json["errors"] == Json{{"ROOM_FULL", 12}, {"timeout", 3}});
}

TEST_CASE("parts that are not there are left out") {
  Report report;
  Json json = parsed(report);
  for (const char* part : {"intervals", "latency", "limits", "steps", "errors", "relay"}) {
    CHECK(!json.contains(part));
  }
  CHECK(json["summary"] == Json::object());
  CHECK(json["warnings"] == Json::array());
  report.relay.emplace();
  json = parsed(report);
  CHECK(json["relay"] == Json{{"batch_sizes", Json::array()}, {"dropped", Json::object()}});
}

TEST_CASE("an empty interval has rates of 0, and what is not a number is null") {
  Report report;
  report.intervals.push_back({.from_s = 1, .to_s = 1, .bytes = 9, .packets = 9});
  report.summary.add("ratio", std::numeric_limits<double>::infinity());
  report.limits.push_back({.size = "64", .ndr = {}, .pdr = {}, .trials = {}});
  report.limits[0].ndr.kpps = std::numeric_limits<double>::quiet_NaN();
  const Json json = parsed(report);
  CHECK(json["intervals"][0]["gbit_s"] == 0.0);
  CHECK(json["intervals"][0]["kpps"] == 0.0);
  CHECK(json["summary"]["ratio"].is_null());
  CHECK(json["limits"][0]["ndr_kpps"].is_null());
}

TEST_CASE("any text is valid JSON") {
  Report report;
  report.warnings = {"\"quoted\"\n\\", std::string("no UTF-8: \xff"), std::string("\0", 1)};
  const Json warnings = parsed(report)["warnings"];
  CHECK(warnings[0] == report.warnings[0]);
  CHECK(warnings[1] == "no UTF-8: \xef\xbf\xbd");
  CHECK(warnings[2] == report.warnings[2]);
}

TEST_CASE("use of CPU time is seven figures") {
  Report report;
  report.summary.add_use({.wall_s = 10,
                          .relay_s = 1,
                          .relay_kernel_s = 0.5,
                          .generator_s = 2,
                          .machine_busy_s = 3,
                          .stolen_s = 4,
                          .foreign_s = 5});
  CHECK(parsed(report)["summary"] == Json{{"wall_s", 10.0},
                                          {"relay_cpu_s", 1.0},
                                          {"relay_kernel_cpu_s", 0.5},
                                          {"generator_cpu_s", 2.0},
                                          {"machine_cpu_s", 3.0},
                                          {"foreign_cpu_s", 5.0},
                                          {"stolen_cpu_s", 4.0}});
}

}  // namespace
}  // namespace tandem::bench
