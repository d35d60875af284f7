#include "bench/load/histogram.h"

#include <algorithm>
#include <cmath>

namespace tandem::bench {

void Histogram::add(std::int64_t ns, std::uint64_t times) {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 0));
  counts_[index_of(std::min(value, kMostNs))] += times;
  count_ += times;
  max_ns_ = std::max(max_ns_, value);
  sum_ns_ += static_cast<double>(value) * static_cast<double>(times);
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_ns_ = std::max(max_ns_, other.max_ns_);
  sum_ns_ += other.sum_ns_;
}

double Histogram::mean_ns() const {
  return count_ == 0 ? 0 : sum_ns_ / static_cast<double>(count_);
}

std::uint64_t Histogram::quantile_ns(double q) const {
  const auto wanted =
      static_cast<std::uint64_t>(std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (counts_[i] != 0 && seen >= wanted) return std::min(upper_of(i), max_ns_);
  }
  return max_ns_;
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> Histogram::buckets() const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> filled;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] != 0) filled.emplace_back(std::min(upper_of(i), max_ns_), counts_[i]);
  }
  return filled;
}

}  // namespace tandem::bench
