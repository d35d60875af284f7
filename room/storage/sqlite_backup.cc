#include "room/storage/sqlite_backup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

#include "room/storage/sqlite_database.h"

namespace tandem {
namespace {

using Done = Result<void, std::string>;

constexpr int kPagesAtOnce = 256;  // 1 MiB between two looks at `cancelled`

std::string reason_of(int error) {
  return std::generic_category().message(error);
}

// The name that the copy has until it is whole.
class PartialFile {
 public:
  explicit PartialFile(const std::string& target)
      : path_(fmt::format("{}.partial-{}", target, ::getpid())) {}
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;
  ~PartialFile() { remove(); }

  const std::string& path() const { return path_; }

  Done make() {
    remove();  // left by one of our pid that did not come to its end
    const int descriptor = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0) return unexpected(reason_of(errno));
    ::close(descriptor);
    return {};
  }

  Done publish(const std::string& target) {
    if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) == 0)
      return {};
    // Not every file system knows RENAME_NOREPLACE.
    if (errno == EINVAL && ::link(path_.c_str(), target.c_str()) == 0) return {};
    return unexpected(reason_of(errno));
  }

 private:
  void remove() {
    for (const char* beside : {"", "-journal", "-wal", "-shm"}) ::unlink((path_ + beside).c_str());
  }

  const std::string path_;
};

Done sync(const std::string& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) return unexpected(reason_of(errno));
  const int failed = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (failed != 0) return unexpected(reason_of(failed));
  return {};
}

Done stopped() {
  return unexpected(std::string("the daemon is stopping"));
}

// The open read transaction of `from` holds one state of the database; so no write to it starts the
// copy over, as it else would.
Done copy_pages(SqlDatabase& from, SqlDatabase& to, const std::atomic<bool>& cancelled) {
  struct Finish {
    void operator()(sqlite3_backup* copy) const { sqlite3_backup_finish(copy); }
  };
  if (const auto held = from.execute("BEGIN; SELECT count(*) FROM sqlite_schema"); !held)
    return unexpected(held.error().reason);
  const std::unique_ptr<sqlite3_backup, Finish> copy(
      sqlite3_backup_init(to.handle(), "main", from.handle(), "main"));
  if (copy == nullptr) return unexpected(to.fault().reason);
  int code = SQLITE_OK;
  while (code == SQLITE_OK) {
    if (cancelled) return stopped();
    code = sqlite3_backup_step(copy.get(), kPagesAtOnce);
  }
  if (code != SQLITE_DONE) return unexpected(std::string(sqlite3_errstr(code)));
  return {};
}

Done copy_database(const std::string& from, const std::string& to,
                   const std::atomic<bool>& cancelled) {
  auto source = SqlDatabase::open(from, SqlAccess::read);
  if (!source) return unexpected(source.error().reason);
  auto target = SqlDatabase::open(to, SqlAccess::write);
  if (!target) return unexpected(target.error().reason);
  // A copy that does not come to its end is deleted, so it needs no journal.
  if (const auto set = target->execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF"); !set)
    return unexpected(set.error().reason);
  return copy_pages(*source, *target, cancelled);
}

// Also leaves WAL mode, so that the copy is one file.
Done check_database(const std::string& path, const std::atomic<bool>& cancelled) {
  auto database = SqlDatabase::open(path, SqlAccess::write);
  if (!database) return unexpected(database.error().reason);
  database->watch([&cancelled] { return cancelled.load(); });
  const auto mode = database->text("PRAGMA journal_mode = DELETE");
  if (!mode) return unexpected(mode.error().reason);
  const auto found = database->text("PRAGMA integrity_check(1)");
  if (!found && found.error().is_interrupt()) return stopped();
  if (!found) return unexpected(found.error().reason);
  if (*found != "ok") return unexpected(fmt::format("the copy is damaged: {}", *found));
  return {};
}

Result<BackupReport, std::string> make_backup(const std::string& from, const std::string& to,
                                              const std::atomic<bool>& cancelled) {
  const std::filesystem::path target(to);
  if (!target.is_absolute()) return unexpected(std::string("it is not an absolute path"));
  struct stat status {};
  if (::lstat(to.c_str(), &status) == 0) return unexpected(reason_of(EEXIST));
  PartialFile partial(to);
  Done done = partial.make();
  if (done) done = copy_database(from, partial.path(), cancelled);
  if (done) done = check_database(partial.path(), cancelled);
  if (done) done = sync(partial.path(), O_RDWR);
  if (done && ::stat(partial.path().c_str(), &status) != 0) done = unexpected(reason_of(errno));
  if (done) done = partial.publish(to);
  if (done) done = sync(target.parent_path(), O_RDONLY | O_DIRECTORY);
  if (!done) return unexpected(done.error());
  return BackupReport{to, static_cast<std::uint64_t>(status.st_size)};
}

}  // namespace

Result<BackupReport, std::string> back_up_sqlite(const std::string& from, const std::string& to,
                                                 const std::atomic<bool>& cancelled) {
  auto report = make_backup(from, to, cancelled);
  if (!report) return unexpected(fmt::format("cannot back up to {}: {}", to, report.error()));
  return report;
}

}  // namespace tandem
