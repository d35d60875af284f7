#include "room/storage/sqlite_database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <system_error>
#include <utility>

#include "common/assert.h"
#include "common/overloaded.h"

namespace tandem {
namespace {

// Virtual machine instructions between two looks at the watch: some 10 us.
constexpr int kWatchEvery = 1000;
// For others that hold the file: a shell's transaction. Whoever writes tries again, and this wait
// cannot be interrupted.
constexpr int kBusyMillis = 1000;

// SQLite says "disk I/O error" of twenty things; the number tells which, the system's reason, where
// SQLite noted it, why.
SqlFault fault_of(sqlite3* database) {
  const int code = sqlite3_extended_errcode(database);
  const int primary = code & 0xff;
  std::string reason = sqlite3_errmsg(database);
  if (primary == SQLITE_IOERR) reason = fmt::format("{} ({})", reason, code);
  const int system = sqlite3_system_errno(database);
  if ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && system != 0)
    reason = fmt::format("{}: {}", reason, std::generic_category().message(system));
  return {code, reason};
}

int bind(sqlite3_stmt* statement, int index, const SqlValue& value) {
  return std::visit(
      Overloaded{
          [&](std::nullptr_t) { return sqlite3_bind_null(statement, index); },
          [&](std::int64_t number) { return sqlite3_bind_int64(statement, index, number); },
          [&](double number) { return sqlite3_bind_double(statement, index, number); },
          [&](std::string_view text) {
            // A null pointer would be NULL.
            return sqlite3_bind_text64(statement, index, text.data() == nullptr ? "" : text.data(),
                                       text.size(), SQLITE_STATIC, SQLITE_UTF8);
          },
      },
      value);
}

}  // namespace

bool SqlFault::is_damage() const {
  const int primary = code & 0xff;
  return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
}

bool SqlFault::is_of_the_row() const {
  const int primary = code & 0xff;
  return primary == SQLITE_CONSTRAINT || primary == SQLITE_TOOBIG || primary == SQLITE_MISMATCH;
}

bool SqlFault::is_interrupt() const {
  return (code & 0xff) == SQLITE_INTERRUPT;
}

// ---- rows and statements ----

std::string SqlRow::text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::int64_t SqlRow::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

void SqlStatement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

SqlStatement::SqlStatement(sqlite3_stmt* statement) : statement_(statement) {}

SqlDone SqlStatement::run(SqlValues values) {
  return each(values, [](const SqlRow&) {});
}

SqlDone SqlStatement::each(SqlValues values, const std::function<void(const SqlRow&)>& row) {
  sqlite3_stmt* const statement = statement_.get();
  TANDEM_CHECK(sqlite3_bind_parameter_count(statement) == static_cast<int>(values.size()));
  int index = 0;
  int code = SQLITE_OK;
  for (const SqlValue& value : values) {
    code = bind(statement, ++index, value);
    if (code != SQLITE_OK) break;
  }
  if (code == SQLITE_OK) {
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) row(SqlRow(statement));
  }
  SqlDone done;
  if (code != SQLITE_DONE) done = unexpected(fault_of(sqlite3_db_handle(statement)));
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);  // the texts go with the call
  return done;
}

// ---- the connection ----

void SqlDatabase::Close::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}

SqlDatabase::SqlDatabase(sqlite3* database)
    : watch_(std::make_unique<std::function<bool()>>()), database_(database) {}

Result<SqlDatabase, SqlFault> SqlDatabase::open(const std::string& path, SqlAccess access) {
  sqlite3* raw = nullptr;
  const int mode = access == SqlAccess::write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  const int code = sqlite3_open_v2(path.c_str(), &raw, mode | SQLITE_OPEN_NOMUTEX, nullptr);
  if (raw == nullptr) return unexpected(SqlFault{code, sqlite3_errstr(code)});
  SqlDatabase database(raw);
  if (code != SQLITE_OK) return unexpected(database.fault());
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, kBusyMillis);
  // A schema that somebody else wrote must not be able to do what a query of ours may.
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

SqlDone SqlDatabase::execute(const char* script) {
  if (sqlite3_exec(handle(), script, nullptr, nullptr, nullptr) != SQLITE_OK)
    return unexpected(fault());
  return {};
}

Result<SqlStatement, SqlFault> SqlDatabase::prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(handle(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) return unexpected(fault());
  return SqlStatement(raw);
}

Result<std::string, SqlFault> SqlDatabase::text(const char* sql) {
  auto statement = prepare(sql);
  if (!statement) return unexpected(statement.error());
  std::string first;
  bool found = false;
  const auto done = statement->each({}, [&](const SqlRow& row) {
    if (!std::exchange(found, true)) first = row.text(0);
  });
  if (!done) return unexpected(done.error());
  return first;
}

Result<std::int64_t, SqlFault> SqlDatabase::integer(const char* sql) {
  auto statement = prepare(sql);
  if (!statement) return unexpected(statement.error());
  std::int64_t first = 0;
  bool found = false;
  const auto done = statement->each({}, [&](const SqlRow& row) {
    if (!std::exchange(found, true)) first = row.integer(0);
  });
  if (!done) return unexpected(done.error());
  return first;
}

std::int64_t SqlDatabase::changes() const {
  return sqlite3_changes64(database_.get());
}

bool SqlDatabase::in_transaction() const {
  return sqlite3_get_autocommit(database_.get()) == 0;
}

void SqlDatabase::interrupt() {
  sqlite3_interrupt(handle());
}

void SqlDatabase::watch(std::function<bool()> stop) {
  *watch_ = std::move(stop);
  const auto ask = [](void* watch) {
    return (*static_cast<std::function<bool()>*>(watch))() ? 1 : 0;
  };
  if (*watch_) {
    sqlite3_progress_handler(handle(), kWatchEvery, ask, watch_.get());
  } else {
    sqlite3_progress_handler(handle(), 0, nullptr, nullptr);
  }
}

SqlFault SqlDatabase::fault() const {
  return fault_of(database_.get());
}

}  // namespace tandem
