// What the micro benchmarks share: how they are registered, numbers that look random, and worlds
// that are made once. Knows nothing of what is measured.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>

#include "common/assert.h"

// `name` is what a benchmark is called, from which arguments follow: session_table/find/1000.
#define TANDEM_MICRO(function, name) \
  BENCHMARK(function)->Name(name)->Apply(::tandem::bench::fix_iterations)
// One function for several cases: what follows the name is passed to it behind the state.
#define TANDEM_MICRO_CASE(function, name, ...) \
  BENCHMARK_CAPTURE(function, one, __VA_ARGS__)->Name(name)->Apply(::tandem::bench::fix_iterations)

namespace tandem::bench {

// With TANDEM_MICRO_ITERATIONS in the environment every benchmark runs exactly so many turns, once:
// for counting instructions, where time means nothing. (Google Benchmark 1.7 has no flag for it.)
template <class Benchmark>
void fix_iterations(Benchmark* benchmark) {
  if (const char* const turns = std::getenv("TANDEM_MICRO_ITERATIONS")) {
    benchmark->Iterations(std::strtol(turns, nullptr, 10));
  }
}

// SplitMix64: the same numbers in each run, so that runs can be compared.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t x = state_ += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }
  // 0 .. bound - 1; the bias is below 2^-32.
  uint32_t below(uint32_t bound) {
    return static_cast<uint32_t>(((next() >> 32) * uint64_t{bound}) >> 32);
  }

 private:
  uint64_t state_;
};

// Made at its first use and kept: a benchmark's function is called several times, and filling a
// table takes longer than measuring it.
template <class World>
World& world_of(uint32_t size) {
  static std::map<uint32_t, std::unique_ptr<World>> worlds;
  std::unique_ptr<World>& world = worlds[size];
  if (!world) world = std::make_unique<World>(size);
  return *world;
}

// How many operations each turn of the loop did; all figures are of one operation.
inline void count_operations(benchmark::State& state, uint64_t each_turn = 1) {
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * each_turn));
}

}  // namespace tandem::bench
