#include "room/room_sockets.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "room/version.h"
#include "tests/unit/room/room_sockets_world.h"

namespace tandem {
namespace {

// ---- coming in ----

TEST_CASE("who shows no token or a bad one is not let in, and is told why") {
  SocketsWorld world;
  RoomClient client(world);
  const auto refused = [&](const std::string& auth) {
    Json answer = client.connect(auth);
    CHECK(code_of(answer) == "AUTH_FAILED");
    CHECK(answer["message"] == answer["data"]["message"]);
    return answer["message"].get<std::string>();
  };
  const auto fault = [](JwtFault what) {
    return fmt::format("Authentication failed: {}", to_string(what));
  };
  for (const char* auth : {"", "{}", R"({"token":""})", R"({"token":7})", R"({"Token":"x"})"})
    CHECK(refused(auth) == "Authentication failed: no token");
  CHECK(refused(auth_with("x")) == fault(JwtFault::malformed));
  CHECK(refused(auth_with(world.token("ann", SocketsWorld::now() - 1))) ==
        fault(JwtFault::expired));
  const std::string good = world.token("ann", SocketsWorld::now() + 60);
  world.jwt_keys = keys_of("k1 another-secret-that-is-as-long-as-it-has-to-be");
  CHECK(refused(auth_with(good)) == fault(JwtFault::bad_signature));
  CHECK(world.stats.missing_tokens() == 5);
  CHECK(world.stats.bad_tokens(JwtFault::malformed) == 1);
  CHECK(world.stats.bad_tokens(JwtFault::expired) == 1);
  CHECK(world.stats.bad_tokens(JwtFault::bad_signature) == 1);
  CHECK(client.rest() == "");
  CHECK(world.server.connected() == 0);
  CHECK(world.registry.connected() == 0);
  CHECK(world.store.written.empty());
}

TEST_CASE("a good token lets its client in: it is greeted and its name is kept") {
  SocketsWorld world;
  const UnixMillis before = moment_now().wall;
  RoomClient ann(world);
  ann.connect(auth_with(world.token("ann", SocketsWorld::now() + 60, "Ann A.")));
  Json greeting = ann.take("connected");
  CHECK(greeting == Json{{"clientId", "ann"},
                         {"serverTime", greeting["serverTime"]},
                         {"serverVersion", version()},
                         {"node", "node-1"},
                         {"region", "eu"}});
  CHECK(greeting["serverTime"] >= before);
  CHECK(greeting["serverTime"] <= moment_now().wall);
  CHECK(ann.rest() == "");
  CHECK(world.registry.connected() == 1);
  RoomClient nameless(world);
  nameless.enter("bob");
  const auto seen = world.store.rows<ClientSeen>();
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].id == "ann");
  CHECK(seen[0].username == "Ann A.");
  CHECK(seen[0].at >= before);
  CHECK(seen[1].id == "bob");
  CHECK(seen[1].username == "bob");
  CHECK(world.stats.events(EventType::connect).total() == 2);
}

TEST_CASE("another issuer counts from the next client on") {
  SocketsWorld world;
  RoomClient first(world);
  first.enter("ann");
  const std::string token = world.token("bob", SocketsWorld::now() + 60);
  world.config.room.jwt_issuer = "somebody else";
  world.sockets.apply(world.config);
  RoomClient second(world);
  CHECK(code_of(second.connect(auth_with(token))) == "AUTH_FAILED");
  second.enter("bob");
  CHECK(!first.closed());
}

TEST_CASE("who fails too often waits, with a good token too; others do not") {
  SocketsWorld world;
  RoomClient guesser(world);
  for (std::uint32_t i = 0; i < kFailedLoginLimit.max; ++i)
    CHECK(code_of(guesser.connect(auth_with("x"))) == "AUTH_FAILED");
  RoomClient neighbour(world);
  neighbour.enter("ann");  // as many failures as there may be harm nobody
  CHECK(code_of(guesser.connect(auth_with("x"))) == "AUTH_FAILED");
  const std::string good = auth_with(world.token("bob", SocketsWorld::now() + 60));
  Json refused = guesser.connect(good);
  CHECK(code_of(refused) == "RATE_LIMITED");
  CHECK(refused["data"]["retryAfter"] <= kFailedLoginLimit.block_s);
  CHECK(refused["data"]["retryAfter"] > kFailedLoginLimit.block_s - 60);
  CHECK(world.stats.limited(LimitScope::login) == 1);
  RoomClient elsewhere(world, kRoomHost, kElsewhere);
  elsewhere.enter("bob");
  CHECK(neighbour.ask("room:list", Json::object())["success"] == true);
}

