// What the store makes of files that are damaged, old, new or not its own, of disks that are full,
// and of an end in the middle of a write.
#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "room/storage/queued_store.h"
#include "room/storage/sqlite_database.h"
#include "room/storage/sqlite_driver.h"
#include "room/storage/sqlite_file.h"
#include "room/storage/sqlite_schema.h"
#include "tests/unit/room/store_fixture.h"

namespace tandem {
namespace {

constexpr const char* kName = "tandem.db";

Result<std::unique_ptr<StoreDriver>, std::string> open_driver(const std::string& path) {
  return open_sqlite({.path = path, .lock_patience = 0});
}

std::string fault_of(const std::string& path) {
  const auto driver = open_driver(path);
  REQUIRE(!driver);
  CHECK(driver.error().find('\n') == std::string::npos);
  return driver.error();
}

std::string content(const std::string& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// Some hundred pages of rooms.
void fill(const std::string& path) {
  const auto driver = open_driver(path);
  REQUIRE(driver);
  StoreBatch batch;
  for (int i = 0; i < 500; ++i) batch.writes.push_back(sample_room(i));
  REQUIRE((*driver)->write(batch));
}

std::int64_t user_version(const std::string& path) {
  auto database = SqlDatabase::open(path, SqlAccess::read);
  REQUIRE(database);
  return database->integer("PRAGMA user_version").value_or(-1);
}

// ---- damage ----

// Without the logs beside them.
std::vector<std::string> damaged(const Folder& folder) {
  std::vector<std::string> names = folder.names("tandem.db.damaged-");
  std::erase_if(names, [](const std::string& name) { return name.ends_with("-wal"); });
  return names;
}

void check_put_aside(const Folder& folder, const std::string& bytes) {
  const std::string path = folder.file(kName);
  {
    const auto driver = open_driver(path);
    REQUIRE_MESSAGE(driver, driver.error());
    CHECK((*driver)->load()->rooms.empty());
    REQUIRE((*driver)->write({{}, {sample_room(1)}}));
  }
  const auto kept = damaged(folder);
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].size() == std::string("tandem.db.damaged-20260102T030405Z").size());
  CHECK(content(folder.file(kept[0])) == bytes);
  const auto again = open_driver(path);  // the fresh one is sound
  REQUIRE(again);
  CHECK((*again)->load()->rooms.size() == 1);
  CHECK(damaged(folder).size() == 1);
}

TEST_CASE("a file that is no database is put aside") {
  for (const std::string& bytes : {std::string("SQLite format 3"), std::string(4096, 'x'),
                                   std::string(1, '\0'), std::string(10'000, '\0')}) {
    const Folder folder;
    put(folder.file(kName), bytes);
    check_put_aside(folder, bytes);
  }
}

TEST_CASE("a database with a broken page is put aside") {
  const Folder folder;
  const std::string path = folder.file(kName);
  fill(path);
  std::string bytes = content(path);
  const std::size_t pages = bytes.size() / 4096;
  REQUIRE(pages > 20);
  for (std::size_t page = 1; page < pages; page += 2)
    bytes.replace(page * 4096, 2048, std::string(2048, '\xa5'));
  put(path, bytes);
  check_put_aside(folder, bytes);
}

TEST_CASE("a database that was cut off is put aside") {
  const Folder folder;
  const std::string path = folder.file(kName);
  fill(path);
  const std::string bytes = content(path).substr(0, 4096 * 9 + 100);
  put(path, bytes);
  check_put_aside(folder, bytes);
}

TEST_CASE("a log that is left of another file is kept too") {
  const Folder folder;
  const std::string path = folder.file(kName);
  put(path, "");
  put(path + "-wal", std::string(5000, 'w'));
  check_put_aside(folder, "");
  CHECK(content(folder.file(damaged(folder).at(0) + "-wal")) == std::string(5000, 'w'));
}

TEST_CASE("a damaged file that cannot be put aside ends the start and stays as it is") {
  const Folder folder;
  const std::string name(240, 'n');  // its new name would have more than 255 bytes
  put(folder.file(name), std::string(4096, 'x'));
  const std::string fault = fault_of(folder.file(name));
  CHECK(fault.find("it does not begin as a database does; cannot rename") != std::string::npos);
  CHECK(fault.ends_with("File name too long"));
  CHECK(content(folder.file(name)) == std::string(4096, 'x'));
}

TEST_CASE("damaged files of the same second do not replace each other") {
  const Folder folder;
  for (int i = 0; i < 3; ++i) {
    put(folder.file(kName), fmt::format("damage {}", i));
    const auto aside = put_aside(folder.file(kName), 1'800'000'000);
    REQUIRE(aside);
    CHECK(content(*aside) == fmt::format("damage {}", i));
  }
  CHECK(folder.names("tandem.db.damaged-20270115T080000Z").size() == 3);
}

TEST_CASE("a check that takes too long lets the file pass") {
  const Folder folder;
  const std::string path = folder.file(kName);
  fill(path);
  const auto driver = open_sqlite({.path = path, .lock_patience = 0, .check_patience = 0});
  REQUIRE_MESSAGE(driver, driver.error());
  CHECK((*driver)->load()->rooms.size() == 500);
}

// ---- versions and strangers ----

TEST_CASE("an older file is brought to the newest version step by step, with its rows") {
  const Folder folder;
  const std::string path = folder.file(kName);
  fill(path);
  auto database = SqlDatabase::open(path, SqlAccess::write);
  REQUIRE(database);
  const std::string first = sqlite_migrations()[0];
  const char* const steps[] = {first.c_str(),
                               "ALTER TABLE rooms ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'",
                               "UPDATE rooms SET colour = 'blue' WHERE id = 'room-7'"};
  REQUIRE(migrate_sqlite(*database, steps));
  CHECK(user_version(path) == 3);
  CHECK(*database->integer("SELECT count(*) FROM rooms WHERE colour = 'red'") == 499);
  CHECK(*database->integer("SELECT count(*) FROM rooms WHERE colour = 'blue'") == 1);
  REQUIRE(migrate_sqlite(*database, steps));  // nothing is left to do
  CHECK(user_version(path) == 3);
}

TEST_CASE("a step that fails leaves the version before it") {
  const Folder folder;
  const std::string path = folder.file(kName);
  fill(path);
  auto database = SqlDatabase::open(path, SqlAccess::write);
  REQUIRE(database);
  const std::string first = sqlite_migrations()[0];
  const char* const steps[] = {first.c_str(), "CREATE TABLE good (x)",
                               "CREATE TABLE half (x); CREATE TABLE good (x)"};
  const auto made = migrate_sqlite(*database, steps);
  REQUIRE(!made);
  CHECK(made.error().trouble == OpenTrouble::refused);
  CHECK(made.error().reason == "table good already exists");
  CHECK(user_version(path) == 2);
  CHECK(*database->integer("SELECT count(*) FROM sqlite_schema WHERE name = 'half'") == 0);
}

TEST_CASE("a file of a newer version is refused and left as it is") {
  const Folder folder;
  const std::string path = folder.file(kName);
  fill(path);
  {
    auto database = SqlDatabase::open(path, SqlAccess::write);
    REQUIRE(database);
    REQUIRE(database->execute("PRAGMA user_version = 99"));
  }
  CHECK(
      fault_of(path).find("its tables are of version 99, this program knows them up to 1: a newer "
                          "version wrote it") != std::string::npos);
  CHECK(user_version(path) == 99);
  CHECK(folder.names("tandem.db.damaged-").empty());
}

TEST_CASE("the database of another program is refused and left as it is") {
  const Folder folder;
  const std::string path = folder.file(kName);
  put(path, "");
  {
    auto database = SqlDatabase::open(path, SqlAccess::write);
    REQUIRE(database);
    REQUIRE(database->execute("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)"));
  }
  CHECK(fault_of(path).ends_with("it is the database of another program"));
  auto database = SqlDatabase::open(path, SqlAccess::read);
  REQUIRE(database);
  CHECK(*database->integer("SELECT x FROM theirs") == 1);
}

// ---- full disks ----

// Lets files grow to so many bytes while it lives, as a quota would; SIGXFSZ is blocked on the
// store's thread.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

RoomRow large_room(int number) {
  RoomRow room = sample_room(number);
  room.metadata.assign(4096, 'm');
  return room;
}

// Posts until there is no room on the disk and then none in the queue.
bool runs_out(QueuedStore& store) {
  int next = 0;
  return comes_true([&] {
    for (int i = 0; i < 20; ++i) store.post(large_room(next++));
    const auto statistics = store.statistics();
    return statistics.errors >= 2 && !statistics.ok && statistics.dropped > 0;
  });
}

TEST_CASE("a file that may not grow: errors, drops, and all of the queue once it may") {
  const Folder folder;
  const std::string path = folder.file(kName);
  auto driver = open_driver(path);
  REQUIRE(driver);
  PostedCalls calls;
  QueuedStore store(std::move(*driver), calls.post(),
                    {.queue = {.writes_max = 100, .batch_max = 50},
                     .linger = kNanosPerMillisecond,
                     .retry_after = kNanosPerMillisecond});
  {
    const FileSizeLimit limit(256 * 1024);
    REQUIRE(runs_out(store));
    const auto statistics = store.statistics();
    CHECK_FALSE(statistics.ok);
    CHECK(statistics.last_error.starts_with("disk I/O error"));
    CHECK(statistics.queued <= 150);
    CHECK(statistics.live_stale);
  }
  REQUIRE(comes_true([&] { return store.statistics().queued == 0; }));
  CHECK(store.statistics().ok);
  LiveRooms live{{sample_room(1), sample_room(2)}, {sample_player(1, 1)}};
  store.replace_live(live);
  CHECK(store.finish(kTestPatienceNanos) == 0);
  const auto again = open_driver(path);
  REQUIRE(again);
  CHECK(*(*again)->load() == live);
}

// In a child with a mount namespace of its own: 0 passed, 77 not allowed here, else the step that
// failed.
int fill_small_disk(const std::string& folder) {
  const int user = ::geteuid() == 0 ? 0 : CLONE_NEWUSER;
  if (::unshare(CLONE_NEWNS | user) != 0) return 77;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
  if (::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=4m") != 0) return 77;
  const std::string path = folder + "/tandem.db";
  auto driver = open_driver(path);
  if (!driver) return 1;
  PostedCalls calls;
  QueuedStore store(std::move(*driver), calls.post(),
                    {.queue = {.writes_max = 100, .batch_max = 50},
                     .linger = kNanosPerMillisecond,
                     .retry_after = kNanosPerMillisecond});
  const std::string ballast = folder + "/ballast";
  put(ballast, std::string(3'300'000, 'b'));
  if (!runs_out(store)) return 2;
  if (store.statistics().ok || store.statistics().last_error != "database or disk is full")
    return 3;
  const auto backup = back_up(store, calls, folder + "/copy");
  if (backup || !backup.error().ends_with("database or disk is full")) return 4;
  store.replace_live({{sample_room(1)}, {}});
  std::filesystem::remove(ballast);
  if (!comes_true([&] { return store.statistics().queued == 0 && store.statistics().ok; }))
    return 5;
  if (store.finish(kTestPatienceNanos) != 0) return 6;
  const auto again = open_driver(path);
  return again && (*again)->load()->rooms == std::vector{sample_room(1)} ? 0 : 7;
}

TEST_CASE("a full disk") {
  const Folder folder;
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(fill_small_disk(folder.path()));
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    MESSAGE("skipped: a mount namespace is not allowed here");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
}

// ---- the end in the middle of a write ----

// Writes transactions of one room, one player and one metric until it is killed, and says after
// each that it was made.
[[noreturn]] void write_for_ever(const std::string& path, int first, int told) {
  auto driver = open_driver(path);
  for (int i = first; driver; ++i) {
    PlayerRow player = sample_player(i, 1);
    if (!(*driver)->write({{}, {large_room(i), player, sample_metric("p2p", i)}})) break;
    if (::write(told, &i, sizeof i) != sizeof i) break;
  }
  ::_exit(1);
}

// The last transaction that the child said was made.
int kill_writer(const std::string& path, int first, int transactions) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) write_for_ever(path, first, ends[1]);
  ::close(ends[1]);
  int last = -1;
  for (int i = 0; i < transactions; ++i)
    REQUIRE(::read(ends[0], &last, sizeof last) == sizeof last);
  ::kill(child, SIGKILL);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  while (::read(ends[0], &last, sizeof last) == sizeof last) {
  }
  ::close(ends[0]);
  return last;
}

TEST_CASE("a daemon that is killed while it writes loses no transaction and halves none") {
  const Folder folder;
  const std::string path = folder.file(kName);
  int next = 0;
  for (const int transactions : {1, 60, 333}) {
    const int last = kill_writer(path, next, transactions);
    const auto driver = open_driver(path);
    REQUIRE_MESSAGE(driver, driver.error());
    const auto live = (*driver)->load();
    REQUIRE(live);
    // One more may have been made than was said.
    const auto made = static_cast<int>(live->rooms.size());
    CHECK(made >= last + 1);
    CHECK(made <= last + 2);
    CHECK(live->players.size() == live->rooms.size());
    CHECK(live->rooms.back() == large_room(made - 1));
    auto database = SqlDatabase::open(path, SqlAccess::read);
    REQUIRE(database);
    CHECK(*database->integer("SELECT count(*) FROM connection_metrics") == made);
    CHECK(*database->text("PRAGMA integrity_check") == "ok");
    next = made;
  }
  CHECK(folder.names("tandem.db.damaged-").empty());
}

}  // namespace
}  // namespace tandem
