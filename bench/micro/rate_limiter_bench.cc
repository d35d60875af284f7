// Charging a bucket, and the budgets that find theirs by a keyed hash of the source.
#include <vector>

#include "bench/micro/micro.h"
#include "relay/core/rate_limiter.h"

namespace tandem::bench {
namespace {

constexpr Nanos kStart = 1000 * kNanosPerSecond;
constexpr SipKey kSecret{3};
constexpr uint32_t kSources = 1u << 20;

const BucketLimit& packets_per_second() {
  static const BucketLimit limit = BucketLimit::per_second(1000, 1000);
  return limit;
}

IpAddress source(uint32_t number) {
  return IpAddress::from_v4(0x0a000000 + number % kSources);
}

// One unit each millisecond conforms for ever, as many at one instant only to the end of the burst.
void charge_one_bucket(benchmark::State& state, Nanos step, RateVerdict expected) {
  RateBucket bucket;
  Nanos now = kStart;
  while (step == 0 && bucket.charge(packets_per_second(), now, 1) == RateVerdict::conforms) {
  }
  uint64_t wrong = 0;
  for (auto _ : state) {
    now += step;
    wrong += bucket.charge(packets_per_second(), now, 1) != expected;
  }
  TANDEM_CHECK(wrong == 0);
  count_operations(state);
}
TANDEM_MICRO_CASE(charge_one_bucket, "rate_bucket/one", kNanosPerMillisecond,
                  RateVerdict::conforms);
TANDEM_MICRO_CASE(charge_one_bucket, "rate_bucket/over", 0, RateVerdict::over);

void charge_many_buckets(benchmark::State& state) {
  std::vector<RateBucket> buckets(static_cast<size_t>(state.range(0)));
  Random random(6);
  Nanos now = kStart;
  uint64_t over = 0;
  for (auto _ : state) {
    now += kNanosPerMillisecond;
    RateBucket& bucket = buckets[random.below(static_cast<uint32_t>(buckets.size()))];
    over += bucket.charge(packets_per_second(), now, 1) == RateVerdict::over;
  }
  TANDEM_CHECK(over == 0);
  count_operations(state);
}
TANDEM_MICRO(charge_many_buckets, "rate_bucket/many")->Arg(1'000)->Arg(1'000'000);

// As a datagram path's path does: how many may pass, then the charge.
void available_and_charge(benchmark::State& state) {
  RateBucket bucket;
  Nanos now = kStart;
  uint64_t over = 0;
  for (auto _ : state) {
    now += kNanosPerMillisecond;
    over += bucket.available(packets_per_second(), now) == 0;
    bucket.charge_allowing_debt(packets_per_second(), now, 1);
  }
  TANDEM_CHECK(over == 0);
  count_operations(state);
}
TANDEM_MICRO(available_and_charge, "rate_bucket/available_and_charge");

void charge_budgets(benchmark::State& state) {
  SourceBudgets budgets(kSecret);
  budgets.set_limits(packets_per_second(), BucketLimit::per_second(50'000, 5'000));
  const auto sources = static_cast<uint32_t>(state.range(0));
  Random random(7);
  Nanos now = kStart;
  uint64_t over = 0;
  for (auto _ : state) {
    now += kNanosPerMillisecond;
    over += budgets.charge(source(random.below(sources)), now) != BudgetVerdict::allowed;
  }
  TANDEM_CHECK(over == 0);
  count_operations(state);
}
TANDEM_MICRO(charge_budgets, "source_budgets")->Arg(1)->Arg(kSources);

void charge_shared_budgets(benchmark::State& state) {
  SharedBudgets budgets(kSecret);
  Random random(8);
  Nanos now = kStart;
  uint64_t over = 0;
  for (auto _ : state) {
    now += kNanosPerMillisecond;
    over += budgets.charge(packets_per_second(), source(random.below(kSources)), now) ==
            RateVerdict::over;
  }
  TANDEM_CHECK(over == 0);
  count_operations(state);
}
TANDEM_MICRO(charge_shared_budgets, "shared_budgets");

}  // namespace
}  // namespace tandem::bench
