#include "room/relays/relay_allocator.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "common/token.h"

namespace tandem {
namespace {

constexpr UnixSeconds kNow = 1'700'000'000;

class FakeFleet : public RelayFleet {
 public:
  std::vector<RelayNode> relays;
  std::vector<std::pair<std::string, std::uint64_t>> revoked;

  std::span<const RelayNode> nodes() override { return relays; }
  void revoke(std::string_view relay, std::uint64_t session_id) override {
    revoked.emplace_back(relay, session_id);
  }
};

RelayNode relay(std::string id) {
  return {.id = std::move(id),
          .region = "eu",
          .host = "relay.example",
          .port = 7777,
          .tcp = true,
          .udp = false,
          .accepts = true,
          .sessions_max = 10};
}

struct World {
  World() { REQUIRE(keys.add(7, std::array<std::uint8_t, 32>{}) == Keyring::AddOutcome::added); }

  FakeFleet fleet;
  Keyring keys;
  RelayAllocator allocator{fleet, [this]() -> const Keyring& { return keys; }, {}};
};

TokenClaims claims_in(const std::string& token) {
  const auto parsed = parse_token_text(token);
  REQUIRE(parsed);
  const auto claims = decode_claims(claims_of(*parsed));
  REQUIRE(claims);
  return *claims;
}

TEST_CASE("both ends of a session get tokens of their own slot and one key") {
  World world;
  world.fleet.relays = {relay("one")};
  const auto session = world.allocator.open("eu", {}, {});
  REQUIRE(session);
  const auto a = world.allocator.grant(*session, 0, kNow);
  const auto b = world.allocator.grant(*session, 1, kNow);
  REQUIRE(a);
  REQUIRE(b);
  CHECK(a->server == "relay.example");
  CHECK(a->port == 7777);
  CHECK(a->region == "eu");
  CHECK(a->tcp);
  CHECK_FALSE(a->udp);
  CHECK(a->expires_at == kNow + 3600);
  CHECK(a->e2e_key.size() == 43);
  CHECK(a->e2e_key == b->e2e_key);
  CHECK(claims_in(a->token).slot == 0);
  CHECK(claims_in(b->token).slot == 1);
  for (const auto* grant : {&*a, &*b}) {
    const TokenClaims claims = claims_in(grant->token);
    CHECK(claims.session_id == *session);
    CHECK(claims.flags == kTokenTcp);
    CHECK(claims.expires_at == kNow + 3600);
  }
  // Later tokens are fresh, the key stays.
  const auto again = world.allocator.grant(*session, 0, kNow + 60);
  REQUIRE(again);
  CHECK(claims_in(again->token).expires_at == kNow + 3660);
  CHECK(again->e2e_key == a->e2e_key);
}

TEST_CASE("two sessions share neither id nor key") {
  World world;
  world.fleet.relays = {relay("one")};
  const auto first = world.allocator.open("eu", {}, {});
  const auto second = world.allocator.open("eu", {}, {});
  REQUIRE(first);
  REQUIRE(second);
  CHECK(*first != *second);
  CHECK(world.allocator.grant(*first, 0, kNow)->e2e_key !=
        world.allocator.grant(*second, 0, kNow)->e2e_key);
  CHECK(world.allocator.sessions() == 2);
  CHECK(world.allocator.opened() == 2);
}

TEST_CASE("a token lives no longer than the relays take") {
  World world;
  world.fleet.relays = {relay("one")};
  world.allocator.apply({.token_lifetime_s = 3600, .token_max_age_s = 600});
  const auto session = world.allocator.open("eu", {}, {});
  REQUIRE(session);
  CHECK(world.allocator.grant(*session, 0, kNow)->expires_at == kNow + 600);
}

TEST_CASE("no relay, all draining and the one that is avoided are told apart") {
  World world;
  CHECK(world.allocator.open("eu", {}, {}).error() == AllocationFault::no_relay);
  world.fleet.relays = {relay("one")};
  CHECK(world.allocator.open("eu", {}, {}, "one").error() == AllocationFault::no_relay);
  world.fleet.relays[0].sessions = 10;
  CHECK(world.allocator.open("eu", {}, {}).error() == AllocationFault::no_relay);
  world.fleet.relays[0].accepts = false;
  CHECK(world.allocator.open("eu", {}, {}).error() == AllocationFault::draining);
}

TEST_CASE("a session is usable while its relay accepts") {
  World world;
  world.fleet.relays = {relay("one")};
  const auto session = world.allocator.open("eu", {}, {});
  REQUIRE(session);
  CHECK(world.allocator.is_usable(*session));
  CHECK(world.allocator.relay_of(*session) == "one");
  world.fleet.relays[0].accepts = false;
  CHECK_FALSE(world.allocator.is_usable(*session));
  world.fleet.relays.clear();
  CHECK_FALSE(world.allocator.is_usable(*session));
  CHECK_FALSE(world.allocator.is_usable(*session + 1));
}

TEST_CASE("a revoked session is ended at its relay and gives no more tokens") {
  World world;
  world.fleet.relays = {relay("one")};
  const auto session = world.allocator.open("eu", {}, {});
  REQUIRE(session);
  world.allocator.revoke(*session);
  world.allocator.revoke(*session);
  CHECK(world.fleet.revoked ==
        std::vector<std::pair<std::string, std::uint64_t>>{{"one", *session}});
  CHECK_FALSE(world.allocator.grant(*session, 0, kNow));
  CHECK(world.allocator.sessions() == 0);
}

TEST_CASE("sessions of a relay that drains or is gone are told when the relays change") {
  using Stranded = std::vector<std::uint64_t>;
  World world;
  world.fleet.relays = {relay("one"), relay("two")};
  CHECK(world.allocator.take_stranded() == Stranded{});
  const auto first = world.allocator.open("eu", {}, {}, "two");
  const auto second = world.allocator.open("eu", {}, {}, "one");
  REQUIRE(first);
  REQUIRE(second);
  CHECK_FALSE(world.allocator.take_stranded());
  world.fleet.relays[0].accepts = false;
  CHECK(world.allocator.take_stranded() == Stranded{*first});
  CHECK_FALSE(world.allocator.take_stranded());
  world.fleet.relays[0].accepts = true;
  CHECK(world.allocator.take_stranded() == Stranded{});
  world.fleet.relays.pop_back();
  CHECK(world.allocator.take_stranded() == Stranded{*second});
  world.fleet.relays[0].accepts = false;
  CHECK(world.allocator.take_stranded() == Stranded{});  // there is nowhere to go
  world.fleet.relays.push_back(relay("three"));
  Stranded both{*first, *second};
  std::ranges::sort(both);
  auto told = world.allocator.take_stranded();
  REQUIRE(told);
  std::ranges::sort(*told);
  CHECK(*told == both);
}

}  // namespace
}  // namespace tandem
