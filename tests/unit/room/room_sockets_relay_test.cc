// Pairs that cannot reach each other: what they are told of a relay, and when it is another one.
#include <doctest/doctest.h>

#include <list>

#include "common/token.h"
#include "room/room_sockets.h"
#include "tests/unit/room/room_sockets_world.h"

namespace tandem {
namespace {

using Revoked = std::vector<std::pair<std::string, std::uint64_t>>;

std::uint64_t session_in(Json use_relay) {
  const auto id = parse_session_id(use_relay["sessionId"].get<std::string>());
  REQUIRE(id.has_value());
  return *id;
}

TokenClaims claims_in(Json use_relay) {
  const auto token = parse_token_text(use_relay["token"].get<std::string>());
  REQUIRE(token.has_value());
  const auto claims = decode_claims(claims_of(*token));
  REQUIRE(claims.has_value());
  return *claims;
}

// Ann and Bob in one room, and two relays of which the first is taken.
struct Pair {
  explicit Pair(std::string_view bobs_host = kRoomHost) : ann(world), bob(world, bobs_host) {
    world.fleet.relays = {relay_named("one"), relay_named("two")};
    ann.enter("ann");
    bob.enter("bob");
    room = ann.make_room();
    bob.join(room);
    world.tick();
    ann.rest();
    bob.rest();
  }
  Json report(RoomClient& client, const Json& more = Json::object()) {
    Json payload = in(room, {{"targetClientId", &client == &ann ? "bob" : "ann"}});
    payload.update(more);
    return client.ask("p2p:failure", payload);
  }
  // The session that both have now; what they were told of it is taken.
  std::uint64_t allocate() {
    const std::uint64_t session = session_in(report(ann));
    ann.rest();
    bob.rest();
    return session;
  }
  void hears_nothing() {
    CHECK(ann.rest() == "");
    CHECK(bob.rest() == "");
  }

