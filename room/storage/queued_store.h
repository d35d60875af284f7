// A store that writes on a thread of its own: the queue, the batches, trying again, the hourly
// deleting of what is too old, backups. What a database does with it is its driver's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/clock.h"
#include "room/storage/store.h"
#include "room/storage/store_driver.h"
#include "room/storage/write_queue.h"

namespace tandem {

struct QueuedStoreOptions {
  WriteQueueBounds queue = {};
  // From the first write that waits to its transaction: what a crash of the process loses, and how
  // long a room's changes are gathered.
  Nanos linger = 20 * kNanosPerMillisecond;
  Nanos retry_after = kNanosPerSecond;  // a batch that could not be written
  std::size_t expire_rows_max = 500;  // in one transaction; between two of them the queue is served
  Retention retention = {};
  std::function<UnixMillis()> now = {};  // from the store's thread; empty: the system's clock
};

class QueuedStore final : public Store {
 public:
  QueuedStore(std::unique_ptr<StoreDriver> driver, StorePost post, QueuedStoreOptions options);
  ~QueuedStore() override;

  [[nodiscard]] Result<LiveRooms, std::string> load() override;
  void post(StoreWrite write) override;
  void replace_live(LiveRooms live) override;
  void backup(std::string path, BackupDone done) override;
  void set_retention(const Retention& retention) override;
  [[nodiscard]] StoreStatistics statistics() const override;
  std::size_t finish(Nanos patience) override;

 private:
  class Work;
  // Shared with its threads: one that hangs in the disk's driver is left behind at the end.
  std::shared_ptr<Work> work_;
};

}  // namespace tandem
