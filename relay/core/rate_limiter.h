// Rate limits by the generic cell rate algorithm (ITU-T I.371, Annex A): a bucket is one instant,
// the theoretical arrival time of the next unit were all traffic to keep exactly to its rate. Owns
// the arithmetic. Must not know what a unit is (a packet, a byte) or who is limited.
//
// Precision: a charge is rounded up to whole nanoseconds, so a limit is never exceeded and loses at
// most 1 ns of each second for each charge: 1 % at ten million charges a second. A burst of up to
// as many units as one costs nanoseconds (31,622 at as many a second) passes whole however it is
// charged; of a larger one a 31,622nd may not, where it comes one by one at the same instant.
// Nothing overflows for rates of 1 to 10^12 units a second, charges up to kChargeMax and clocks up
// to 2^62 ns (146 years); a debt that no clock will ever pay off saturates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "common/clock.h"
#include "common/endpoint.h"
#include "common/reserved_memory.h"
#include "common/siphash.h"

namespace tandem {

inline constexpr uint64_t kRateMax = 1'000'000'000'000;
inline constexpr uint64_t kChargeMax = uint64_t{1} << 32;

// What buckets go by, shared between any number of them. A default one limits nothing. (RateLimit
// is the configuration's.)
class BucketLimit {
 public:
  constexpr BucketLimit() = default;

  // `burst` units may come at once, at least 1; a rate of 0 limits nothing. Rates above kRateMax
  // are kRateMax.
  [[nodiscard]] static BucketLimit per_second(uint64_t rate, uint64_t burst);

  [[nodiscard]] bool unlimited() const { return nanos_per_unit_ == 0; }

 private:
  friend class RateBucket;
  [[nodiscard]] Nanos cost(uint64_t units) const;
  [[nodiscard]] uint64_t units_within(Nanos slack) const;

  static constexpr int kFractionBits = 32;
  uint64_t nanos_per_unit_ = 0;  // fixed point, rounded up
  Nanos tolerance_ = 0;          // what the burst costs
};

enum class RateVerdict : uint8_t { conforms, over };

// Zeroed memory is a full bucket. `now` is monotonic and at least 0.
class RateBucket {
 public:
  [[nodiscard]] RateVerdict conforms(const BucketLimit& limit, Nanos now, uint64_t units) const;

  // Charges where it conforms, and only there.
  [[nodiscard]] RateVerdict charge(const BucketLimit& limit, Nanos now, uint64_t units);

  // For what has already happened: later charges wait until the debt is paid.
  void charge_allowing_debt(const BucketLimit& limit, Nanos now, uint64_t units);

  // When that many units will conform if nothing else is charged, `now` where they do already. More
  // than a burst never conforms: then, when the bucket is full.
  [[nodiscard]] Nanos when_allowed(const BucketLimit& limit, Nanos now, uint64_t units) const;

  // The most units that conform now; kChargeMax where more do.
  [[nodiscard]] uint64_t available(const BucketLimit& limit, Nanos now) const;

 private:
  Nanos theoretical_arrival_ = 0;
};
static_assert(sizeof(RateBucket) == 8);

// One bucket for each source in memory of fixed size, whoever comes.
//
// Buckets have no owners: a source is charged in two, picked by a hash with a secret key, and is
// over only where both are. Alone in either, it gets exactly its budget; where others are in both,
// it may get less, never more. No table of sources, so nothing to evict, to sweep or to fill.
class SourceBuckets {
 public:
  // The key is secret and random for each start.
  SourceBuckets(const SipKey& key, size_t buckets);

  [[nodiscard]] std::pair<RateBucket&, RateBucket&> of(const IpAddress& source) const;

 private:
  SipKey key_;
  size_t buckets_;
  ReservedMemory memory_;
};

enum class BudgetVerdict : uint8_t { allowed, source_over, shard_over };

// The budgets of sources that have not proved their address: one for each rate_scope() and one for
// the shard. Only what is allowed is charged, so the shard's budget bounds how many buckets a flood
// from forged addresses can empty: at 20,000 datagrams a second and 1,000 for each source, 40 of
// 16,384.
class SourceBudgets {
 public:
  // The key is secret and random for each start.
  explicit SourceBudgets(const SipKey& key);

  void set_limits(const BucketLimit& per_source, const BucketLimit& per_shard);

  [[nodiscard]] BudgetVerdict charge(const IpAddress& source, Nanos now, uint64_t units = 1);

 private:
  static constexpr size_t kBuckets = 16'384;

  BucketLimit per_source_;
  BucketLimit per_shard_;
  RateBucket shard_;
  SourceBuckets sources_;
};

// One budget for each source over all shards, for what is rare: a new connection, never a datagram.
// Any thread may charge; each passes the limit that it goes by. A source that is charged by several
// at the same instant may get as many more as there are of them, once: two buckets are not charged
// as one. Of 1,000 sources over their limit another is kept out with (2,000 / 131,072)^2: 0.02 %.
class SharedBudgets {
 public:
  // The key is secret and random for each start.
  explicit SharedBudgets(const SipKey& key) : sources_(key, kBuckets) {}

  [[nodiscard]] RateVerdict charge(const BucketLimit& limit, const IpAddress& source, Nanos now,
                                   uint64_t units = 1);

 private:
  static constexpr size_t kBuckets = 131'072;  // 1 MiB, paid for when touched

  SourceBuckets sources_;
};

}  // namespace tandem
