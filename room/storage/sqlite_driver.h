// The store's driver for SQLite: one file, one connection that writes, in WAL mode with
// synchronous=NORMAL: a crash of the process loses nothing that was committed, one of the machine
// may lose the last moments and never the file.
#pragma once

#include <memory>
#include <string>

#include "common/clock.h"
#include "common/result.h"
#include "room/storage/store_driver.h"

namespace tandem {

struct SqliteOptions {
  std::string path;
  // For another daemon that is on its way out with the file.
  Nanos lock_patience = 5 * kNanosPerSecond;
  // A file is read whole for damage at the start. What is not reached in this time is let pass: a
  // start is not to wait for minutes.
  Nanos check_patience = 10 * kNanosPerSecond;
};

// A damaged file is put aside, with an error in the log, and a fresh one takes its place. The error
// is one line: the file cannot be used, or not by this program.
[[nodiscard]] Result<std::unique_ptr<StoreDriver>, std::string> open_sqlite(SqliteOptions options);

}  // namespace tandem
