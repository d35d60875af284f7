// What RoomSockets and RoomRoutes stand on besides the registry, as the daemon has it; the relays
// and the storage are the test's.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/config.h"
#include "common/keyring.h"
#include "room/admission/jwt.h"
#include "room/admission/request_limiter.h"
#include "room/relays/relay_allocator.h"
#include "room/room_stats.h"
#include "room/storage/store.h"

namespace tandem {

class FakeFleet final : public RelayFleet {
 public:
  std::vector<RelayNode> relays;
  std::vector<std::pair<std::string, std::uint64_t>> revoked;

  std::span<const RelayNode> nodes() override { return relays; }
  void revoke(std::string_view relay, std::uint64_t session_id) override {
    revoked.emplace_back(relay, session_id);
  }
};

// In the region of room_config(); its host is "<id>.example".
inline RelayNode relay_named(const std::string& id) {
  RelayNode relay;
  relay.id = id;
  relay.region = "eu";
  relay.host = id;
  relay.host += ".example";
  relay.port = 7777;
  relay.tcp = relay.udp = relay.accepts = true;
  relay.sessions_max = 100;
  return relay;
}

// Writes down what it is given.
class RecordingStore final : public Store {
 public:
  Result<LiveRooms, std::string> load() override { return LiveRooms{}; }
  void post(StoreWrite write) override { written.push_back(std::move(write)); }
  void replace_live(LiveRooms) override {}
  void backup(std::string, BackupDone) override {}
  void set_retention(const Retention&) override {}
  [[nodiscard]] StoreStatistics statistics() const override { return {}; }
  std::size_t finish(Nanos) override { return 0; }

  template <class Row>
  [[nodiscard]] std::vector<Row> rows() const {
    std::vector<Row> some;
    for (const StoreWrite& write : written)
      if (const auto* row = std::get_if<Row>(&write)) some.push_back(*row);
    return some;
  }

  std::vector<StoreWrite> written;
};

// Who does not subscribe hears of no list, so that tests may say all that a client hears.
inline Config room_config() {
  Config config;
  config.node.id = "node-1";
  config.node.region = "eu";
  config.room.max_connections = 64;
  config.room.list_broadcast = false;
  return config;
}

inline constexpr RateLimit kNoLimit{.window_s = 60, .max = 0, .block_s = 0};

inline JwtKeys keys_of(std::string_view text) {
  auto keys = parse_jwt_keys(text);
  REQUIRE(keys.has_value());
  return *keys;
}

struct RoomFixture {
  explicit RoomFixture(Config its_config) : config(std::move(its_config)) {
    REQUIRE(keyring.add(7, std::array<std::uint8_t, 32>{}) == Keyring::AddOutcome::added);
  }
  RoomFixture(const RoomFixture&) = delete;
  RoomFixture& operator=(const RoomFixture&) = delete;

  [[nodiscard]] JwtRules jwt_rules() const {
    return {.issuer = config.room.jwt_issuer, .audience = config.room.jwt_audience};
  }
  // Minted long ago, for tests that live in 2023 too.
  [[nodiscard]] std::string token(const std::string& sub, UnixSeconds expires_at,
                                  const std::string& name = "") const {
    return mint_jwt(jwt_keys, jwt_rules(), {.subject = sub, .name = name, .expires_at = expires_at},
                    1'600'000'000);
  }
  [[nodiscard]] std::uint64_t errors(std::string_view code) const {
    for (const auto& [name, count] : stats.errors())
      if (name == code) return count;
    return 0;
  }

  Config config;
  JwtKeys jwt_keys = keys_of("k1 0123456789abcdef0123456789abcdef");
  Keyring keyring;
  FakeFleet fleet;
  RelayAllocator relays{fleet, [this]() -> const Keyring& { return keyring; }, {}};
  RecordingStore store;
  AddressLimits address_limits{SipKey{1, 2}};
  ClientLimiter client_limits{SipKey{3, 4}, 128};
  RoomStats stats;
};

}  // namespace tandem
