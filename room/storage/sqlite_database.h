// An SQLite connection and its prepared statements, with faults as values. Knows no table.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "common/clock.h"
#include "common/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace tandem {

struct SqlFault {
  int code = 0;  // SQLite's, extended
  std::string reason;

  // What is in the file is no sound database.
  [[nodiscard]] bool is_damage() const;
  // The row was refused for what it says; others may be taken.
  [[nodiscard]] bool is_of_the_row() const;
  // interrupt(), or a watch that said stop.
  [[nodiscard]] bool is_interrupt() const;
};
using SqlDone = Result<void, SqlFault>;

// Texts are borrowed for the duration of the call.
using SqlValue = std::variant<std::nullptr_t, std::int64_t, double, std::string_view>;
using SqlValues = std::initializer_list<SqlValue>;

// A row of a result, during the call that gives it.
class SqlRow {
 public:
  explicit SqlRow(sqlite3_stmt* statement) : statement_(statement) {}
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;

 private:
  sqlite3_stmt* statement_;
};

class SqlStatement {
 public:
  explicit SqlStatement(sqlite3_stmt* statement);

  SqlDone run(SqlValues values);
  SqlDone each(SqlValues values, const std::function<void(const SqlRow&)>& row);

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

enum class SqlAccess : std::uint8_t { read, write };

// Used by one thread at a time; interrupt() comes from any.
class SqlDatabase {
 public:
  // The file is there already: who may read it was decided when it was made.
  [[nodiscard]] static Result<SqlDatabase, SqlFault> open(const std::string& path,
                                                          SqlAccess access);

  // One or more statements; rows are passed over.
  SqlDone execute(const char* script);
  [[nodiscard]] Result<SqlStatement, SqlFault> prepare(std::string_view sql);
  // The first column of the first row.
  [[nodiscard]] Result<std::int64_t, SqlFault> integer(const char* sql);
  [[nodiscard]] Result<std::string, SqlFault> text(const char* sql);

  [[nodiscard]] std::int64_t changes() const;  // rows, by the last statement
  [[nodiscard]] bool in_transaction() const;
  void interrupt();
  // Asked now and then while a statement runs; true: it ends as interrupted. Empty: no watch.
  void watch(std::function<bool()> stop);

  [[nodiscard]] SqlFault fault() const;  // of the last call
  [[nodiscard]] sqlite3* handle() { return database_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  explicit SqlDatabase(sqlite3* database);

  std::unique_ptr<std::function<bool()>> watch_;  // SQLite keeps its address
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace tandem
