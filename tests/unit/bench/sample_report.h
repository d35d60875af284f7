// A report that has every part, with figures that are easy to follow.
#pragma once

#include <limits>

#include "bench/load/report.h"

namespace tandem::bench {

inline Latencies sample_latencies(std::string name, std::int64_t step_ns, double jitter_ns) {
  Latencies latencies{.name = std::move(name), .histogram = {}, .jitter_ns = jitter_ns};
  for (std::int64_t i = 1; i <= 1000; ++i) latencies.histogram.add(i * step_ns);
  return latencies;
}

inline Report sample_report() {
  Report report;
  report.mode = "udp";
  report.started_at = "2026-01-31T12:00:00Z";
  report.machine = {.kernel = "6.1.0", .cpu = "Model 7", .cores = 2};
  report.options.add("route", "relay 127.0.0.1:7777");
  report.options.add("pairs", std::uint64_t{1000});
  report.summary.add("throughput_gbit_s", 0.9144);
  report.summary.add("delivered_bytes", std::uint64_t{1'142'600'000});
  report.summary.add("relay_cpu_s_per_mpkt", 1.7289);
  report.summary.add("intact", std::uint64_t{1});
  report.intervals = {{.from_s = 0,
                       .to_s = 1,
                       .bytes = 1'000'000,
                       .packets = 5000,
                       .lost = 3,
                       .relay_cpu_s = 0.5,
                       .generator_cpu_s = 0.75,
                       .machine_cpu_s = 1.5},
                      {.from_s = 1,
                       .to_s = 1.5,
                       .bytes = 500'000,
                       .packets = 2500,
                       .lost = 0,
                       .relay_cpu_s = 0.25,
                       .generator_cpu_s = 0.25,
                       .machine_cpu_s = 0.5}};
  report.latencies = {sample_latencies("direct", 100, 20'000),
                      sample_latencies("relay", 2000, 40'000)};
  report.limits = {
      {.size = "200",
       .ndr = {.kpps = 512.5, .low = 500, .high = 520},
       .pdr = {.kpps = 1571, .low = 560.25, .high = 1580},
       .trials = {{.offered_kpps = 600, .delivered_kpps = 590, .lost_fraction = 0.0125},
                  {.offered_kpps = 500, .delivered_kpps = 500, .lost_fraction = 0}}}};
  report.steps = {{.clients = 1000,
                   .rooms = 125,
                   .resident_bytes = 25'500'000,
                   .cpu_percent = 12.5,
                   .sent_per_s = 1000,
                   .delivered_per_s = 8000,
                   .p50_us = 90,
                   .p95_us = 250.5,
                   .p99_us = 1500,
                   .errors = 0},
                  {.clients = 2000,
                   .rooms = 250,
                   .resident_bytes = std::numeric_limits<double>::quiet_NaN(),
                   .cpu_percent = std::numeric_limits<double>::quiet_NaN(),
                   .sent_per_s = 2000,
                   .delivered_per_s = 16'000,
                   .p50_us = 100,
                   .p95_us = 300,
                   .p99_us = 2500,
                   .errors = 15}};
  report.errors = {{"ROOM_FULL", 12}, {"timeout", 3}};
  report.relay = RelayTold{.batch_sizes = {{"1", 10}, {"2", 3000}, {"+Inf", 0}},
                           .zero_copy_share = 0.975,
                           .dropped = {{"bad_mac", 12}, {"over_rate", 3456}}};
  report.warnings = {"the generator was the limit"};
  return report;
}

}  // namespace tandem::bench
