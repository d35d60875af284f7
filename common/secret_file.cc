#include "common/secret_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "common/assert.h"

namespace tandem {
namespace {

constexpr size_t kSecretFileMax = 64 * 1024;

std::string failure(const char* what, const std::string& path, int error) {
  return fmt::format("cannot {} {}: {}", what, path, std::generic_category().message(error));
}

// Written aside and linked into place, so that nobody ever reads half of it.
Result<void, std::string> make_secret(const std::string& path, const std::string& text) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!folder.empty() && !std::filesystem::exists(folder, error)) {
    std::filesystem::create_directories(folder, error);
    if (error) return unexpected(failure("make the folder", folder, error.value()));
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  }
  const std::string aside = fmt::format("{}.{}", path, ::getpid());
  ::unlink(aside.c_str());  // left by one of our pid that did not come to its end
  const int fd = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return unexpected(failure("make", path, errno));
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  int reason = errno;
  ::close(fd);
  if (written && ::link(aside.c_str(), path.c_str()) != 0 && errno != EEXIST) reason = errno;
  ::unlink(aside.c_str());
  if (!written || ::access(path.c_str(), F_OK) != 0) {
    return unexpected(failure("write", path, reason));
  }
  return {};
}

}  // namespace

Result<SecretFile, std::string> read_secret(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return unexpected(failure("read", path, errno));
  SecretFile file;
  struct stat status {};
  if (::fstat(fd, &status) == 0) file.readable_by_others = (status.st_mode & S_IROTH) != 0;
  file.text.resize(kSecretFileMax + 1);
  const ssize_t got = ::read(fd, file.text.data(), file.text.size());
  const int reason = errno;
  ::close(fd);
  if (got < 0) return unexpected(failure("read", path, reason));
  if (static_cast<size_t>(got) > kSecretFileMax) {
    return unexpected(fmt::format("{} is larger than {} bytes", path, kSecretFileMax));
  }
  file.text.resize(static_cast<size_t>(got));
  return file;
}

Result<SecretFile, std::string> read_or_make_secret(const std::string& path,
                                                    const std::function<std::string()>& make) {
  const bool absent = ::access(path.c_str(), F_OK) != 0 && errno == ENOENT;
  if (absent) {
    if (auto made = make_secret(path, make()); !made) return unexpected(made.error());
  }
  auto file = read_secret(path);
  if (file) file->made = absent;
  return file;
}

std::string random_hex(size_t bytes) {
  std::vector<uint8_t> random(bytes);
  TANDEM_CHECK(::getrandom(random.data(), random.size(), 0) == static_cast<ssize_t>(bytes));
  std::string text;
  for (const uint8_t byte : random) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace tandem
