#include "room/storage/sqlite_rows.h"

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/overloaded.h"

namespace tandem {
namespace {

using Json = nlohmann::json;

constexpr const char* kClientSeen = R"sql(
INSERT INTO clients (id, username, platform, version, created_at, last_seen)
VALUES (?1, ?2, ?3, ?4, ?5, ?5)
ON CONFLICT (id) DO UPDATE SET username = excluded.username,
  platform = iif(excluded.platform = '', platform, excluded.platform),
  version = iif(excluded.version = '', version, excluded.version), last_seen = max(last_seen, excluded.last_seen))sql";

constexpr const char* kRoom = R"sql(
INSERT INTO rooms (id, code, name, game_id, game_version, host_id, host_name, max_players,
  password_verifier, visibility, locked, region, metadata, host_endpoint, host_peer_id, bans,
  actual_players, seq_reserved, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
ON CONFLICT (id) DO UPDATE SET code = excluded.code, name = excluded.name,
  game_id = excluded.game_id, game_version = excluded.game_version, host_id = excluded.host_id,
  host_name = excluded.host_name, max_players = excluded.max_players,
  password_verifier = excluded.password_verifier, visibility = excluded.visibility,
  locked = excluded.locked, region = excluded.region, metadata = excluded.metadata,
  host_endpoint = excluded.host_endpoint, host_peer_id = excluded.host_peer_id,
  bans = excluded.bans, actual_players = excluded.actual_players,
  seq_reserved = excluded.seq_reserved, created_at = excluded.created_at, updated_at = excluded.updated_at)sql";

// A room that was resumed, and closed again after its history was written, is one room. Types are
// clients' own words: the most frequent ones are kept.
constexpr const char* kHistory = R"sql(
INSERT OR REPLACE INTO room_history (id, game_id, host_client_id, max_players, actual_players,
  created_at, closed_at, duration_seconds, region, reason, connection_types)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
  (SELECT json_group_object(connection_type, times)
   FROM (SELECT connection_type, count(*) AS times FROM connection_metrics
         WHERE room_id = ?1 AND duration_seconds IS NOT NULL
         GROUP BY connection_type ORDER BY times DESC LIMIT 16)))
)sql";

constexpr const char* kPlayer = R"sql(
INSERT INTO room_players (room_id, client_id, player_id, name, joined_at, is_ready)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (room_id, client_id) DO UPDATE SET player_id = excluded.player_id,
  name = excluded.name, joined_at = excluded.joined_at, is_ready = excluded.is_ready
)sql";

constexpr const char* kMetric = R"sql(
INSERT INTO connection_metrics (client_id, room_id, connection_type, latency_ms, packet_loss_rate,
  bandwidth_kbps, duration_seconds, recorded_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
)sql";

constexpr std::array<const char*, 3> kExpire{
    "DELETE FROM connection_metrics WHERE id IN (SELECT id FROM connection_metrics"
    " WHERE recorded_at < ?1 ORDER BY recorded_at LIMIT ?2)",
    "DELETE FROM room_history WHERE rowid IN (SELECT rowid FROM room_history"
    " WHERE created_at < ?1 AND closed_at < ?1 ORDER BY created_at LIMIT ?2)",
    "DELETE FROM clients WHERE id IN (SELECT id FROM clients"
    " WHERE last_seen < ?1 ORDER BY last_seen LIMIT ?2)"};

SqlValue number(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}
template <class Number>
SqlValue number(const std::optional<Number>& value) {
  return value ? SqlValue(static_cast<std::int64_t>(*value)) : SqlValue(nullptr);
}
SqlValue text_or_null(const std::string& text) {
  return text.empty() ? SqlValue(nullptr) : SqlValue(text);
}

// Ids of clients come from tokens of other back ends: what is not UTF-8 is made so.
std::string bans_json(const std::vector<std::string>& bans) {
  return Json(bans).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<std::string> bans_in(const std::string& json) {
  std::vector<std::string> bans;
  const Json list = Json::parse(json, nullptr, false);
  if (!list.is_array()) return bans;
  for (const Json& ban : list)
    if (ban.is_string()) bans.push_back(ban.get<std::string>());
  return bans;
}

RoomRow room_in(const SqlRow& row) {
  return {.id = row.text(0),
          .code = row.text(1),
          .name = row.text(2),
          .game_id = row.text(3),
          .game_version = row.text(4),
          .host_id = row.text(5),
          .host_name = row.text(6),
          .players_max = static_cast<std::uint32_t>(row.integer(7)),
          .password_verifier = row.text(8),
          .visibility = row.text(9),
          .locked = row.integer(10) != 0,
          .region = row.text(11),
          .metadata = row.text(12),
          .host_endpoint = row.text(13),
          .host_peer_id = row.text(14),
          .bans = bans_in(row.text(15)),
          .players_most = static_cast<std::uint32_t>(row.integer(16)),
          .seq_reserved = static_cast<std::uint64_t>(row.integer(17)),
          .created_at = row.integer(18),
          .updated_at = row.integer(19)};
}

PlayerRow player_in(const SqlRow& row) {
  return {.room_id = row.text(0),
          .client_id = row.text(1),
          .seat = static_cast<std::uint32_t>(row.integer(2)),
          .name = row.text(3),
          .joined_at = row.integer(4),
          .ready = row.integer(5) != 0};
}

}  // namespace

