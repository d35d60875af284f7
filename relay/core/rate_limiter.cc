#include "relay/core/rate_limiter.h"

#include <algorithm>
#include <atomic>

#include "common/assert.h"

namespace tandem {
namespace {

// Fixed point with 32 bits of fraction times 2^32 units takes 94 bits.
__extension__ using Wide = unsigned __int128;

constexpr Nanos kNever = INT64_MAX;
constexpr Nanos kToleranceMax = Nanos{1} << 61;

// How far the bucket is ahead of the clock.
Nanos debt(Nanos theoretical_arrival, Nanos now) {
  return std::max(theoretical_arrival - now, Nanos{0});
}

}  // namespace

BucketLimit BucketLimit::per_second(uint64_t rate, uint64_t burst) {
  BucketLimit limit;
  if (rate == 0) return limit;
  rate = std::min(rate, kRateMax);
  constexpr uint64_t kSecond = uint64_t{kNanosPerSecond} << kFractionBits;
  limit.nanos_per_unit_ = (kSecond + rate - 1) / rate;

  burst = std::max(burst, uint64_t{1});
  const auto unit = static_cast<uint64_t>(limit.cost(1));
  const Wide cost = Wide{limit.nanos_per_unit_} * burst;
  const Wide rounded_up = (cost + ((Wide{1} << kFractionBits) - 1)) >> kFractionBits;
  // Rounded for each unit where that adds less than one: else of three a second, which cost 1 ns
  // more one by one than together, only two would pass at once.
  const Wide whole = burst <= unit ? Wide{unit} * burst : rounded_up;
  limit.tolerance_ = static_cast<Nanos>(std::min(whole, Wide{kToleranceMax}));
  return limit;
}

Nanos BucketLimit::cost(uint64_t units) const {
  TANDEM_CHECK(units <= kChargeMax);
  const Wide cost = Wide{nanos_per_unit_} * units;
  return static_cast<Nanos>((cost + ((Wide{1} << kFractionBits) - 1)) >> kFractionBits);
}

// The most units whose cost is within the slack.
uint64_t BucketLimit::units_within(Nanos slack) const {
  const Wide units = (static_cast<Wide>(slack) << kFractionBits) / nanos_per_unit_;
  return static_cast<uint64_t>(std::min(units, Wide{kChargeMax}));
}

RateVerdict RateBucket::conforms(const BucketLimit& limit, Nanos now, uint64_t units) const {
  const Nanos slack = limit.tolerance_ - debt(theoretical_arrival_, now);
  const bool conforms = limit.unlimited() || limit.cost(units) <= slack;
  return conforms ? RateVerdict::conforms : RateVerdict::over;
}

RateVerdict RateBucket::charge(const BucketLimit& limit, Nanos now, uint64_t units) {
  const RateVerdict verdict = conforms(limit, now, units);
  if (verdict == RateVerdict::conforms) charge_allowing_debt(limit, now, units);
  return verdict;
}

void RateBucket::charge_allowing_debt(const BucketLimit& limit, Nanos now, uint64_t units) {
  if (limit.unlimited()) return;
  const Nanos from = std::max(theoretical_arrival_, now);
  const Nanos cost = limit.cost(units);
  theoretical_arrival_ = cost > kNever - from ? kNever : from + cost;
}

Nanos RateBucket::when_allowed(const BucketLimit& limit, Nanos now, uint64_t units) const {
  if (limit.unlimited()) return now;
  const Nanos cost = std::min(limit.cost(units), limit.tolerance_);
  return std::max(now, theoretical_arrival_ - (limit.tolerance_ - cost));
}

uint64_t RateBucket::available(const BucketLimit& limit, Nanos now) const {
  if (limit.unlimited()) return kChargeMax;
  const Nanos slack = limit.tolerance_ - debt(theoretical_arrival_, now);
  return slack <= 0 ? 0 : limit.units_within(slack);
}

SourceBuckets::SourceBuckets(const SipKey& key, size_t buckets)
    : key_(key), buckets_(buckets), memory_(buckets * sizeof(RateBucket)) {}

std::pair<RateBucket&, RateBucket&> SourceBuckets::of(const IpAddress& source) const {
  const uint64_t hash = siphash13(key_, rate_scope(source).bytes);
  const size_t first = hash % buckets_;
  // Never the same one twice: that would be charged double.
  const size_t second = (first + 1 + (hash >> 32) % (buckets_ - 1)) % buckets_;
  auto* const buckets = static_cast<RateBucket*>(memory_.data());
  return {buckets[first], buckets[second]};
}

SourceBudgets::SourceBudgets(const SipKey& key) : sources_(key, kBuckets) {}

void SourceBudgets::set_limits(const BucketLimit& per_source, const BucketLimit& per_shard) {
  per_source_ = per_source;
  per_shard_ = per_shard;
}

BudgetVerdict SourceBudgets::charge(const IpAddress& source, Nanos now, uint64_t units) {
  const auto [first, second] = sources_.of(source);
  const auto over = [&](const RateBucket& bucket) {
    return bucket.conforms(per_source_, now, units) == RateVerdict::over;
  };
  if (over(first) && over(second)) return BudgetVerdict::source_over;
  if (shard_.charge(per_shard_, now, units) == RateVerdict::over) return BudgetVerdict::shard_over;
  (void)first.charge(per_source_, now, units);
  (void)second.charge(per_source_, now, units);
  return BudgetVerdict::allowed;
}

RateVerdict SharedBudgets::charge(const BucketLimit& limit, const IpAddress& source, Nanos now,
                                  uint64_t units) {
  // Relaxed: a bucket publishes nothing but itself.
  const auto charge_one = [&](RateBucket& bucket) {
    const std::atomic_ref<RateBucket> shared(bucket);
    static_assert(decltype(shared)::is_always_lock_free);
    RateBucket seen = shared.load(std::memory_order_relaxed);
    for (;;) {
      RateBucket charged = seen;
      if (charged.charge(limit, now, units) == RateVerdict::over) return RateVerdict::over;
      if (shared.compare_exchange_weak(seen, charged, std::memory_order_relaxed)) {
        return RateVerdict::conforms;
      }
    }
  };
  if (limit.unlimited()) return RateVerdict::conforms;
  const auto [first, second] = sources_.of(source);
  const RateVerdict verdicts[] = {charge_one(first), charge_one(second)};
  return verdicts[0] == RateVerdict::conforms ? verdicts[0] : verdicts[1];
}

}  // namespace tandem
