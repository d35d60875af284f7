#include "room/storage/sqlite_schema.h"

#include <fmt/format.h>

#include <string>

namespace tandem {
namespace {

// Times are milliseconds since 1970. History refers to clients and rooms by id alone: those go when
// their time is over, and a row of the history may come before its client's.
constexpr const char* kFirst = R"sql(
CREATE TABLE clients (
  id         TEXT PRIMARY KEY NOT NULL,
  username   TEXT NOT NULL,
  platform   TEXT NOT NULL,
  version    TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  last_seen  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idx_clients_username ON clients (username);
CREATE INDEX idx_clients_last_seen ON clients (last_seen);

CREATE TABLE rooms (
  id                TEXT PRIMARY KEY NOT NULL,
  code              TEXT NOT NULL,
  name              TEXT NOT NULL,
  game_id           TEXT NOT NULL,
  game_version      TEXT NOT NULL,
  host_id           TEXT NOT NULL,
  host_name         TEXT NOT NULL,
  max_players       INTEGER NOT NULL,
  password_verifier TEXT NOT NULL,
  visibility        TEXT NOT NULL,
  locked            INTEGER NOT NULL,
  region            TEXT NOT NULL,
  metadata          TEXT NOT NULL,
  host_endpoint     TEXT NOT NULL,
  host_peer_id      TEXT NOT NULL,
  bans              TEXT NOT NULL,
  actual_players    INTEGER NOT NULL,
  seq_reserved      INTEGER NOT NULL,
  created_at        INTEGER NOT NULL,
  updated_at        INTEGER NOT NULL
) STRICT;
CREATE INDEX idx_rooms_game_id ON rooms (game_id);
CREATE INDEX idx_rooms_region ON rooms (region);
CREATE INDEX idx_rooms_created_at ON rooms (created_at);

CREATE TABLE room_players (
  room_id   TEXT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
  client_id TEXT NOT NULL,
  player_id INTEGER NOT NULL,
  name      TEXT NOT NULL,
  joined_at INTEGER NOT NULL,
  is_ready  INTEGER NOT NULL,
  PRIMARY KEY (room_id, client_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE room_history (
  id               TEXT PRIMARY KEY NOT NULL,
  game_id          TEXT NOT NULL,
  host_client_id   TEXT NOT NULL,
  max_players      INTEGER NOT NULL,
  actual_players   INTEGER NOT NULL,
  created_at       INTEGER NOT NULL,
  closed_at        INTEGER NOT NULL,
  duration_seconds INTEGER NOT NULL,
  region           TEXT NOT NULL,
  reason           TEXT NOT NULL,
  connection_types TEXT NOT NULL
) STRICT;
CREATE INDEX idx_room_history_game_id ON room_history (game_id);
CREATE INDEX idx_room_history_created_at ON room_history (created_at);

CREATE TABLE connection_metrics (
  id               INTEGER PRIMARY KEY,
  client_id        TEXT NOT NULL,
  room_id          TEXT,
  connection_type  TEXT NOT NULL,
  latency_ms       INTEGER,
  packet_loss_rate REAL,
  bandwidth_kbps   INTEGER,
  duration_seconds INTEGER,
  recorded_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX idx_connection_metrics_client_time ON connection_metrics (client_id, recorded_at);
CREATE INDEX idx_connection_metrics_recorded_at ON connection_metrics (recorded_at);
CREATE INDEX idx_connection_metrics_room_id ON connection_metrics (room_id)
  WHERE room_id IS NOT NULL;
)sql";

constexpr const char* kMigrations[] = {kFirst};

OpenFault open_fault(const SqlFault& fault) {
  return {fault.is_damage() ? OpenTrouble::damaged : OpenTrouble::refused, fault.reason};
}

SqlDone make_step(SqlDatabase& database, const char* script, std::size_t version) {
  const std::string statements = fmt::format(
      "BEGIN IMMEDIATE; {}; PRAGMA user_version = {}; PRAGMA application_id = {}; COMMIT", script,
      version, kSqliteApplicationId);
  auto done = database.execute(statements.c_str());
  if (!done && database.in_transaction()) (void)database.execute("ROLLBACK");
  return done;
}

// A file that is empty is nobody's yet.
Result<void, OpenFault> check_owner(SqlDatabase& database) {
  const auto owner = database.integer("PRAGMA application_id");
  if (!owner) return unexpected(open_fault(owner.error()));
  if (*owner == kSqliteApplicationId) return {};
  const auto things = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!things) return unexpected(open_fault(things.error()));
  if (*owner == 0 && *things == 0) return {};
  return unexpected(OpenFault{OpenTrouble::refused, "it is the database of another program"});
}

}  // namespace

std::span<const char* const> sqlite_migrations() {
  return kMigrations;
}

Result<void, OpenFault> migrate_sqlite(SqlDatabase& database,
                                       std::span<const char* const> migrations) {
  if (auto ours = check_owner(database); !ours) return ours;
  const auto version = database.integer("PRAGMA user_version");
  if (!version) return unexpected(open_fault(version.error()));
  const auto last = static_cast<std::int64_t>(migrations.size());
  if (*version < 0 || *version > last)
    return unexpected(OpenFault{
        OpenTrouble::refused,
        fmt::format("its tables are of version {}, this program knows them up to {}: a newer "
                    "version wrote it",
                    *version, last)});
  for (std::int64_t step = *version; step < last; ++step) {
    const auto made = make_step(database, migrations[static_cast<std::size_t>(step)],
                                static_cast<std::size_t>(step) + 1);
    if (!made) return unexpected(open_fault(made.error()));
  }
  return {};
}

}  // namespace tandem
