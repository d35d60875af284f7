// The timers of idle sessions: each is armed for a keepalive's time out, most are moved before they
// fire.
#include "bench/micro/micro.h"
#include "common/timer_wheel.h"

namespace tandem::bench {
namespace {

constexpr Nanos kStart = 1000 * kNanosPerSecond;
constexpr Nanos kTimeout = 90 * kNanosPerSecond;

struct ArmedWheel {
  explicit ArmedWheel(uint32_t timers) : wheel(timers, kStart) {
    Random random(9);
    for (uint32_t i = 0; i < timers; ++i) {
      wheel.schedule(i, now + static_cast<Nanos>(random.next() % kTimeout));
    }
  }
  TimerWheel wheel;
  Nanos now = kStart;
};

void schedule(benchmark::State& state) {
  const auto timers = static_cast<uint32_t>(state.range(0));
  ArmedWheel armed(timers);
  Random random(10);
  for (auto _ : state) {
    armed.wheel.schedule(random.below(timers),
                         armed.now + kTimeout + static_cast<Nanos>(random.next() % kTimeout));
  }
  count_operations(state);
}
TANDEM_MICRO(schedule, "timer_wheel/schedule")->Arg(1'000)->Arg(100'000)->Arg(1'000'000);

// Time goes on to the next one that is due, which is armed anew: with it the way down the levels.
void fire(benchmark::State& state) {
  ArmedWheel armed(static_cast<uint32_t>(state.range(0)));
  uint64_t fired = 0;
  for (auto _ : state) {
    for (uint32_t now_fired = 0; now_fired == 0; fired += now_fired) {
      armed.now = std::max(armed.now, *armed.wheel.next_deadline());
      now_fired = armed.wheel.advance(
          armed.now, 1, [&](uint32_t id) { armed.wheel.schedule(id, armed.now + kTimeout); });
    }
  }
  TANDEM_CHECK(fired == static_cast<uint64_t>(state.iterations()));
  count_operations(state);
}
TANDEM_MICRO(fire, "timer_wheel/fire")->Arg(1'000)->Arg(100'000)->Arg(1'000'000);

}  // namespace
}  // namespace tandem::bench
