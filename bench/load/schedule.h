// Owns when the messages of an open loop are due: at a fixed rate, whatever becomes of the earlier
// ones. Knows no clock but the moments it is given.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "bench/load/load.h"

namespace tandem::bench {

[[nodiscard]] inline std::int64_t nanos(Clock::time_point at) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}

// What a message's flow is mixed with, so that an altered time of its is damage and no latency.
[[nodiscard]] constexpr std::uint32_t seal_of(std::int64_t due_ns) {
  const auto bits = static_cast<std::uint64_t>(due_ns);
  return static_cast<std::uint32_t>(bits ^ bits >> 32) * 0x85ebca6bu;
}

class Schedule {
 public:
  // `per_second` > 0. The interval need not be whole nanoseconds: the n-th is due at start + n /
  // rate.
  explicit Schedule(double per_second) : interval_ns_(1e9 / per_second) {}

  void restart(Clock::time_point now) {
    start_ = now;
    taken_ = 0;
    due_ = now;
  }
  [[nodiscard]] bool is_due(Clock::time_point now) const { return due_ <= now; }
  // How many are due, up to `most`.
  [[nodiscard]] std::size_t due_by(Clock::time_point now, std::size_t most) const {
    if (!is_due(now)) return 0;
    const auto since = std::chrono::duration<double, std::nano>(now - start_).count();
    auto due = static_cast<std::uint64_t>(since / interval_ns_);
    while (moment_of(due) <= now) ++due;  // a moment is cut to whole nanoseconds
    return std::min<std::size_t>(due - taken_, most);
  }
  // When the next one is.
  [[nodiscard]] Clock::time_point next() const { return due_; }
  // How long the next one has been due.
  [[nodiscard]] Clock::duration lag(Clock::time_point now) const { return now - due_; }
  // Takes the next one: when it was due.
  Clock::time_point take() {
    const auto due = due_;
    due_ = moment_of(++taken_);
    return due;
  }

 private:
  [[nodiscard]] Clock::time_point moment_of(std::uint64_t number) const {
    const double ns = interval_ns_ * static_cast<double>(number);
    return start_ + std::chrono::nanoseconds(static_cast<std::int64_t>(ns));
  }

  double interval_ns_;
  Clock::time_point start_{};
  Clock::time_point due_{};
  std::uint64_t taken_ = 0;
};

}  // namespace tandem::bench
