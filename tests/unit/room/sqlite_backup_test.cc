#include "room/storage/sqlite_backup.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>

#include "room/storage/sqlite_database.h"
#include "room/storage/sqlite_driver.h"
#include "tests/unit/room/store_fixture.h"

namespace tandem {
namespace {

const std::atomic<bool> kGoOn = false;

std::unique_ptr<StoreDriver> open_driver(const std::string& path) {
  auto driver = open_sqlite({.path = path, .lock_patience = 0});
  REQUIRE_MESSAGE(driver, driver.error());
  return std::move(*driver);
}

// `pairs` rooms of 8 KiB, each with one player.
StoreBatch rooms(int first, int pairs) {
  StoreBatch batch;
  for (int i = first; i < first + pairs; ++i) {
    RoomRow room = sample_room(i);
    room.metadata.assign(8192, 'm');
    batch.writes.emplace_back(std::move(room));
    batch.writes.emplace_back(sample_player(i, 1));
  }
  return batch;
}

TEST_CASE("a backup is the database as it was, in one file for its owner alone") {
  const Folder folder;
  const auto driver = open_driver(folder.file("tandem.db"));
  REQUIRE(driver->write(rooms(0, 100)));
  const std::string copy = folder.file("copy.db");
  const auto report = driver->backup(copy, kGoOn);
  REQUIRE_MESSAGE(report, report.error());
  CHECK(report->path == copy);
  CHECK(report->bytes == std::filesystem::file_size(copy));
  CHECK(folder.names("copy.db") == std::vector<std::string>{"copy.db"});
  struct stat status {};
  REQUIRE(::stat(copy.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  const auto restored = open_driver(copy);  // as after a restore
  const auto live = restored->load();
  REQUIRE(live);
  CHECK(live->rooms.size() == 100);
  CHECK(live->players.size() == 100);
  CHECK(live->rooms[42].metadata == std::string(8192, 'm'));
}

TEST_CASE("a backup under writes holds one moment, and holds none of them up") {
  const Folder folder;
  const auto driver = open_driver(folder.file("tandem.db"));
  REQUIRE(driver->write(rooms(0, 400)));
  std::atomic<bool> done = false;
  std::atomic<int> written = 0;
  std::atomic<int> failed = 0;
  std::thread writing([&] {
    while (!done) {
      if (driver->write(rooms(400 + written, 8))) {
        written += 8;
      } else {
        ++failed;
      }
    }
  });
  int written_meanwhile = 0;
  for (int i = 0; i < 3; ++i) {
    const int before = written;
    const std::string copy = folder.file(fmt::format("copy-{}", i));
    const auto report = driver->backup(copy, kGoOn);
    CHECK_MESSAGE(report, report.error());
    written_meanwhile += written - before;
    const auto live = open_driver(copy)->load();
    REQUIRE(live);
    CHECK(live->rooms.size() >= static_cast<std::size_t>(400 + before));
    CHECK(live->rooms.size() % 8 == 0);
    CHECK(live->rooms.size() == live->players.size());
  }
  done = true;
  writing.join();
  CHECK(written_meanwhile > 0);
  CHECK(failed == 0);
}

TEST_CASE("nothing that is there is replaced") {
  const Folder folder;
  const auto driver = open_driver(folder.file("tandem.db"));
  const std::string copy = folder.file("copy.db");
  std::ofstream(copy) << "precious";
  const auto report = driver->backup(copy, kGoOn);
  REQUIRE(!report);
  CHECK(report.error() == fmt::format("cannot back up to {}: File exists", copy));
  CHECK(std::filesystem::file_size(copy) == 8);
  CHECK(!driver->backup(folder.file("tandem.db"), kGoOn));
  CHECK(folder.names("copy.db").size() == 1);
}

TEST_CASE("a backup that cannot be made says why in one line") {
  const Folder folder;
  const auto driver = open_driver(folder.file("tandem.db"));
  const auto fault_of = [&](const std::string& path) {
    const auto report = driver->backup(path, kGoOn);
    REQUIRE(!report);
    CHECK(report.error().find('\n') == std::string::npos);
    return report.error();
  };
  CHECK(fault_of(folder.file("no/copy.db")).ends_with("No such file or directory"));
  CHECK(fault_of("copy.db").ends_with("it is not an absolute path"));
  CHECK(fault_of(folder.path()).ends_with("File exists"));
  CHECK(fault_of("/proc/copy.db").find("cannot back up to /proc/copy.db: ") == 0);
}

TEST_CASE("a backup that is cancelled leaves nothing behind") {
  const Folder folder;
  const auto driver = open_driver(folder.file("tandem.db"));
  const std::atomic<bool> cancelled = true;
  const auto report = driver->backup(folder.file("copy.db"), cancelled);
  REQUIRE(!report);
  CHECK(report.error().ends_with("the daemon is stopping"));
  CHECK(folder.names("copy.db").empty());
}

}  // namespace
}  // namespace tandem
