#include "common/timer_wheel.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <unordered_map>
#include <vector>

namespace tandem {
namespace {

constexpr std::uint32_t kNoBudget = 0xffff'ffff;
constexpr Nanos kTick = TimerWheel::kTick;

std::vector<std::uint32_t> fired_by(TimerWheel& wheel, Nanos now,
                                    std::uint32_t budget = kNoBudget) {
  std::vector<std::uint32_t> ids;
  const auto fired = wheel.advance(now, budget, [&ids](std::uint32_t id) { ids.push_back(id); });
  CHECK(fired == ids.size());
  return ids;
}

using Ids = std::vector<std::uint32_t>;

TEST_CASE("nothing armed, nothing to wait for") {
  TimerWheel wheel(8, 0);
  CHECK_FALSE(wheel.next_deadline().has_value());
  CHECK(fired_by(wheel, kNanosPerDay).empty());
  CHECK_FALSE(wheel.armed(0));
  wheel.cancel(0);
  wheel.schedule(0, kNanosPerDay * 2);
  CHECK(wheel.armed(0));
  wheel.cancel(0);
  CHECK_FALSE(wheel.armed(0));
  CHECK_FALSE(wheel.next_deadline().has_value());
}

TEST_CASE("never early, late by at most a tick") {
  for (const Nanos delay :
       {Nanos{1}, kTick - 1, kTick, kTick + 1, 63 * kTick, 64 * kTick, 65 * kTick,
        64 * 64 * kTick - 1, kNanosPerSecond, kNanosPerMinute, kNanosPerDay, 400 * kNanosPerDay}) {
    for (const Nanos start : {Nanos{0}, Nanos{12345}, 63 * kTick + 7, 12'345'678'901'234'567}) {
      CAPTURE(delay);
      CAPTURE(start);
      TimerWheel wheel(1, start);
      wheel.schedule(0, start + delay);
      CHECK(fired_by(wheel, start + delay - 1).empty());
      CHECK(fired_by(wheel, start + delay + kTick) == Ids{0});
      CHECK_FALSE(wheel.armed(0));
    }
  }
}

TEST_CASE("the end of time") {
  constexpr Nanos kEnd = std::numeric_limits<Nanos>::max();
  TimerWheel wheel(2, kNanosPerDay);
  wheel.schedule(0, kEnd);
  wheel.schedule(1, kEnd - 3 * kTick);
  CHECK(wheel.next_deadline().value() > kNanosPerDay);
  CHECK(fired_by(wheel, kEnd - 4 * kTick).empty());
  CHECK(fired_by(wheel, kEnd - kTick) == Ids{1});
  CHECK(wheel.next_deadline() == kEnd);
}

TEST_CASE("what has passed is due at once") {
  TimerWheel wheel(3, 10 * kNanosPerSecond);
  wheel.schedule(0, 10 * kNanosPerSecond);
  wheel.schedule(1, kNanosPerSecond);
  wheel.schedule(2, -1);
  CHECK(wheel.next_deadline().value() <= 10 * kNanosPerSecond);
  CHECK(fired_by(wheel, 10 * kNanosPerSecond + kTick).size() == 3);
}

TEST_CASE("a clock that stands or steps back fires nothing new") {
  TimerWheel wheel(2, 0);
  wheel.schedule(0, kNanosPerSecond);
  CHECK(fired_by(wheel, 2 * kNanosPerSecond) == Ids{0});
  wheel.schedule(1, 3 * kNanosPerSecond);
  CHECK(fired_by(wheel, kNanosPerSecond).empty());
  CHECK(fired_by(wheel, 2 * kNanosPerSecond).empty());
  CHECK(fired_by(wheel, 3 * kNanosPerSecond + kTick) == Ids{1});

  // back over a boundary of digits, where a wheel that followed would misread its slots
  const Nanos boundary = 4096 * kTick;
  CHECK(fired_by(wheel, boundary).empty());
  wheel.schedule(0, boundary + 4 * kTick);
  CHECK(fired_by(wheel, boundary - kTick).empty());
  CHECK(fired_by(wheel, boundary - kTick).empty());
  CHECK(fired_by(wheel, boundary + 3 * kTick).empty());
  CHECK(fired_by(wheel, boundary + 4 * kTick) == Ids{0});
}

TEST_CASE("the last schedule counts") {
  TimerWheel wheel(1, 0);
  wheel.schedule(0, kNanosPerSecond);
  wheel.schedule(0, kNanosPerDay);
  CHECK(fired_by(wheel, kNanosPerHour).empty());
  wheel.schedule(0, kNanosPerHour + kNanosPerSecond);
  CHECK(fired_by(wheel, kNanosPerHour + 2 * kNanosPerSecond) == Ids{0});
  CHECK(fired_by(wheel, 2 * kNanosPerDay).empty());
}

TEST_CASE("ticks in order, first come first within one") {
  TimerWheel wheel(4, 0);
  wheel.schedule(3, 2 * kNanosPerSecond);
  wheel.schedule(2, kNanosPerSecond);
  wheel.schedule(0, kNanosPerSecond);
  wheel.schedule(1, kNanosPerSecond / 2);
  CHECK(fired_by(wheel, kNanosPerMinute) == Ids{1, 2, 0, 3});
}

TEST_CASE("past the budget the rest stays and says so") {
  TimerWheel wheel(10, 0);
  for (std::uint32_t id = 0; id < 10; ++id) wheel.schedule(id, kNanosPerSecond);
  const Nanos now = 2 * kNanosPerSecond;
  CHECK(fired_by(wheel, now, 0).empty());
  CHECK(fired_by(wheel, now, 4) == Ids{0, 1, 2, 3});
  CHECK(wheel.next_deadline().value() <= now);
  CHECK(wheel.armed(4));
  wheel.cancel(4);
  CHECK(fired_by(wheel, now, 4) == Ids{5, 6, 7, 8});
  CHECK(fired_by(wheel, now, 4) == Ids{9});
  CHECK_FALSE(wheel.next_deadline().has_value());
}

TEST_CASE("a callback may schedule and cancel any, its own too") {
  TimerWheel wheel(4, 0);
  for (std::uint32_t id = 0; id < 3; ++id) wheel.schedule(id, kNanosPerSecond);
  Ids order;
  wheel.advance(kNanosPerMinute, kNoBudget, [&](std::uint32_t id) {
    order.push_back(id);
    CHECK_FALSE(wheel.armed(id));
    if (id == 0 && order.size() == 1) {
      wheel.cancel(1);                          // due in this very call
      wheel.schedule(2, 2 * kNanosPerMinute);   // was due, is not now
      wheel.schedule(3, 30 * kNanosPerSecond);  // due in this call, later
      wheel.schedule(0, 20 * kNanosPerSecond);  // its own
    }
  });
  CHECK(order == Ids{0, 0, 3});
  CHECK(fired_by(wheel, 3 * kNanosPerMinute) == Ids{2});
}

TEST_CASE("one that is always due at once ends with the budget") {
  TimerWheel wheel(2, 0);
  wheel.schedule(0, 0);
  std::uint32_t others = 0;
  wheel.schedule(1, 0);
  CHECK(wheel.advance(kNanosPerSecond, 100, [&](std::uint32_t id) {
    if (id == 1) ++others;
    if (id == 0) wheel.schedule(0, 0);
  }) == 100);
  CHECK(others == 1);  // not starved: first come first
}

TEST_CASE("a crowd is carried down in bounded steps, and cancelled ones are not carried") {
  constexpr std::uint32_t kTimers = 20'000;
  TimerWheel wheel(kTimers, 0);
  const Nanos deadline = kNanosPerMinute + 7 * kTick;
  for (std::uint32_t id = 0; id < kTimers; ++id) wheel.schedule(id, deadline);
  std::uint32_t fired = 0;
  std::uint32_t calls = 0;
  while (const auto next = wheel.next_deadline()) {
    const Nanos now = std::max(*next, deadline - kTick);
    const auto count = wheel.advance(now, kNoBudget, [&](std::uint32_t id) {
      CHECK(id % 2 == 1);
      CHECK(now >= deadline);
    });
    fired += count;
    if (++calls == 1)
      for (std::uint32_t id = 0; id < kTimers; id += 2) wheel.cancel(id);
    REQUIRE(calls < 200);
  }
  CHECK(fired == kTimers / 2);
  CHECK(calls > 2);
}

TEST_CASE("waking at next_deadline() alone, few times, is enough") {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    const auto start = static_cast<Nanos>(random() % (1u << 30) * 4'000'000);
    const Nanos deadline = start + static_cast<Nanos>(random() >> (1 + random() % 62) >> 1);
    TimerWheel wheel(1, start);
    wheel.schedule(0, deadline);
    Nanos now = start;
    int wakes = 0;
    while (wheel.armed(0)) {
      REQUIRE(wheel.next_deadline().has_value());
      REQUIRE(*wheel.next_deadline() <= deadline + kTick);
      now = std::max(now, *wheel.next_deadline());
      fired_by(wheel, now);
      REQUIRE(++wakes <= 7);
    }
    REQUIRE(now >= deadline);
    REQUIRE(now <= deadline + kTick);
  }
}

// The wheel beside a sorted map that keeps every promise of the header.
class Model {
 public:
  void schedule(std::uint32_t id, Nanos deadline) {
    cancel(id);
    by_id_[id] = by_deadline_.emplace(deadline, id);
  }
  void cancel(std::uint32_t id) {
    const auto it = by_id_.find(id);
    if (it == by_id_.end()) return;
    by_deadline_.erase(it->second);
    by_id_.erase(it);
  }
  bool armed(std::uint32_t id) const { return by_id_.contains(id); }
  Nanos deadline_of(std::uint32_t id) const { return by_id_.at(id)->first; }
  bool empty() const { return by_id_.empty(); }
  Nanos first() const { return by_deadline_.begin()->first; }

