// What a room's host does to it and to its members.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <string>

#include "tests/unit/room/room_world.h"

namespace tandem {
namespace {

constexpr Nanos kSecond = kNanosPerSecond;

TEST_CASE("room:update changes what it names, for all") {
  World world;
  world.connect_all({"ann", "bob"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  world.pass(kSecond);
  const Answer answer =
      world.ask("ann", "room:update",
                World::in(room, R"("name":"other","maxPlayers":2,"locked":true,"metadata":{"x":1},
                                   "visibility":"unlisted","hostEndpoint":"e2")"));
  REQUIRE(answer.good());
  CHECK(answer.to("room:updated") == "ann,bob");
  CHECK(answer.at("room.name") == "other");
  CHECK(answer.at("room.maxPlayers") == "2");
  CHECK(answer.at("room.locked") == "true");
  CHECK(answer.at("room.visibility") == "unlisted");
  CHECK(answer.at("room.metadata") == R"({"x":1})");
  CHECK(answer.at("room.hostEndpoint") == "e2");
  CHECK(answer.at("room.createdAt") == "1700000000000");
  CHECK(answer.at("room.updatedAt") == "1700000001000");
  CHECK(json_at(answer.only("room:updated").json, "room.name") == "other");
  CHECK(answer.told<RoomChanged>().size() == 1);
  CHECK(world.ask("ann", "room:update", World::in(room, R"("locked":false)")).at("room.name") ==
        "other");
}

TEST_CASE("a room cannot become smaller than it is full") {
  World world;
  world.connect_all({"ann", "bob", "cat"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  (void)world.join("cat", room);
  const Answer answer = world.ask("ann", "room:update", World::in(room, R"("maxPlayers":2)"));
  CHECK(answer.code() == "BAD_REQUEST");
  CHECK(answer.error->message == "\"maxPlayers\" is below the 3 players that are there");
  CHECK(json_at(*world.registry.look_up(room), "maxPlayers") == "8");
}

TEST_CASE("room:kick") {
  World world;
  world.connect_all({"ann", "bob", "cat"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  (void)world.join("cat", room);
  Answer answer =
      world.ask("ann", "room:kick", World::in(room, R"("clientId":"bob","reason":"be nice")"));
  REQUIRE(answer.good());
  CHECK(answer.heard("bob") == "room:kicked");
  CHECK(answer.to("player:left") == "ann,cat");
  CHECK(json_at(answer.only("room:kicked").json, "reason") == "be nice");
  CHECK(json_at(answer.only("room:kicked").json, "banned") == "false");
  CHECK(json_at(answer.only("player:left").json, "reason") == "be nice");
  CHECK(json_at(answer.only("player:left").json, "cause") == "kicked");
  CHECK(world.ask("bob", "room:leave", World::in(room)).code() == "NOT_IN_ROOM");
  CHECK(world.join("bob", room).good());
  answer = world.ask("ann", "room:kick", World::in(room, R"("clientId":"bob")"));
  CHECK(json_at(answer.only("player:left").json, "reason") == "kicked");
}

TEST_CASE("room:ban holds for the room's life, also for who is not there") {
  World world;
  world.connect_all({"ann", "bob", "cat"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  const Answer answer = world.ask("ann", "room:ban", World::in(room, R"("clientId":"bob")"));
  REQUIRE(answer.good());
  CHECK(json_at(answer.only("room:kicked").json, "banned") == "true");
  CHECK(json_at(answer.only("player:left").json, "reason") == "banned");
  REQUIRE(answer.told<RoomChanged>().size() == 1);
  CHECK(answer.told<RoomChanged>()[0].room.banned == std::vector<std::string>{"bob"});
  CHECK(world.ask("ann", "room:ban", World::in(room, R"("clientId":"cat")")).good());
  CHECK(world.ask("ann", "room:ban", World::in(room, R"("clientId":"cat")")).good());
  for (const std::string id : {"bob", "cat"}) {
    CHECK(world.join(id, room).code() == "BANNED");
    (void)world.quit(id);
    (void)world.connect(id);
    CHECK(world.join(id, room).code() == "BANNED");
  }
}

TEST_CASE("a room bans so many and no more") {
  World world;
  world.connect_all({"ann"});
  const std::string room = world.make_room("ann");
  for (int at = 0; at < 256; ++at)
    CHECK(world.ask("ann", "room:ban", World::in(room, fmt::format(R"("clientId":"c{}")", at)))
              .good());
  CHECK(world.ask("ann", "room:ban", World::in(room, R"("clientId":"more")")).code() ==
        "OVER_CAPACITY");
  CHECK(world.ask("ann", "room:ban", World::in(room, R"("clientId":"c7")")).good());
}

TEST_CASE("room:transfer") {
  World world;
  world.connect_all({"ann", "bob"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  const Answer answer = world.ask("ann", "room:transfer", World::in(room, R"("clientId":"bob")"));
  REQUIRE(answer.good());
  CHECK(answer.to("room:host") == "ann,bob");
  CHECK(json_at(answer.only("room:host").json, "hostId") == "bob");
  CHECK(json_at(answer.only("room:host").json, "reason") == "transfer");
  CHECK(world.ask("ann", "room:update", World::in(room)).code() == "NOT_HOST");
  const Answer self = world.ask("bob", "room:transfer", World::in(room, R"("clientId":"bob")"));
  CHECK(self.good());
  CHECK(self.events.empty());
}

}  // namespace
}  // namespace tandem
