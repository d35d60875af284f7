// The store with SQLite under it, on real files.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include "room/storage/queued_store.h"
#include "room/storage/sqlite_database.h"
#include "room/storage/sqlite_driver.h"
#include "room/storage/sqlite_file.h"
#include "tests/unit/room/store_fixture.h"

namespace tandem {
namespace {

constexpr const char* kName = "tandem.db";

std::unique_ptr<StoreDriver> open_driver(const std::string& path) {
  auto driver = open_sqlite({.path = path, .lock_patience = 0});
  REQUIRE_MESSAGE(driver, driver.error());
  return std::move(*driver);
}

void write(StoreDriver& driver, std::vector<StoreWrite> writes) {
  const auto written = driver.write({{}, std::move(writes)});
  REQUIRE_MESSAGE(written, written.error());
  CHECK(written->count == 0);
}

// A second pair of eyes on the file.
std::string read(const std::string& path, const char* sql) {
  auto database = SqlDatabase::open(path, SqlAccess::read);
  REQUIRE(database);
  auto text = database->text(sql);
  REQUIRE_MESSAGE(text, text.error().reason);
  return *text;
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

TEST_CASE("rooms and players come back as they were, in order") {
  const Folder folder;
  const std::string path = folder.file(kName);
  RoomRow plain = sample_room(2);
  plain.password_verifier = plain.metadata = plain.host_endpoint = plain.host_peer_id = "";
  plain.bans.clear();
  plain.locked = false;
  plain.name = std::string("nul\0inside", 10);
  RoomRow last = sample_room(3);
  {
    const auto driver = open_driver(path);
    CHECK(driver->load()->rooms.empty());
    write(*driver, {last, plain, sample_room(1), sample_player(2, 4), sample_player(1, 2),
                    sample_player(1, 1)});
    last.name = "renamed";
    last.players_max = 4;
    last.bans.push_back("client-9");
    write(*driver, {last, PlayerLeft{"room-2", "client-4"}});
  }
  const auto driver = open_driver(path);
  const auto live = driver->load();
  REQUIRE(live);
  CHECK(live->rooms == std::vector{sample_room(1), plain, last});
  CHECK(live->players == std::vector{sample_player(1, 1), sample_player(1, 2)});
}

TEST_CASE("a player who changes keeps one seat") {
  const Folder folder;
  const auto driver = open_driver(folder.file(kName));
  PlayerRow player = sample_player(1, 1);
  write(*driver, {sample_room(1), player});
  player.ready = !player.ready;
  player.seat = 5;
  write(*driver, {player});
  const auto again = SqlDatabase::open(folder.file(kName), SqlAccess::read);
  REQUIRE(again);
  CHECK(read(folder.file(kName),
             "SELECT count(*) || ' ' || max(player_id) || ' ' || max(is_ready)"
             " FROM room_players") == "1 5 1");
}

TEST_CASE("a closed room leaves its history, with how its players were connected") {
  const Folder folder;
  const std::string path = folder.file(kName);
  const auto driver = open_driver(path);
  ConnectionMetric measured = sample_metric("lan", 1'800'000'000'000);
  measured.duration_s.reset();  // a report, no connection that is over
  write(*driver,
        {sample_room(1), sample_player(1, 1), sample_room(2), measured,
         sample_metric("p2p", 1'800'000'000'001), sample_metric("relay", 1'800'000'000'002),
         sample_metric("relay", 1'800'000'000'003), sample_closed(1)});
  CHECK(read(path, "SELECT group_concat(id) FROM rooms") == "room-2");
  CHECK(read(path, "SELECT count(*) FROM room_players") == "0");
  CHECK(read(path,
             "SELECT concat_ws FROM (SELECT id || '|' || game_id || '|' || host_client_id ||"
             " '|' || max_players || '|' || actual_players || '|' || created_at || '|' ||"
             " closed_at || '|' || duration_seconds || '|' || region || '|' || reason || '|'"
             " || connection_types AS concat_ws FROM room_history)") ==
        "room-1|7|client-1|8|3|1800000000000|1800000061999|61|eu|empty|{\"relay\":2,\"p2p\":1}");
  write(*driver, {sample_closed(2)});
  CHECK(read(path, "SELECT connection_types FROM room_history WHERE id = 'room-2'") == "{}");
  write(*driver, {sample_closed(1)});  // resumed and closed again
  CHECK(read(path, "SELECT count(*) FROM room_history") == "2");
}

TEST_CASE("metrics keep what was not measured apart from nothing") {
  const Folder folder;
  const std::string path = folder.file(kName);
  const auto driver = open_driver(path);
  write(*driver, {sample_metric("relay", 5),
                  ConnectionMetric{.client_id = "c", .connection_type = "p2p", .recorded_at = 6}});
  CHECK(read(path,
             "SELECT client_id || room_id || connection_type || latency_ms ||"
             " packet_loss_rate || bandwidth_kbps || duration_seconds || recorded_at"
             " FROM connection_metrics WHERE id = 1") == "client-1room-1relay230.25900605");
  CHECK(read(path,
             "SELECT (room_id IS NULL) + (latency_ms IS NULL) + (packet_loss_rate IS NULL) +"
             " (bandwidth_kbps IS NULL) + (duration_seconds IS NULL)"
             " FROM connection_metrics WHERE id = 2") == "5");
}

TEST_CASE("a client keeps its first time and gets its last") {
  const Folder folder;
  const std::string path = folder.file(kName);
  const auto driver = open_driver(path);
  ClientSeen client = sample_client(1, 100);
  write(*driver, {client});
  client.username = "Bea";
  client.at = 300;
  write(*driver, {client});
  client.at = 200;  // the clock was set back
  write(*driver, {client});
  CHECK(read(path, "SELECT username || created_at || '-' || last_seen FROM clients") ==
        "Bea100-300");
}

TEST_CASE("a player of no room is refused alone") {
  const Folder folder;
  const auto driver = open_driver(folder.file(kName));
  const auto written =
      driver->write({{}, {sample_player(9, 1), sample_room(1), sample_player(1, 1)}});
  REQUIRE(written);
  CHECK(written->count == 1);
  CHECK(written->reason.find("FOREIGN KEY") != std::string::npos);
  CHECK(read(folder.file(kName), "SELECT count(*) FROM room_players") == "1");
}

TEST_CASE("a new live part replaces the old one in the same transaction") {
  const Folder folder;
  const auto driver = open_driver(folder.file(kName));
  write(*driver, {sample_room(1), sample_player(1, 1), sample_room(2), sample_client(1, 5)});
  REQUIRE(
      driver->write({LiveRooms{{sample_room(3)}, {sample_player(3, 2)}}, {sample_player(3, 4)}}));
  const std::string path = folder.file(kName);
  CHECK(read(path, "SELECT group_concat(id) FROM rooms") == "room-3");
  CHECK(read(path, "SELECT group_concat(client_id) FROM room_players") == "client-2,client-4");
  CHECK(read(path, "SELECT count(*) FROM clients") == "1");
}

TEST_CASE("what is too old goes, in pieces, and nothing else") {
  const Folder folder;
  const std::string path = folder.file(kName);
  const auto driver = open_driver(path);
  std::vector<StoreWrite> writes;
  for (int i = 0; i < 20; ++i) {
    writes.push_back(sample_metric("p2p", 1000 + i));
    writes.push_back(sample_client(i, 1000 + i));
    RoomClosed closed = sample_closed(i);
    closed.created_at = 1000 + i;
    closed.closed_at = 1005 + i;
    writes.push_back(closed);
  }
  writes.push_back(sample_room(99));
  write(*driver, writes);
  std::size_t total = 0;
  std::size_t deleted = 0;
  do {
    const auto expired = driver->expire(1010, 7);
    REQUIRE(expired);
    deleted = *expired;
    CHECK(deleted <= 7);
    total += deleted;
  } while (deleted == 7);
  CHECK(total == 10 + 5 + 10);  // a room that was still open then stays
  CHECK(read(path, "SELECT min(recorded_at) FROM connection_metrics") == "1010");
  CHECK(read(path, "SELECT min(closed_at) FROM room_history") == "1010");
  CHECK(read(path, "SELECT min(last_seen) FROM clients") == "1010");
  CHECK(read(path, "SELECT count(*) FROM rooms") == "1");
}

TEST_CASE("the file is for its owner alone") {
  const Folder folder;
  const std::string path = (folder.path() / "state" / "db" / kName).string();
  const auto driver = open_driver(path);
  write(*driver, {sample_room(1)});
  CHECK(mode_of(path) == 0600);
  CHECK(mode_of(path + "-wal") == 0600);
  CHECK(mode_of(folder.path() / "state" / "db") == 0700);
  CHECK(driver->size_bytes() > 4096);
}

TEST_CASE("a file that others may read is closed to them") {
  const Folder folder;
  const std::string path = folder.file(kName);
  (void)open_driver(path);
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  (void)open_driver(path);
  CHECK(mode_of(path) == 0600);
}

TEST_CASE("two daemons do not share a file") {
  const Folder folder;
  const std::string path = folder.file(kName);
  auto first = open_driver(path);
  const auto second = open_sqlite({.path = path, .lock_patience = 0});
  REQUIRE(!second);
  CHECK(second.error() == fmt::format("cannot use the database {} (storage.path): it is in use by "
                                      "another tandemd",
                                      path));
  // One that is on its way out is waited for.
  std::thread leaving([&] { first.reset(); });
  CHECK(open_sqlite({.path = path, .lock_patience = kTestPatienceNanos}));
  leaving.join();
}

TEST_CASE("a file that cannot be used ends the start with one line") {
  const Folder folder;
  const auto fault_of = [](const std::string& path) {
    const auto driver = open_sqlite({.path = path, .lock_patience = 0});
    REQUIRE(!driver);
    CHECK(driver.error().find('\n') == std::string::npos);
    return driver.error();
  };
  CHECK(fault_of(folder.path()).ends_with("Is a directory"));
  CHECK(fault_of("/proc/no/tandem.db").find("cannot make its folder /proc/no") !=
        std::string::npos);
  CHECK(fault_of("/dev/null").ends_with("it is no regular file"));
  const std::string long_name(300, 'x');
  CHECK(fault_of(folder.file(long_name)).ends_with("File name too long"));
}

TEST_CASE("a shell that holds the file does not lose us a batch") {
  const Folder folder;
  const std::string path = folder.file(kName);
  PostedCalls calls;
  QueuedStore store(open_driver(path), calls.post(), {.retry_after = kNanosPerMillisecond});
  auto shell = SqlDatabase::open(path, SqlAccess::write);
  REQUIRE(shell);
  REQUIRE(shell->execute("BEGIN IMMEDIATE"));
  store.post(sample_room(1));
  REQUIRE(comes_true([&] { return store.statistics().errors > 0; }));
  CHECK(store.statistics().last_error == "database is locked");
  REQUIRE(shell->execute("ROLLBACK"));
  CHECK(store.finish(kTestPatienceNanos) == 0);
  CHECK(read(path, "SELECT count(*) FROM rooms") == "1");
}

TEST_CASE("a file that was moved away is not written to in vain") {
  const Folder folder;
  const std::string path = folder.file(kName);
  const auto driver = open_driver(path);
  write(*driver, {sample_room(1)});
  std::filesystem::rename(path, folder.file("elsewhere"));
  const auto written = driver->write({{}, {sample_room(2)}});
  REQUIRE(!written);
  CHECK(written.error().find("was moved or removed") != std::string::npos);
  std::filesystem::rename(folder.file("elsewhere"), path);
  write(*driver, {sample_room(2)});
}

TEST_CASE("drivers of the configuration") {
  const Folder folder;
  PostedCalls calls;
  Config::Storage config;
  config.path = folder.file(kName);
  config.driver = StorageDriver::none;
  auto none = open_store(config, calls.post());
  REQUIRE(none);
  CHECK((*none)->load()->rooms.empty());
  (*none)->post(sample_room(1));
  CHECK((*none)->statistics().driver == "none");
  CHECK((*none)->statistics().ok);
  const auto backup = back_up(**none, calls, folder.file("copy"));
  REQUIRE(!backup);
  CHECK(backup.error() == "there is nothing to back up: storage.driver is \"none\"");
  CHECK((*none)->finish(0) == 0);
  CHECK(folder.names("").empty());

  config.driver = StorageDriver::sqlite;
  {
    auto sqlite = open_store(config, calls.post());
    REQUIRE(sqlite);
    REQUIRE((*sqlite)->load());
    (*sqlite)->post(sample_room(1));
    CHECK((*sqlite)->finish(kTestPatienceNanos) == 0);
    CHECK((*sqlite)->statistics().driver == "sqlite");
  }
  CHECK(folder.names("") == std::vector<std::string>{kName});  // the log was copied back
  auto again = open_store(config, calls.post());
  REQUIRE(again);
  CHECK((*again)->load()->rooms == std::vector{sample_room(1)});
}

TEST_CASE("the metrics of a store") {
  Metrics page;
  append_store_metrics({.ok = false,
                        .queued = 1,
                        .written = 2,
                        .coalesced = 3,
                        .dropped = 4,
                        .rejected = 5,
                        .errors = 6,
                        .expired = 7,
                        .size_bytes = 8},
                       page);
  std::vector<double> values;
  for (const Metric& metric : page) {
    CHECK(metric.name.starts_with("tandem_storage_"));
    CHECK((metric.type == MetricType::counter) == metric.name.ends_with("_total"));
    values.push_back(metric.value);
  }
  CHECK(values == std::vector<double>{0, 1, 8, 2, 4, 3, 5, 6, 7});
}

}  // namespace
}  // namespace tandem