 private:
  std::multimap<Nanos, std::uint32_t> by_deadline_;
  std::unordered_map<std::uint32_t, std::multimap<Nanos, std::uint32_t>::iterator> by_id_;
};

class Walk {
 public:
  explicit Walk(std::uint64_t seed)
      : random_(seed), now_(static_cast<Nanos>(random_() % (1ull << 50))), wheel_(kTimers, now_) {}

  void step() {
    switch (random_() % 8) {
      case 0:
      case 1:
      case 2:
        schedule(any_id());
        break;
      case 3:
        cancel(any_id());
        break;
      default:
        advance();
        break;
    }
    const std::uint32_t id = any_id();
    REQUIRE(wheel_.armed(id) == model_.armed(id));
    REQUIRE(wheel_.next_deadline().has_value() == !model_.empty());
    if (!model_.empty()) REQUIRE(*wheel_.next_deadline() < std::max(model_.first(), now_) + kTick);
  }

 private:
  static constexpr std::uint32_t kTimers = 200;

  std::uint32_t any_id() { return static_cast<std::uint32_t>(random_() % kTimers); }
  // From nanoseconds to a year, each magnitude as likely; at times already past.
  Nanos any_delay() { return static_cast<Nanos>(random_() % (1ull << random_() % 55)) - kTick / 8; }

