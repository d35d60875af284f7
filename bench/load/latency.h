// Owns the latencies of a load's messages: their distribution, and how much they differ from one
// message of a flow to the next. Knows no clock.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "bench/load/histogram.h"

namespace tandem::bench {

class LatencyMeter {
 public:
  explicit LatencyMeter(std::size_t flows) : flows_(flows) {}

  void record(std::size_t flow, std::int64_t ns) {
    histogram_.add(ns);
    Flow& state = flows_[flow];
    // RFC 3550, 6.4.1: the difference of two transit times, smoothed with a gain of 1/16.
    if (state.messages++ > 0) {
      const auto difference = static_cast<double>(std::abs(ns - state.last_ns));
      state.jitter_ns += (difference - state.jitter_ns) / 16;
    }
    state.last_ns = ns;
  }
  void clear() {
    histogram_.clear();
    for (Flow& flow : flows_) flow = {};
  }

  [[nodiscard]] const Histogram& histogram() const { return histogram_; }
  // Mean over the flows that had two messages or more.
  [[nodiscard]] double jitter_ns() const {
    double sum = 0;
    double counted = 0;
    for (const Flow& flow : flows_) {
      if (flow.messages < 2) continue;
      sum += flow.jitter_ns;
      ++counted;
    }
    return counted == 0 ? 0 : sum / counted;
  }

 private:
  struct Flow {
    std::int64_t last_ns = 0;
    double jitter_ns = 0;
    std::uint64_t messages = 0;
  };
  Histogram histogram_;
  std::vector<Flow> flows_;
};

}  // namespace tandem::bench
