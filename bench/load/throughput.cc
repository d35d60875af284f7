#include "bench/load/throughput.h"

#include <algorithm>

#include "bench/load/summary.h"

namespace tandem::bench {
namespace {

Measured measure_leg(const Scene& scene, const Leg& leg, Loop loop, Report& report) {
  Measured measured = measure(leg, scene.timing, scene.account, *scene.interrupt, scene.tell);
  report.intervals = measured.intervals;
  report.interrupted = measured.interrupted;
  warn(measured, loop, report);
  return measured;
}

}  // namespace

Integrity run_tcp(const Scene& scene, const BulkOptions& options, Report& report) {
  const Leg leg = bulk_leg(scene, options);
  const Loop loop = options.bytes_per_second_each > 0 ? Loop::open : Loop::closed;
  const Measured measured = measure_leg(scene, leg, loop, report);
  const Tally& overall = measured.overall;
  summarize_bytes(measured, report.summary);
  summarize_lost_bytes(overall, report.summary);
  report.summary.add("compared_bytes", overall.compared_bytes);
  const Integrity integrity = judge_bulk(overall);
  summarize_run(measured, integrity, report);
  return integrity;
}

Integrity run_udp(const Scene& scene, UdpShape shape, const UdpOptions& options, Report& report) {
  const Leg leg = datagram_leg(scene, shape, options);
  const Loop loop = options.per_second > 0 ? Loop::open : Loop::closed;
  const Measured measured = measure_leg(scene, leg, loop, report);
  summarize_packets(measured, report.summary);
  summarize_bytes(measured, report.summary);
  const Integrity integrity = judge_datagrams(measured.overall);
  summarize_run(measured, integrity, report);
  return integrity;
}

}  // namespace tandem::bench
