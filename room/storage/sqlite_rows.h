// The rows of a store as SQLite's: one prepared statement for each kind of write. Knows no
// transactions.
#pragma once

#include <cstddef>
#include <memory>

#include "common/result.h"
#include "room/storage/sqlite_database.h"
#include "room/storage/store.h"

namespace tandem {

class SqliteRows {
 public:
  // The tables are there.
  [[nodiscard]] static Result<SqliteRows, SqlFault> prepare(SqlDatabase& database);
  SqliteRows(SqliteRows&&) noexcept;
  SqliteRows& operator=(SqliteRows&&) noexcept;
  ~SqliteRows();

  SqlDone write(const StoreWrite& write);
  SqlDone delete_live();
  // At most so many rows of one kind after the other; gives how many.
  [[nodiscard]] Result<std::size_t, SqlFault> expire(SqlDatabase& database, UnixMillis before,
                                                     std::size_t rows_max);

 private:
  struct Statements;
  explicit SqliteRows(std::unique_ptr<Statements> statements);

  std::unique_ptr<Statements> statements_;
};

[[nodiscard]] Result<LiveRooms, SqlFault> load_live(SqlDatabase& database);

}  // namespace tandem