TEST_CASE("one client more than there may be is told so and let go of") {
  Config config = room_config();
  config.room.max_connections = 1;
  SocketsWorld world(config);
  RoomClient first(world);
  first.enter("ann");
  RoomClient second(world);
  second.connect(auth_with(world.token("bob", SocketsWorld::now() + 60)));
  CHECK(second.take("error")["code"] == "OVER_CAPACITY");
  CHECK(second.rest() == "");
  CHECK(second.told_to_go());
  CHECK(second.closed() == 1000);
  CHECK(world.server.connected() == 1);
  CHECK(world.server.parked() == 0);
  CHECK(world.store.rows<ClientSeen>().size() == 1);
  CHECK(!first.closed());
}

// ---- events ----

TEST_CASE("an event brings what came of it, and its acknowledgement where one is wanted") {
  SocketsWorld world;
  RoomClient ann(world);
  ann.enter("ann");
  CHECK(ann.rest() == "connected");
  Json answer = ann.ask("room:create", {{"name", "den"}, {"gameId", 7}});
  CHECK(answer["success"] == true);
  CHECK(answer["room"]["name"] == "den");
  CHECK(answer["room"]["hostId"] == "ann");
  CHECK(ann.take("room:created") == answer);
  ann.say("room:leave", in(answer["room"]["id"]));
  CHECK(ann.rest() == "room:left");
  CHECK(ann.answer() == answer);  // the one before
  CHECK(world.stats.events(EventType::room_create).total() == 1);
  CHECK(world.stats.events(EventType::room_leave).total() == 1);
}

TEST_CASE("a failure is an error event, and an acknowledgement where one is wanted") {
  SocketsWorld world;
  RoomClient ann(world);
  ann.enter("ann");
  CHECK(ann.rest() == "connected");
  const auto fails = [&](const char* event, const Json& payload, std::string_view code) {
    Json answer = ann.ask(event, payload);
    CHECK(answer["success"] == false);
    CHECK(answer["error"]["code"] == code);
    CHECK(ann.take("error") == answer["error"]);
    ann.say(event, payload);
    CHECK(ann.take("error") == answer["error"]);
    CHECK(ann.rest() == "");
    return answer["error"]["message"].get<std::string>();
  };
  CHECK(fails("room:leave", in("nowhere"), "NOT_FOUND") == "there is no such room");
  CHECK(fails("room:leave", Json::object(), "BAD_REQUEST").starts_with(R"("roomId" is missing)"));
  CHECK(fails("room:fly", in("nowhere"), "BAD_REQUEST") == R"(there is no event "room:fly")");
  CHECK(world.errors("NOT_FOUND") == 2);
  CHECK(world.errors("BAD_REQUEST") == 4);
}

TEST_CASE("requests are limited by client, whatever socket it comes with") {
  Config config = room_config();
  config.room.rate_limit = {60, 3, 300};
  SocketsWorld world(config);
  RoomClient ann(world);
  ann.enter("ann");
  const std::string room = ann.make_room();
  ann.say("room:list", Json::object());
  ann.say("room:list", Json::object());
  CHECK(ann.rest() == "connected room:created room:list room:list");
  Json refused = ann.ask("room:list", Json::object());
  CHECK(refused["error"] ==
        Json{{"code", "RATE_LIMITED"}, {"message", "Too many requests"}, {"retryAfter", 300}});
  CHECK(ann.take("error") == refused["error"]);
  CHECK(ann.ask("room:message", in(room, {{"data", 1}}))["success"] == true);
  RoomClient again(world, kRoomHost, kElsewhere);
  again.enter("ann");
  CHECK(code_of(again.ask("room:list", Json::object())) == "RATE_LIMITED");
  CHECK(world.stats.limited(LimitScope::request) == 2);
  CHECK(world.errors("RATE_LIMITED") == 2);
  RoomClient bob(world);
  bob.enter("bob");
  CHECK(bob.ask("room:list", Json::object())["success"] == true);
}

