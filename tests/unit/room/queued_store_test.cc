#include "room/storage/queued_store.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "tests/unit/room/store_fixture.h"

namespace tandem {
namespace {

using Lock = std::unique_lock<std::mutex>;

// What the driver was asked, and how it shall answer. Outlives it.
struct Database {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<StoreBatch> batches;  // that were written
  std::vector<UnixMillis> expired;
  int failures = 0;  // calls that fail from now on
  bool hang = false;
  bool interrupted = false;
  std::size_t attempts = 0;
  std::size_t reject = 0;
  std::size_t expirable = 0;  // rows
  std::size_t hanging = 0;
  bool hang_backup = false;
  bool closed = false;

  std::size_t writes() {
    const Lock lock(mutex);
    std::size_t count = 0;
    for (const StoreBatch& batch : batches) count += batch.size();
    return count;
  }
  void set(bool Database::*flag, bool value) {
    const Lock lock(mutex);
    this->*flag = value;
    changed.notify_all();
  }
  void fail(int times) {
    const Lock lock(mutex);
    failures = times;
  }
  bool comes_to_hang() {
    Lock lock(mutex);
    return changed.wait_for(lock, kTestPatience, [this] { return hanging > 0; });
  }
};

class FakeDriver final : public StoreDriver {
 public:
  explicit FakeDriver(Database& database) : database_(database) {}
  ~FakeDriver() override { database_.set(&Database::closed, true); }

  std::string_view name() const override { return "fake"; }
  Result<LiveRooms, std::string> load() override { return LiveRooms{{sample_room(1)}, {}}; }

  Result<RejectedRows, std::string> write(const StoreBatch& batch) override {
    Lock lock(database_.mutex);
    ++database_.attempts;
    if (auto fault = trouble(lock)) return unexpected(*fault);
    database_.batches.push_back(batch);
    return RejectedRows{std::exchange(database_.reject, 0), "no such room"};
  }
  Result<std::size_t, std::string> expire(UnixMillis before, std::size_t rows_max) override {
    Lock lock(database_.mutex);
    if (auto fault = trouble(lock)) return unexpected(*fault);
    database_.expired.push_back(before);
    const std::size_t rows = std::min(rows_max, database_.expirable);
    database_.expirable -= rows;
    return rows;
  }
  std::uint64_t size_bytes() override { return 4096; }
  Result<BackupReport, std::string> backup(const std::string& path,
                                           const std::atomic<bool>& cancelled) override {
    Lock lock(database_.mutex);
    while (database_.hang_backup) {
      if (cancelled) return unexpected(std::string("cancelled"));
      database_.changed.wait_for(lock, std::chrono::milliseconds(1));
    }
    return BackupReport{path, 7};
  }
  void interrupt() override { database_.set(&Database::interrupted, true); }

 private:
  std::optional<std::string> trouble(Lock& lock) {
    ++database_.hanging;
    database_.changed.notify_all();
    database_.changed.wait(lock, [this] { return !database_.hang || database_.interrupted; });
    --database_.hanging;
    if (database_.interrupted) return "interrupted";
    if (database_.failures == 0) return std::nullopt;
    --database_.failures;
    return "disk full";
  }

  Database& database_;
};

struct Stored {
  explicit Stored(QueuedStoreOptions options = {})
      : store(std::make_unique<FakeDriver>(database), calls.post(), quick(std::move(options))) {}

  static QueuedStoreOptions quick(QueuedStoreOptions options) {
    options.linger = kNanosPerMillisecond;
    options.retry_after = kNanosPerMillisecond;
    return options;
  }
  bool writes(std::size_t count) {
    return comes_true([&] { return store.statistics().written == count; });
  }

