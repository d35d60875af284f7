// Messages, signals, and the relay sessions of pairs.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <string>

#include "tests/unit/room/room_world.h"

namespace tandem {
namespace {

// Three clients in one room, a fourth outside.
struct Table : World {
  explicit Table(const RegistryLimits& limits = {}) : World(limits) {
    connect_all({"ann", "bob", "cat", "dan"});
    room = make_room("ann");
    (void)join("bob", room);
    (void)join("cat", room);
  }
  Answer fails(const std::string& id, std::string_view target, std::string_view more = "") {
    return ask(id, "p2p:failure",
               in(room, fmt::format(R"("targetClientId":"{}"{})", target, more)));
  }
  std::string room;
};

TEST_CASE("room:message goes to all in one order, the sender included") {
  Table table;
  for (int at = 1; at <= 3; ++at) {
    const Answer answer = table.ask(at == 2 ? "bob" : "ann", "room:message",
                                    World::in(table.room, R"("data":{"x": [1.50,"\u00e9"]})"));
    REQUIRE(answer.good());
    CHECK(answer.at("seq") == std::to_string(at));
    CHECK(answer.to("room:message") == "ann,bob,cat");
    const std::string json = answer.only("room:message").json;
    CHECK(json ==
          fmt::format(R"({{"roomId":"{}","from":"{}","seq":{},"data":{{"x": [1.50,"\u00e9"]}}}})",
                      table.room, at == 2 ? "bob" : "ann", at));
    CHECK(answer.notices.empty());
  }
}

TEST_CASE("a message to one is heard by that one, and has its own number") {
  Table table;
  const Answer one =
      table.ask("ann", "room:message", World::in(table.room, R"("data":1,"to":"cat")"));
  CHECK(one.to("room:message") == "cat");
  CHECK(one.at("seq") == "1");
  CHECK(table.ask("ann", "room:message", World::in(table.room, R"("data":1)")).at("seq") == "2");
  CHECK(table.ask("ann", "room:message", World::in(table.room, R"("data":1,"to":"dan")")).code() ==
        "NOT_IN_ROOM");
  CHECK(table.ask("ann", "room:message", World::in(table.room, R"("data":1)")).at("seq") == "3");
}

TEST_CASE("only members speak, in their room") {
  Table table;
  CHECK(table.ask("dan", "room:message", World::in(table.room, R"("data":1)")).code() ==
        "NOT_IN_ROOM");
  CHECK(table.ask("ann", "room:message", World::in("x", R"("data":1)")).code() == "NOT_FOUND");
  CHECK(table.ask("dan", "p2p:signal", World::in(table.room, R"("targetClientId":"ann","data":1)"))
            .code() == "NOT_IN_ROOM");
}

TEST_CASE("attachments go along with messages and signals") {
  Table table;
  const std::string data = R"("data":{"_placeholder":true,"num":0})";
  const Answer message = table.ask("ann", "room:message", World::in(table.room, data), 1);
  CHECK(message.only("room:message").attachments);
  CHECK(json_at(message.only("room:message").json, "data.num") == "0");
  const Answer signal =
      table.ask("ann", "p2p:signal", World::in(table.room, R"("targetClientId":"bob",)" + data), 1);
  CHECK(signal.only("p2p:signal").attachments);
}

TEST_CASE("storage hears of a room's numbers once in so many messages") {
  Table table;
  std::size_t notices = 0;
  std::uint64_t reserved = table.registry.view_room(table.room)->record.seq_reserved;
  for (std::uint64_t seq = 1; seq <= 10'000; ++seq) {
    const Answer answer = table.ask("ann", "room:message", World::in(table.room, R"("data":1)"));
    for (const RoomChanged& each : answer.told<RoomChanged>()) reserved = each.room.seq_reserved;
    notices += answer.notices.size();
    CHECK(seq <= reserved);
  }
  CHECK(notices == 2);
}

TEST_CASE("p2p:signal goes to its target alone") {
  Table table;
  const Answer answer = table.ask(
      "ann", "p2p:signal", World::in(table.room, R"("targetClientId":"bob","data":{"sdp":"v=0"})"));
  REQUIRE(answer.good());
  CHECK(answer.to("p2p:signal") == "bob");
  CHECK(
      answer.only("p2p:signal").json ==
      fmt::format(R"({{"roomId":"{}","fromClientId":"ann","data":{{"sdp":"v=0"}}}})", table.room));
  CHECK(table.ask("ann", "p2p:signal", World::in(table.room, R"("targetClientId":"dan","data":1)"))
            .code() == "NOT_IN_ROOM");
  CHECK(table.ask("ann", "p2p:signal", World::in(table.room, R"("targetClientId":"ann","data":1)"))
            .code() == "BAD_REQUEST");
}

TEST_CASE("p2p:success is counted, and told to storage") {
  Table table;
  const auto succeed = [&](std::string_view type) {
    return table.ask("ann", "p2p:success",
                     World::in(table.room, fmt::format(R"("targetClientId":"bob","latencyMs":12.5,
                                                          "connectionType":"{}")",
                                                       type)));
  };
  const Answer answer = succeed("lan");
  REQUIRE(answer.good());
  CHECK(answer.events.empty());
  const auto samples = answer.told<ConnectionSample>();
  REQUIRE(samples.size() == 1);
  CHECK(samples[0].client_id == "ann");
  CHECK(samples[0].room_id == table.room);
  CHECK(samples[0].connection_type == "lan");
  CHECK(samples[0].latency_ms == 12.5);
  CHECK(samples[0].at == table.now.wall);
  CHECK(table.registry.counts().p2p_succeeded == 1);
  CHECK(table.ask("dan", "p2p:success", World::in("x", R"("targetClientId":"ann")")).code() ==
        "NOT_FOUND");
}

TEST_CASE("p2p:failure asks for one session a pair, whoever reports and how often") {
  Table table;
  const Answer first = table.fails("ann", "bob");
  REQUIRE(first.good());
  REQUIRE(first.relay.has_value());
  CHECK_FALSE(first.relay->session_id.has_value());
  CHECK_FALSE(first.relay->replaces.has_value());
  CHECK_FALSE(first.relay->under_way);
  CHECK(first.relay->region == "global");
  CHECK(table.names.at(first.relay->first) == "ann");
  CHECK(table.names.at(first.relay->second) == "bob");

  const Answer both = table.fails("bob", "ann");  // while it is being minted
  REQUIRE(both.relay.has_value());
  CHECK(both.relay->under_way);
  CHECK(table.grant(*first.relay, 7).revoked.empty());

  const Answer repeat = table.fails("bob", "ann");
  REQUIRE(repeat.relay.has_value());
  CHECK(repeat.relay->session_id == 7u);
  CHECK_FALSE(repeat.relay->under_way);
  CHECK(table.names.at(repeat.relay->first) == "ann");  // slots stay
  CHECK(table.names.at(repeat.relay->reporter) == "bob");
  (void)table.grant(*repeat.relay, 7);
  CHECK(table.registry.relay_sessions() == 1);
  CHECK(table.registry.counts().p2p_failed == 1);
  CHECK_FALSE(table.fails("ann", "cat").relay->session_id.has_value());
}

TEST_CASE("naming a session whose relay cannot be reached brings another one") {
  Table table;
  (void)table.grant(*table.fails("ann", "bob").relay, 7);
  const std::string named = R"(,"sessionId":"0000000000000007")";
  const Answer renew = table.fails("ann", "bob", named);
  REQUIRE(renew.relay.has_value());
  CHECK(renew.relay->replaces == 7u);
  CHECK_FALSE(renew.relay->session_id.has_value());
  CHECK(table.fails("bob", "ann", named).relay->under_way);
  CHECK(table.grant(*renew.relay, 8).revoked == std::vector<std::uint64_t>{7});
  // The other end is late with the old one: it gets the new one.
  CHECK(table.fails("bob", "ann", named).relay->session_id == 8u);
  CHECK(table.registry.relay_sessions() == 1);
}

TEST_CASE("a relay that dies sets off another one") {
  Table table;
  (void)table.grant(*table.fails("ann", "bob").relay, 7);
  Outcome outcome;
  CHECK(table.registry.relay_lost(7, outcome));
  REQUIRE(outcome.relay.has_value());
  CHECK(outcome.relay->replaces == 7u);
  const RelayWanted wanted = *outcome.relay;
  outcome.clear();
  CHECK(table.registry.relay_lost(7, outcome));
  CHECK(outcome.relay->under_way);
  CHECK(table.grant(wanted, 9).revoked == std::vector<std::uint64_t>{7});
  CHECK_FALSE(table.registry.relay_lost(7, outcome));
}

TEST_CASE("no relay: the next report asks again") {
  Table table;
  const Answer first = table.fails("ann", "bob");
  table.registry.relay_refused(first.relay->room, first.relay->first, first.relay->second);
  const Answer second = table.fails("ann", "bob");
  CHECK_FALSE(second.relay->under_way);
  (void)table.grant(*second.relay, 7);
  const Answer renew = table.fails("ann", "bob", R"(,"sessionId":"0000000000000007")");
  table.registry.relay_refused(renew.relay->room, renew.relay->first, renew.relay->second);
  CHECK(table.fails("ann", "bob").relay->session_id == 7u);  // it still has that one
}

TEST_CASE("sessions end with who is in them, and with the room") {
  Table table;
  (void)table.grant(*table.fails("ann", "bob").relay, 1);
  (void)table.grant(*table.fails("ann", "cat").relay, 2);
  (void)table.grant(*table.fails("bob", "cat").relay, 3);
  SUBCASE("kick") {
    const Answer answer =
        table.ask("ann", "room:kick", World::in(table.room, R"("clientId":"bob")"));
    CHECK(answer.revoked == std::vector<std::uint64_t>{1, 3});
    CHECK(table.registry.relay_sessions() == 1);
  }
  SUBCASE("leave") {
    const Answer answer = table.ask("cat", "room:leave", World::in(table.room));
    CHECK(answer.revoked == std::vector<std::uint64_t>{2, 3});
  }
  SUBCASE("timeout, not a drop") {
    CHECK(table.drop("cat").revoked.empty());
    CHECK(table.pass_and_expire(30 * kNanosPerSecond).revoked == std::vector<std::uint64_t>{2, 3});
  }
  SUBCASE("close") {
    CHECK(table.close(table.room).revoked == std::vector<std::uint64_t>{1, 2, 3});
    CHECK(table.registry.relay_sessions() == 0);
  }
}

TEST_CASE("what is minted for who is gone is refused") {
  Table table;
  const RelayWanted wanted = *table.fails("ann", "bob").relay;
  (void)table.ask("bob", "room:leave", World::in(table.room));
  (void)table.grant(wanted, 7, false);
  CHECK(table.registry.relay_sessions() == 0);
  (void)table.join("bob", table.room);
  (void)table.grant(wanted, 7, false);
  (void)table.close(table.room);
  (void)table.grant(wanted, 7, false);
}

TEST_CASE("relay sessions a client are limited, at both ends") {
  Table table({.relay_sessions_per_client = 1});
  (void)table.grant(*table.fails("ann", "bob").relay, 1);
  const Answer own = table.fails("ann", "cat");
  CHECK(own.code() == "OVER_CAPACITY");
  CHECK(own.error->message == "you have the most relay sessions that a client can have, 1");
  CHECK_FALSE(own.relay.has_value());
  CHECK(table.fails("cat", "bob").error->message ==
        "the other one has the most relay sessions that a client can have, 1");
  CHECK(table.fails("ann", "bob").good());
  (void)table.ask("bob", "room:leave", World::in(table.room));
  CHECK(table.fails("ann", "cat").good());
}

TEST_CASE("both have to be in the room") {
  Table table;
  CHECK(table.fails("ann", "dan").code() == "NOT_IN_ROOM");
  CHECK(table.fails("dan", "ann").code() == "NOT_IN_ROOM");
  CHECK(table.fails("ann", "ann").code() == "BAD_REQUEST");
}

TEST_CASE("relay:beacons are kept, the last ones") {
  Table table;
  CHECK(table.ask("ann", "relay:beacons", R"({"relays":[{"id":"a","rttMs":9}]})").good());
  CHECK(table.ask("ann", "relay:beacons", R"({"relays":[{"id":"b","rttMs":3.5}]})").good());
  const auto beacons = table.registry.beacons(table.connection.at("ann").client);
  REQUIRE(beacons.size() == 1);
  CHECK(beacons[0].relay_id == "b");
  CHECK(beacons[0].rtt_ms == 3.5);
  CHECK(table.registry.beacons(table.connection.at("bob").client).empty());
  CHECK(table.registry.beacons(ClientKey{}).empty());
}

TEST_CASE("relay:report is for who is in the session") {
  Table table;
  (void)table.grant(*table.fails("ann", "bob").relay, 7);
  const std::string_view report =
      R"({"sessionId":"0000000000000007","latencyMs":20,"packetLoss":0.25,"bandwidthKbps":900})";
  const Answer answer = table.ask("bob", "relay:report", report);
  REQUIRE(answer.good());
  const auto samples = answer.told<ConnectionSample>();
  REQUIRE(samples.size() == 1);
  CHECK(samples[0].connection_type == "relay");
  CHECK(samples[0].packet_loss == 0.25);
  CHECK(samples[0].bandwidth_kbps == 900);
  CHECK(table.ask("cat", "relay:report", report).code() == "NOT_FOUND");
  CHECK(table.ask("bob", "relay:report", R"({"sessionId":"0000000000000008"})").code() ==
        "NOT_FOUND");
}

}  // namespace
}  // namespace tandem
