#include "room/storage/sqlite_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace tandem {
namespace {

// "The database file format", 1.3.
constexpr std::string_view kMagic("SQLite format 3\0", 16);
constexpr off_t kSmallest = 512;  // the smallest page
constexpr Nanos kLockEvery = 20 * kNanosPerMillisecond;
constexpr int kNamesTried = 100;

std::string reason_of(int error) {
  return std::generic_category().message(error);
}

OpenFault refused(std::string reason) {
  return {OpenTrouble::refused, std::move(reason)};
}
OpenFault damaged(std::string reason) {
  return {OpenTrouble::damaged, std::move(reason)};
}

Result<void, OpenFault> make_folder(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (folder.empty() || std::filesystem::exists(folder, error)) return {};
  std::filesystem::create_directories(folder, error);
  if (error)
    return unexpected(
        refused(fmt::format("cannot make its folder {}: {}", folder.string(), error.message())));
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  return {};
}

bool stands_at(int descriptor, const std::string& path) {
  struct stat held {};
  struct stat found {};
  return ::fstat(descriptor, &held) == 0 && ::stat(path.c_str(), &found) == 0 &&
         held.st_dev == found.st_dev && held.st_ino == found.st_ino;
}

Result<void, OpenFault> lock(int descriptor, Nanos patience) {
  const Nanos deadline = monotonic_now() + patience;
  while (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return unexpected(refused(fmt::format("cannot lock it: {}", reason_of(errno))));
    if (monotonic_now() >= deadline) return unexpected(refused("it is in use by another tandemd"));
    const timespec pause{0, kLockEvery};
    ::nanosleep(&pause, nullptr);
  }
  return {};
}

// A file of no bytes is a fresh one, unless a log is left of another that stood there.
Result<void, OpenFault> look_at(int descriptor, const std::string& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return unexpected(refused(reason_of(errno)));
  if (!S_ISREG(status.st_mode)) return unexpected(refused("it is no regular file"));
  // Who may read it may read the rooms' password verifiers.
  if ((status.st_mode & 0177) != 0) ::fchmod(descriptor, 0600);
  if (status.st_size == 0) {
    struct stat log {};
    if (::stat((path + "-wal").c_str(), &log) == 0 && log.st_size > 0)
      return unexpected(damaged("the file is empty and its write-ahead log is not"));
    return {};
  }
  if (status.st_size < kSmallest) return unexpected(damaged("it ends within its header"));
  std::array<char, kMagic.size()> first{};
  const ssize_t got = ::pread(descriptor, first.data(), first.size(), 0);
  if (got < 0) return unexpected(refused(fmt::format("cannot read it: {}", reason_of(errno))));
  if (std::string_view(first.data(), static_cast<std::size_t>(got)) != kMagic)
    return unexpected(damaged("it does not begin as a database does"));
  return {};
}

std::string utc_stamp(UnixSeconds now) {
  const time_t seconds = now;
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t size = ::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &parts);
  return {text.data(), size};
}

}  // namespace

Result<SqliteFile, OpenFault> SqliteFile::open(const std::string& path, Nanos patience) {
  if (auto made = make_folder(path); !made) return unexpected(made.error());
  const Nanos deadline = monotonic_now() + patience;
  for (;;) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) return unexpected(refused(reason_of(errno)));
    SqliteFile file(path, descriptor);
    if (auto locked = lock(descriptor, deadline - monotonic_now()); !locked)
      return unexpected(locked.error());
    // Whoever held it may have put it aside meanwhile.
    if (!file.is_in_place()) continue;
    return file;
  }
}

Result<void, OpenFault> SqliteFile::check() const {
  return look_at(descriptor_, path_);
}

SqliteFile::SqliteFile(SqliteFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

SqliteFile& SqliteFile::operator=(SqliteFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

SqliteFile::~SqliteFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool SqliteFile::is_in_place() const {
  return stands_at(descriptor_, path_);
}

Result<std::string, std::string> put_aside(const std::string& path, UnixSeconds now) {
  const std::string stem = fmt::format("{}.damaged-{}", path, utc_stamp(now));
  for (int attempt = 0; attempt < kNamesTried; ++attempt) {
    const std::string target = attempt == 0 ? stem : fmt::format("{}.{}", stem, attempt);
    if (::access(target.c_str(), F_OK) == 0) continue;
    if (::rename(path.c_str(), target.c_str()) != 0)
      return unexpected(fmt::format("cannot rename {} to {}: {}", path, target, reason_of(errno)));
    for (const char* beside : {"-wal", "-shm"}) {
      const std::string from = path + beside;
      if (::rename(from.c_str(), (target + beside).c_str()) != 0 && errno != ENOENT)
        return unexpected(fmt::format("cannot rename {}: {}", from, reason_of(errno)));
    }
    return target;
  }
  return unexpected(fmt::format("cannot rename {}: there are too many like it", path));
}

std::uint64_t sqlite_size(const std::string& path) {
  std::uint64_t bytes = 0;
  for (const char* part : {"", "-wal"}) {
    struct stat status {};
    if (::stat((path + part).c_str(), &status) == 0)
      bytes += static_cast<std::uint64_t>(status.st_size);
  }
  return bytes;
}

}  // namespace tandem
