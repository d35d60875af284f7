#include "room/storage/store.h"

#include <utility>

#include "common/assert.h"
#include "room/storage/queued_store.h"
#include "room/storage/sqlite_driver.h"

namespace tandem {
namespace {

// Keeps nothing: rooms live in memory alone.
class NoStore final : public Store {
 public:
  explicit NoStore(StorePost post) : post_(std::move(post)) {}

  Result<LiveRooms, std::string> load() override { return LiveRooms(); }
  void post(StoreWrite) override {}
  void replace_live(LiveRooms) override {}
  void backup(std::string, BackupDone done) override {
    post_([done = std::move(done)] {
      done(unexpected(std::string("there is nothing to back up: storage.driver is \"none\"")));
    });
  }
  void set_retention(const Retention&) override {}
  StoreStatistics statistics() const override { return {.driver = "none"}; }
  std::size_t finish(Nanos) override { return 0; }

 private:
  const StorePost post_;
};

void append(Metrics& into, std::string_view name, std::string_view help, MetricType type,
            std::uint64_t value) {
  into.push_back({name, help, type, {}, static_cast<double>(value)});
}

}  // namespace

Result<std::unique_ptr<Store>, std::string> open_store(const Config::Storage& config,
                                                       StorePost post) {
  switch (config.driver) {
    case StorageDriver::none:
      return std::make_unique<NoStore>(std::move(post));
    case StorageDriver::postgres:
      return unexpected(
          std::string("storage.driver = \"postgres\" is not supported by this version"));
    case StorageDriver::sqlite:
      break;
  }
  auto driver = open_sqlite({.path = config.path});
  if (!driver) return unexpected(driver.error());
  return std::make_unique<QueuedStore>(std::move(*driver), std::move(post), QueuedStoreOptions{});
}

void append_store_metrics(const StoreStatistics& statistics, Metrics& into) {
  const auto counter = MetricType::counter;
  const auto gauge = MetricType::gauge;
  append(into, "tandem_storage_up", "1 while writes reach the store.", gauge, statistics.ok);
  append(into, "tandem_storage_queue_writes", "Writes that wait.", gauge, statistics.queued);
  append(into, "tandem_storage_size_bytes", "Of the database.", gauge, statistics.size_bytes);
  append(into, "tandem_storage_writes_total", "Writes that reached the store.", counter,
         statistics.written);
  append(into, "tandem_storage_writes_dropped_total", "Writes lost to a full queue.", counter,
         statistics.dropped);
  append(into, "tandem_storage_writes_coalesced_total",
         "Writes of a room that a newer one replaced before its turn.", counter,
         statistics.coalesced);
  append(into, "tandem_storage_writes_rejected_total",
         "Writes that the store refused for what they say.", counter, statistics.rejected);
  append(into, "tandem_storage_errors_total", "Times that a batch had to be tried again.", counter,
         statistics.errors);
  append(into, "tandem_storage_rows_expired_total", "Rows of the history that retention deleted.",
         counter, statistics.expired);
}

}  // namespace tandem
