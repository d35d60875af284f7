#include "relay/core/session_rates.h"

#include <algorithm>

namespace tandem {

BucketLimit rate_limit_of(uint64_t bytes_per_second, const ShardSettings& settings) {
  if (bytes_per_second == 0) return {};
  const double window_s =
      static_cast<double>(settings.bandwidth_window) / static_cast<double>(kNanosPerSecond);
  const double burst = static_cast<double>(bytes_per_second) * window_s * settings.bandwidth_burst;
  // Never less than the largest datagram: it would not pass at all.
  return BucketLimit::per_second(bytes_per_second,
                                 static_cast<uint64_t>(burst) + settings.max_packet_size);
}

SessionRates::Rate SessionRates::make(uint32_t kbps, const ShardSettings& settings) {
  constexpr uint64_t kBytesPerKbit = 125;
  const uint64_t own = kbps * kBytesPerKbit;
  const uint64_t servers = settings.session_bytes_per_second;
  const uint64_t smaller = own == 0 ? servers : servers == 0 ? own : std::min(own, servers);
  return {kbps, smaller, rate_limit_of(smaller, settings)};
}

void SessionRates::apply(const ShardSettings& settings) {
  for (Rate& rate : rates_) rate = make(rate.kbps, settings);
}

std::optional<uint16_t> SessionRates::number_of(uint32_t kbps, const ShardSettings& settings) {
  const auto known = std::find_if(rates_.begin(), rates_.end(),
                                  [&](const Rate& rate) { return rate.kbps == kbps; });
  if (known == rates_.end() && rates_.size() == kMax) return std::nullopt;
  const auto number = static_cast<uint16_t>(known - rates_.begin());
  if (known == rates_.end()) rates_.push_back(make(kbps, settings));
  return number;
}

}  // namespace tandem
