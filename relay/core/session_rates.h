// The bandwidth caps that tokens have named, numbered, so that a session holds two bytes of cap.
// Number 0 is the server's own. Bounded: operators sell a handful of rates, not thousands.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/control.h"
#include "relay/core/rate_limiter.h"

namespace tandem {

// The bucket of a session or a share: the rate with the window and burst of [bandwidth]; 0 = none.
[[nodiscard]] BucketLimit rate_limit_of(uint64_t bytes_per_second, const ShardSettings& settings);

class SessionRates {
 public:
  static constexpr size_t kMax = 4096;

  SessionRates() {
    rates_.reserve(kMax);
    rates_.push_back({});
  }

  // The limits of all numbers are made anew: a cap is the smaller of the token's and the server's.
  void apply(const ShardSettings& settings);
  // Nothing where there are kMax already. A linear search: once a session.
  [[nodiscard]] std::optional<uint16_t> number_of(uint32_t kbps, const ShardSettings& settings);

  [[nodiscard]] const BucketLimit& limit(uint16_t number) const { return rates_[number].limit; }
  [[nodiscard]] uint32_t kbps(uint16_t number) const { return rates_[number].kbps; }
  [[nodiscard]] uint64_t bytes_per_second(uint16_t number) const {
    return rates_[number].bytes_per_second;
  }

 private:
  struct Rate {
    uint32_t kbps = 0;
    uint64_t bytes_per_second = 0;
    BucketLimit limit;
  };
  [[nodiscard]] static Rate make(uint32_t kbps, const ShardSettings& settings);

  std::vector<Rate> rates_;
};

}  // namespace tandem
