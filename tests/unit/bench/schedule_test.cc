#include "bench/load/schedule.h"

#include <doctest/doctest.h>

#include <array>

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

constexpr Clock::time_point kStart{1'000'000'007ns};
constexpr std::size_t kAll = std::size_t{1} << 40;

Schedule started(double per_second) {
  Schedule schedule(per_second);
  schedule.restart(kStart);
  return schedule;
}

TEST_CASE("the first is due at once, each further one an interval later") {
  Schedule schedule = started(1000);
  CHECK(!schedule.is_due(kStart - 1ns));
  CHECK(schedule.is_due(kStart));
  CHECK(schedule.take() == kStart);
  CHECK(!schedule.is_due(kStart + 1ms - 1ns));
  CHECK(schedule.take() == kStart + 1ms);
  CHECK(schedule.take() == kStart + 2ms);
}

TEST_CASE("an interval that is no whole nanoseconds does not drift over ten million messages") {
  constexpr std::int64_t kMessages = 10'000'000;
  for (const std::int64_t per_second : {3, 7, 300'000, 3'000'000, 999'999'937}) {
    CAPTURE(per_second);
    Schedule schedule = started(static_cast<double>(per_second));
    Clock::time_point due;
    for (std::int64_t i = 0; i <= kMessages; ++i) due = schedule.take();
    // In whole nanoseconds, and no more than the last of a double's 53 bits off.
    const auto right = std::chrono::nanoseconds(kMessages * 1'000'000'000 / per_second);
    CHECK(due - kStart <= right + 1ns);
    CHECK(due - kStart >= right - 1ns);
  }
}

TEST_CASE("as many are due by a moment as can be taken until then") {
  for (const double per_second : {1e9, 7e8, 3e8, 1e6, 333'333.25, 1e3}) {
    CAPTURE(per_second);
    Schedule asked = started(per_second);
    Schedule taking = started(per_second);
    Clock::time_point now = kStart - 3ns;
    for (const auto step : std::array{3ns, 1ns, 1ns, 1ns, 2ns, 3ns, 997ns, 10'000ns, 123'456ns}) {
      now += step;
      std::size_t taken = 0;
      for (; taking.is_due(now); ++taken) taking.take();
      CHECK(asked.due_by(now, kAll) == taken);
      for (std::size_t i = 0; i < taken; ++i) asked.take();
      CHECK(asked.due_by(now, kAll) == 0);
    }
  }
}

TEST_CASE("of those that are due, no more than are asked for") {
  const Schedule schedule = started(1e6);
  CHECK(schedule.due_by(kStart + 1ms, 64) == 64);
  CHECK(schedule.due_by(kStart + 1ms, kAll) == 1001);
}

TEST_CASE("what is not taken stays due, and its lag grows") {
  Schedule schedule = started(1000);
  CHECK(schedule.lag(kStart) == 0ns);
  CHECK(schedule.lag(kStart + 10ms) == 10ms);
  schedule.take();
  CHECK(schedule.lag(kStart + 10ms) == 9ms);
  CHECK(schedule.lag(kStart) == -1ms);
  CHECK(schedule.take() == kStart + 1ms);
}

TEST_CASE("after a pause it begins anew, without a burst of what the pause left out") {
  Schedule schedule = started(1000);
  for (int i = 0; i < 5; ++i) schedule.take();
  const auto later = kStart + 1h;
  schedule.restart(later);
  CHECK(schedule.due_by(later, kAll) == 1);
  CHECK(schedule.take() == later);
  CHECK(schedule.take() == later + 1ms);
}

}  // namespace
}  // namespace tandem::bench
