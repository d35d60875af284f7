// Rooms come, change and go; who comes in and who goes.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <string>

#include "tests/unit/room/room_world.h"

namespace tandem {
namespace {

constexpr Nanos kSecond = kNanosPerSecond;

TEST_CASE("room:create makes a room with its maker as host") {
  World world;
  world.connect_all({"ann", "bob"});
  const Answer answer = world.ask(
      "ann", "room:create",
      R"({"name":"Cup \"1\"","gameId":18446744073709551615,"gameVersion":"1.2","maxPlayers":4,
          "metadata":{"map":[1]},"hostEndpoint":"192.0.2.1:5","hostPeerId":"peer"})");
  REQUIRE(answer.good());
  CHECK(answer.at("room.name") == "Cup \"1\"");
  CHECK(answer.at("room.gameId") == "18446744073709551615");
  CHECK(answer.ack.find(R"("gameId":"18446744073709551615")") != std::string::npos);
  CHECK(answer.at("room.gameVersion") == "1.2");
  CHECK(answer.at("room.hostId") == "ann");
  CHECK(answer.at("room.hostName") == "name of ann");
  CHECK(answer.at("room.currentPlayers") == "1");
  CHECK(answer.at("room.maxPlayers") == "4");
  CHECK(answer.at("room.hasPassword") == "false");
  CHECK(answer.at("room.visibility") == "public");
  CHECK(answer.at("room.locked") == "false");
  CHECK(answer.at("room.region") == "global");
  CHECK(answer.at("room.createdAt") == "1700000000000");
  CHECK(answer.at("room.updatedAt") == "1700000000000");
  CHECK(answer.at("room.metadata") == R"({"map":[1]})");
  CHECK(answer.at("room.hostEndpoint") == "192.0.2.1:5");
  CHECK(answer.at("room.hostPeerId") == "peer");
  CHECK(answer.at("room.id").size() == 36);
  CHECK(answer.at("room.code").size() == kRoomCodeMin);
  CHECK(answer.at("self.playerId") == "1");
  CHECK(answer.to("room:created") == "ann");
  CHECK(answer.only("room:created").json == answer.ack);

  const auto opened = answer.told<RoomOpened>();
  REQUIRE(opened.size() == 1);
  CHECK(opened[0].room.id == answer.at("room.id"));
  REQUIRE(opened[0].room.players.size() == 1);
  CHECK(opened[0].room.players[0].client_id == "ann");

