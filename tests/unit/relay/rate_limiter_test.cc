#include "relay/core/rate_limiter.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

namespace tandem {
namespace {

constexpr Nanos kSecond = kNanosPerSecond;

TEST_CASE("a burst at once, then the rate") {
  const auto limit = BucketLimit::per_second(10, 5);
  RateBucket bucket;
  for (int i = 0; i < 5; ++i) CHECK(bucket.charge(limit, 0, 1) == RateVerdict::conforms);
  CHECK(bucket.charge(limit, 0, 1) == RateVerdict::over);
  CHECK(bucket.charge(limit, kSecond / 10 - 1, 1) == RateVerdict::over);
  CHECK(bucket.charge(limit, kSecond / 10, 1) == RateVerdict::conforms);
  CHECK(bucket.charge(limit, kSecond / 10, 1) == RateVerdict::over);
  CHECK(bucket.available(limit, 100 * kSecond) == 5);
}

TEST_CASE("a limit of 0 is none") {
  const auto limit = BucketLimit::per_second(0, 0);
  CHECK(limit.unlimited());
  RateBucket bucket;
  for (int i = 0; i < 100; ++i) CHECK(bucket.charge(limit, 0, kChargeMax) == RateVerdict::conforms);
  bucket.charge_allowing_debt(limit, 0, kChargeMax);
  CHECK(bucket.when_allowed(limit, 7, kChargeMax) == 7);
  CHECK(bucket.available(limit, 0) == kChargeMax);
}

TEST_CASE("debt is paid off before anything else is allowed") {
  const auto limit = BucketLimit::per_second(100, 10);
  RateBucket bucket;
  bucket.charge_allowing_debt(limit, 0, 60);  // a burst of 10 and half a second of debt
  CHECK(bucket.available(limit, 0) == 0);
  CHECK(bucket.when_allowed(limit, 0, 1) == kSecond / 2 + kSecond / 100);
  CHECK(bucket.conforms(limit, kSecond / 2, 1) == RateVerdict::over);
  CHECK(bucket.conforms(limit, kSecond / 2 + kSecond / 100, 1) == RateVerdict::conforms);
}

TEST_CASE("more than a burst waits for a full bucket") {
  const auto limit = BucketLimit::per_second(100, 10);
  RateBucket bucket;
  CHECK(bucket.when_allowed(limit, 3, 1000) == 3);
  CHECK(bucket.charge(limit, 3, 1000) == RateVerdict::over);
  CHECK(bucket.charge(limit, 3, 10) == RateVerdict::conforms);
  CHECK(bucket.when_allowed(limit, 3, 1000) == 3 + kSecond / 10);
}

TEST_CASE("a burst is at least one unit, and a rate at most the largest") {
  RateBucket bucket;
  CHECK(bucket.available(BucketLimit::per_second(10, 0), 0) == 1);
  const auto largest = BucketLimit::per_second(UINT64_MAX, kChargeMax);
  CHECK(bucket.charge(largest, 0, kChargeMax) == RateVerdict::conforms);
  CHECK(bucket.when_allowed(largest, 0, kChargeMax) >= Nanos(kChargeMax / 1000));
}

// The same rules in 128-bit integers of 2^-32 ns that never saturate.
class Model {
 public:
  __extension__ using Big = __int128;

  Model(uint64_t rate, uint64_t burst) {
    const Big second = Big{kSecond} << 32;
    per_unit_ = (second + rate - 1) / rate;
    const Big unit = cost(1);
    tolerance_ =
        burst >= 1 && Big{burst} <= unit ? unit * burst : cost(std::max<uint64_t>(burst, 1));
  }
  [[nodiscard]] Big cost(uint64_t units) const {
    const Big nanos = (per_unit_ * Big{units} + ((Big{1} << 32) - 1)) >> 32;
    return nanos;
  }
  [[nodiscard]] bool conforms(Nanos now, uint64_t units) const {
    return start(now) + cost(units) - now <= tolerance_;
  }
  void charge(Nanos now, uint64_t units) { arrival_ = start(now) + cost(units); }
  [[nodiscard]] Big arrival() const { return arrival_; }