TEST_CASE("messages and signals have budgets of their own") {
  Config config = room_config();
  config.room.rate_limit = {60, 2, 300};
  config.room.message_rate_limit = {10, 2, 0};
  config.room.signal_rate_limit = {10, 1, 0};
  SocketsWorld world(config);
  RoomClient ann(world);
  RoomClient bob(world);
  ann.enter("ann");
  bob.enter("bob");
  const std::string room = ann.make_room();
  bob.join(room);
  const auto message = [&] { return ann.ask("room:message", in(room, {{"data", 1}})); };
  const auto signal = [&] {
    return ann.ask("p2p:signal", in(room, {{"targetClientId", "bob"}, {"data", 1}}));
  };
  CHECK(message()["success"] == true);
  CHECK(message()["success"] == true);
  Json refused = message();
  CHECK(code_of(refused) == "RATE_LIMITED");
  CHECK(refused["error"]["retryAfter"] >= 1);
  CHECK(refused["error"]["retryAfter"] <= 10);
  CHECK(signal()["success"] == true);
  CHECK(code_of(signal()) == "RATE_LIMITED");
  CHECK(world.stats.limited(LimitScope::message) == 1);
  CHECK(world.stats.limited(LimitScope::signal) == 1);
  CHECK(world.stats.limited(LimitScope::request) == 0);
  CHECK(ann.ask("room:list", Json::object())["success"] == true);
}

TEST_CASE("requests are limited by address, messages are not") {
  Config config = room_config();
  config.room.address_rate_limit = {60, 2, 60};
  SocketsWorld world(config);
  RoomClient ann(world);
  RoomClient bob(world);
  RoomClient cat(world, kRoomHost, kElsewhere);
  ann.enter("ann");
  bob.enter("bob");
  cat.enter("cat");
  const std::string room = ann.make_room();
  CHECK(bob.ask("room:list", Json::object())["success"] == true);
  Json refused = bob.ask("room:list", Json::object());
  CHECK(code_of(refused) == "RATE_LIMITED");
  CHECK(refused["error"]["retryAfter"] == 60);
  CHECK(world.stats.limited(LimitScope::address) == 1);
  CHECK(ann.ask("room:message", in(room, {{"data", 1}}))["success"] == true);
  CHECK(cat.ask("room:list", Json::object())["success"] == true);
}

TEST_CASE("codes that are tried are limited by address, ids are not") {
  Config config = room_config();
  config.room.rate_limit = config.room.address_rate_limit = kNoLimit;
  SocketsWorld world(config);
  RoomClient ann(world);
  ann.enter("ann");
  for (std::uint32_t i = 0; i < kCodeLookupLimit.max; ++i)
    CHECK(code_of(ann.ask("room:join", {{"code", "AAAAAA"}})) == "NOT_FOUND");
  Json refused = ann.ask("room:join", {{"code", "AAAAAA"}});
  CHECK(code_of(refused) == "RATE_LIMITED");
  CHECK(refused["error"]["retryAfter"] == kCodeLookupLimit.block_s);
  CHECK(world.stats.limited(LimitScope::code) == 1);
  CHECK(code_of(ann.ask("room:join", {{"roomId", "AAAAAA"}})) == "NOT_FOUND");
}

// ---- passwords ----

