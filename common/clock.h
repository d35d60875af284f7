// The two clocks. Only main, the back ends and the control thread's loop read them; everything
// below takes `now` as an argument, so that tests and the simulation own time.
#pragma once

#include <time.h>

#include <cstdint>

namespace tandem {

// Monotonic nanoseconds since some point before the process started; never negative.
using Nanos = std::int64_t;
// Seconds since 1970, as the wall clock has it: it may step. For tokens and logs, never for timers.
using UnixSeconds = std::int64_t;

inline constexpr Nanos kNanosPerMicrosecond = 1'000;
inline constexpr Nanos kNanosPerMillisecond = 1'000'000;
inline constexpr Nanos kNanosPerSecond = 1'000'000'000;
inline constexpr Nanos kNanosPerMinute = 60 * kNanosPerSecond;
inline constexpr Nanos kNanosPerHour = 60 * kNanosPerMinute;
inline constexpr Nanos kNanosPerDay = 24 * kNanosPerHour;

// Both are vDSO calls, some 20 ns; they cannot fail for these clocks.
[[nodiscard]] inline Nanos monotonic_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

[[nodiscard]] inline UnixSeconds unix_now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec;
}

}  // namespace tandem
