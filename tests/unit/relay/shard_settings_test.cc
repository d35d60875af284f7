#include "relay/shard_settings.h"

#include <doctest/doctest.h>

namespace tandem {
namespace {

ShardSettings settings_of(const Config& config) {
  return shard_settings_of(config, {});
}

TEST_CASE("a default configuration is the default settings") {
  const ShardSettings made = settings_of({});
  const ShardSettings standard;
  CHECK(made.max_sessions == standard.max_sessions);
  CHECK(made.max_connections_per_session == standard.max_connections_per_session);
  CHECK(made.session_timeout == standard.session_timeout);
  CHECK(made.handshake_timeout == standard.handshake_timeout);
  CHECK(made.pair_timeout == standard.pair_timeout);
  CHECK(made.keepalive_interval == standard.keepalive_interval);
  CHECK(made.keepalive_timeout == standard.keepalive_timeout);
  CHECK(made.max_lifetime == standard.max_lifetime);
  CHECK(made.token_max_age_s == standard.token_max_age_s);
  CHECK(made.session_bytes_per_second == standard.session_bytes_per_second);
  CHECK(made.global_bytes_per_second == standard.global_bytes_per_second);
  CHECK(made.bandwidth_window == standard.bandwidth_window);
  CHECK(made.bandwidth_burst == standard.bandwidth_burst);
  CHECK(made.max_packet_size == standard.max_packet_size);
  CHECK(made.packets_per_second == standard.packets_per_second);
  CHECK(made.blacklist_threshold == standard.blacklist_threshold);
  CHECK(made.blacklist_duration == standard.blacklist_duration);
  CHECK(made.connections_per_address == standard.connections_per_address);
  CHECK(made.half_open_per_address == standard.half_open_per_address);
  CHECK(made.new_connections_per_minute == standard.new_connections_per_minute);
  CHECK(made.proxy_protocol == standard.proxy_protocol);
}

TEST_CASE("seconds become nanoseconds") {
  Config config;
  config.sessions.session_timeout_s = 1;
  config.sessions.handshake_timeout_s = 2;
  config.sessions.pair_timeout_s = 3;
  config.sessions.keepalive_interval_s = 4;
  config.sessions.keepalive_timeout_s = 5;
  config.sessions.max_lifetime_s = 4'000'000'000;
  config.security.blacklist_duration_s = 7;
  config.bandwidth.window_s = 0.25;
  const ShardSettings made = settings_of(config);
  CHECK(made.session_timeout == 1'000'000'000);
  CHECK(made.handshake_timeout == 2'000'000'000);
  CHECK(made.pair_timeout == 3'000'000'000);
  CHECK(made.keepalive_interval == 4'000'000'000);
  CHECK(made.keepalive_timeout == 5'000'000'000);
  CHECK(made.max_lifetime == 4'000'000'000 * Nanos{1'000'000'000});
  CHECK(made.blacklist_duration == 7'000'000'000);
  CHECK(made.bandwidth_window == 250'000'000);
}

TEST_CASE("megabits of a million bits become bytes") {
  Config config;
  config.bandwidth.session_mbps = 0.5;
  config.bandwidth.global_mbps = 40'000;
  config.bandwidth.burst = 1.5;
  const ShardSettings made = settings_of(config);
  CHECK(made.session_bytes_per_second == 62'500);
  CHECK(made.global_bytes_per_second == 5'000'000'000);
  CHECK(made.bandwidth_burst == 1.5);
  config.bandwidth.session_mbps = 0;
  CHECK(settings_of(config).session_bytes_per_second == 0);
}

TEST_CASE("counts, networks and keys are as configured") {
  Config config;
  config.sessions.max_sessions = 11;
  config.sessions.max_connections_per_session = 12;
  config.sessions.token_max_age_s = 13;
  config.security.max_packet_size = 14;
  config.security.packets_per_second = 15;
  config.security.blacklist_threshold = 16;
  config.security.connections_per_address = 17;
  config.security.half_open_per_address = 18;
  config.security.new_connections_per_minute = 19;
  config.security.exempt = {*Network::parse("192.0.2.0/24")};
  config.listen.proxy_protocol = true;
  config.listen.trusted_proxies = {*Network::parse("10.0.0.0/8")};
  Keyring keys;
  REQUIRE(keys.add(5, std::array<uint8_t, 32>{}) == Keyring::AddOutcome::added);
  const ShardSettings made = shard_settings_of(config, keys);
  CHECK(made.max_sessions == 11);
  CHECK(made.max_connections_per_session == 12);
  CHECK(made.token_max_age_s == 13);
  CHECK(made.max_packet_size == 14);
  CHECK(made.packets_per_second == 15);
  CHECK(made.blacklist_threshold == 16);
  CHECK(made.connections_per_address == 17);
  CHECK(made.half_open_per_address == 18);
  CHECK(made.new_connections_per_minute == 19);
  CHECK(made.exempt == config.security.exempt);
  CHECK(made.proxy_protocol);
  CHECK(made.trusted_proxies == config.listen.trusted_proxies);
  CHECK(made.keys.find(5) != nullptr);
}

}  // namespace
}  // namespace tandem
