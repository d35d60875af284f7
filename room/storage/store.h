// What outlives a restart: the live rooms with their players, and the history that operators look
// at. The rows, and what a driver has to do with them; no driver, no SQL.
//
// A store belongs to the control thread and never makes it wait: writes are queued, a thread of the
// store's own brings them to disk, and what comes back comes by the `post` that it was opened with.
// Only open_store(), load() and finish() block, and they stand before and after the loop.
//
// The live part is kept as it is, not as it changed: a row that comes twice replaces the first, so
// the caller may post a room as often as it changes. The history is only ever added to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "common/config.h"
#include "common/metrics.h"
#include "common/result.h"

namespace tandem {

// Milliseconds since 1970, as all times of the store.
using UnixMillis = std::int64_t;

// A client came: its first or another time.
struct ClientSeen {
  std::string id;
  std::string username;
  std::string platform;
  std::string version;
  UnixMillis at = 0;
  friend bool operator==(const ClientSeen&, const ClientSeen&) = default;
};

// A live room, with all that it takes to go on with it.
struct RoomRow {
  std::string id;
  std::string code;
  std::string name;
  std::string game_id;
  std::string game_version;
  std::string host_id;
  std::string host_name;
  std::uint32_t players_max = 0;
  std::string password_verifier = {};  // empty: no password
  std::string visibility;              // "public", "unlisted", "private"
  bool locked = false;
  std::string region = {};
  std::string metadata = {};  // JSON; empty: none
  std::string host_endpoint = {};
  std::string host_peer_id = {};
  std::vector<std::string> bans = {};  // client ids
  std::uint32_t players_most = 0;      // that were in it at one time
  std::uint64_t seq_reserved = 0;      // no message of it had a larger number
  UnixMillis created_at = 0;
  UnixMillis updated_at = 0;
  friend bool operator==(const RoomRow&, const RoomRow&) = default;
};

// The live room and its players go; this is what the history keeps of it. How its players were
// connected the store reads from the room's ConnectionMetrics.
struct RoomClosed {
  std::string room_id = {};
  std::string game_id;
  std::string host_id;
  std::uint32_t players_max = 0;
  std::uint32_t players_most = 0;  // that were in it at one time
  std::string region = {};
  std::string reason = {};  // "empty", "timeout", "operator", ...
  UnixMillis created_at = 0;
  UnixMillis closed_at = 0;
  friend bool operator==(const RoomClosed&, const RoomClosed&) = default;
};

// A seat of a live room: joined, or ready changed.
struct PlayerRow {
  std::string room_id = {};
  std::string client_id;
  std::uint32_t seat = 0;  // playerId
  std::string name;
  UnixMillis joined_at = 0;
  bool ready = false;
  friend bool operator==(const PlayerRow&, const PlayerRow&) = default;
};

struct PlayerLeft {
  std::string room_id = {};
  std::string client_id;
  friend bool operator==(const PlayerLeft&, const PlayerLeft&) = default;
};

// One report of how two clients are connected.
struct ConnectionMetric {
  std::string client_id;
  std::string room_id = {};  // empty: none
  std::string connection_type;
  std::optional<std::uint32_t> latency_ms = {};
  std::optional<double> packet_loss_rate = {};  // 0 to 1
  std::optional<std::uint32_t> bandwidth_kbps = {};
  std::optional<std::uint32_t> duration_s = {};
  UnixMillis recorded_at = 0;
  friend bool operator==(const ConnectionMetric&, const ConnectionMetric&) = default;
};

using StoreWrite =
    std::variant<ClientSeen, RoomRow, RoomClosed, PlayerRow, PlayerLeft, ConnectionMetric>;

struct LiveRooms {
  std::vector<RoomRow> rooms;      // in the order of their creation
  std::vector<PlayerRow> players;  // of these rooms, in the order they joined
  friend bool operator==(const LiveRooms&, const LiveRooms&) = default;
};

struct StoreStatistics {
  std::string_view driver = {};  // "sqlite", "postgres", "none"
  bool ok = true;                // the last write, where there was one, reached the store
  bool live_stale = false;       // a write of the live part was dropped since replace_live()
  std::uint64_t queued = 0;      // waiting now
  std::uint64_t queue_max = 0;   // of them; one more is dropped
  std::uint64_t written = 0;     // reached the store
  std::uint64_t coalesced = 0;   // replaced by a newer row of the same room before it was written
  std::uint64_t dropped = 0;     // lost to a full queue
  std::uint64_t rejected = 0;    // refused by the store for what they say; 0 unless we have a bug
  std::uint64_t errors = 0;      // times that a batch could not be written; it is tried again
  std::uint64_t expired = 0;     // rows that retention deleted
  std::uint64_t size_bytes = 0;  // of the database
  std::string last_error = {};   // one line; empty: none so far
};

struct BackupReport {
  std::string path;
  std::uint64_t bytes = 0;
};
using BackupDone = std::function<void(Result<BackupReport, std::string>)>;

// Brings a call to the control thread; from any thread.
using StorePost = std::function<void(std::function<void()>)>;

// History older than `days` is deleted, looked for as often as `every`; 0 days: never.
struct Retention {
  std::uint32_t days = 0;
  Nanos every = 300 * kNanosPerSecond;  // more than 0
  friend bool operator==(const Retention&, const Retention&) = default;
};

class Store {
 public:
  Store() = default;
  // Gives up what finish() did not write.
  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Once, before the first write. The error is one line.
  [[nodiscard]] virtual Result<LiveRooms, std::string> load() = 0;

  // Never waits for the store. Past the queue's bounds the write is dropped and counted.
  virtual void post(StoreWrite write) = 0;
  // What the live part is from now on, instead of all that stands there and all of it that is
  // queued. For when statistics() says live_stale and ok: dropped writes left a gap.
  virtual void replace_live(LiveRooms live) = 0;

  // A consistent copy of everything written so far, while writing goes on. `path` is absolute and
  // must not exist. One at a time. `done` comes by post, once; where the store is finished before,
  // with an error. That is one line.
  virtual void backup(std::string path, BackupDone done) = 0;

  // At first there is none. Holds at once.
  virtual void set_retention(const Retention& retention) = 0;

  [[nodiscard]] virtual StoreStatistics statistics() const = 0;

  // Writes what is queued and ends; gives how many writes were not made when `patience` was over.
  // The last call but statistics().
  virtual std::size_t finish(Nanos patience) = 0;
};

// As the configuration says; the error is one line. `post` outlives the store.
[[nodiscard]] Result<std::unique_ptr<Store>, std::string> open_store(const Config::Storage& config,
                                                                     StorePost post);

void append_store_metrics(const StoreStatistics& statistics, Metrics& into);

}  // namespace tandem