  Database database;
  PostedCalls calls;
  QueuedStore store;
};

TEST_CASE("every write reaches the driver, in order, in bounded batches") {
  Stored stored({.queue = {.batch_max = 64}});
  CHECK(stored.store.load()->rooms == std::vector{sample_room(1)});
  for (int i = 0; i < 1000; ++i) stored.store.post(sample_metric("p2p", i));
  REQUIRE(stored.writes(1000));
  CHECK(stored.store.finish(kTestPatienceNanos) == 0);
  int next = 0;
  for (const StoreBatch& batch : stored.database.batches) {
    CHECK(batch.size() <= 64);
    for (const StoreWrite& write : batch.writes)
      CHECK(write == StoreWrite(sample_metric("p2p", next++)));
  }
  CHECK(next == 1000);
  CHECK(stored.database.closed);
  const auto statistics = stored.store.statistics();
  CHECK(statistics.driver == "fake");
  CHECK(statistics.ok);
  CHECK(statistics.queued == 0);
  CHECK(statistics.size_bytes == 4096);
  CHECK(statistics.last_error.empty());
}

TEST_CASE("posting goes on while the driver hangs, up to the bound") {
  Stored stored({.queue = {.writes_max = 100, .batch_max = 10}});
  stored.database.set(&Database::hang, true);
  stored.store.post(sample_room(0));
  REQUIRE(stored.database.comes_to_hang());
  for (int i = 1; i <= 150; ++i) stored.store.post(sample_room(i));
  auto statistics = stored.store.statistics();
  CHECK(statistics.queued == 101);  // and the one that hangs
  CHECK(statistics.dropped == 50);
  CHECK(statistics.live_stale);
  stored.database.set(&Database::hang, false);
  REQUIRE(stored.writes(101));
  stored.store.replace_live({{sample_room(7)}, {sample_player(7, 1)}});
  CHECK_FALSE(stored.store.statistics().live_stale);
  CHECK(stored.store.finish(kTestPatienceNanos) == 0);
  REQUIRE(stored.database.batches.back().live);
  CHECK(stored.database.batches.back().live->players == std::vector{sample_player(7, 1)});
}

TEST_CASE("what could not be written is written when it can be again") {
  Stored stored;
  stored.database.fail(1'000'000);
  for (int i = 0; i < 3; ++i) stored.store.post(sample_metric("p2p", i));
  REQUIRE(comes_true([&] { return stored.store.statistics().errors >= 3; }));
  auto statistics = stored.store.statistics();
  CHECK_FALSE(statistics.ok);
  CHECK(statistics.last_error == "disk full");
  CHECK(statistics.written == 0);
  CHECK(statistics.queued == 3);
  stored.database.fail(0);
  REQUIRE(stored.writes(3));
  CHECK(stored.store.statistics().ok);
  CHECK(stored.store.statistics().last_error == "disk full");  // it was the last one
  CHECK(stored.database.writes() == 3);
}

TEST_CASE("rows that the driver refuses are counted and no reason to try again") {
  Stored stored;
  stored.database.reject = 1;
  stored.database.set(&Database::hang, true);
  stored.store.post(sample_player(1, 1));
  stored.database.set(&Database::hang, false);
  REQUIRE(comes_true([&] { return stored.store.statistics().rejected == 1; }));
  CHECK(stored.store.statistics().ok);
  CHECK(stored.store.statistics().written == 0);
  CHECK(stored.store.statistics().last_error == "no such room");
  CHECK(stored.store.finish(kTestPatienceNanos) == 0);
  CHECK(stored.database.attempts == 1);
}

TEST_CASE("the end writes what waits, and retries meanwhile") {
  Stored stored({.queue = {.batch_max = 2}});
  stored.database.fail(3);
  for (int i = 0; i < 5; ++i) stored.store.post(sample_metric("p2p", i));
  CHECK(stored.store.finish(kTestPatienceNanos) == 0);
  CHECK(stored.database.writes() == 5);
  stored.store.post(sample_metric("p2p", 5));
  stored.store.replace_live({});
  CHECK(stored.store.statistics().dropped == 2);
  CHECK(stored.store.finish(0) == 0);
}

TEST_CASE("the end does not wait for a disk that stays full") {
  Stored stored({.queue = {.batch_max = 2}});
  stored.database.fail(1'000'000);
  for (int i = 0; i < 5; ++i) stored.store.post(sample_metric("p2p", i));
  CHECK(stored.store.finish(20 * kNanosPerMillisecond) == 5);
  CHECK(stored.database.closed);
}

TEST_CASE("the end interrupts a driver that hangs") {
  Stored stored;
  stored.database.set(&Database::hang, true);
  stored.store.post(sample_metric("p2p", 0));
  REQUIRE(stored.database.comes_to_hang());
  CHECK(stored.store.finish(kNanosPerMillisecond) == 1);
  CHECK(stored.database.interrupted);
  CHECK(stored.database.closed);
}

TEST_CASE("what is too old goes piece by piece, while writes go on") {
  constexpr UnixMillis kNow = 1'800'000'000'000;
  constexpr UnixMillis kDay = 86'400'000;
  Stored stored({.expire_rows_max = 10, .retention = {.days = 30}, .now = [] { return kNow; }});
  stored.database.expirable = 25;
  REQUIRE(stored.store.load());
  REQUIRE(comes_true([&] { return stored.store.statistics().expired == 25; }));
  stored.store.post(sample_metric("p2p", 0));
  REQUIRE(stored.writes(1));
  {
    const Lock lock(stored.database.mutex);
    CHECK(stored.database.expired == std::vector<UnixMillis>(3, kNow - 30 * kDay));
  }
  stored.store.set_retention({.days = 7});  // holds at once, not in some minutes
  REQUIRE(comes_true([&] {
    const Lock lock(stored.database.mutex);
    return stored.database.expired.size() == 4;
  }));
  CHECK(stored.database.expired.back() == kNow - 7 * kDay);
}

TEST_CASE("it goes again and again, as often as it is told") {
  Stored stored({.retention = {.days = 1, .every = kNanosPerMillisecond}});
  REQUIRE(stored.store.load());
  CHECK(comes_true([&] {
    const Lock lock(stored.database.mutex);
    return stored.database.expired.size() > 3;
  }));
}

TEST_CASE("without a retention nothing goes") {
  Stored stored({.retention = {.days = 0, .every = 1}});
  REQUIRE(stored.store.load());
  stored.store.post(sample_metric("p2p", 0));
  REQUIRE(stored.writes(1));
  CHECK(stored.store.finish(kTestPatienceNanos) == 0);
  CHECK(stored.database.expired.empty());
}

TEST_CASE("deleting that fails is tried again and shows") {
  Stored stored({.retention = {.days = 1}});
  stored.database.fail(2);
  stored.database.expirable = 1;
  REQUIRE(stored.store.load());
  REQUIRE(comes_true([&] { return stored.store.statistics().expired == 1; }));
  CHECK(stored.store.statistics().errors == 2);
  CHECK(stored.store.statistics().ok);
}

TEST_CASE("backups come back by post, one at a time") {
  Stored stored;
  stored.database.set(&Database::hang_backup, true);
  std::optional<Result<BackupReport, std::string>> first;
  stored.store.backup("/b/1", [&](Result<BackupReport, std::string> report) { first = report; });
  const auto second = back_up(stored.store, stored.calls, "/b/2");
  REQUIRE(!second);
  CHECK(second.error() == "a backup is under way");
  CHECK_FALSE(first);
  // Writing goes on meanwhile.
  stored.store.post(sample_metric("p2p", 0));
  CHECK(stored.writes(1));
  stored.database.set(&Database::hang_backup, false);
  REQUIRE(stored.calls.run_one());
  REQUIRE(first);
  REQUIRE(*first);
  CHECK((*first)->path == "/b/1");
  CHECK((*first)->bytes == 7);
  CHECK(back_up(stored.store, stored.calls, "/b/3"));
}

TEST_CASE("the end ends a backup too") {
  Stored stored;
  stored.database.set(&Database::hang_backup, true);
  std::optional<Result<BackupReport, std::string>> outcome;
  stored.store.backup("/b/1", [&](Result<BackupReport, std::string> report) { outcome = report; });
  stored.store.post(sample_metric("p2p", 0));
  CHECK(stored.store.finish(kTestPatienceNanos) == 0);
  CHECK(stored.database.closed);
  REQUIRE(stored.calls.run_one());
  REQUIRE(outcome);
  CHECK(outcome->error() == "cancelled");
  const auto late = back_up(stored.store, stored.calls, "/b/2");
  REQUIRE(!late);
  CHECK(late.error() == "the store is being closed");
}

TEST_CASE("a store that goes without an end takes its thread with it") {
  Database database;
  PostedCalls calls;
  {
    QueuedStore store(std::make_unique<FakeDriver>(database), calls.post(), {});
    store.post(sample_metric("p2p", 0));
  }
  CHECK(database.closed);
}

}  // namespace
}  // namespace tandem
