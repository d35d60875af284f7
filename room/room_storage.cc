#include "room/room_storage.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "common/overloaded.h"

namespace tandem {
namespace {

std::string_view host_name(const RoomRecord& room) {
  const auto host = std::ranges::find(room.players, room.host_id, &PlayerRecord::client_id);
  return host == room.players.end() ? std::string_view{} : host->name;
}

RoomRow row_of(const RoomRecord& room) {
  return {.id = room.id,
          .code = room.code,
          .name = room.name,
          .game_id = room.game_id,
          .game_version = room.game_version,
          .host_id = room.host_id,
          .host_name = std::string(host_name(room)),
          .players_max = room.max_players,
          .password_verifier = room.password_verifier,
          .visibility = std::string(visibility_name(room.visibility)),
          .locked = room.locked,
          .region = room.region,
          .metadata = room.metadata,
          .host_endpoint = room.host_endpoint,
          .host_peer_id = room.host_peer_id,
          .bans = room.banned,
          .players_most = room.peak_players,
          .seq_reserved = room.seq_reserved,
          .created_at = room.created_at,
          .updated_at = room.updated_at};
}

PlayerRow row_of(const std::string& room_id, const PlayerRecord& player) {
  return {.room_id = room_id,
          .client_id = player.client_id,
          .seat = player.player_id,
          .name = player.name,
          .joined_at = player.joined_at,
          .ready = player.ready};
}

// What does not fit is a client's invention.
std::optional<std::uint32_t> rounded(std::optional<double> value) {
  if (!value) return std::nullopt;
  constexpr double kMost = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::llround(std::clamp(*value, 0.0, kMost)));
}

Visibility visibility_of(std::string_view name) {
  for (const Visibility visibility : {Visibility::listed, Visibility::unlisted})
    if (visibility_name(visibility) == name) return visibility;
  return Visibility::hidden;
}

RoomRecord record_of(const RoomRow& row) {
  return {.id = row.id,
          .code = row.code,
          .name = row.name,
          .game_id = row.game_id,
          .game_version = row.game_version,
          .host_id = row.host_id,
          .host_endpoint = row.host_endpoint,
          .host_peer_id = row.host_peer_id,
          .region = row.region,
          .metadata = row.metadata.empty() ? "{}" : row.metadata,
          .password_verifier = row.password_verifier,
          .visibility = visibility_of(row.visibility),
          .locked = row.locked,
          .max_players = row.players_max,
          .peak_players = row.players_most,
          .created_at = row.created_at,
          .updated_at = row.updated_at,
          .seq_reserved = row.seq_reserved,
          .banned = row.bans,
          .players = {}};
}

}  // namespace

std::vector<StoreWrite> store_writes(const RoomNotice& notice) {
  std::vector<StoreWrite> writes;
  std::visit(
      Overloaded{
          [&](const RoomOpened& opened) {
            writes.emplace_back(row_of(opened.room));
            for (const PlayerRecord& player : opened.room.players)
              writes.emplace_back(row_of(opened.room.id, player));
          },
          [&](const RoomChanged& changed) { writes.emplace_back(row_of(changed.room)); },
          [&](const RoomEnded& ended) {
            const RoomHistory& room = ended.history;
            writes.emplace_back(RoomClosed{.room_id = room.id,
                                           .game_id = room.game_id,
                                           .host_id = room.host_id,
                                           .players_max = room.max_players,
                                           .players_most = room.peak_players,
                                           .region = room.region,
                                           .reason = std::string(close_reason_name(room.reason)),
                                           .created_at = room.created_at,
                                           .closed_at = room.closed_at});
          },
          [&](const PlayerEntered& entered) {
            writes.emplace_back(row_of(entered.room_id, entered.player));
          },
          [&](const PlayerGone& gone) {
            writes.emplace_back(PlayerLeft{.room_id = gone.room_id, .client_id = gone.client_id});
          },
          [&](const ConnectionSample& sample) {
            writes.emplace_back(ConnectionMetric{.client_id = sample.client_id,
                                                 .room_id = sample.room_id,
                                                 .connection_type = sample.connection_type,
                                                 .latency_ms = rounded(sample.latency_ms),
                                                 .packet_loss_rate = sample.packet_loss,
                                                 .bandwidth_kbps = rounded(sample.bandwidth_kbps),
                                                 .duration_s = sample.duration_s,
                                                 .recorded_at = sample.at});
          },
      },
      notice);
  return writes;
}

std::vector<RoomRecord> room_records(const LiveRooms& live) {
  std::vector<RoomRecord> records;
  std::unordered_map<std::string_view, std::size_t> by_id;
  records.reserve(live.rooms.size());
  for (const RoomRow& row : live.rooms) {
    by_id.emplace(row.id, records.size());
    records.push_back(record_of(row));
  }
  for (const PlayerRow& row : live.players) {
    const auto room = by_id.find(row.room_id);
    if (room == by_id.end()) continue;
    records[room->second].players.push_back({.client_id = row.client_id,
                                             .name = row.name,
                                             .player_id = row.seat,
                                             .joined_at = row.joined_at,
                                             .ready = row.ready});
  }
  return records;
}

LiveRooms live_rooms(const std::vector<RoomRecord>& records) {
  LiveRooms live;
  for (const RoomRecord& room : records) {
    live.rooms.push_back(row_of(room));
    for (const PlayerRecord& player : room.players) live.players.push_back(row_of(room.id, player));
  }
  return live;
}

}  // namespace tandem
