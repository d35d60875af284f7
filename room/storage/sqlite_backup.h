// A copy of a live SQLite database in a file of its own.
#pragma once

#include <atomic>
#include <string>

#include "common/result.h"
#include "room/storage/store.h"

namespace tandem {

// As the database `from` is at one moment, while others write to it: they are not held up, but its
// write-ahead log grows until the copy is done. The copy is checked whole and only then stands at
// `to`, with mode 0600; nothing that is there is ever replaced. The error is one line.
[[nodiscard]] Result<BackupReport, std::string> back_up_sqlite(const std::string& from,
                                                               const std::string& to,
                                                               const std::atomic<bool>& cancelled);

}  // namespace tandem
