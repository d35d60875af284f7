#include "bench/load/latency_mode.h"

#include <optional>

#include "bench/load/summary.h"

namespace tandem::bench {
namespace {

// Half of the direct leg's time before the route's and half after, so that a machine that drifts
// meets both alike.
class DirectLeg {
 public:
  DirectLeg(const Scene& scene, const LatencyOptions& options)
      : scene_(scene.direct()), leg_(message_leg(scene_, options.transport, options.message)) {
    scene_.timing.seconds /= 2;
    scene_.timing.interval_s = 0;
    sum_.name = leg_.name;
  }

  void measure_half() {
    (void)measure(leg_, scene_.timing, scene_.account, *scene_.interrupt, {});
    const Latencies latencies = leg_.latencies();
    sum_.histogram.merge(latencies.histogram);
    sum_.jitter_ns += latencies.jitter_ns / 2;
  }

  [[nodiscard]] const Latencies& sum() const { return sum_; }

 private:
  Scene scene_;
  Leg leg_;
  Latencies sum_;
};

Integrity judge(Transport transport, const Tally& overall) {
  switch (transport) {
    case Transport::tcp:
      return judge_messages(overall);
    case Transport::udp:
      return judge_datagrams(overall);
  }
  return Integrity::damaged;
}

}  // namespace

Integrity run_latency(const Scene& scene, const LatencyOptions& options, Report& report) {
  std::optional<DirectLeg> direct;
  if (options.against_direct && scene.route.kind != RouteKind::direct) {
    direct.emplace(scene, options);
  }
  const Leg leg = message_leg(scene, options.transport, options.message);
  if (direct) direct->measure_half();
  const Measured measured = measure(leg, scene.timing, scene.account, *scene.interrupt, scene.tell);
  report.latencies.push_back(leg.latencies());
  if (direct) {
    direct->measure_half();
    report.latencies.push_back(direct->sum());
  }
  report.intervals = measured.intervals;
  report.interrupted = measured.interrupted;
  warn(measured, Loop::open, report);

  Figures& figures = report.summary;
  figures.add("measured", leg.far ? "round_trip" : "one_way");
  summarize_latency(report.latencies[0], "", figures);
  if (direct) {
    summarize_latency(report.latencies[1], "direct_", figures);
    summarize_added(report.latencies[0], report.latencies[1], figures);
  }
  summarize_packets(measured, figures);
  const Integrity integrity = judge(options.transport, measured.overall);
  summarize_run(measured, integrity, report);
  return integrity;
}

}  // namespace tandem::bench
