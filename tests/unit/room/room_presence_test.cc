// Clients come, drop, come back and go; rooms that nobody watches; a restart.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <string>

#include "tests/unit/room/room_world.h"

namespace tandem {
namespace {

constexpr Nanos kSecond = kNanosPerSecond;

TEST_CASE("who drops keeps the seat through the grace, and finds the rooms again") {
  World world;
  world.connect_all({"ann", "bob"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  (void)world.ask("bob", "room:message", World::in(room, R"("data":1)"));
  CHECK(world.drop("bob").events.empty());
  CHECK(world.registry.connected() == 1);
  CHECK(world.registry.absent() == 1);
  CHECK(world.pass_and_expire(29 * kSecond).events.empty());
  CHECK(json_at(*world.registry.look_up(room), "currentPlayers") == "2");

  const Answer back = world.connect("bob");
  CHECK(world.connection.at("bob").returned);
  CHECK_FALSE(world.connection.at("bob").took_over);
  CHECK(back.to("room:resumed") == "bob");
  const std::string resumed = back.only("room:resumed").json;
  CHECK(json_at(resumed, "roomId") == room);
  CHECK(json_at(resumed, "room.id") == room);
  CHECK(json_at(resumed, "players.0.clientId") == "ann");
  CHECK(json_at(resumed, "self.playerId") == "2");
  CHECK(json_at(resumed, "seq") == "1");
  CHECK(world.pass_and_expire(60 * kSecond).events.empty());
  CHECK(world.registry.players() == 2);
}

TEST_CASE("past the grace the seat is free") {
  World world;
  world.connect_all({"ann", "bob"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  (void)world.drop("ann");
  CHECK(world.registry.next_deadline().has_value());
  const Answer answer = world.pass_and_expire(30 * kSecond);
  CHECK(answer.heard("bob") == "player:left room:host");
  CHECK(json_at(answer.only("player:left").json, "reason") == "timeout");
  CHECK(json_at(answer.only("room:host").json, "hostId") == "bob");
  CHECK(json_at(answer.only("room:host").json, "reason") == "timeout");
  REQUIRE(answer.told<PlayerGone>().size() == 1);
  CHECK(answer.told<PlayerGone>()[0].cause == LeaveCause::timeout);
  CHECK(world.registry.absent() == 0);
  CHECK_FALSE(world.registry.find_client("ann").has_value());
  CHECK(world.connect("ann").events.empty());
}

TEST_CASE("an absent one is a recipient, and may be spoken to") {
  World world;
  world.connect_all({"ann", "bob"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  (void)world.drop("bob");
  CHECK(world.ask("ann", "room:message", World::in(room, R"("data":1)")).to("room:message") ==
        "ann,bob");
  CHECK(
      world.ask("ann", "p2p:signal", World::in(room, R"("targetClientId":"bob","data":1)")).good());
}

TEST_CASE("the same seat again while it is free, also in a locked room and without its password") {
  World world;
  world.connect_all({"ann", "bob", "cat", "dan"});
  const std::string room =
      world.make_room("ann", R"({"name":"n","gameId":1,"password":"p","maxPlayers":4})");
  for (const std::string id : {"bob", "cat"})
    (void)world.ask(id, "room:join", World::in(room, R"("password":"p")"));
  (void)world.drop("bob");
  (void)world.pass_and_expire(30 * kSecond);
  // The one that joins meanwhile gets another one, since there is another one.
  const Answer dan = world.ask("dan", "room:join", World::in(room, R"("password":"p")"));
  CHECK(dan.at("self.playerId") == "4");
  (void)world.ask("ann", "room:update", World::in(room, R"("locked":true)"));
  (void)world.connect("bob");
  const Answer back = world.join("bob", room);
  REQUIRE(back.good());
  CHECK(back.at("self.playerId") == "2");
}

TEST_CASE("a seat that somebody took, or that waited too long, is no claim any more") {
  World world({.session_lifetime = 100 * kSecond});
  world.connect_all({"ann", "bob", "cat"});
  const std::string room = world.make_room("ann", R"({"name":"n","gameId":1,"maxPlayers":2})");
  (void)world.join("bob", room);
  (void)world.drop("bob");
  (void)world.pass_and_expire(30 * kSecond);
  SUBCASE("taken") {
    CHECK(world.join("cat", room).at("self.playerId") == "2");
    (void)world.ask("ann", "room:update", World::in(room, R"("locked":true,"maxPlayers":4)"));
    (void)world.connect("bob");
    CHECK(world.join("bob", room).code() == "ROOM_LOCKED");
  }
  SUBCASE("too long ago") {
    (void)world.ask("ann", "room:update", World::in(room, R"("locked":true)"));
    world.pass(100 * kSecond);
    (void)world.connect("bob");
    CHECK(world.join("bob", room).code() == "ROOM_LOCKED");
  }
  SUBCASE("in time") {
    (void)world.ask("ann", "room:update", World::in(room, R"("locked":true)"));
    world.pass(99 * kSecond);
    (void)world.connect("bob");
    CHECK(world.join("bob", room).good());
  }
}

TEST_CASE("who left or was banned has no claim") {
  World world;
  world.connect_all({"ann", "bob", "cat"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  (void)world.ask("bob", "room:leave", World::in(room));
  (void)world.join("cat", room);
  (void)world.drop("cat");
  (void)world.pass_and_expire(30 * kSecond);
  CHECK(world.ask("ann", "room:ban", World::in(room, R"("clientId":"cat")")).good());
  (void)world.ask("ann", "room:update", World::in(room, R"("locked":true)"));
  CHECK(world.join("bob", room).code() == "ROOM_LOCKED");
  (void)world.connect("cat");
  CHECK(world.join("cat", room).code() == "BANNED");
}

TEST_CASE("the same client connecting twice takes over") {
  World world;
  world.connect_all({"ann", "bob"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  const Connection first = world.connection.at("ann");
  const Answer again = world.connect("ann");
  const Connection second = world.connection.at("ann");
  CHECK(second.took_over);
  CHECK_FALSE(second.returned);
  CHECK(second.client == first.client);
  CHECK(second.number != first.number);
  CHECK(again.to("room:resumed") == "ann");
  CHECK(world.registry.connected() == 2);

  // The older socket's end is nobody's.
  Outcome outcome;
  world.registry.drop(world.now, first.client, first.number, outcome);
  world.registry.quit(world.now, first.client, first.number, outcome);
  CHECK(world.registry.connected() == 2);
  CHECK(world.registry.players() == 2);
  CHECK(outcome.event_count() == 0);
}

TEST_CASE("who quits leaves everything at once") {
  World world;
  world.connect_all({"ann", "bob"});
  const std::string room = world.make_room("ann");
  const std::string own = world.make_room("bob");
  (void)world.join("bob", room);
  const Answer answer = world.quit("bob");
  CHECK(answer.heard("ann") == "player:left");
  CHECK(json_at(answer.only("player:left").json, "reason") == "left");
  CHECK(world.registry.look_up(own) == nullptr);
  CHECK(world.registry.connected() == 1);
  CHECK(world.registry.absent() == 0);
}

TEST_CASE("without a grace a drop is the end") {
  World world({.reconnect_grace = 0});
  world.connect_all({"ann", "bob"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  CHECK(world.drop("bob").heard("ann") == "player:left");
  CHECK(world.registry.absent() == 0);
}

TEST_CASE("only so many are absent, only so many connected") {
  World world({}, {.connected_max = 2, .absent_max = 1, .rooms_max = 4});
  world.connect_all({"ann", "bob"});
  Outcome outcome;
  const auto third = world.registry.connect(world.now, "cat", "c", Return::fresh, outcome);
  REQUIRE_FALSE(third.has_value());
  CHECK(third.error().code == ErrorCode::over_capacity);
  (void)world.connect("ann");  // a takeover is no other one
  const std::string room = world.make_room("bob");
  (void)world.join("ann", room);
  (void)world.drop("bob");
  (void)world.connect("cat");
  const Answer dropped = world.drop("cat");
  CHECK(world.registry.absent() == 1);
  CHECK(world.registry.counts().grace_denied == 1);
  CHECK(world.drop("ann").to("player:left") == "bob");
  CHECK(world.registry.counts().grace_denied == 2);
}

TEST_CASE("a room that nobody is connected to ends after its timeout, not before") {
  World world({.reconnect_grace = 100 * kSecond, .room_timeout = 20 * kSecond});
  world.connect_all({"ann", "bob"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  CHECK(
      world.pass_and_expire(1000 * kSecond).events.empty());  // connected, though they say nothing
  (void)world.drop("ann");
  CHECK(world.pass_and_expire(50 * kSecond).events.empty());
  (void)world.drop("bob");
  CHECK(world.pass_and_expire(19 * kSecond).events.empty());
  (void)world.connect("bob");
  (void)world.drop("bob");
  CHECK(world.pass_and_expire(19 * kSecond).events.empty());  // it began anew
  const Answer answer = world.pass_and_expire(1 * kSecond);
  CHECK(answer.to("room:closed") == "ann,bob");
  CHECK(json_at(answer.only("room:closed").json, "reason") == "timeout");
  REQUIRE(answer.told<RoomEnded>().size() == 1);
  CHECK(answer.told<RoomEnded>()[0].history.reason == CloseReason::timeout);
  CHECK(world.registry.rooms() == 0);
  CHECK(world.registry.players() == 0);
  CHECK(world.connect("ann").events.empty());
}

TEST_CASE("the grace of the last one removes the room") {
  World world;
  world.connect_all({"ann"});
  (void)world.make_room("ann");
  (void)world.drop("ann");
  const Answer answer = world.pass_and_expire(30 * kSecond);
  REQUIRE(answer.told<RoomEnded>().size() == 1);
  CHECK(answer.told<RoomEnded>()[0].history.reason == CloseReason::empty);
  CHECK(world.registry.rooms() == 0);
}

TEST_CASE("graces that began anew are whole, though their first end has passed") {
  World world;
  world.connect_all({"ann"});
  const std::string room = world.make_room("ann");
  (void)world.drop("ann");
  world.pass(60 * kSecond);
  world.registry.begin_graces_anew(world.now);
  CHECK(world.pass_and_expire(29 * kSecond).events.empty());
  CHECK(world.registry.absent() == 1);
  CHECK(world.registry.rooms() == 1);
  (void)world.pass_and_expire(1 * kSecond);
  CHECK(world.registry.absent() == 0);
  CHECK(world.registry.rooms() == 0);
}

TEST_CASE("what is due is done in pieces") {
  World world;
  for (int at = 0; at < 10; ++at) (void)world.connect(fmt::format("c{}", at));
  for (int at = 0; at < 10; ++at) (void)world.drop(fmt::format("c{}", at));
  world.pass(31 * kSecond);
  Outcome outcome;
  CHECK(world.registry.expire(world.now, 4, outcome) == 4);
  CHECK(world.registry.absent() == 6);
  REQUIRE(world.registry.next_deadline().has_value());
  CHECK(*world.registry.next_deadline() <= world.now.mono);
  CHECK(world.registry.expire(world.now, 100, outcome) == 6);
  CHECK_FALSE(world.registry.next_deadline().has_value());
}

TEST_CASE("a fresh socket follows what fresh ones follow, a recovered one what it followed") {
  World world;
  world.connect_all({"ann", "bob"});
  CHECK(world.ask("bob", "room:unsubscribe", "{}").good());
  (void)world.drop("bob");
  (void)world.connect("bob", Return::recovered);
  (void)world.make_room("ann");
  CHECK(world.list_changes().to("room:list:update") == "ann");
  (void)world.drop("bob");
  (void)world.connect("bob", Return::fresh);
  (void)world.make_room("ann");
  CHECK(world.list_changes().to("room:list:update") == "ann,bob");
}

TEST_CASE("names are cleaned and cut") {
  World world;
  Outcome outcome;
  std::string name = "a\x01\xc2\x85";
  for (int at = 0; at < 100; ++at) name += "\xc3\xa9";
  const auto made = world.registry.connect(world.now, "ann", name, Return::fresh, outcome);
  REQUIRE(made.has_value());
  world.connection["ann"] = *made;
  world.names[made->client] = "ann";
  std::string expected = "a";
  for (int at = 0; at < 63; ++at) expected += "\xc3\xa9";
  const Answer answer = world.ask("ann", "room:create", R"({"name":"n","gameId":1})");
  CHECK(answer.at("self.name") == expected);
  CHECK(answer.at("room.hostName") == expected);
}

TEST_CASE("who is there, for the operator") {
  World world;
  world.connect_all({"ann", "bob", "cat"});
  const std::string room = world.make_room("ann", R"({"name":"n","gameId":1,"password":"p"})");
  (void)world.make_room("bob");
  (void)world.drop("ann");
  std::uint32_t index = 0;
  const auto first = world.registry.view_clients(index, 2);
  REQUIRE(first.size() == 2);
  CHECK(first[0].id == "ann");
  CHECK_FALSE(first[0].connected);
  CHECK(first[0].rooms == 1);
  CHECK(world.registry.view_clients(index, 2).size() == 1);
  CHECK(index == RoomRegistry::kListEnd);
  CHECK(world.registry.view_clients(index, 2).empty());
  index = 0;
  CHECK(world.registry.view_rooms(index, 1).size() == 1);
  CHECK(world.registry.view_rooms(index, 5).size() == 1);
  CHECK(index == RoomRegistry::kListEnd);
  const auto view = world.registry.view_room(room);
  REQUIRE(view.has_value());
  CHECK(view->has_password);
  CHECK(view->connected == 0);
  CHECK(view->record.players.size() == 1);
}

TEST_CASE("a restart: rooms come back with absent members, who have their grace") {
  std::vector<RoomRecord> stored;
  World before;
  before.connect_all({"ann", "bob"});
  const Answer made =
      before.ask("ann", "room:create",
                 R"({"name":"n","gameId":1,"password":"p","hostEndpoint":"e","metadata":{"x":1}})");
  const std::string room = made.at("room.id");
  (void)before.ask("bob", "room:join", World::in(room, R"("password":"p")"));
  (void)before.ask("bob", "room:ready", World::in(room, R"("ready":true)"));
  (void)before.ask("ann", "room:ban", World::in(room, R"("clientId":"eve")"));
  std::uint64_t last_seq = 0;
  for (int at = 0; at < 10; ++at)
    last_seq =
        std::stoull(before.ask("ann", "room:message", World::in(room, R"("data":1)")).at("seq"));
  RoomRecord record = before.registry.view_room(room)->record;
  record.password_verifier = "v:p";
  stored.push_back(record);

  World after({}, {.connected_max = 8, .absent_max = 8, .rooms_max = 8}, 2);
  after.pass(5 * kSecond);
  CHECK(after.registry.restore(after.now, stored) == 1);
  CHECK(after.registry.absent() == 2);
  CHECK(after.registry.players() == 2);
  CHECK(json_at(*after.registry.look_up_by_code(made.at("room.code")), "id") == room);
  const Answer ann = after.connect("ann");
  CHECK(after.connection.at("ann").returned);
  const std::string resumed = ann.only("room:resumed").json;
  CHECK(json_at(resumed, "room.hostId") == "ann");
  CHECK(json_at(resumed, "room.hostEndpoint") == "e");
  CHECK(json_at(resumed, "room.metadata") == R"({"x":1})");
  CHECK(json_at(resumed, "room.createdAt") == "1700000000000");
  CHECK(json_at(resumed, "players.1.ready") == "true");
  CHECK(json_at(resumed, "players.1.playerId") == "2");
  after.names[*after.registry.find_client("bob")] = "bob";
  (void)after.connect("eve");
  CHECK(after.ask("eve", "room:join", World::in(room, R"("password":"p")")).code() == "BANNED");
  const Answer message = after.ask("ann", "room:message", World::in(room, R"("data":1)"));
  CHECK(std::stoull(message.at("seq")) > last_seq);
  CHECK(message.told<RoomChanged>().size() == 1);                         // a new reservation
  CHECK(after.pass_and_expire(30 * kSecond).to("player:left") == "ann");  // bob did not come
}

TEST_CASE("records that contradict the rooms or themselves are left out") {
  World world({.rooms_max = 3}, {.connected_max = 8, .absent_max = 3, .rooms_max = 8});
  const auto record = [](std::string id, std::string code, std::vector<PlayerRecord> players) {
    return RoomRecord{.id = std::move(id),
                      .code = std::move(code),
                      .name = "n",
                      .game_id = "1",
                      .host_id = "gone",
                      .metadata = "{}",
                      .max_players = 4,
                      .players = std::move(players)};
  };
  const PlayerRecord ann{.client_id = "ann", .name = "a", .player_id = 1};
  const PlayerRecord bob{.client_id = "bob", .name = "b", .player_id = 1};
  const PlayerRecord cat{.client_id = "cat", .name = "c", .player_id = 2};
  const PlayerRecord dan{.client_id = "dan", .name = "d", .player_id = 3};
  const std::vector<RoomRecord> records = {
      record("r1", "AAAAAA", {ann, bob, cat, ann}),  // bob's seat is ann's, ann comes twice
      record("r1", "BBBBBB", {ann}),                 // the same id
      record("r2", "AAAAAA", {ann}),                 // the same code
      record("r3", "not a code", {ann}),
      record("r4", "CCCCCC", {}),     // nobody there
      record("r5", "DDDDDD", {dan}),  // one absent client too many
      record("r6", "EEEEEE", {ann}),
      record("r7", "FFFFFF", {ann}),
      record("r8", "GGGGGG", {ann}),  // one room too many
  };
  CHECK(world.registry.restore(world.now, records) == 3);
  CHECK(world.registry.rooms() == 3);
  const auto view = world.registry.view_room("r1");
  REQUIRE(view.has_value());
  CHECK(view->record.players.size() == 2);
  CHECK(view->record.host_id == "ann");
  CHECK(world.registry.players() == 4);
  for (const std::string_view id : {"r2", "r3", "r4", "r5", "r8"})
    CHECK_FALSE(world.registry.view_room(id).has_value());
}

}  // namespace
}  // namespace tandem
