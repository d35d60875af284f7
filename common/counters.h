// Numbers that one thread counts and any thread reads. Knows no names: what is counted is the
// enum's business, how it is shown the metrics page's.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tandem {

// One writer. So add() is a load and a store and no locked instruction: a plain add on amd64. A
// reader sees some recent value, never a torn one; two counters are not seen at one instant.
class Counter {
 public:
  void add(std::uint64_t n = 1) { set(load() + n); }
  void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t load() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// One counter for each of an enum's values 0 .. N - 1.
template <class Enum, std::size_t N>
class CounterArray {
 public:
  [[nodiscard]] Counter& operator[](Enum which) {
    return counters_[static_cast<std::size_t>(which)];
  }
  [[nodiscard]] const Counter& operator[](Enum which) const {
    return counters_[static_cast<std::size_t>(which)];
  }
  [[nodiscard]] static constexpr std::size_t size() { return N; }

  [[nodiscard]] std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const Counter& counter : counters_) sum += counter.load();
    return sum;
  }

 private:
  std::array<Counter, N> counters_;
};

// How often each size came, by powers of two. N bounds, 1, 2, 4 ... 2^(N - 1): bucket i has the
// sizes up to its bound and above the one before, the bucket behind the last all that are larger.
template <std::size_t N>
class SizeHistogram {
 public:
  // `size` is not 0.
  void count(std::uint64_t size) {
    const auto bucket = static_cast<std::size_t>(std::bit_width(size - 1));
    buckets_[std::min(bucket, N)].add();
    sum_.add(size);
  }
  [[nodiscard]] std::span<const Counter> buckets() const { return buckets_; }
  [[nodiscard]] std::uint64_t sum() const { return sum_.load(); }

 private:
  std::array<Counter, N + 1> buckets_;
  Counter sum_;
};

}  // namespace tandem