  const Answer told = world.list_changes();
  CHECK(told.to("room:list:update") == "ann,bob");
  const std::string update = told.only("room:list:update").json;
  CHECK(json_at(update, "type") == "add");
  CHECK(json_at(update, "room.id") == answer.at("room.id"));
  CHECK(update.find("hostEndpoint") == std::string::npos);
  CHECK(update.find("hostPeerId") == std::string::npos);
}

TEST_CASE("a room that says nothing of its size has the configured most") {
  World world({.players_max = 5});
  world.connect_all({"ann"});
  CHECK(world.ask("ann", "room:create", R"({"name":"n","gameId":1})").at("room.maxPlayers") == "5");
  CHECK(world.ask("ann", "room:create", R"({"name":"n","gameId":1,"maxPlayers":6})").code() ==
        "BAD_REQUEST");
}

TEST_CASE("room:join by id and by code, and what the others hear") {
  World world;
  world.connect_all({"ann", "bob", "cat"});
  const Answer made = world.ask("ann", "room:create", R"({"name":"n","gameId":1})");
  const std::string room = made.at("room.id");
  const Answer bob = world.join("bob", room);
  REQUIRE(bob.good());
  CHECK(bob.at("room.currentPlayers") == "2");
  CHECK(bob.at("self.clientId") == "bob");
  CHECK(bob.at("self.playerId") == "2");
  CHECK(bob.at("self.name") == "name of bob");
  CHECK(bob.at("self.ready") == "false");
  CHECK(bob.at("self.joinedAt") == "1700000000000");
  CHECK(bob.at("players.0.clientId") == "ann");
  CHECK(bob.at("players.1.clientId") == "bob");
  CHECK(bob.to("room:joined") == "bob");
  CHECK(bob.to("player:joined") == "ann");
  CHECK(json_at(bob.only("player:joined").json, "roomId") == room);
  CHECK(json_at(bob.only("player:joined").json, "player.playerId") == "2");
  CHECK(bob.told<PlayerEntered>().size() == 1);

  std::string typed = made.at("room.code");
  for (char& letter : typed)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  typed = fmt::format("{}-{}", typed.substr(0, 3), typed.substr(3));
  const Answer cat = world.ask("cat", "room:join", fmt::format(R"({{"code":"{}"}})", typed));
  REQUIRE(cat.good());
  CHECK(cat.at("room.id") == room);
  CHECK(cat.to("player:joined") == "ann,bob");

  const Answer again = world.join("bob", room);
  CHECK(again.good());
  CHECK(again.at("self.playerId") == "2");
  CHECK(again.heard("ann").empty());
  CHECK(again.notices.empty());
}

TEST_CASE("rooms that are not there") {
  World world;
  world.connect_all({"ann"});
  CHECK(world.join("ann", "no such id").code() == "NOT_FOUND");
  CHECK(world.ask("ann", "room:join", R"({"code":"ABCDEF"})").code() == "NOT_FOUND");
  for (const std::string_view event : {"room:leave", "room:update"})
    CHECK(world.ask("ann", event, World::in("x")).code() == "NOT_FOUND");
  const Answer answer = world.ask("ann", "room:leave", World::in("x"));
  CHECK(answer.to("error") == "ann");
  CHECK(answer.at("success") == "false");
  CHECK(answer.at("error.code") == "NOT_FOUND");
  CHECK(json_at(answer.only("error").json, "code") == "NOT_FOUND");
}

TEST_CASE("what only members and only the host may do") {
  World world;
  world.connect_all({"ann", "bob", "cat"});
  const std::string room = world.make_room("ann");
  CHECK(world.join("bob", room).good());
  const std::string on_ann = World::in(room, R"("clientId":"ann")");
  for (const std::string_view event : {"room:update", "room:kick", "room:ban", "room:transfer"}) {
    CHECK(world.ask("bob", event, on_ann).code() == "NOT_HOST");
    CHECK(world.ask("cat", event, on_ann).code() == "NOT_IN_ROOM");
  }
  CHECK(world.ask("cat", "room:leave", World::in(room)).code() == "NOT_IN_ROOM");
  CHECK(world.ask("cat", "room:ready", World::in(room, R"("ready":true)")).code() == "NOT_IN_ROOM");
  CHECK(world.ask("ann", "room:kick", World::in(room, R"("clientId":"cat")")).code() ==
        "NOT_IN_ROOM");
  CHECK(world.ask("ann", "room:transfer", World::in(room, R"("clientId":"cat")")).code() ==
        "NOT_IN_ROOM");
  for (const std::string_view event : {"room:kick", "room:ban"})
    CHECK(world.ask("ann", event, on_ann).code() == "BAD_REQUEST");
}

TEST_CASE("room:leave, and the host is whoever is there longest") {
  World world;
  world.connect_all({"ann", "bob", "cat"});
  const std::string room =
      world.make_room("ann", R"({"name":"n","gameId":1,"hostEndpoint":"e","hostPeerId":"p"})");
  (void)world.join("bob", room);
  (void)world.join("cat", room);
  Answer answer = world.ask("ann", "room:leave", World::in(room));
  REQUIRE(answer.good());
  CHECK(answer.at("roomId") == room);
  CHECK(answer.heard("ann") == "room:left");
  CHECK(answer.heard("bob") == "player:left room:host");
  CHECK(answer.to("player:left") == "bob,cat");
  CHECK(json_at(answer.only("player:left").json, "clientId") == "ann");
  CHECK(json_at(answer.only("player:left").json, "reason") == "left");
  CHECK(json_at(answer.only("room:host").json, "roomId") == room);
  CHECK(json_at(answer.only("room:host").json, "hostId") == "bob");
  CHECK(json_at(answer.only("room:host").json, "reason") == "left");
  REQUIRE(answer.told<PlayerGone>().size() == 1);
  CHECK(answer.told<PlayerGone>()[0].client_id == "ann");

  const std::string seen = *world.registry.look_up(room);
  CHECK(json_at(seen, "hostId") == "bob");
  CHECK(json_at(seen, "hostName") == "name of bob");
  CHECK(json_at(seen, "currentPlayers") == "2");
  answer = world.join("ann", room);
  CHECK(answer.at("room.hostEndpoint").empty());  // it was the other host's
  CHECK(answer.at("room.hostPeerId").empty());
  CHECK(answer.at("self.playerId") == "1");  // the lowest free
  CHECK(answer.at("players.2.clientId") == "ann");
}

TEST_CASE("the last one's going removes the room everywhere") {
  World world;
  world.connect_all({"ann", "bob"});
  const Answer made = world.ask("ann", "room:create", R"({"name":"n","gameId":7})");
  (void)world.list_changes();
  world.pass(90 * kSecond);
  const Answer answer = world.ask("ann", "room:leave", World::in(made.at("room.id")));
  CHECK(answer.heard("ann") == "room:left");
  const auto ended = answer.told<RoomEnded>();
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].history.reason == CloseReason::empty);
  CHECK(ended[0].history.game_id == "7");
  CHECK(ended[0].history.peak_players == 1);
  CHECK(ended[0].history.max_players == 8);
  CHECK(ended[0].history.duration_s == 90);
  CHECK(world.registry.rooms() == 0);
  CHECK(world.registry.rooms_by_game().empty());
  CHECK(world.registry.look_up(made.at("room.id")) == nullptr);
  CHECK(world.registry.look_up_by_code(made.at("room.code")) == nullptr);
  CHECK(json_at(world.list_changes().only("room:list:update").json, "type") == "remove");
  CHECK(world.join("bob", made.at("room.id")).code() == "NOT_FOUND");
}

