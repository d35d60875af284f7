#include "room/room_storage.h"

#include <doctest/doctest.h>

namespace tandem {
namespace {

RoomRecord sample_room() {
  return {.id = "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
          .code = "7KQ2XV",
          .name = "Ada's",
          .game_id = "18446744073709551615",
          .game_version = "1.2",
          .host_id = "bob",
          .host_endpoint = "192.0.2.1:4000",
          .host_peer_id = "peer",
          .region = "eu",
          .metadata = R"({"map":"x"})",
          .password_verifier = "scrypt:1:2:3",
          .visibility = Visibility::unlisted,
          .locked = true,
          .max_players = 4,
          .peak_players = 3,
          .created_at = 1'700'000'000'000,
          .updated_at = 1'700'000'001'000,
          .seq_reserved = 4096,
          .banned = {"eve"},
          .players = {
              {.client_id = "ann", .name = "Ann", .player_id = 2, .joined_at = 5},
              {.client_id = "bob", .name = "Bob", .player_id = 1, .joined_at = 6, .ready = true}}};
}

void check_same(const PlayerRecord& a, const PlayerRecord& b) {
  CHECK(a.client_id == b.client_id);
  CHECK(a.name == b.name);
  CHECK(a.player_id == b.player_id);
  CHECK(a.joined_at == b.joined_at);
  CHECK(a.ready == b.ready);
}

void check_same(const RoomRecord& a, const RoomRecord& b) {
  CHECK(a.id == b.id);
  CHECK(a.code == b.code);
  CHECK(a.name == b.name);
  CHECK(a.game_id == b.game_id);
  CHECK(a.game_version == b.game_version);
  CHECK(a.host_id == b.host_id);
  CHECK(a.host_endpoint == b.host_endpoint);
  CHECK(a.host_peer_id == b.host_peer_id);
  CHECK(a.region == b.region);
  CHECK(a.metadata == b.metadata);
  CHECK(a.password_verifier == b.password_verifier);
  CHECK(a.visibility == b.visibility);
  CHECK(a.locked == b.locked);
  CHECK(a.max_players == b.max_players);
  CHECK(a.peak_players == b.peak_players);
  CHECK(a.created_at == b.created_at);
  CHECK(a.updated_at == b.updated_at);
  CHECK(a.seq_reserved == b.seq_reserved);
  CHECK(a.banned == b.banned);
  REQUIRE(a.players.size() == b.players.size());
  for (std::size_t i = 0; i < a.players.size(); ++i) check_same(a.players[i], b.players[i]);
}

TEST_CASE("a room comes back from its rows as it was") {
  const RoomRecord room = sample_room();
  const LiveRooms live = live_rooms({room});
  REQUIRE(live.rooms.size() == 1);
  CHECK(live.rooms[0].host_name == "Bob");
  const auto back = room_records(live);
  REQUIRE(back.size() == 1);
  check_same(back[0], room);
}

TEST_CASE("every visibility comes back, and an unknown one shows the room to nobody") {
  for (const Visibility visibility :
       {Visibility::listed, Visibility::unlisted, Visibility::hidden}) {
    RoomRecord room = sample_room();
    room.visibility = visibility;
    CHECK(room_records(live_rooms({room}))[0].visibility == visibility);
  }
  LiveRooms live = live_rooms({sample_room()});
  live.rooms[0].visibility = "of a later version";
  CHECK(room_records(live)[0].visibility == Visibility::hidden);
}

TEST_CASE("players of no room are left out, and a room without metadata has an empty object") {
  LiveRooms live = live_rooms({sample_room()});
  live.players[0].room_id = "another";
  live.rooms[0].metadata.clear();
  const auto back = room_records(live);
  REQUIRE(back[0].players.size() == 1);
  CHECK(back[0].players[0].client_id == "bob");
  CHECK(back[0].metadata == "{}");
}

TEST_CASE("an opened room is written before its players") {
  const auto writes = store_writes(RoomOpened{sample_room()});
  REQUIRE(writes.size() == 3);
  CHECK(std::get<RoomRow>(writes[0]).id == sample_room().id);
  CHECK(std::get<PlayerRow>(writes[1]).seat == 2);
  CHECK(std::get<PlayerRow>(writes[2]).ready);
}

TEST_CASE("what becomes of a room") {
  CHECK(std::get<RoomRow>(store_writes(RoomChanged{sample_room()})[0]).name == "Ada's");
  const auto left = store_writes(PlayerGone{"room", "ann", LeaveCause::kicked});
  CHECK(std::get<PlayerLeft>(left[0]) == PlayerLeft{"room", "ann"});
  const auto ended = store_writes(RoomEnded{{.id = "room",
                                             .game_id = "g",
                                             .host_id = "ann",
                                             .region = "eu",
                                             .max_players = 4,
                                             .peak_players = 3,
                                             .created_at = 1000,
                                             .closed_at = 61'000,
                                             .duration_s = 60,
                                             .reason = CloseReason::by_operator}});
  CHECK(std::get<RoomClosed>(ended[0]) == RoomClosed{.room_id = "room",
                                                     .game_id = "g",
                                                     .host_id = "ann",
                                                     .players_max = 4,
                                                     .players_most = 3,
                                                     .region = "eu",
                                                     .reason = "operator",
                                                     .created_at = 1000,
                                                     .closed_at = 61'000});
}

TEST_CASE("a measurement is rounded, and what no column holds is clamped") {
  const auto writes = store_writes(ConnectionSample{.client_id = "ann",
                                                    .room_id = "room",
                                                    .connection_type = "relay",
                                                    .latency_ms = 12.6,
                                                    .packet_loss = 0.25,
                                                    .bandwidth_kbps = 1e300,
                                                    .at = 7});
  const auto& metric = std::get<ConnectionMetric>(writes[0]);
  CHECK(metric.latency_ms == 13u);
  CHECK(metric.packet_loss_rate == 0.25);
  CHECK(metric.bandwidth_kbps == UINT32_MAX);
  CHECK_FALSE(metric.duration_s);
  CHECK(metric.recorded_at == 7);
  const auto ended = store_writes(ConnectionSample{.duration_s = 90});
  CHECK(std::get<ConnectionMetric>(ended[0]).duration_s == 90u);
}

}  // namespace
}  // namespace tandem
