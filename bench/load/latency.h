// Owns a run's latencies and their quantiles. Exact: a run has a few million at most, four bytes
// each. Knows no clock.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace tandem::bench {

class LatencySample {
 public:
  // Nanoseconds; what is beyond 4.29 s counts as that.
  void add(std::int64_t ns) {
    constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
    ns_.push_back(static_cast<std::uint32_t>(std::clamp<std::int64_t>(ns, 0, kMost)));
  }
  void clear() { ns_.clear(); }

  // 0 where there is none. Reorders the sample.
  [[nodiscard]] double quantile_us(double q) {
    if (ns_.empty()) return 0;
    const auto rank = static_cast<std::ptrdiff_t>(q * static_cast<double>(ns_.size() - 1));
    const auto at = ns_.begin() + rank;
    std::ranges::nth_element(ns_, at);
    return static_cast<double>(*at) / 1e3;
  }

 private:
  std::vector<std::uint32_t> ns_;
};

}  // namespace tandem::bench