 private:
  [[nodiscard]] Big start(Nanos now) const { return arrival_ > now ? arrival_ : Big{now}; }
  Big per_unit_;
  Big tolerance_;
  Big arrival_ = 0;
};

struct Draw {
  std::mt19937_64 random;
  uint64_t up_to(uint64_t most) { return random() % (most + 1); }
  // Every order of magnitude alike.
  uint64_t logarithmic(uint64_t most) {
    const double exponent = std::log2(double(most)) * double(random() >> 11) * 0x1p-53;
    return std::min(most, uint64_t(std::exp2(exponent)));
  }
};

TEST_CASE("whatever the rate, the burst and the charges, it does what the model does") {
  Draw draw{std::mt19937_64(3)};
  for (int round = 0; round < 2'000; ++round) {
    const uint64_t rate = draw.logarithmic(kRateMax);
    const uint64_t burst = draw.logarithmic(std::min(4 * rate, kChargeMax));
    const auto limit = BucketLimit::per_second(rate, burst);
    Model model(rate, burst);
    RateBucket bucket;
    Nanos now = Nanos(draw.logarithmic(uint64_t{1} << 61));
    for (int step = 0; step < 100; ++step) {
      now += Nanos(draw.logarithmic(uint64_t{100} * kSecond)) - 1;
      const uint64_t units = draw.up_to(3) == 0 ? draw.logarithmic(kChargeMax)
                                                : draw.up_to(std::min(2 * burst, kChargeMax));
      const bool conforms = model.conforms(now, units);
      REQUIRE((bucket.conforms(limit, now, units) == RateVerdict::conforms) == conforms);
      const uint64_t available = bucket.available(limit, now);
      REQUIRE(bucket.conforms(limit, now, available) ==
              (available == 0 ? bucket.conforms(limit, now, 0) : RateVerdict::conforms));
      if (available < kChargeMax)
        REQUIRE(bucket.conforms(limit, now, available + 1) == RateVerdict::over);
      const Nanos when = bucket.when_allowed(limit, now, units);
      if (units <= burst) {
        REQUIRE(bucket.conforms(limit, when, units) == RateVerdict::conforms);
        if (when > now) REQUIRE(bucket.conforms(limit, when - 1, units) == RateVerdict::over);
      }
      if (conforms || draw.up_to(9) == 0) {
        model.charge(now, units);
        bucket.charge_allowing_debt(limit, now, units);
      }
      if (model.arrival() > INT64_MAX) break;  // where the bucket saturates
    }
  }
}

TEST_CASE("a debt that is never paid off saturates") {
  const auto limit = BucketLimit::per_second(1, 1);
  RateBucket bucket;
  const Nanos now = Nanos{1} << 62;
  for (int i = 0; i < 10; ++i) bucket.charge_allowing_debt(limit, now, kChargeMax);
  CHECK(bucket.conforms(limit, now, 1) == RateVerdict::over);
  CHECK(bucket.available(limit, now) == 0);
  CHECK(bucket.when_allowed(limit, now, 1) == INT64_MAX);
}

TEST_CASE("over a long time the rate is kept, and nearly all of it is used") {
  for (const uint64_t rate : {uint64_t{1'000}, uint64_t{1'250'000}, uint64_t{12'500'000'000}}) {
    const auto limit = BucketLimit::per_second(rate, rate / 100);
    RateBucket bucket;
    uint64_t granted = 0;
    for (Nanos now = 0; now < kSecond; now += 1'000) {
      const uint64_t units = bucket.available(limit, now);
      REQUIRE(bucket.charge(limit, now, units) == RateVerdict::conforms);
      granted += units;
    }
    CHECK(granted <= rate + rate / 100);
    CHECK(granted >= rate);
  }
}

constexpr SipKey kKey = {9};
const BucketLimit kTen = BucketLimit::per_second(10, 10);
const BucketLimit kThousand = BucketLimit::per_second(1'000, 1'000);

TEST_CASE("each source has its budget and all have the shard's") {
  SourceBudgets budgets(kKey);
  budgets.set_limits(kTen, kThousand);
  const IpAddress noisy = IpAddress::v4(192, 0, 2, 1);
  for (int i = 0; i < 10; ++i) CHECK(budgets.charge(noisy, 0) == BudgetVerdict::allowed);
  CHECK(budgets.charge(noisy, 0) == BudgetVerdict::source_over);
  CHECK(budgets.charge(noisy, kSecond / 10) == BudgetVerdict::allowed);

  uint32_t allowed = 0;
  for (uint32_t i = 0; i < 5'000; ++i)
    if (budgets.charge(IpAddress::from_v4(i), kSecond / 10) == BudgetVerdict::allowed) ++allowed;
  CHECK(allowed >= 980);
  CHECK(allowed <= 1'100);
  CHECK(budgets.charge(IpAddress::v4(192, 0, 2, 9), kSecond / 10) == BudgetVerdict::shard_over);
}

TEST_CASE("a v6 source is its /64") {
  SourceBudgets budgets(kKey);
  budgets.set_limits(kTen, kThousand);
  IpAddress source = *IpAddress::parse("2001:db8::");
  for (int i = 0; i < 10; ++i) {
    source.bytes[15] = static_cast<uint8_t>(i);
    CHECK(budgets.charge(source, 0) == BudgetVerdict::allowed);
  }
  source.bytes[15] = 99;
  CHECK(budgets.charge(source, 0) == BudgetVerdict::source_over);
  source.bytes[7] = 1;
  CHECK(budgets.charge(source, 0) == BudgetVerdict::allowed);
}

TEST_CASE("without limits everything is allowed") {
  SourceBudgets budgets(kKey);
  for (int i = 0; i < 10'000; ++i)
    REQUIRE(budgets.charge(IpAddress::v4(192, 0, 2, 1), 0) == BudgetVerdict::allowed);
}

TEST_CASE("a flood from forged addresses starves few of those who share no shard budget") {
  SourceBudgets budgets(kKey);
  budgets.set_limits(kThousand, BucketLimit::per_second(20'000, 20'000));
  for (uint32_t i = 0; i < 1'000'000; ++i)
    static_cast<void>(budgets.charge(IpAddress::from_v4(i), Nanos{i} * 1'000));
  uint32_t starved = 0;
  for (uint32_t i = 0; i < 1'000; ++i) {
    const Nanos now = kSecond + Nanos{i} * kSecond / 1'000;
    if (budgets.charge(IpAddress::from_v4(0xc0000000 + i), now) == BudgetVerdict::source_over)
      ++starved;
  }
  CHECK(starved == 0);
}

TEST_CASE("a shared budget is each source's, by its /64") {
  SharedBudgets budgets(kKey);
  IpAddress source = *IpAddress::parse("2001:db8::");
  for (int i = 0; i < 10; ++i) {
    source.bytes[15] = static_cast<uint8_t>(i);
    CHECK(budgets.charge(kTen, source, 0) == RateVerdict::conforms);
  }
  CHECK(budgets.charge(kTen, source, 0) == RateVerdict::over);
  CHECK(budgets.charge(kTen, source, kSecond / 10) == RateVerdict::conforms);
  CHECK(budgets.charge(kTen, IpAddress::v4(192, 0, 2, 1), 0) == RateVerdict::conforms);
  CHECK(budgets.charge(BucketLimit{}, source, 0) == RateVerdict::conforms);
}

TEST_CASE("who goes on is refused, and of those who share the memory hardly anybody") {
  SharedBudgets budgets(kKey);
  for (uint32_t i = 0; i < 100; ++i) {
    for (int j = 0; j < 20; ++j) static_cast<void>(budgets.charge(kTen, IpAddress::from_v4(i), 0));
  }
  uint32_t refused = 0;
  for (uint32_t i = 0; i < 1'000; ++i) {
    if (budgets.charge(kTen, IpAddress::from_v4(0xc000'0000 + i), 0) == RateVerdict::over)
      ++refused;
  }
  CHECK(refused <= 1);  // (200 / 131,072)^2 are in two emptied buckets
}

TEST_CASE("threads that charge a shared budget get one budget together") {
  SharedBudgets budgets(kKey);
  constexpr uint32_t kThreads = 2;
  constexpr uint32_t kBurst = 5'000;
  const auto limit = BucketLimit::per_second(1, kBurst);
  std::atomic<uint32_t> allowed{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (uint32_t i = 0; i < kBurst; ++i) {
        if (budgets.charge(limit, IpAddress::v4(192, 0, 2, 1), 0) == RateVerdict::conforms)
          ++allowed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(allowed >= kBurst);
  CHECK(allowed <= kBurst + kThreads - 1);
}

// A charge costs whole nanoseconds, so what is lost is the rounding of each: nothing to speak of at
// any pace at which charges can come.
TEST_CASE("rates that do not divide a second keep to it within a hundredth") {
  for (const uint64_t rate :
       {1,       3,       7,         9,          11,          13,         59,
        61,      97,      333,       997,        1'001,       7'777,      99'991,
        333'333, 999'983, 7'777'777, 99'999'989, 700'000'001, 999'999'937}) {
    // one at a time up to five million charges a second, above it as many as come in 200 ns
    const uint64_t units = (rate + 4'999'999) / 5'000'000;
    const auto batch = BucketLimit::per_second(rate, units);
    constexpr uint64_t kCharges = 10'000;
    RateBucket bucket;
    Nanos now = 0;
    for (uint64_t i = 0; i < kCharges; ++i) {
      now = bucket.when_allowed(batch, now, units);
      REQUIRE(bucket.charge(batch, now, units) == RateVerdict::conforms);
    }
    const double exact =
        static_cast<double>(kCharges - 1) * static_cast<double>(units) / static_cast<double>(rate);
    const double taken = static_cast<double>(now) / 1e9;
    CAPTURE(rate);
    CHECK(taken >= exact * 0.999'999);
    CHECK(taken <= exact * 1.01);
  }
}

TEST_CASE("a burst passes whole, one by one at the same instant, and not one more") {
  for (uint64_t rate = 1; rate < 1'200; ++rate) {
    const auto limit = BucketLimit::per_second(rate, rate);
    RateBucket bucket;
    REQUIRE(bucket.available(limit, 7) == rate);
    for (uint64_t i = 0; i < rate; ++i)
      REQUIRE(bucket.charge(limit, 7, 1) == RateVerdict::conforms);
    REQUIRE(bucket.charge(limit, 7, 1) == RateVerdict::over);
  }
}

TEST_CASE("rates a minute are as exact: a connection is 60 units of a rate a second") {
  for (const uint64_t rate : {1, 7, 59, 61, 97, 1'000}) {
    const auto limit = BucketLimit::per_second(rate, rate * 60);
    RateBucket bucket;
    for (uint64_t i = 0; i < rate; ++i)
      REQUIRE(bucket.charge(limit, 0, 60) == RateVerdict::conforms);
    CHECK(bucket.charge(limit, 0, 60) == RateVerdict::over);
    Nanos now = 0;
    for (uint64_t i = 0; i < rate; ++i) {
      now = bucket.when_allowed(limit, now, 60);
      REQUIRE(bucket.charge(limit, now, 60) == RateVerdict::conforms);
    }
    CAPTURE(rate);
    CHECK(now >= 60 * kSecond - kSecond / 100'000);  // a burst is rounded up, too
    CHECK(now <= 60 * kSecond + kSecond / 100);
  }
}

}  // namespace
}  // namespace tandem
