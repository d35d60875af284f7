// Storage: what a post costs the control thread, and what a row costs the store's own, in batches
// as they are written, in a file of the temporary folder.
#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/micro/micro.h"
#include "room/storage/queued_store.h"
#include "room/storage/sqlite_driver.h"

namespace tandem::bench {
namespace {

constexpr std::size_t kBatch = 1024;

RoomRow room_row(std::uint64_t number) {
  return {.id = fmt::format("01234567-89ab-4cde-8f01-{:012x}", number),
          .code = fmt::format("{:08X}", number),
          .name = "A room with a name of some length",
          .game_id = "72057594037927936",
          .game_version = "1.2.3",
          .host_id = "01234567-89ab-4cde-8f01-23456789abcd",
          .host_name = "A host with a name",
          .players_max = 8,
          .visibility = "public",
          .region = "eu-central",
          .metadata = R"({"map":"a map","mode":"a mode","round":7,"ping":23})",
          .created_at = 1'800'000'000'000,
          .updated_at = 1'800'000'000'000};
}

PlayerRow player_row(std::uint64_t number) {
  return {.room_id = room_row(number).id,
          .client_id = fmt::format("01234567-89ab-4cde-8f02-{:012x}", number),
          .seat = 1,
          .name = "A player with a name",
          .joined_at = 1'800'000'000'000};
}

ConnectionMetric metric_row(std::uint64_t number) {
  return {.client_id = fmt::format("01234567-89ab-4cde-8f02-{:012x}", number % 5000),
          .room_id = room_row(number % 1000).id,
          .connection_type = "relay",
          .latency_ms = 23,
          .packet_loss_rate = 0.01,
          .bandwidth_kbps = 900,
          .recorded_at = 1'800'000'000'000 + static_cast<UnixMillis>(number)};
}

// ---- post ----

// Takes everything at once.
class NoDisk final : public StoreDriver {
 public:
  std::string_view name() const override { return "none"; }
  Result<LiveRooms, std::string> load() override { return LiveRooms(); }
  Result<RejectedRows, std::string> write(const StoreBatch&) override { return RejectedRows(); }
  Result<std::size_t, std::string> expire(UnixMillis, std::size_t) override { return 0; }
  std::uint64_t size_bytes() override { return 0; }
  Result<BackupReport, std::string> backup(const std::string&, const std::atomic<bool>&) override {
    return BackupReport();
  }
  void interrupt() override {}
};

// The row is there already: its making is the registry's. Where the queue is full the loop waits,
// out of the measurement, so that no figure is of a drop.
template <class Row>
void post(benchmark::State& state, Row row) {
  QueuedStore store(std::make_unique<NoDisk>(), [](const std::function<void()>&) {}, {});
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<StoreWrite> writes(kBatch, StoreWrite(row));
    while (store.statistics().queued > 8 * kBatch) std::this_thread::yield();
    state.ResumeTiming();
    for (StoreWrite& write : writes) store.post(std::move(write));
  }
  TANDEM_CHECK(store.statistics().dropped == 0);
  count_operations(state, kBatch);
}
TANDEM_MICRO_CASE(post, "store/post/player", player_row(1));
TANDEM_MICRO_CASE(post, "store/post/metric", metric_row(1));
// The same room again and again, as a busy one is: most are replaced before they are written.
TANDEM_MICRO_CASE(post, "store/post/room", room_row(1));

// ---- SQLite ----

class File {
 public:
  File() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tandem-bench-XXXXXX").string();
    TANDEM_CHECK(::mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
    auto opened = open_sqlite({.path = pattern + "/tandem.db"});
    TANDEM_CHECK(opened);
    driver_ = std::move(*opened);
  }
  ~File() {
    driver_.reset();
    std::filesystem::remove_all(folder_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  void write(const StoreBatch& batch) {
    const auto written = driver_->write(batch);
    TANDEM_CHECK(written && written->count == 0);
  }

 private:
  std::filesystem::path folder_;
  std::unique_ptr<StoreDriver> driver_;
};

// Rows of one kind; `make` gives the n-th. In wall time: the disk is waited for.
template <class Make>
void write(benchmark::State& state, Make make) {
  File file;
  StoreBatch rooms;
  for (std::uint64_t i = 0; i < 5000; ++i) rooms.writes.emplace_back(room_row(i));
  file.write(rooms);
  std::uint64_t next = 0;
  for (auto _ : state) {
    state.PauseTiming();
    StoreBatch batch;
    for (std::size_t i = 0; i < kBatch; ++i) batch.writes.emplace_back(make(next++));
    state.ResumeTiming();
    file.write(batch);
  }
  count_operations(state, kBatch);
}
constexpr auto kUpdatedRoom = [](std::uint64_t number) { return room_row(number % 5000); };
constexpr auto kPlayer = [](std::uint64_t number) { return player_row(number % 5000); };
TANDEM_MICRO_CASE(write, "store/sqlite/room", kUpdatedRoom)->UseRealTime();
TANDEM_MICRO_CASE(write, "store/sqlite/player", kPlayer)->UseRealTime();
TANDEM_MICRO_CASE(write, "store/sqlite/metric", metric_row)->UseRealTime();

}  // namespace
}  // namespace tandem::bench
