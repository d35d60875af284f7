// Counting, and reading all that a shard counts as the metrics page does.
#include <memory>

#include "bench/micro/micro.h"
#include "common/counters.h"
#include "relay/core/relay_counters.h"

namespace tandem::bench {
namespace {

// On the heap as a shard's are: a register may stand for what lies on the stack.
void add(benchmark::State& state) {
  const auto counters = std::make_unique<RelayCounters>();
  Counter& counter = counters->datagrams_received;
  benchmark::DoNotOptimize(counters.get());
  for (auto _ : state) {
    counter.add();
    benchmark::ClobberMemory();
  }
  TANDEM_CHECK(counter.load() == static_cast<uint64_t>(state.iterations()));
  count_operations(state);
}
TANDEM_MICRO(add, "counters/add");

void add_to_array(benchmark::State& state) {
  const auto all = std::make_unique<RelayCounters>();
  auto& counters = all->datagrams_dropped;
  benchmark::DoNotOptimize(all.get());
  uint32_t which = 0;
  for (auto _ : state) {
    counters[static_cast<DropReason>(which)].add();
    benchmark::ClobberMemory();
    which = which + 1 == kDropReasons ? 0 : which + 1;
  }
  TANDEM_CHECK(counters.total() == static_cast<uint64_t>(state.iterations()));
  count_operations(state);
}
TANDEM_MICRO(add_to_array, "counters/add_to_array");

void read(benchmark::State& state) {
  const auto all = std::make_unique<RelayCounters>();
  auto& counters = all->datagrams_dropped;
  benchmark::DoNotOptimize(all.get());
  counters[DropReason::blocked].add(7);
  uint64_t wrong = 0;
  for (auto _ : state) {
    wrong += counters.total() != 7;
    benchmark::ClobberMemory();
  }
  TANDEM_CHECK(wrong == 0);
  count_operations(state, kDropReasons);
}
TANDEM_MICRO(read, "counters/read");

}  // namespace
}  // namespace tandem::bench
