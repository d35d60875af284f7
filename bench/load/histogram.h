// Owns the distribution of a run's latencies: a high dynamic range histogram, whose buckets are a
// fixed fraction of the value wide, so that its size does not depend on how much is recorded and a
// quantile is right to three digits everywhere. Knows no clock. After Gil Tene's HdrHistogram.
#pragma once

#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

namespace tandem::bench {

class Histogram {
 public:
  // Below it every nanosecond has a bucket of its own; above, a bucket is at most 1/1024 of its
  // values wide.
  static constexpr std::uint64_t kExactNs = 2048;
  static constexpr std::uint64_t kMostNs = (std::uint64_t{1} << 37) - 1;  // 137 s

  Histogram() : counts_(index_of(kMostNs) + 1) {}

  // `times` times. What is negative counts as 0, what is beyond kMostNs as that; the largest and
  // the sum are exact.
  void add(std::int64_t ns, std::uint64_t times = 1);
  void merge(const Histogram& other);
  void clear() { *this = Histogram(); }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max_ns() const { return max_ns_; }
  [[nodiscard]] double mean_ns() const;
  // The least value that a share of `q` (0 to 1) of all is not above, to the width of its bucket
  // and never above the maximum; 0 where nothing was recorded.
  [[nodiscard]] std::uint64_t quantile_ns(double q) const;
  // Upper bound and count of each bucket that has any, ascending.
  [[nodiscard]] std::vector<std::pair<std::uint64_t, std::uint64_t>> buckets() const;

 private:
  static constexpr std::size_t index_of(std::uint64_t ns) {
    if (ns < kExactNs) return ns;
    const auto shift = static_cast<int>(std::bit_width(ns) - std::bit_width(kExactNs - 1));
    return static_cast<std::size_t>(shift) * (kExactNs / 2) + (ns >> shift);
  }
  static constexpr std::uint64_t upper_of(std::size_t index) {
    if (index < kExactNs) return index;
    const auto shift = static_cast<int>(index / (kExactNs / 2)) - 1;
    const auto within = index - static_cast<std::size_t>(shift) * (kExactNs / 2);
    return ((within + 1) << shift) - 1;
  }

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ns_ = 0;
  double sum_ns_ = 0;
};

}  // namespace tandem::bench
