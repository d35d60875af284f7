#include "room/ctl/admin_client.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "room/operator/admin_protocol.h"

namespace tandem {
namespace {

class Socket {
 public:
  Socket() : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

bool connect_to(int fd, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return false;
  }
  path.copy(address.sun_path, path.size());
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// A daemon that refuses the peer answers and closes without having read the request: so the answer
// is read even where the request could not be sent.
Result<std::string, std::string> read_line(int fd) {
  std::string line;
  char piece[16 * 1024];
  while (line.size() < kAdminAnswerMax) {
    const ssize_t count = ::recv(fd, piece, sizeof piece, 0);
    if (count < 0 && errno == EAGAIN) return unexpected(std::string("no answer in time"));
    if (count <= 0) return unexpected(std::string("the daemon closed the connection"));
    const std::string_view got(piece, static_cast<std::size_t>(count));
    const std::size_t end = got.find('\n');
    line += got.substr(0, end);
    if (end != std::string_view::npos) return line;
  }
  return unexpected(std::string("the answer is longer than an answer may be"));
}

}  // namespace

Result<std::string, std::string> ask_daemon(const std::string& socket_path,
                                            std::string_view request, int patience_s) {
  const Socket socket;
  const timeval patience{.tv_sec = patience_s, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (!connect_to(socket.get(), socket_path))
    return unexpected(fmt::format("no daemon at {}: {}", socket_path, ::strerror(errno)));
  static_cast<void>(send_all(socket.get(), std::string(request) + '\n'));
  auto answer = read_line(socket.get());
  if (!answer) return unexpected(fmt::format("{}: {}", socket_path, answer.error()));
  return answer;
}

}  // namespace tandem