  void schedule(std::uint32_t id) {
    const Nanos deadline = now_ + any_delay();
    wheel_.schedule(id, deadline);
    model_.schedule(id, deadline);
  }
  void cancel(std::uint32_t id) {
    wheel_.cancel(id);
    model_.cancel(id);
  }

  void advance() {
    now_ += std::max<Nanos>(any_delay(), 0) >> 8;
    const auto budget = static_cast<std::uint32_t>(random_() % 3 == 0 ? random_() % 8 : 100'000);
    const std::uint32_t fired = wheel_.advance(now_, budget, [this](std::uint32_t id) {
      REQUIRE(model_.armed(id));
      REQUIRE(model_.deadline_of(id) <= now_);
      model_.cancel(id);
      if (random_() % 4 == 0) schedule(any_id());
      if (random_() % 8 == 0) cancel(any_id());
    });
    REQUIRE(fired <= budget);
    if (fired < budget && !model_.empty()) REQUIRE(model_.first() > now_ - kTick);
  }

  std::mt19937_64 random_;
  Nanos now_;
  TimerWheel wheel_;
  Model model_;
};

TEST_CASE("property: the wheel keeps what a sorted map would keep") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    Walk walk(seed);
    for (int i = 0; i < 5000; ++i) walk.step();
  }
}

}  // namespace
}  // namespace tandem
