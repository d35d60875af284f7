#include "common/log_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <span>
#include <utility>

namespace tandem {
namespace {

constexpr mode_t kMode = 0640;

int open_to_append(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, kMode);
}

std::uint64_t size_of(int descriptor) {
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

bool is_regular(int descriptor) {
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

bool wait_until_writable(int descriptor) {
  constexpr int kPatienceMs = 1000;
  pollfd waiting = {.fd = descriptor, .events = POLLOUT, .revents = 0};
  return ::poll(&waiting, 1, kPatienceMs) == 1;
}

void drop_front(std::span<iovec> parts, std::size_t bytes) {
  for (iovec& part : parts) {
    const std::size_t taken = std::min(bytes, part.iov_len);
    part.iov_base = static_cast<char*>(part.iov_base) + taken;
    part.iov_len -= taken;
    bytes -= taken;
  }
}

iovec part_of(std::string_view text) {
  // writev() reads only; its struct serves readv() too.
  return {.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
}

}  // namespace

LineWrite write_log_line(int descriptor, std::string_view line) {
  std::array parts = {part_of(line), part_of("\n")};
  LineWrite outcome;
  while (outcome.bytes < line.size() + 1) {
    const ssize_t written = ::writev(descriptor, parts.data(), parts.size());
    if (written >= 0) {
      outcome.bytes += static_cast<std::size_t>(written);
      drop_front(parts, static_cast<std::size_t>(written));
    } else if (errno != EINTR && (errno != EAGAIN || !wait_until_writable(descriptor))) {
      outcome.error = errno;
      return outcome;
    }
  }
  return outcome;
}

Result<LogFile, int> LogFile::open(Options options) {
  const int descriptor = open_to_append(options.path);
  if (descriptor < 0) return unexpected(errno);
  return LogFile(std::move(options), descriptor, size_of(descriptor));
}

LogFile::LogFile(Options options, int descriptor, std::uint64_t size)
    : options_(std::move(options)), descriptor_(descriptor), size_(size) {}

LogFile::LogFile(LogFile&& other) noexcept
    : options_(std::move(other.options_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      torn_(other.torn_) {}

LogFile& LogFile::operator=(LogFile&& other) noexcept {
  std::swap(options_, other.options_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  std::swap(torn_, other.torn_);
  return *this;
}

LogFile::~LogFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int LogFile::write(std::string_view line) {
  const std::uint64_t bytes = line.size() + 1;
  if (options_.max_size > 0 && size_ > 0 && size_ + bytes > options_.max_size) rotate();
  if (torn_) {
    if (const int error = write_log_line(descriptor_, "").error; error != 0) return error;
    torn_ = false;
  }
  const LineWrite outcome = write_log_line(descriptor_, line);
  torn_ = outcome.error != 0 && outcome.bytes > 0;
  size_ += outcome.bytes;
  return outcome.error;
}

int LogFile::reopen() {
  const int descriptor = open_to_append(options_.path);
  if (descriptor < 0) return errno;
  ::close(std::exchange(descriptor_, descriptor));
  size_ = size_of(descriptor_);
  torn_ = false;
  return 0;
}

void LogFile::rotate() {
  size_ = 0;
  // A device or a pipe in the file's place is not ours to rename.
  if (!is_regular(descriptor_)) return;
  for (std::uint32_t n = options_.max_files; n > 0; --n) {
    const std::string from = n == 1 ? options_.path : fmt::format("{}.{}", options_.path, n - 1);
    // Those that are not there yet fail, as they should.
    std::rename(from.c_str(), fmt::format("{}.{}", options_.path, n).c_str());
  }
  if (const int descriptor = open_to_append(options_.path); descriptor >= 0) {
    ::close(std::exchange(descriptor_, descriptor));
  }
}

}  // namespace tandem
