#include "relay/shard_settings.h"

#include <tuple>
#include <utility>

namespace tandem {
namespace {

Nanos seconds(uint32_t count) {
  return Nanos{count} * kNanosPerSecond;
}

uint64_t bytes_per_second(double mbps) {
  constexpr double kBytesPerMegabit = 1e6 / 8;
  return static_cast<uint64_t>(mbps * kBytesPerMegabit);
}

}  // namespace

ShardSettings shard_settings_of(const Config& config, Keyring keys) {
  const auto& [sessions, bandwidth, security] =
      std::tie(config.sessions, config.bandwidth, config.security);
  ShardSettings settings;
  settings.keys = std::move(keys);
  settings.max_sessions = sessions.max_sessions;
  settings.max_connections_per_session = sessions.max_connections_per_session;
  settings.session_timeout = seconds(sessions.session_timeout_s);
  settings.handshake_timeout = seconds(sessions.handshake_timeout_s);
  settings.pair_timeout = seconds(sessions.pair_timeout_s);
  settings.keepalive_interval = seconds(sessions.keepalive_interval_s);
  settings.keepalive_timeout = seconds(sessions.keepalive_timeout_s);
  settings.max_lifetime = seconds(sessions.max_lifetime_s);
  settings.token_max_age_s = sessions.token_max_age_s;
  settings.session_bytes_per_second = bytes_per_second(bandwidth.session_mbps);
  settings.global_bytes_per_second = bytes_per_second(bandwidth.global_mbps);
  settings.bandwidth_window =
      static_cast<Nanos>(bandwidth.window_s * static_cast<double>(kNanosPerSecond));
  settings.bandwidth_burst = bandwidth.burst;
  settings.max_packet_size = security.max_packet_size;
  settings.packets_per_second = security.packets_per_second;
  settings.blacklist_threshold = security.blacklist_threshold;
  settings.blacklist_duration = seconds(security.blacklist_duration_s);
  settings.exempt = security.exempt;
  settings.connections_per_address = security.connections_per_address;
  settings.half_open_per_address = security.half_open_per_address;
  settings.new_connections_per_minute = security.new_connections_per_minute;
  settings.proxy_protocol = config.listen.proxy_protocol;
  settings.trusted_proxies = config.listen.trusted_proxies;
  return settings;
}

}  // namespace tandem