struct SqliteRows::Statements {
  SqlStatement client_seen;
  SqlStatement room;
  SqlStatement history;
  SqlStatement room_closed;
  SqlStatement player;
  SqlStatement player_left;
  SqlStatement metric;
  SqlStatement delete_rooms;
  std::array<SqlStatement, kExpire.size()> expire;
};

SqliteRows::SqliteRows(std::unique_ptr<Statements> statements)
    : statements_(std::move(statements)) {}
SqliteRows::SqliteRows(SqliteRows&&) noexcept = default;
SqliteRows& SqliteRows::operator=(SqliteRows&&) noexcept = default;
SqliteRows::~SqliteRows() = default;

Result<SqliteRows, SqlFault> SqliteRows::prepare(SqlDatabase& database) {
  SqlDone fault;
  const auto make = [&](const char* sql) {
    auto statement = database.prepare(sql);
    if (statement) return std::move(*statement);
    if (fault) fault = unexpected(statement.error());
    return SqlStatement(nullptr);
  };
  auto statements = std::make_unique<Statements>(Statements{
      .client_seen = make(kClientSeen),
      .room = make(kRoom),
      .history = make(kHistory),
      .room_closed = make("DELETE FROM rooms WHERE id = ?1"),
      .player = make(kPlayer),
      .player_left = make("DELETE FROM room_players WHERE room_id = ?1 AND client_id = ?2"),
      .metric = make(kMetric),
      .delete_rooms = make("DELETE FROM rooms"),  // and, by the foreign key, their players
      .expire = {make(kExpire[0]), make(kExpire[1]), make(kExpire[2])}});
  if (!fault) return unexpected(fault.error());
  return SqliteRows(std::move(statements));
}

SqlDone SqliteRows::write(const StoreWrite& write) {
  Statements& to = *statements_;
  return std::visit(
      Overloaded{
          [&](const ClientSeen& client) {
            return to.client_seen.run(
                {client.id, client.username, client.platform, client.version, client.at});
          },
          [&](const RoomRow& room) {
            const std::string bans = bans_json(room.bans);
            return to.room.run({room.id,
                                room.code,
                                room.name,
                                room.game_id,
                                room.game_version,
                                room.host_id,
                                room.host_name,
                                number(room.players_max),
                                room.password_verifier,
                                room.visibility,
                                number(room.locked),
                                room.region,
                                room.metadata,
                                room.host_endpoint,
                                room.host_peer_id,
                                bans,
                                number(room.players_most),
                                number(room.seq_reserved),
                                room.created_at,
                                room.updated_at});
          },
          [&](const RoomClosed& room) {
            const auto done = to.room_closed.run({room.room_id});
            if (!done) return done;
            return to.history.run(
                {room.room_id, room.game_id, room.host_id, number(room.players_max),
                 number(room.players_most), room.created_at, room.closed_at,
                 (room.closed_at - room.created_at) / 1000, room.region, room.reason});
          },
          [&](const PlayerRow& player) {
            return to.player.run({player.room_id, player.client_id, number(player.seat),
                                  player.name, player.joined_at, number(player.ready)});
          },
          [&](const PlayerLeft& player) {
            return to.player_left.run({player.room_id, player.client_id});
          },
          [&](const ConnectionMetric& metric) {
            const SqlValue loss =
                metric.packet_loss_rate ? SqlValue(*metric.packet_loss_rate) : SqlValue(nullptr);
            return to.metric.run({metric.client_id, text_or_null(metric.room_id),
                                  metric.connection_type, number(metric.latency_ms), loss,
                                  number(metric.bandwidth_kbps), number(metric.duration_s),
                                  metric.recorded_at});
          },
      },
      write);
}

SqlDone SqliteRows::delete_live() {
  return statements_->delete_rooms.run({});
}

Result<std::size_t, SqlFault> SqliteRows::expire(SqlDatabase& database, UnixMillis before,
                                                 std::size_t rows_max) {
  std::size_t deleted = 0;
  for (SqlStatement& statement : statements_->expire) {
    const auto done = statement.run({before, number(rows_max - deleted)});
    if (!done) return unexpected(done.error());
    deleted += static_cast<std::size_t>(database.changes());
    if (deleted >= rows_max) break;
  }
  return deleted;
}

Result<LiveRooms, SqlFault> load_live(SqlDatabase& database) {
  LiveRooms live;
  auto rooms = database.prepare(
      "SELECT id, code, name, game_id, game_version, host_id, host_name, max_players,"
      " password_verifier, visibility, locked, region, metadata, host_endpoint, host_peer_id,"
      " bans, actual_players, seq_reserved, created_at, updated_at FROM rooms ORDER BY created_at, "
      "id");
  if (!rooms) return unexpected(rooms.error());
  auto players = database.prepare(
      "SELECT room_id, client_id, player_id, name, joined_at, is_ready FROM room_players"
      " ORDER BY joined_at, player_id");
  if (!players) return unexpected(players.error());
  auto done = rooms->each({}, [&](const SqlRow& row) { live.rooms.push_back(room_in(row)); });
  if (done)
    done = players->each({}, [&](const SqlRow& row) { live.players.push_back(player_in(row)); });
  if (!done) return unexpected(done.error());
  return live;
}

}  // namespace tandem
