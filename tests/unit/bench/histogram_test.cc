#include "bench/load/histogram.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace tandem::bench {
namespace {

TEST_CASE("an empty histogram has zeros") {
  const Histogram empty;
  CHECK(empty.count() == 0);
  CHECK(empty.max_ns() == 0);
  CHECK(empty.mean_ns() == 0);
  CHECK(empty.quantile_ns(0.5) == 0);
  CHECK(empty.quantile_ns(1) == 0);
  CHECK(empty.buckets().empty());
}

TEST_CASE("below kExactNs every nanosecond is told apart") {
  Histogram histogram;
  for (std::int64_t ns = 1; ns <= 1000; ++ns) histogram.add(ns);
  CHECK(histogram.quantile_ns(0.001) == 1);
  CHECK(histogram.quantile_ns(0.5) == 500);
  CHECK(histogram.quantile_ns(0.9991) == 1000);
  CHECK(histogram.mean_ns() == 500.5);
  CHECK(histogram.buckets().size() == 1000);
}

TEST_CASE("a value may be added several times at once") {
  Histogram once, each;
  once.add(1'234'567, 3);
  for (int i = 0; i < 3; ++i) each.add(1'234'567);
  CHECK(once.count() == 3);
  CHECK(once.buckets() == each.buckets());
  CHECK(once.mean_ns() == each.mean_ns());
  CHECK(once.max_ns() == 1'234'567);
}

TEST_CASE("a value is in a bucket that reaches up to it, less than a thousandth above") {
  for (std::uint64_t ns = 1; ns < Histogram::kMostNs; ns += ns / 7 + 1) {
    Histogram histogram;
    histogram.add(static_cast<std::int64_t>(ns));
    histogram.add(static_cast<std::int64_t>(Histogram::kMostNs));
    const auto [upper, count] = histogram.buckets().front();
    REQUIRE(count == 1);
    REQUIRE(upper >= ns);
    REQUIRE(static_cast<double>(upper - ns) * 1024 <= static_cast<double>(ns));
  }
}

TEST_CASE("what is out of range counts at its ends, and the maximum is exact") {
  Histogram histogram;
  histogram.add(-5);
  histogram.add(std::numeric_limits<std::int64_t>::max());
  CHECK(histogram.count() == 2);
  CHECK(histogram.quantile_ns(0.5) == 0);
  CHECK(histogram.max_ns() == std::numeric_limits<std::int64_t>::max());
  CHECK(histogram.buckets().back().first == Histogram::kMostNs);
}

TEST_CASE("no quantile is above the maximum, nor a share outside of 0 to 1 a fault") {
  Histogram histogram;
  histogram.add(1'000'003);
  for (const double q : {-1.0, 0.0, 0.5, 1.0, 7.0}) CHECK(histogram.quantile_ns(q) == 1'000'003);
}

TEST_CASE("quantiles are those of the sorted values, to a thousandth") {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latency(11, 1.5);
  std::vector<std::int64_t> values(20'000);
  Histogram histogram;
  for (auto& value : values) histogram.add(value = static_cast<std::int64_t>(latency(random)));
  std::sort(values.begin(), values.end());
  for (const double q : {0.01, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size())));
    const auto exact = static_cast<double>(values[rank - 1]);
    CHECK(static_cast<double>(histogram.quantile_ns(q)) == doctest::Approx(exact).epsilon(0.001));
  }
}

TEST_CASE("what was merged is as if it had been added, and cleared is empty") {
  Histogram one;
  Histogram other;
  Histogram both;
  for (std::int64_t ns = 1; ns < 5'000'000; ns *= 3) {
    one.add(ns);
    other.add(2 * ns);
    both.add(ns);
    both.add(2 * ns);
  }
  one.merge(other);
  CHECK(one.buckets() == both.buckets());
  CHECK(one.count() == both.count());
  CHECK(one.max_ns() == both.max_ns());
  CHECK(one.mean_ns() == doctest::Approx(both.mean_ns()));
  one.clear();
  CHECK(one.count() == 0);
  CHECK(one.buckets().empty());
}

}  // namespace
}  // namespace tandem::bench
