// The mode latency: messages at a fixed rate, each timed from when it was due, and what the route
// adds to a direct one that is measured before and after it.
#pragma once

#include "bench/load/report.h"
#include "bench/load/scene.h"

namespace tandem::bench {

struct LatencyOptions {
  Transport transport = Transport::tcp;
  MessageOptions message;
  bool against_direct = true;
};

Integrity run_latency(const Scene& scene, const LatencyOptions& options, Report& report);

}  // namespace tandem::bench
