// What the others hear of a client's events, and what reaches the storage.
#include <doctest/doctest.h>

#include "room/room_sockets.h"
#include "tests/unit/room/room_sockets_world.h"

namespace tandem {
namespace {

// Ann's room with Bob in it, and Dan outside.
struct Table {
  explicit Table(const Config& config = room_config())
      : world(config), ann(world), bob(world), dan(world) {
    ann.enter("ann");
    bob.enter("bob");
    dan.enter("dan");
    room = ann.make_room();
    bob.join(room);
    for (RoomClient* each : {&ann, &bob, &dan}) each->rest();
  }

  SocketsWorld world;
  RoomClient ann;
  RoomClient bob;
  RoomClient dan;
  std::string room;
};

TEST_CASE("a message goes to everyone in the room, the sender included, and to nobody else") {
  Table table;
  Json answer = table.ann.ask("room:message", in(table.room, {{"data", {{"x", 1}}}}));
  CHECK(answer == Json{{"success", true}, {"seq", 1}});
  Json message = in(table.room, {{"from", "ann"}, {"seq", 1}, {"data", {{"x", 1}}}});
  CHECK(table.ann.take("room:message") == message);
  CHECK(table.bob.take("room:message") == message);
  table.bob.say("room:message", in(table.room, {{"data", "back"}, {"to", "ann"}}));
  CHECK(table.ann.take("room:message")["seq"] == 2);
  CHECK(table.bob.rest() == "");
  CHECK(table.dan.rest() == "");
  CHECK(code_of(table.dan.ask("room:message", in(table.room, {{"data", 1}}))) == "NOT_IN_ROOM");
  CHECK(table.world.stats.events(EventType::room_message).total() == 3);
}

TEST_CASE("a message's attachments go with it") {
  Table table;
  const Json data{{"a", {{"_placeholder", true}, {"num", 0}}},
                  {"b", {{"_placeholder", true}, {"num", 1}}}};
  const std::vector<std::string> sent{std::string("\x00\x01", 2), "second"};
  CHECK(table.ann.ask_binary("room:message", in(table.room, {{"data", data}}), sent)["seq"] == 1);
  const std::vector<std::string> arrived{std::string("<\x00\x01>", 4), "<second>"};
  for (RoomClient* each : {&table.ann, &table.bob}) {
    const RoomClient::Heard message = each->take_whole("room:message");
    CHECK(message.payload == in(table.room, {{"from", "ann"}, {"seq", 1}, {"data", data}}));
    CHECK(message.attachments == arrived);
    CHECK(each->rest() == "");
  }
  CHECK(table.dan.rest() == "");
  Json refused = table.ann.ask_binary("room:ready", in(table.room, {{"ready", true}}), {"x"});
  CHECK(code_of(refused) == "BAD_REQUEST");
}

TEST_CASE("a signal goes to its target alone, with its attachments") {
  Table table;
  const Json data{{"_placeholder", true}, {"num", 0}};
  Json answer = table.ann.ask_binary(
      "p2p:signal", in(table.room, {{"targetClientId", "bob"}, {"data", data}}), {"sdp"});
  CHECK(answer == Json{{"success", true}});
  const RoomClient::Heard signal = table.bob.take_whole("p2p:signal");
  CHECK(signal.payload == in(table.room, {{"fromClientId", "ann"}, {"data", data}}));
  CHECK(signal.attachments == std::vector<std::string>{"<sdp>"});
  CHECK(table.ann.rest() == "");
  CHECK(table.dan.rest() == "");
}

TEST_CASE("who subscribed hears of rooms, at most ten times a second") {
  Table table;
  table.world.tick();  // what happened before nobody followed
  CHECK(table.dan.ask("room:subscribe", {{"gameId", 7}})["success"] == true);
  const Moment begun = moment_now();
  const auto tick = [&](Nanos later) {
    table.world.sockets.tick(later_by(later, begun));
    return table.dan.rest();
  };
  table.ann.make_room({{"gameId", 8}});
  const std::string room = table.ann.make_room({{"gameId", 7}});
  CHECK(tick(kNanosPerSecond) == "room:list:update");
  CHECK(tick(kNanosPerSecond + 200 * kNanosPerMillisecond) == "");
  table.ann.say("room:update", in(room, {{"name", "one"}}));
  table.ann.say("room:update", in(room, {{"name", "two"}}));
  table.world.sockets.tick(later_by(kNanosPerSecond + 300 * kNanosPerMillisecond, begun));
  Json update = table.dan.take("room:list:update");
  CHECK(update["type"] == "update");
  CHECK(update["room"]["name"] == "two");
  table.ann.say("room:leave", in(room));
  CHECK(tick(kNanosPerSecond + 399 * kNanosPerMillisecond) == "");
  table.world.sockets.tick(later_by(kNanosPerSecond + 400 * kNanosPerMillisecond, begun));
  CHECK(table.dan.take("room:list:update")["type"] == "remove");
  CHECK(table.dan.rest() == "");
  CHECK(table.bob.rest() == "");
}

TEST_CASE("what others have done to the registry is sent, stored and revoked too") {
  Table table;
  table.world.fleet.relays = {relay_named("one")};
  table.ann.ask("p2p:failure", in(table.room, {{"targetClientId", "bob"}}));
  for (RoomClient* each : {&table.ann, &table.bob}) each->rest();
  Outcome outcome;
  REQUIRE(
      table.world.registry.close_room(moment_now(), table.room, CloseReason::by_operator, outcome));
  table.world.sockets.settle(outcome);
  for (RoomClient* each : {&table.ann, &table.bob}) {
    CHECK(each->take("room:closed") == in(table.room, {{"reason", "operator"}}));
    CHECK(each->rest() == "");
  }
  CHECK(table.dan.rest() == "");
  const auto closed = table.world.store.rows<RoomClosed>();
  REQUIRE(closed.size() == 1);
  CHECK(closed[0].room_id == table.room);
  CHECK(closed[0].reason == "operator");
  CHECK(table.world.fleet.revoked.size() == 1);
  CHECK(table.world.relays.sessions() == 0);
  CHECK(outcome.notices.empty());
  CHECK(outcome.revoked.empty());
}

// ---- the storage ----

TEST_CASE("a room's life as the storage hears of it") {
  SocketsWorld world;
  RoomClient ann(world);
  RoomClient bob(world);
  ann.enter("ann");
  bob.enter("bob");
  world.store.written.clear();
  const auto written = [&] { return std::exchange(world.store.written, {}); };

  const std::string room = ann.make_room({{"name", "den"}, {"maxPlayers", 4}});
  auto writes = written();
  REQUIRE(writes.size() == 2);
  CHECK(std::get<RoomRow>(writes[0]).id == room);
  CHECK(std::get<RoomRow>(writes[0]).name == "den");
  CHECK(std::get<RoomRow>(writes[0]).host_id == "ann");
  CHECK(std::get<RoomRow>(writes[0]).players_max == 4);
  CHECK(std::get<PlayerRow>(writes[1]).room_id == room);
  CHECK(std::get<PlayerRow>(writes[1]).client_id == "ann");
  CHECK(std::get<PlayerRow>(writes[1]).seat == 1);

  bob.join(room);
  writes = written();
  REQUIRE(writes.size() == 1);
  CHECK(std::get<PlayerRow>(writes[0]).client_id == "bob");
  ann.say("room:update", in(room, {{"locked", true}}));
  writes = written();
  REQUIRE(writes.size() == 1);
  CHECK(std::get<RoomRow>(writes[0]).locked);

  ann.say("room:message", in(room, {{"data", 1}}));
  ann.say("p2p:signal", in(room, {{"targetClientId", "bob"}, {"data", 1}}));
  ann.ask("room:kick", in(room, {{"clientId", "nobody"}}));
  CHECK(written().empty());

  bob.say("room:leave", in(room));
  writes = written();
  REQUIRE(writes.size() == 1);
  CHECK(std::get<PlayerLeft>(writes[0]) == PlayerLeft{.room_id = room, .client_id = "bob"});
  ann.say("room:leave", in(room));
  writes = written();
  REQUIRE(writes.size() == 2);
  CHECK(std::get<PlayerLeft>(writes[0]).client_id == "ann");
  CHECK(std::get<RoomClosed>(writes[1]).reason == "empty");
  CHECK(std::get<RoomClosed>(writes[1]).players_most == 2);
}

TEST_CASE("how pairs are connected is counted and kept") {
  Table table;
  table.world.fleet.relays = {relay_named("one")};
  table.world.store.written.clear();
  const auto metrics = [&] {
    const auto rows = table.world.store.rows<ConnectionMetric>();
    table.world.store.written.clear();
    return rows;
  };
  table.ann.say(
      "p2p:success",
      in(table.room, {{"targetClientId", "bob"}, {"latencyMs", 12.6}, {"connectionType", "lan"}}));
  auto rows = metrics();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].client_id == "ann");
  CHECK(rows[0].room_id == table.room);
  CHECK(rows[0].connection_type == "lan");
  CHECK(rows[0].latency_ms == 13);
  CHECK(table.world.stats.p2p_successes(ConnectionType::lan) == 1);
  CHECK(table.world.stats.p2p_failures() == 0);

  Json relay = table.bob.ask("p2p:failure", in(table.room, {{"targetClientId", "ann"}}));
  CHECK(table.world.stats.p2p_failures() == 1);
  rows = metrics();
  REQUIRE(rows.size() == 1);  // Ann's LAN is over, with its duration
  CHECK(rows[0].connection_type == "lan");
  CHECK(rows[0].duration_s == 0);
  table.bob.say("relay:report", {{"sessionId", relay["sessionId"]}, {"packetLoss", 0.25}});
  rows = metrics();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].client_id == "bob");
  CHECK(rows[0].connection_type == "relay");
  CHECK(rows[0].packet_loss_rate == 0.25);
  table.bob.say("room:leave", in(table.room));
  CHECK(metrics().size() == 2);  // both ends of the relay's

  table.ann.say("p2p:success", in(table.room, {{"targetClientId", "nobody"}}));
  table.ann.say("p2p:failure", in(table.room, {{"targetClientId", "nobody"}}));
  CHECK(table.world.stats.p2p_successes_total() == 1);
  CHECK(table.world.stats.p2p_failures() == 1);
  CHECK(metrics().empty());
}

}  // namespace
}  // namespace tandem