TEST_CASE("a password is made a verifier before the room is there, and held against it to join") {
  SocketsWorld world;
  RoomClient ann(world);
  RoomClient bob(world);
  ann.enter("ann");
  bob.enter("bob");
  CHECK(ann.ask("room:create", {{"name", "den"}, {"gameId", 1}, {"password", "s3cret"}}).is_null());
  CHECK(world.registry.rooms() == 0);
  REQUIRE(world.calls.run_one());
  Json created = ann.answer();
  CHECK(created["room"]["hasPassword"] == true);
  CHECK(ann.take("room:created") == created);
  const auto rows = world.store.rows<RoomRow>();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].password_verifier.starts_with("scrypt:4:1:1:"));

  const std::string room = created["room"]["id"];
  CHECK(code_of(bob.ask("room:join", in(room))) == "BAD_PASSWORD");
  CHECK(bob.ask("room:join", in(room, {{"password", "guess"}})).is_null());
  REQUIRE(world.calls.run_one());
  CHECK(code_of(bob.answer()) == "BAD_PASSWORD");
  CHECK(bob.rest() == "connected error error");
  CHECK(bob.ask("room:join", in(room, {{"password", "s3cret"}})).is_null());
  CHECK(ann.rest() == "connected");
  REQUIRE(world.calls.run_one());
  CHECK(bob.answer()["self"]["clientId"] == "bob");
  CHECK(bob.rest() == "room:joined");
  CHECK(ann.take("player:joined")["player"]["clientId"] == "bob");
  CHECK(world.stats.events(EventType::room_join).total() == 3);
}

TEST_CASE("a room's password can be changed") {
  SocketsWorld world;
  RoomClient ann(world);
  RoomClient bob(world);
  ann.enter("ann");
  bob.enter("bob");
  const std::string room = ann.make_room();
  CHECK(ann.ask("room:update", in(room, {{"password", "new"}})).is_null());
  REQUIRE(world.calls.run_one());
  CHECK(ann.answer()["room"]["hasPassword"] == true);
  CHECK(code_of(bob.ask("room:join", in(room))) == "BAD_PASSWORD");
  CHECK(ann.ask("room:update", in(room, {{"password", ""}}))["room"]["hasPassword"] == false);
  bob.join(room);
}

TEST_CASE("who comes back while its password is made hears the event, not the acknowledgement") {
  SocketsWorld world;
  RoomClient before(world);
  before.enter("ann");
  before.ask("room:create", {{"name", "den"}, {"gameId", 1}, {"password", "s3cret"}});
  RoomClient after(world);
  after.enter("ann");
  CHECK(after.ask("room:leave", in("nowhere"))["success"] == false);  // has the same number
  REQUIRE(world.calls.run_one());
  CHECK(code_of(after.answer()) == "NOT_FOUND");
  CHECK(after.rest() == "connected error room:created");
  CHECK(before.answer().is_null());
  CHECK(world.registry.rooms() == 1);
}

TEST_CASE("who is gone when its password is made has no room") {
  Config config = room_config();
  config.room.reconnect_grace_s = 0;
  SocketsWorld world(config);
  RoomClient ann(world);
  ann.enter("ann");
  ann.ask("room:create", {{"name", "den"}, {"gameId", 1}, {"password", "s3cret"}});
  ann.drop();
  REQUIRE(world.calls.run_one());
  CHECK(world.registry.rooms() == 0);
  CHECK(world.store.rows<RoomRow>().empty());
  CHECK(world.errors("NOT_FOUND") == 0);  // nobody asked
}

TEST_CASE("more passwords than the worker takes are refused at once") {
  SocketsWorld world;
  RoomClient ann(world);
  ann.enter("ann");
  CHECK(ann.rest() == "connected");
  Json refused;
  {
    const std::lock_guard shut(world.gate);
    for (std::size_t i = 0; i < PasswordWorker::kQueueMax + 2; ++i) {
      refused = ann.ask("room:create", {{"name", "den"}, {"gameId", 1}, {"password", "s3cret"}});
      if (!refused.is_null()) break;
    }
  }
  CHECK(code_of(refused) == "OVER_CAPACITY");
  CHECK(refused["error"]["retryAfter"] == 1);
  CHECK(ann.take("error") == refused["error"]);
  CHECK(ann.rest() == "");
  REQUIRE(world.calls.run_one());
  CHECK(ann.rest() == "room:created");
}

}  // namespace
}  // namespace tandem
