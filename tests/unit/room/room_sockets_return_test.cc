// Going and coming back: drops, takeovers, tokens that expire, the drain.
#include <doctest/doctest.h>

#include "room/room_sockets.h"
#include "tests/unit/room/room_sockets_world.h"

namespace tandem {
namespace {

constexpr Nanos kGrace = 30 * kNanosPerSecond;
constexpr Nanos kSecond = kNanosPerSecond;

// Ann's room with Bob in it.
struct Table {
  explicit Table(const Config& config = room_config(), const RecoveryOptions& recovery = {})
      : world(config, recovery), ann(world), bob(world) {
    ann.enter("ann");
    bob.enter("bob");
    room = ann.make_room();
    bob.join(room);
    ann.rest();
    bob.rest();
  }
  void message(int data) { ann.say("room:message", in(room, {{"data", data}})); }
  Json message_heard(int seq, int data) {
    return in(room, {{"from", "ann"}, {"seq", seq}, {"data", data}});
  }

  SocketsWorld world;
  RoomClient ann;
  RoomClient bob;
  std::string room;
};

TEST_CASE("who drops and comes back with a new socket is told what it missed") {
  Table table;
  table.message(1);
  CHECK(table.bob.rest() == "room:message");
  table.bob.drop();
  CHECK(table.ann.rest() == "room:message");  // and of nobody's going
  CHECK(table.world.server.parked() == 1);
  table.message(2);
  const Json placeholder{{"_placeholder", true}, {"num", 0}};
  table.ann.ask_binary("room:message", in(table.room, {{"data", placeholder}}), {"pixels"});
  table.message(4);

  RoomClient back(table.world);
  back.enter("bob");
  CHECK(back.take("connected")["clientId"] == "bob");
  Json resumed = back.take("room:resumed");
  CHECK(resumed["roomId"] == table.room);
  CHECK(resumed["room"]["id"] == table.room);
  CHECK(resumed["players"].size() == 2);
  CHECK(resumed["self"]["clientId"] == "bob");
  CHECK(resumed["self"]["playerId"] == 2);
  CHECK(resumed["seq"] == 4);
  CHECK(resumed["complete"] == true);
  // The first one was delivered, but no ping has confirmed it.
  Json missed = Json::array();
  for (const int seq : {1, 2, 4})
    missed.push_back(
        {{"event", "room:message"}, {"args", Json::array({table.message_heard(seq, seq)})}});
  CHECK(resumed["missed"] == missed);
  const RoomClient::Heard binary = back.take_whole("room:message");
  CHECK(binary.payload["seq"] == 3);
  CHECK(binary.payload["data"] == placeholder);
  CHECK(binary.attachments == std::vector<std::string>{"<pixels>"});
  CHECK(back.rest() == "");
  CHECK(table.world.server.parked() == 0);
  CHECK(table.world.server.connected() == 2);
  table.message(5);
  CHECK(back.take("room:message")["seq"] == 5);
}

TEST_CASE("each room's resumption has what was missed of that room") {
  Table table;
  const std::string other = table.ann.make_room();
  table.bob.join(other);
  table.bob.drop();
  table.message(1);
  table.ann.say("room:message", in(other, {{"data", 7}}));
  table.ann.say("room:message", in(other, {{"data", 8}}));
  RoomClient back(table.world);
  back.enter("bob");
  for (int i = 0; i < 2; ++i) {
    Json resumed = back.take("room:resumed");
    CHECK(resumed["missed"].size() == (resumed["roomId"] == other ? 2 : 1));
    for (Json& event : resumed["missed"]) CHECK(event["args"][0]["roomId"] == resumed["roomId"]);
  }
  CHECK(back.rest() == "connected");
}

TEST_CASE("who missed more than is kept is told that it is not all") {
  Table table(room_config(), {.enabled = true, .packets_max = 2, .bytes_max = 1 << 16});
  table.bob.drop();
  for (int i = 1; i <= 3; ++i) table.message(i);
  RoomClient back(table.world);
  back.enter("bob");
  Json resumed = back.take("room:resumed");
  CHECK(resumed["complete"] == false);
  REQUIRE(resumed["missed"].size() == 2);
  CHECK(resumed["missed"][0]["args"][0] == table.message_heard(2, 2));
}

TEST_CASE("who shows its last connection is the same socket again") {
  Table table;
  table.message(1);
  CHECK(table.bob.rest() == "room:message");
  table.bob.drop();
  table.message(2);
  RoomClient back(table.world);
  back.enter("bob", &table.bob);
  CHECK(back.sid() == table.bob.sid());
  CHECK(back.take("room:message") == table.message_heard(2, 2));
  Json resumed = back.take("room:resumed");
  CHECK(resumed["seq"] == 2);
  CHECK(resumed["missed"].empty());
  CHECK(resumed["complete"] == true);
  CHECK(back.rest() == "connected");
  CHECK(table.world.server.parked() == 0);
  CHECK(table.world.server.connected() == 2);
  table.world.tick(kGrace + kSecond);
  CHECK(table.ann.rest() == "room:message room:message");
  table.message(3);
  CHECK(back.rest() == "room:message");
  back.drop();
  table.world.tick(3 * kGrace);
  CHECK(table.ann.rest() == "room:message player:left");
  CHECK(table.world.server.parked() == 0);
}

TEST_CASE("who is the same socket again follows the lists that it followed") {
  Table table;
  table.world.tick();
  CHECK(table.bob.ask("room:subscribe", Json::object())["success"] == true);
  table.bob.drop();
  RoomClient recovered(table.world);
  recovered.enter("bob", &table.bob);
  recovered.rest();
  table.ann.make_room();
  table.world.tick(kSecond);
  CHECK(recovered.rest() == "room:list:update");
  recovered.drop();
  RoomClient fresh(table.world);
  fresh.enter("bob");
  fresh.rest();
  table.ann.make_room();
  table.world.tick(2 * kSecond);
  CHECK(fresh.rest() == "");
}

TEST_CASE("another client's last connection is of no use") {
  Table table;
  table.bob.drop();
  table.message(1);
  RoomClient thief(table.world);
  thief.enter("cat", &table.bob);
  CHECK(thief.sid() != table.bob.sid());
  CHECK(thief.take("connected")["clientId"] == "cat");
  CHECK(thief.rest() == "");
  RoomClient back(table.world);
  back.enter("bob", &table.bob);
  CHECK(back.sid() == table.bob.sid());
}

TEST_CASE("what an earlier return was told is not told again as missed") {
  Table table;
  table.bob.drop();
  RoomClient once(table.world);
  once.enter("bob");
  once.drop();
  table.message(1);
  RoomClient twice(table.world);
  twice.enter("bob");
  Json missed = twice.take("room:resumed")["missed"];
  REQUIRE(missed.size() == 1);
  CHECK(missed[0]["event"] == "room:message");
}

TEST_CASE("past its grace a client's seat is free and its socket gone") {
  Table table;
  table.world.store.written.clear();
  SUBCASE("it dropped") {
    table.bob.drop();
  }
  SUBCASE("it disconnected, which is how clients come back") {
    table.bob.disconnect();
  }
  table.world.tick(kGrace - kSecond);
  CHECK(table.ann.rest() == "");
  CHECK(table.world.server.parked() == 1);
  table.world.tick(kGrace + kSecond);
  CHECK(table.ann.take("player:left") ==
        in(table.room, {{"clientId", "bob"}, {"reason", "timeout"}, {"cause", "timeout"}}));
  CHECK(table.world.store.rows<PlayerLeft>() ==
        std::vector{PlayerLeft{.room_id = table.room, .client_id = "bob"}});
  CHECK(table.world.server.parked() == 0);
  CHECK(!table.world.registry.find_client("bob"));
  RoomClient late(table.world);
  late.enter("bob");
  CHECK(late.rest() == "connected");
}

TEST_CASE("who left before it drops has nothing to come back to") {
  Table table;
  table.bob.say("room:leave", in(table.room));
  CHECK(table.ann.rest() == "player:left");
  table.bob.drop();
  RoomClient back(table.world);
  back.enter("bob");
  CHECK(back.rest() == "connected");
}

TEST_CASE("without a grace a drop is the end") {
  Config config = room_config();
  config.room.reconnect_grace_s = 0;
  Table table(config);
  table.bob.drop();
  CHECK(table.ann.take("player:left")["cause"] == "timeout");
  CHECK(table.world.server.parked() == 0);
  CHECK(table.world.server.connected() == 1);
}

TEST_CASE("a grace that became longer holds for who is away") {
  Table table;
  table.bob.drop();
  Config config = room_config();
  config.room.reconnect_grace_s = 300;
  table.world.sockets.apply(config);
  table.world.registry.set_limits(limits_of(config));
  table.world.registry.begin_graces_anew(moment_now());
  table.world.tick(kGrace + kSecond);
  CHECK(table.world.server.parked() == 1);
  CHECK(table.ann.rest() == "");
  table.world.tick(301 * kSecond);
  CHECK(table.world.server.parked() == 0);
  CHECK(table.ann.rest() == "player:left");
}

TEST_CASE("a socket that outlives its client takes nothing from who has its place now") {
  Table table;
  table.ann.drop();
  Config config = room_config();
  config.room.reconnect_grace_s = 1;
  table.world.registry.set_limits(limits_of(config));
  table.bob.drop();
  table.world.tick(2 * kSecond);  // Bob is gone, his socket waits behind Ann's
  CHECK(!table.world.registry.find_client("bob"));
  CHECK(table.world.server.parked() == 2);
  RoomClient cat(table.world);
  cat.enter("cat");
  table.world.tick(kGrace + kSecond);
  CHECK(table.world.server.parked() == 0);
  CHECK(cat.ask("room:list", Json::object())["success"] == true);
}

TEST_CASE("the same client twice: the newer one takes over") {
  Table table;
  table.message(1);
  RoomClient newer(table.world);
  newer.enter("bob");
  CHECK(table.bob.told_to_go());
  CHECK(table.bob.closed() == 1000);
  CHECK(newer.take("connected")["clientId"] == "bob");
  Json resumed = newer.take("room:resumed");
  CHECK(resumed["self"]["clientId"] == "bob");
  REQUIRE(resumed["missed"].size() == 1);
  CHECK(resumed["missed"][0]["args"][0] == table.message_heard(1, 1));
  CHECK(table.world.server.connected() == 2);
  CHECK(table.world.registry.counts().takeovers == 1);
  table.bob.drop();
  table.bob.rest();
  table.world.tick(kGrace + kSecond);  // the older one's end is not the client's
  CHECK(table.ann.rest() == "room:message");
  table.message(2);
  CHECK(newer.rest() == "room:message");
}

// ---- tokens ----

TEST_CASE("a token that expires ends the connection, and a fresh one resumes") {
  Table table;
  RoomClient brief(table.world);
  const UnixSeconds end = SocketsWorld::now() + 1000;
  brief.connect(auth_with(table.world.token("cat", end)));
  brief.join(table.room);
  const auto twenty_ticks = [&](Nanos later) {
    for (int i = 0; i < 20 && !brief.closed(); ++i) table.world.tick(later);
  };
  twenty_ticks(900 * kSecond);
  CHECK(!brief.closed());
  twenty_ticks(1001 * kSecond);
  CHECK(brief.closed() == 1001);
  CHECK(!brief.told_to_go());  // else its library would not come back
  CHECK(!table.ann.closed());
  CHECK(!table.bob.closed());
  CHECK(table.world.server.parked() == 1);
  CHECK(table.world.registry.absent() == 1);
  RoomClient back(table.world);
  back.enter("cat");
  CHECK(back.take("room:resumed")["roomId"] == table.room);
  for (int i = 0; i < 20; ++i) table.world.tick(1001 * kSecond);
  CHECK(!back.closed());
}

TEST_CASE("a socket that is recovered lives as long as its fresh token") {
  SocketsWorld world;
  RoomClient before(world);
  before.connect(auth_with(world.token("ann", SocketsWorld::now() + 1000)));
  before.drop();
  RoomClient back(world);
  back.enter("ann", &before);
  CHECK(back.sid() == before.sid());
  for (int i = 0; i < 20; ++i) world.tick(1001 * kSecond);
  CHECK(!back.closed());
}

// ---- the drain ----

TEST_CASE("a node that drains takes nobody, and opens and fills no rooms") {
  Table table;
  table.world.sockets.set_draining(true);
  RoomClient late(table.world);
  CHECK(code_of(late.connect("")) == "DRAINING");
  const std::string good = table.world.token("cat", SocketsWorld::now() + 60);
  CHECK(code_of(late.connect(auth_with(good))) == "DRAINING");
  CHECK(table.world.stats.authentications_failed() == 0);
  CHECK(code_of(table.bob.ask("room:create", {{"name", "den"}, {"gameId", 1}})) == "DRAINING");
  table.message(1);
  CHECK(table.bob.rest() == "error room:message");
  table.world.sockets.set_draining(false);
  CHECK(!late.connect(auth_with(good)).contains("data"));
  CHECK(late.rest() == "connected");
}

TEST_CASE("while a node drains graces stand still") {
  Table table;
  table.world.sockets.set_draining(true);
  table.bob.drop();
  table.world.tick(kGrace + kSecond);
  CHECK(table.world.server.parked() == 1);
  CHECK(table.ann.rest() == "");
  table.world.sockets.set_draining(false);
  RoomClient back(table.world);
  back.enter("bob");
  CHECK(back.take("room:resumed")["roomId"] == table.room);
}

TEST_CASE("graces begin anew with the end of a drain") {
  // A daemon that started 25 s ago, with a room of before.
  const Moment started = later_by(-25 * kSecond);
  SocketsWorld world(room_config(), {}, started);
  RoomRecord record;
  record.id = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
  record.code = "7KQ2XV";
  record.name = "den";
  record.metadata = "{}";
  record.max_players = 4;
  PlayerRecord player;
  player.client_id = player.name = record.host_id = "ann";
  player.player_id = 1;
  record.players.push_back(player);
  REQUIRE(world.registry.restore(started, {&record, 1}) == 1);
  world.sockets.set_draining(true);
  world.sockets.set_draining(false);
  world.tick(20 * kSecond);
  CHECK(world.registry.rooms() == 1);
  world.tick(kGrace + kSecond);
  CHECK(world.registry.rooms() == 0);
  CHECK(world.store.rows<RoomClosed>().size() == 1);
}

TEST_CASE("tokens expire while a node drains too") {
  SocketsWorld world;
  RoomClient ann(world);
  ann.connect(auth_with(world.token("ann", SocketsWorld::now() + 1000)));
  world.sockets.set_draining(true);
  world.tick(1001 * kSecond);
  CHECK(ann.closed() == 1001);
}

TEST_CASE("what was let go of does nothing any more") {
  Table table;
  table.bob.drop();
  table.world.sockets.close();
  CHECK(table.ann.ask("room:list", Json::object()).is_null());
  CHECK(table.ann.rest() == "");
  table.ann.drop();
  CHECK(table.world.server.parked() == 1);  // Bob's, which nobody discards any more
  CHECK(table.world.server.connected() == 0);
  CHECK(table.world.registry.connected() == 1);
}

}  // namespace
}  // namespace tandem
