#include "common/counters.h"

#include <doctest/doctest.h>

#include <limits>
#include <thread>
#include <vector>

namespace tandem {
namespace {

TEST_CASE("counting") {
  Counter counter;
  CHECK(counter.load() == 0);
  counter.add();
  counter.add(41);
  CHECK(counter.load() == 42);
  counter.set(7);
  CHECK(counter.load() == 7);
}

TEST_CASE("one for each value of an enum") {
  enum class Colour : std::uint8_t { red, green, blue };
  CounterArray<Colour, 3> counters;
  counters[Colour::red].add(1);
  counters[Colour::blue].add(2);
  CHECK(counters[Colour::red].load() == 1);
  CHECK(counters[Colour::green].load() == 0);
  CHECK(counters[Colour::blue].load() == 2);
  CHECK(counters.total() == 3);
  CHECK(counters.size() == 3);
}

TEST_CASE("sizes fall into the bucket whose bound is the next power of two") {
  SizeHistogram<4> sizes;  // 1, 2, 4, 8, more
  const auto counted = [&] {
    std::vector<std::uint64_t> counts;
    for (const Counter& bucket : sizes.buckets()) counts.push_back(bucket.load());
    return counts;
  };
  for (const std::uint64_t size : {1, 2, 3, 4, 5, 8, 8}) sizes.count(size);
  CHECK(counted() == std::vector<std::uint64_t>{1, 1, 2, 3, 0});
  CHECK(sizes.sum() == 31);
  sizes.count(9);
  sizes.count(std::numeric_limits<std::uint64_t>::max() - 39);
  CHECK(counted() == std::vector<std::uint64_t>{1, 1, 2, 3, 2});
  CHECK(sizes.sum() == 0);  // it wraps, as every counter
}

TEST_CASE("a reader sees the writer's values in order and whole") {
  // a torn value is no multiple of it
  constexpr std::uint64_t kStep = (std::uint64_t{1} << 32) + 1;
  constexpr std::uint64_t kSteps = 200'000;
  Counter counter;
  std::thread writer([&counter] {
    for (std::uint64_t i = 0; i < kSteps; ++i) counter.add(kStep);
  });
  std::uint64_t last = 0;
  bool ordered = true;
  bool whole = true;
  while (last < kSteps * kStep) {
    const std::uint64_t seen = counter.load();
    ordered = ordered && seen >= last;
    whole = whole && seen % kStep == 0;
    last = seen;
  }
  writer.join();
  CHECK(ordered);
  CHECK(whole);
}

}  // namespace
}  // namespace tandem
