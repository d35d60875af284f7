// One kind of database behind a queued store: calls that block. The store's own thread makes them,
// one at a time; backup() alone comes from another thread, and interrupt() from any.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"
#include "room/storage/store.h"
#include "room/storage/write_queue.h"

namespace tandem {

// Rows of a batch that the database refused for what they say, while it took the others.
struct RejectedRows {
  std::size_t count = 0;
  std::string reason;  // of the last one
};

class StoreDriver {
 public:
  StoreDriver() = default;
  virtual ~StoreDriver() = default;
  StoreDriver(const StoreDriver&) = delete;
  StoreDriver& operator=(const StoreDriver&) = delete;

  [[nodiscard]] virtual std::string_view name() const = 0;
  // Once, before the first write.
  [[nodiscard]] virtual Result<LiveRooms, std::string> load() = 0;
  // All of it or, with an error, nothing of it: then the same batch comes again.
  [[nodiscard]] virtual Result<RejectedRows, std::string> write(const StoreBatch& batch) = 0;
  // Deletes at most so many rows of the history from before this time; gives how many it were.
  [[nodiscard]] virtual Result<std::size_t, std::string> expire(UnixMillis before,
                                                                std::size_t rows_max) = 0;
  [[nodiscard]] virtual std::uint64_t size_bytes() = 0;
  // Ends soon, with an error, after `cancelled` was set.
  [[nodiscard]] virtual Result<BackupReport, std::string> backup(
      const std::string& path, const std::atomic<bool>& cancelled) = 0;
  // The call that runs ends soon, with an error.
  virtual void interrupt() = 0;
};

}  // namespace tandem