  SocketsWorld world;
  RoomClient ann;
  RoomClient bob;
  std::string room;
};

TEST_CASE("p2p:failure gives both ends one session, each its own token") {
  Pair pair;
  Json answer = pair.report(pair.ann);
  Json to_ann = pair.ann.take("use:relay");
  Json to_bob = pair.bob.take("use:relay");
  pair.hears_nothing();
  Json acknowledged = to_ann;
  acknowledged["success"] = true;
  CHECK(answer == acknowledged);
  CHECK(to_ann["peerClientId"] == "bob");
  CHECK(to_bob["peerClientId"] == "ann");
  CHECK(to_ann["slot"] == 0);
  CHECK(to_bob["slot"] == 1);
  for (Json* each : {&to_ann, &to_bob}) {
    CHECK((*each)["roomId"] == pair.room);
    CHECK((*each)["server"] == "one.example");
    CHECK((*each)["port"] == 7777);
    CHECK((*each)["region"] == "eu");
    CHECK((*each)["transports"] == Json{"tcp", "udp"});
    CHECK((*each)["sessionId"] == to_ann["sessionId"]);
    CHECK((*each)["e2eKey"] == to_ann["e2eKey"]);
    const TokenClaims claims = claims_in(*each);
    CHECK(claims.slot == (*each)["slot"]);
    CHECK(claims.session_id == session_in(*each));
    CHECK(claims.expires_at == (*each)["expiresAt"]);
  }
  CHECK(to_ann["e2eKey"].get<std::string>().size() == 43);
  CHECK(pair.world.relays.relay_of(session_in(to_ann)) == "one");
  CHECK(pair.world.stats.relay_sessions_allocated == 1);
  CHECK(pair.world.stats.relay_sessions_refused == 0);
}

TEST_CASE("a repeat, by whichever end, is the same session with fresh tokens") {
  Pair pair;
  Json first = pair.report(pair.ann);
  pair.ann.rest();
  Json bobs = pair.bob.take("use:relay");
  pair.world.relays.apply({.token_lifetime_s = 600, .token_max_age_s = 86'400});
  Json repeat = pair.report(pair.bob);
  CHECK(repeat["sessionId"] == first["sessionId"]);
  CHECK(repeat["e2eKey"] == first["e2eKey"]);
  CHECK(repeat["slot"] == 1);
  CHECK(repeat["expiresAt"] < bobs["expiresAt"]);
  CHECK(claims_in(repeat).expires_at == repeat["expiresAt"]);
  Json anns = pair.ann.take("use:relay");
  CHECK(anns["slot"] == 0);
  CHECK(anns["sessionId"] == first["sessionId"]);
  CHECK(anns["expiresAt"] < first["expiresAt"]);
  CHECK(pair.bob.rest() == "use:relay");
  CHECK(pair.world.relays.opened() == 1);
  CHECK(pair.world.stats.relay_sessions_allocated == 1);
  CHECK(pair.world.fleet.revoked.empty());
}

TEST_CASE("who names the session that is out of reach gets another relay, and so does its peer") {
  Pair pair;
  Json first = pair.report(pair.ann);
  const std::uint64_t old = session_in(first);
  pair.ann.rest();
  pair.bob.rest();
  Json second = pair.report(pair.bob, {{"sessionId", first["sessionId"]}});
  CHECK(second["sessionId"] != first["sessionId"]);
  CHECK(second["server"] == "two.example");
  CHECK(second["slot"] == 1);
  CHECK(second["e2eKey"] != first["e2eKey"]);
  CHECK(pair.ann.take("use:relay")["sessionId"] == second["sessionId"]);
  CHECK(pair.world.fleet.revoked == Revoked{{"one", old}});
  // Ann's own report crossed with it: both have the new one already.
  CHECK(pair.report(pair.ann, {{"sessionId", first["sessionId"]}})["sessionId"] ==
        second["sessionId"]);
  CHECK(pair.world.relays.opened() == 2);
  CHECK(pair.world.relays.sessions() == 1);
  CHECK(pair.world.stats.relay_sessions_allocated == 2);
}

TEST_CASE("where there is no other relay the one that is out of reach is given again") {
  Pair pair;
  pair.world.fleet.relays.pop_back();
  Json first = pair.report(pair.ann);
  Json second = pair.report(pair.ann, {{"sessionId", first["sessionId"]}});
  CHECK(second["success"] == true);
  CHECK(second["sessionId"] == first["sessionId"]);
  CHECK(pair.bob.rest() == "use:relay use:relay");
  CHECK(pair.world.fleet.revoked.empty());
  CHECK(pair.world.stats.relay_sessions_allocated == 1);
}

TEST_CASE("no relay has room: whoever reported is told, and the next report asks again") {
  Pair pair;
  const auto refused = [&](std::string_view code) {
    Json answer = pair.report(pair.ann);
    CHECK(answer["error"]["code"] == code);
    CHECK(pair.ann.take("error") == answer["error"]);
    pair.hears_nothing();
  };
  for (RelayNode& relay : pair.world.fleet.relays) relay.sessions = relay.sessions_max;
  refused("NO_RELAY");
  for (RelayNode& relay : pair.world.fleet.relays) relay.accepts = false;
  refused("DRAINING");
  pair.world.fleet.relays.clear();
  refused("NO_RELAY");
  CHECK(pair.world.stats.relay_sessions_refused == 3);
  CHECK(pair.world.registry.relay_sessions() == 0);
  pair.world.fleet.relays = {relay_named("three")};
  CHECK(pair.report(pair.ann)["server"] == "three.example");
}

TEST_CASE("without a key that mints nobody is sent to a relay") {
  Pair pair;
  const Keyring keyring = std::exchange(pair.world.keyring, {});
  Json answer = pair.report(pair.bob);
  CHECK(answer["error"]["code"] == "INTERNAL");
  CHECK(pair.bob.take("error") == answer["error"]);
  pair.hears_nothing();
  pair.world.keyring = keyring;
  CHECK(pair.report(pair.bob)["success"] == true);
  CHECK(pair.ann.rest() == "use:relay");
}

TEST_CASE("the relay is the one with the smallest worst round trip of the two") {
  Pair pair;
  const auto measure = [](RoomClient& client, int one, int two) {
    const Json relays =
        Json::array({Json{{"id", "one"}, {"rttMs", one}}, Json{{"id", "two"}, {"rttMs", two}}});
    CHECK(client.ask("relay:beacons", {{"relays", relays}})["success"] == true);
  };
  measure(pair.ann, 10, 40);
  measure(pair.bob, 90, 50);
  CHECK(pair.report(pair.ann)["server"] == "two.example");
}

TEST_CASE("a relay without a host of its own is where each end came") {
  Pair pair("[2001:db8::1]:3000");
  for (RelayNode& relay : pair.world.fleet.relays) relay.host.clear();
  CHECK(pair.report(pair.ann)["server"] == "rooms.example");
  CHECK(pair.bob.take("use:relay")["server"] == "2001:db8::1");
}

TEST_CASE("an end that is away finds its relay when it comes back") {
  Pair pair("[2001:db8::1]:3000");
  for (RelayNode& relay : pair.world.fleet.relays) relay.host.clear();
  pair.bob.drop();
  Json answer = pair.report(pair.ann);
  RoomClient back(pair.world);
  back.enter("bob");
  Json resumed = back.take("room:resumed");
  REQUIRE(resumed["missed"].size() == 1);
  CHECK(resumed["missed"][0]["event"] == "use:relay");
  Json use_relay = resumed["missed"][0]["args"][0];
  CHECK(use_relay["sessionId"] == answer["sessionId"]);
  CHECK(use_relay["slot"] == 1);
  CHECK(use_relay["server"] == "rooms.example");  // nobody knows by which name it will come
}

// ---- a relay that drains or dies ----

TEST_CASE("a relay that takes no more clients is replaced unasked") {
  Pair pair;
  const std::uint64_t old = pair.allocate();
  pair.world.tick();
  pair.hears_nothing();
  SUBCASE("it drains") {
    pair.world.fleet.relays[0].accepts = false;
  }
  SUBCASE("it is gone") {
    pair.world.fleet.relays.erase(pair.world.fleet.relays.begin());
  }
  pair.world.tick();
  Json to_ann = pair.ann.take("use:relay");
  Json to_bob = pair.bob.take("use:relay");
  pair.hears_nothing();
  const std::uint64_t session = session_in(to_ann);
  CHECK(session != old);
  CHECK(session_in(to_bob) == session);
  CHECK(pair.world.relays.relay_of(session) == "two");
  CHECK(to_ann["server"] == "two.example");
  CHECK(to_bob["server"] == "two.example");
  CHECK(claims_in(to_ann).slot == 0);
  CHECK(claims_in(to_bob).slot == 1);
  CHECK(claims_in(to_bob).session_id == session);
  CHECK(to_ann["peerClientId"] == "bob");
  CHECK(to_bob["peerClientId"] == "ann");
  CHECK(to_ann["e2eKey"] == to_bob["e2eKey"]);
  CHECK(pair.world.fleet.revoked == Revoked{{"one", old}});
  CHECK(pair.world.relays.sessions() == 1);
  CHECK(pair.world.stats.relay_sessions_allocated == 2);
  pair.world.tick();
  pair.hears_nothing();
  CHECK(session_in(pair.report(pair.bob)) == session);
}

TEST_CASE("where there is no other relay nothing is sent, and the pair keeps what it has") {
  Pair pair;
  pair.world.fleet.relays.pop_back();
  pair.world.tick();
  const std::uint64_t session = pair.allocate();
  pair.world.fleet.relays[0].accepts = false;
  pair.world.tick();
  pair.hears_nothing();
  CHECK(pair.world.fleet.revoked.empty());
  CHECK(pair.world.relays.relay_of(session) == "one");
  CHECK(pair.world.registry.relay_sessions() == 1);
  CHECK(pair.world.errors("DRAINING") == 0);
  pair.world.fleet.relays[0].accepts = true;
  CHECK(session_in(pair.report(pair.bob)) == session);
  CHECK(pair.world.relays.opened() == 1);
}

TEST_CASE("a pair whose relay was lost gets another one by a report once there is one") {
  Pair pair;
  pair.world.fleet.relays.pop_back();
  pair.world.tick();
  const std::uint64_t old = pair.allocate();
  pair.world.fleet.relays[0].accepts = false;
  pair.world.tick();
  pair.world.fleet.relays.push_back(relay_named("two"));
  Json answer = pair.report(pair.ann);
  CHECK(answer["server"] == "two.example");
  CHECK(pair.bob.take("use:relay")["sessionId"] == answer["sessionId"]);
  CHECK(pair.world.fleet.revoked == Revoked{{"one", old}});
  CHECK(pair.world.relays.sessions() == 1);
  CHECK(session_in(pair.report(pair.bob)) == session_in(answer));
}

TEST_CASE("a pair whose relay was lost gets another one unasked once there is one") {
  Pair pair;
  pair.world.fleet.relays.pop_back();
  pair.world.tick();
  const std::uint64_t old = pair.allocate();
  pair.world.fleet.relays[0].accepts = false;
  pair.world.tick();
  pair.hears_nothing();
  SUBCASE("another") {
    pair.world.fleet.relays.push_back(relay_named("two"));
    pair.world.tick();
    const Json to_ann = pair.ann.take("use:relay");
    CHECK(to_ann["server"] == "two.example");
    CHECK(pair.bob.take("use:relay")["sessionId"] == to_ann["sessionId"]);
    CHECK(pair.world.fleet.revoked == Revoked{{"one", old}});
  }
  SUBCASE("its own, which needs no other session") {
    pair.world.fleet.relays[0].accepts = true;
    pair.world.tick();
    pair.hears_nothing();
    CHECK(session_in(pair.report(pair.ann)) == old);
  }
}

TEST_CASE("the replacement is where the other end came, for one that is away") {
  Pair pair;
  for (RelayNode& relay : pair.world.fleet.relays) relay.host.clear();
  pair.allocate();
  pair.bob.drop();
  pair.world.fleet.relays[0].accepts = false;
  pair.world.tick();
  RoomClient back(pair.world);
  back.enter("bob");
  Json missed = back.take("room:resumed")["missed"];
  REQUIRE(!missed.empty());
  CHECK(missed.back()["args"][0]["server"] == "rooms.example");
}

TEST_CASE("an end that is away hears of the replacement when it comes back") {
  Pair pair;
  pair.allocate();
  pair.bob.drop();
  pair.world.fleet.relays[0].accepts = false;
  pair.world.tick();
  Json to_ann = pair.ann.take("use:relay");
  RoomClient back(pair.world);
  back.enter("bob");
  Json missed = back.take("room:resumed")["missed"];
  REQUIRE(!missed.empty());
  CHECK(missed.back()["event"] == "use:relay");
  CHECK(missed.back()["args"][0]["sessionId"] == to_ann["sessionId"]);
  CHECK(missed.back()["args"][0]["server"] == "two.example");
}

TEST_CASE("while this node drains nothing is replaced") {
  Pair pair;
  const std::uint64_t session = pair.allocate();
  pair.world.sockets.set_draining(true);
  pair.world.fleet.relays[0].accepts = false;
  pair.world.tick();
  pair.hears_nothing();
  CHECK(pair.world.relays.relay_of(session) == "one");
}

TEST_CASE("many lost pairs are replaced some at a time") {
  Config config = room_config();
  config.room.max_players = 12;
  SocketsWorld world(config);
  world.fleet.relays = {relay_named("one")};
  std::list<RoomClient> clients;
  std::string room;
  for (int i = 0; i < 12; ++i) {
    RoomClient& client = clients.emplace_back(world);
    client.enter(std::to_string(i));
    i == 0 ? void(room = client.make_room()) : client.join(room);
    for (int other = 0; other < i; ++other) {
      Json payload = in(room, {{"targetClientId", std::to_string(other)}});
      CHECK(client.ask("p2p:failure", payload)["success"] == true);
    }
  }
  constexpr std::size_t kPairs = 12 * 11 / 2;
  CHECK(world.relays.opened() == kPairs);
  world.tick();
  world.fleet.relays = {relay_named("two")};
  world.tick();
  CHECK(world.fleet.revoked.size() == 64);
  SUBCASE("until none is left") {
    world.tick();
    CHECK(world.fleet.revoked.size() == kPairs);
    CHECK(world.relays.opened() == 2 * kPairs);
  }
  SUBCASE("until their own relay is there again") {
    world.fleet.relays.push_back(relay_named("one"));
    world.tick();
    CHECK(world.fleet.revoked.size() == 64);
  }
  CHECK(world.relays.sessions() == kPairs);
}

// ---- its end ----

TEST_CASE("a member that goes takes its relay session with it") {
  Pair pair;
  const std::uint64_t session = pair.allocate();
  SUBCASE("it leaves") {
    pair.bob.say("room:leave", in(pair.room));
  }
  SUBCASE("it is removed") {
    pair.ann.say("room:kick", in(pair.room, {{"clientId", "bob"}}));
  }
  SUBCASE("its grace is over") {
    pair.bob.drop();
    pair.world.tick(29 * kNanosPerSecond);
    CHECK(pair.world.fleet.revoked.empty());
    pair.world.tick(31 * kNanosPerSecond);
  }
  CHECK(pair.world.fleet.revoked == Revoked{{"one", session}});
  CHECK(pair.world.relays.sessions() == 0);
  CHECK(pair.world.registry.relay_sessions() == 0);
}

}  // namespace
}  // namespace tandem