TEST_CASE("ROOM_FULL and ROOM_LOCKED") {
  World world;
  world.connect_all({"ann", "bob", "cat"});
  const std::string room = world.make_room("ann", R"({"name":"n","gameId":1,"maxPlayers":2})");
  (void)world.join("bob", room);
  CHECK(world.join("cat", room).code() == "ROOM_FULL");
  (void)world.ask("bob", "room:leave", World::in(room));
  (void)world.ask("ann", "room:update", World::in(room, R"("locked":true)"));
  CHECK(world.join("cat", room).code() == "ROOM_LOCKED");
  (void)world.ask("ann", "room:update", World::in(room, R"("locked":false)"));
  CHECK(world.join("cat", room).good());
}

TEST_CASE("room:ready") {
  World world;
  world.connect_all({"ann", "bob"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  const Answer answer = world.ask("bob", "room:ready", World::in(room, R"("ready":true)"));
  REQUIRE(answer.good());
  CHECK(answer.to("player:ready") == "ann,bob");
  CHECK(json_at(answer.only("player:ready").json, "clientId") == "bob");
  CHECK(json_at(answer.only("player:ready").json, "ready") == "true");
  CHECK(world.join("bob", room).at("self.ready") == "true");
}

TEST_CASE("who may look at a room") {
  World world;
  world.connect_all({"ann", "bob"});
  const auto make = [&](std::string_view visibility) {
    return world.ask("ann", "room:create",
                     fmt::format(R"({{"name":"n","gameId":1,"visibility":"{}"}})", visibility));
  };
  for (const std::string visibility : {"public", "unlisted", "private"}) {
    const Answer made = make(visibility);
    CAPTURE(visibility);
    const bool is_private = visibility == "private";
    CHECK((world.registry.look_up(made.at("room.id")) == nullptr) == is_private);
    CHECK((world.registry.look_up_by_code(made.at("room.code")) == nullptr) == is_private);
    CHECK(world.list_changes().named("room:list:update").size() ==
          (visibility == "public" ? 1 : 0));
    CHECK(world.join("bob", made.at("room.id")).good());
    (void)world.ask("bob", "room:leave", World::in(made.at("room.id")));
    CHECK(world.registry.view_room(made.at("room.code")).has_value());
    (void)world.list_changes();
  }
  CHECK(world.registry.directory().size() == 1);
  CHECK(world.ask("bob", "room:list", "{}").at("rooms.1").empty());
}

TEST_CASE("a room that stops being public leaves the lists, and comes back") {
  World world;
  world.connect_all({"ann", "bob"});
  const std::string room = world.make_room("ann");
  (void)world.list_changes();
  (void)world.ask("ann", "room:update", World::in(room, R"("visibility":"private","name":"new")"));
  const std::string update = world.list_changes().only("room:list:update").json;
  CHECK(json_at(update, "type") == "remove");
  CHECK(json_at(update, "room.id") == room);
  CHECK(json_at(update, "room.name") == "a room");  // what was known of it
  (void)world.ask("ann", "room:update", World::in(room, R"("visibility":"public")"));
  CHECK(json_at(world.list_changes().only("room:list:update").json, "type") == "add");
}

TEST_CASE("passwords are derived and checked outside, and what they guard stays shut") {
  World world;
  world.connect_all({"ann", "bob", "cat"});
  const std::string room = world.make_room("ann", R"({"name":"n","gameId":1,"password":"sesame"})");
  CHECK(world.passwords == 1);
  CHECK(json_at(*world.registry.look_up(room), "hasPassword") == "true");
  CHECK(world.registry.look_up(room)->find("sesame") == std::string::npos);
  CHECK(world.registry.view_room(room)->record.password_verifier.empty());
  CHECK(world.join("bob", room).code() == "BAD_PASSWORD");
  CHECK(world.passwords == 1);  // nothing to check
  CHECK(world.ask("bob", "room:join", World::in(room, R"("password":"wrong")")).code() ==
        "BAD_PASSWORD");
  CHECK(world.ask("bob", "room:join", World::in(room, R"("password":"sesame")")).good());

  CHECK(world.ask("ann", "room:update", World::in(room, R"("password":"other")")).good());
  CHECK(world.ask("cat", "room:join", World::in(room, R"("password":"sesame")")).code() ==
        "BAD_PASSWORD");
  CHECK(world.ask("ann", "room:update", World::in(room, R"("password":null)"))
            .at("room.hasPassword") == "false");
  CHECK(world.join("cat", room).good());
}

TEST_CASE("a verdict on another password than the present one counts for nothing") {
  World world;
  world.connect_all({"ann", "bob"});
  const std::string room = world.make_room("ann", R"({"name":"n","gameId":1,"password":"old"})");
  JoinRoom request{.room = {.id = room}, .password = "old"};
  Outcome outcome;
  const ClientKey bob = world.connection.at("bob").client;
  world.registry.apply(world.now, bob, request, outcome);
  REQUIRE(outcome.password == PasswordWork::check);
  CHECK(outcome.verifier == "v:old");
  (void)world.ask("ann", "room:update", World::in(room, R"("password":"new")"));
  request.checked = {.verifier = "v:old", .good = true};
  outcome.clear();
  world.registry.apply(world.now, bob, request, outcome);
  CHECK(outcome.password == PasswordWork::check);
  CHECK(outcome.verifier == "v:new");
  CHECK(world.registry.players() == 1);
}

TEST_CASE("tries at a password are limited, for a client and for all together") {
  World world;
  world.connect_all({"ann", "bob", "cat"});
  const std::string room = world.make_room("ann", R"({"name":"n","gameId":1,"password":"p"})");
  const std::string other = world.make_room("ann", R"({"name":"n","gameId":1,"password":"p"})");
  const auto guess = [&](const std::string& id, const std::string& where) {
    return world.ask(id, "room:join", World::in(where, R"("password":"guess")"));
  };
  for (int tries = 0; tries < 5; ++tries) {
    CHECK(guess("bob", room).code() == "BAD_PASSWORD");
    world.pass(2 * kSecond);
  }
  const Answer limited = world.ask("bob", "room:join", World::in(room, R"("password":"p")"));
  CHECK(limited.code() == "RATE_LIMITED");
  CHECK(limited.at("error.retryAfter") == "50");
  CHECK(guess("cat", room).code() == "BAD_PASSWORD");
  CHECK(guess("bob", other).code() == "BAD_PASSWORD");
  (void)world.quit("bob");
  (void)world.connect("bob");
  CHECK(guess("bob", room).code() == "RATE_LIMITED");  // a new connection is the same client
  world.pass(50 * kSecond);
  CHECK(world.ask("bob", "room:join", World::in(room, R"("password":"p")")).good());

  for (int at = 0; at < 40; ++at) (void)world.connect(fmt::format("g{}", at));
  int allowed = 0;
  for (int at = 0; at < 40; ++at)
    for (int tries = 0; tries < 2; ++tries)
      allowed += guess(fmt::format("g{}", at), other).code() == "BAD_PASSWORD" ? 1 : 0;
  CHECK(allowed == 64 - 1);  // one of bob's was within the minute
}

TEST_CASE("rooms in all, rooms a client, and what does not count any more") {
  World world({.rooms_max = 3, .rooms_per_client = 2});
  world.connect_all({"ann", "bob", "cat"});
  const std::string first = world.make_room("ann");
  (void)world.make_room("ann");
  CHECK(world.ask("ann", "room:create", R"({"name":"n","gameId":1})").code() == "OVER_CAPACITY");
  const std::string third = world.make_room("bob");
  CHECK(world.join("ann", third).code() == "OVER_CAPACITY");
  CHECK(world.ask("cat", "room:create", R"({"name":"n","gameId":1})").code() == "OVER_CAPACITY");
  (void)world.ask("ann", "room:leave", World::in(first));
  CHECK(world.join("ann", third).good());
  CHECK(world.ask("cat", "room:create", R"({"name":"n","gameId":1})").good());
  CHECK(world.registry.counts().refused[static_cast<std::size_t>(ErrorCode::over_capacity)] == 3);
}

TEST_CASE("limits above the capacity are the capacity") {
  World world({.rooms_max = 1000}, {.connected_max = 4, .absent_max = 4, .rooms_max = 2});
  CHECK(world.registry.limits().rooms_max == 2);
}

TEST_CASE("draining: nothing new, and rooms are closed") {
  World world;
  world.connect_all({"ann", "bob"});
  const std::string room = world.make_room("ann");
  world.registry.set_draining(true);
  CHECK(world.ask("bob", "room:create", R"({"name":"n","gameId":1})").code() == "DRAINING");
  CHECK(world.join("bob", room).code() == "DRAINING");
  CHECK(world.join("ann", room).good());
  Outcome outcome;
  CHECK(world.registry.close_rooms(world.now, CloseReason::draining, 10, outcome) == 1);
  REQUIRE(outcome.event_count() == 1);
  CHECK(json_at(outcome.event(0).arguments, "reason") == "draining");
}

TEST_CASE("the operator closes a room") {
  World world;
  world.connect_all({"ann", "bob"});
  const std::string room = world.make_room("ann");
  (void)world.join("bob", room);
  const Answer answer = world.close(room);
  CHECK(answer.to("room:closed") == "ann,bob");
  CHECK(json_at(answer.only("room:closed").json, "roomId") == room);
  CHECK(json_at(answer.only("room:closed").json, "reason") == "operator");
  REQUIRE(answer.told<RoomEnded>().size() == 1);
  CHECK(answer.told<RoomEnded>()[0].history.peak_players == 2);
  CHECK(world.registry.players() == 0);
  CHECK(world.make_room("ann") != room);
  Outcome outcome;
  CHECK_FALSE(world.registry.close_room(world.now, room, CloseReason::by_operator, outcome));
}

TEST_CASE("room:list answers with pages, as an event and an acknowledgement") {
  World world({.rooms_per_client = 8});
  world.connect_all({"ann", "bob"});
  for (int at = 0; at < 5; ++at)
    (void)world.make_room("ann", fmt::format(R"({{"name":"room {}","gameId":1}})", at));
  const Answer first = world.ask("bob", "room:list", R"({"limit":3})");
  REQUIRE(first.good());
  CHECK(first.to("room:list") == "bob");
  CHECK(first.at("rooms.0.name") == "room 4");
  CHECK(json_at(first.only("room:list").json, "rooms.2.name") == "room 2");
  CHECK(json_at(first.only("room:list").json, "nextCursor") == first.at("nextCursor"));
  const Answer second = world.ask(
      "bob", "room:list", fmt::format(R"({{"limit":3,"cursor":"{}"}})", first.at("nextCursor")));
  CHECK(second.at("rooms.0.name") == "room 1");
  CHECK(second.at("rooms.1.name") == "room 0");
  CHECK(second.at("rooms.2").empty());
  CHECK(second.at("nextCursor") == "null");
  CHECK(world.ask("bob", "room:list", R"({"text":"ROOM 3"})").at("rooms.0.name") == "room 3");
}

TEST_CASE("subscriptions are acknowledged, limited, and end") {
  World world;
  world.connect_all({"ann", "bob"});
  for (int at = 0; at < 8; ++at)
    CHECK(world.ask("bob", "room:subscribe", fmt::format(R"({{"gameId":{}}})", at)).good());
  CHECK(world.ask("bob", "room:subscribe", R"({"gameId":9})").code() == "OVER_CAPACITY");
  (void)world.make_room("ann");
  CHECK(world.list_changes().to("room:list:update") == "ann,bob");
  CHECK(world.ask("bob", "room:unsubscribe", R"({"gameId":1})").good());
  (void)world.make_room("ann");
  CHECK(world.list_changes().to("room:list:update") == "ann");
  CHECK(world.ask("bob", "room:unsubscribe", "{}").good());
  CHECK(world.ask("ann", "room:unsubscribe", "{}").good());
  (void)world.make_room("ann");
  CHECK(world.list_changes().events.empty());
}

TEST_CASE("without the broadcast only who subscribed hears of rooms") {
  World world({.list_broadcast = false});
  world.connect_all({"ann", "bob"});
  CHECK(world.ask("bob", "room:subscribe", "{}").good());
  (void)world.make_room("ann");
  CHECK(world.list_changes().to("room:list:update") == "bob");
}

}  // namespace
}  // namespace tandem
