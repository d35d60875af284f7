#include "room/storage/sqlite_driver.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "common/log.h"
#include "room/storage/sqlite_backup.h"
#include "room/storage/sqlite_database.h"
#include "room/storage/sqlite_file.h"
#include "room/storage/sqlite_rows.h"
#include "room/storage/sqlite_schema.h"

namespace tandem {
namespace {

// The log is copied back into the file every 1,000 pages; after a backup held it open, what is
// larger than this is cut off. Foreign keys are per connection and off by default.
constexpr const char* kPragmas =
    "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
    "PRAGMA cache_size = -8000; PRAGMA journal_size_limit = 67108864";

OpenFault open_fault(const SqlFault& fault) {
  return {fault.is_damage() ? OpenTrouble::damaged : OpenTrouble::refused, fault.reason};
}

struct Tables {
  SqlDatabase database;
  SqliteRows rows;
  SqlStatement begin;
  SqlStatement commit;
  SqlStatement rollback;
  LiveRooms live;
};

Result<void, OpenFault> check_pages(SqlDatabase& database, Nanos patience) {
  const Nanos deadline = monotonic_now() + patience;
  database.watch([deadline] { return monotonic_now() >= deadline; });
  const auto found = database.text("PRAGMA quick_check(1)");
  database.watch({});
  if (found && *found == "ok") return {};
  if (found) return unexpected(OpenFault{OpenTrouble::damaged, *found});
  if (!found.error().is_interrupt()) return unexpected(open_fault(found.error()));
  log(LogLevel::warn, "storage", "the database is too large to be checked whole",
      {{"checked_for_s", patience / kNanosPerSecond}});
  return {};
}

Result<void, OpenFault> set_up(SqlDatabase& database) {
  const auto mode = database.text("PRAGMA journal_mode = WAL");
  if (!mode) return unexpected(open_fault(mode.error()));
  if (*mode != "wal")
    return unexpected(
        OpenFault{OpenTrouble::refused, "its file system does not carry a write-ahead log"});
  if (const auto done = database.execute(kPragmas); !done)
    return unexpected(open_fault(done.error()));
  return migrate_sqlite(database);
}

Result<Tables, OpenFault> open_tables(const SqliteFile& file, const SqliteOptions& options) {
  if (auto sound = file.check(); !sound) return unexpected(sound.error());
  auto database = SqlDatabase::open(options.path, SqlAccess::write);
  if (!database) return unexpected(open_fault(database.error()));
  if (auto sound = check_pages(*database, options.check_patience); !sound)
    return unexpected(sound.error());
  if (auto ready = set_up(*database); !ready) return unexpected(ready.error());
  auto rows = SqliteRows::prepare(*database);
  if (!rows) return unexpected(open_fault(rows.error()));
  auto begin = database->prepare("BEGIN IMMEDIATE");
  auto commit = database->prepare("COMMIT");
  auto rollback = database->prepare("ROLLBACK");
  if (!begin || !commit || !rollback) return unexpected(open_fault(database->fault()));
  auto live = load_live(*database);
  if (!live) return unexpected(open_fault(live.error()));
  return Tables{std::move(*database), std::move(*rows),     std::move(*begin),
                std::move(*commit),   std::move(*rollback), std::move(*live)};
}

class SqliteDriver final : public StoreDriver {
 public:
  SqliteDriver(std::string path, SqliteFile file, Tables tables)
      : path_(std::move(path)), file_(std::move(file)), tables_(std::move(tables)) {}

  std::string_view name() const override { return "sqlite"; }

  Result<LiveRooms, std::string> load() override { return std::exchange(tables_.live, {}); }

  Result<RejectedRows, std::string> write(const StoreBatch& batch) override {
    // An unlinked file would take all of it and keep nothing.
    if (!file_.is_in_place())
      return unexpected(fmt::format("{} was moved or removed under the running daemon", path_));
    RejectedRows rejected;
    const auto done = in_transaction([&] { return write_rows(batch, rejected); });
    if (!done) return unexpected(done.error().reason);
    return rejected;
  }

  Result<std::size_t, std::string> expire(UnixMillis before, std::size_t rows_max) override {
    std::size_t deleted = 0;
    const auto done = in_transaction([&]() -> SqlDone {
      const auto expired = tables_.rows.expire(tables_.database, before, rows_max);
      if (!expired) return unexpected(expired.error());
      deleted = *expired;
      return {};
    });
    if (!done) return unexpected(done.error().reason);
    return deleted;
  }

  std::uint64_t size_bytes() override { return sqlite_size(path_); }

  Result<BackupReport, std::string> backup(const std::string& path,
                                           const std::atomic<bool>& cancelled) override {
    return back_up_sqlite(path_, path, cancelled);
  }

  void interrupt() override { tables_.database.interrupt(); }

 private:
  template <class Body>
  SqlDone in_transaction(Body body) {
    auto done = tables_.begin.run({});
    if (done) done = body();
    if (done) done = tables_.commit.run({});
    // After some faults (no space, I/O) SQLite has rolled back already.
    if (!done && tables_.database.in_transaction()) (void)tables_.rollback.run({});
    return done;
  }

  SqlDone write_rows(const StoreBatch& batch, RejectedRows& rejected) {
    if (batch.live) {
      if (auto done = replace_live(*batch.live, rejected); !done) return done;
    }
    for (const StoreWrite& write : batch.writes)
      if (auto done = write_row(write, rejected); !done) return done;
    return {};
  }

  SqlDone replace_live(const LiveRooms& live, RejectedRows& rejected) {
    if (auto done = tables_.rows.delete_live(); !done) return done;
    for (const RoomRow& room : live.rooms)
      if (auto done = write_row(room, rejected); !done) return done;
    for (const PlayerRow& player : live.players)
      if (auto done = write_row(player, rejected); !done) return done;
    return {};
  }

  SqlDone write_row(const StoreWrite& write, RejectedRows& rejected) {
    auto done = tables_.rows.write(write);
    if (done || !done.error().is_of_the_row()) return done;
    ++rejected.count;
    rejected.reason = done.error().reason;
    return {};
  }

  const std::string path_;
  SqliteFile file_;  // outlives the connection
  Tables tables_;
};

std::string failure(const std::string& path, const std::string& reason) {
  return fmt::format("cannot use the database {} (storage.path): {}", path, reason);
}

}  // namespace

Result<std::unique_ptr<StoreDriver>, std::string> open_sqlite(SqliteOptions options) {
  const std::string& path = options.path;
  for (bool fresh = false;; fresh = true) {
    auto file = SqliteFile::open(path, options.lock_patience);
    if (!file) return unexpected(failure(path, file.error().reason));
    auto tables = open_tables(*file, options);
    if (tables) return std::make_unique<SqliteDriver>(path, std::move(*file), std::move(*tables));
    const OpenFault& fault = tables.error();
    if (fault.trouble == OpenTrouble::refused || fresh)
      return unexpected(failure(path, fault.reason));
    const auto aside = put_aside(path, unix_now());
    if (!aside)
      return unexpected(failure(path, fmt::format("{}; {}", fault.reason, aside.error())));
    log(LogLevel::error, "storage", "the database is damaged; it is kept, and a fresh one begins",
        {{"path", path}, {"kept_as", *aside}, {"reason", fault.reason}});
  }
}

}  // namespace tandem
