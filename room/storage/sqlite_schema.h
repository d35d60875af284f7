// The tables of the SQLite store, as steps from one version of them to the next. A step that was
// released is never changed: another one follows it.
#pragma once

#include <cstdint>
#include <span>

#include "common/result.h"
#include "room/storage/sqlite_database.h"
#include "room/storage/sqlite_file.h"

namespace tandem {

// In the file's header (PRAGMA application_id): "TNDM".
inline constexpr std::int32_t kSqliteApplicationId = 0x544e444d;

// The script at [n] leads from version n to n + 1.
[[nodiscard]] std::span<const char* const> sqlite_migrations();

// Brings the tables to the last version, each step in a transaction of its own. A file of another
// program, or one that a newer version of this one wrote, is refused and left as it is.
[[nodiscard]] Result<void, OpenFault> migrate_sqlite(
    SqlDatabase& database, std::span<const char* const> migrations = sqlite_migrations());

}  // namespace tandem
