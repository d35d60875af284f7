// How long members reached each other, as storage is told once it is over.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "room_world.h"

namespace tandem {
namespace {

// Three in one room.
struct Table : World {
  Table() {
    connect_all({"ann", "bob", "cat"});
    room = make_room("ann");
    for (const char* id : {"bob", "cat"}) REQUIRE(join(id, room).good());
  }
  Answer succeeds(const std::string& who, std::string_view target, std::string_view type) {
    return ask(
        who, "p2p:success",
        in(room, fmt::format(R"("targetClientId":"{}","connectionType":"{}")", target, type)));
  }
  Answer relay(const std::string& who, std::string_view target, std::uint64_t session) {
    const Answer asked =
        ask(who, "p2p:failure", in(room, fmt::format(R"("targetClientId":"{}")", target)));
    REQUIRE(asked.relay.has_value());
    return grant(*asked.relay, session);
  }
  std::string room;
};

using Ended = std::tuple<std::string, std::string, std::uint32_t>;  // who, how, how many seconds

std::vector<Ended> ended(const Answer& answer) {
  std::vector<Ended> all;
  for (const ConnectionSample& each : answer.told<ConnectionSample>())
    if (each.duration_s) all.emplace_back(each.client_id, each.connection_type, *each.duration_s);
  std::ranges::sort(all);
  return all;
}

TEST_CASE("a connection lasts until one of the two leaves, however often it was reported") {
  Table table;
  CHECK(ended(table.succeeds("ann", "bob", "lan")).empty());
  table.pass(5 * kNanosPerSecond);
  CHECK(ended(table.succeeds("bob", "ann", "")).empty());
  table.pass(5 * kNanosPerSecond);
  CHECK(ended(table.succeeds("ann", "bob", "lan")).empty());
  (void)table.succeeds("ann", "cat", "wan");
  table.pass(kNanosPerSecond);
  const Answer left = table.ask("bob", "room:leave", World::in(table.room));
  CHECK(ended(left) == std::vector<Ended>{{"ann", "lan", 11}, {"bob", "direct", 6}});
  for (const ConnectionSample& each : left.told<ConnectionSample>()) {
    CHECK(each.room_id == table.room);
    CHECK(each.at == table.now.wall);
    CHECK_FALSE(each.latency_ms.has_value());
  }
  CHECK(ended(table.quit("ann")) == std::vector<Ended>{{"ann", "wan", 1}});
}

TEST_CASE("a relay session is a connection of both, and another way ends it") {
  Table table;
  (void)table.relay("ann", "bob", 7);
  table.pass(60 * kNanosPerSecond);
  CHECK(ended(table.succeeds("bob", "ann", "wan")) == std::vector<Ended>{{"bob", "relay", 60}});
  table.pass(kNanosPerSecond);
  // Fresh tokens of the same session begin nothing anew.
  CHECK(ended(table.relay("ann", "bob", 7)).empty());
  CHECK(ended(table.close(table.room)) ==
        std::vector<Ended>{{"ann", "relay", 61}, {"bob", "wan", 1}});
}

TEST_CASE("when the node ends all that lasts is told once, some rooms at a time") {
  Table table;
  (void)table.succeeds("ann", "bob", "lan");
  table.connect_all({"dan", "eve"});
  const std::string other = table.make_room("dan");
  REQUIRE(table.join("eve", other).good());
  (void)table.ask("eve", "p2p:success", World::in(other, R"("targetClientId":"dan")"));
  table.pass(3 * kNanosPerSecond);
  std::uint32_t index = 0;
  CHECK(ended(table.end_links(index, 1)) == std::vector<Ended>{{"ann", "lan", 3}});
  CHECK(index != RoomRegistry::kListEnd);
  CHECK(ended(table.end_links(index, 1)) == std::vector<Ended>{{"eve", "direct", 3}});
  CHECK(index == RoomRegistry::kListEnd);
  CHECK(ended(table.end_links(index, 1)).empty());
  CHECK(ended(table.close(table.room)).empty());
}

TEST_CASE("a member that is absent keeps its connections until its grace is over") {
  Table table;
  (void)table.succeeds("ann", "bob", "lan");
  table.pass(10 * kNanosPerSecond);
  CHECK(ended(table.drop("bob")).empty());
  const auto over = ended(table.pass_and_expire(table.registry.limits().reconnect_grace));
  REQUIRE(over.size() == 1);
  CHECK(std::get<2>(over[0]) == 40);
}

}  // namespace
}  // namespace tandem
