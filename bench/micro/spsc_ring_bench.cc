// The ring between threads: both sides in one, where its lines stay in one cache, and in two, where
// they travel.
#include <thread>

#include "bench/micro/micro.h"
#include "common/control.h"
#include "common/spsc_ring.h"

namespace tandem::bench {
namespace {

constexpr size_t kCapacity = 1024;
// Then the other thread may be the one that waits for this core.
constexpr uint32_t kTriesBeforeYield = 256;

template <class Message>
void push_pop(benchmark::State& state) {
  SpscRing<Message> ring(kCapacity);
  Message message{};
  uint64_t failed = 0;
  for (auto _ : state) {
    failed += !ring.try_push(message);
    failed += !ring.try_pop(message);
    benchmark::DoNotOptimize(message);
  }
  TANDEM_CHECK(failed == 0 && ring.empty());
  count_operations(state);
}
TANDEM_MICRO(push_pop<uint64_t>, "spsc_ring/push_pop/8_bytes");
TANDEM_MICRO(push_pop<FromShard>, "spsc_ring/push_pop/message");

template <class Try>
void until(Try&& succeeds) {
  for (uint32_t tries = 1; !succeeds(); ++tries) {
    if (tries % kTriesBeforeYield == 0) std::this_thread::yield();
  }
}

// Thread 0 pushes, thread 1 pops as often; an operation is a message that crossed.
void cross(benchmark::State& state) {
  static SpscRing<uint64_t> ring(kCapacity);
  const bool pushes = state.thread_index() == 0;
  uint64_t number = 0;
  uint64_t wrong = 0;
  for (auto _ : state) {
    if (pushes) {
      until([&] { return ring.try_push(number); });
    } else {
      uint64_t popped = 0;
      until([&] { return ring.try_pop(popped); });
      wrong += popped != number;
    }
    ++number;
  }
  TANDEM_CHECK(wrong == 0);
  // The threads' counts are added up.
  if (pushes) count_operations(state);
}
TANDEM_MICRO(cross, "spsc_ring/two_threads")->Threads(2)->UseRealTime();

}  // namespace
}  // namespace tandem::bench
