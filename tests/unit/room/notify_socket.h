// The service manager's end of sd_notify, for tests.
#pragma once

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

namespace tandem {

class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path)
      : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("bind");
    const timeval patience{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~NotifySocket() {
    ::unsetenv("NOTIFY_SOCKET");
    ::close(fd_);
  }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  // Empty after five seconds of silence.
  [[nodiscard]] std::string next() const { return receive(0); }
  // Empty where there is none yet.
  [[nodiscard]] std::string next_now() const { return receive(MSG_DONTWAIT); }

 private:
  [[nodiscard]] std::string receive(int flags) const {
    char text[512];
    const ssize_t count = ::recv(fd_, text, sizeof text, flags);
    return {text, count > 0 ? static_cast<std::size_t>(count) : 0};
  }

  int fd_;
};

}  // namespace tandem
