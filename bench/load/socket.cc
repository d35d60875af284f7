#include "bench/load/socket.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

namespace tandem::bench {
namespace {

void bind_to(int fd, const SocketAddress& address) {
  require(::bind(fd, address.get(), address.size), "bind " + to_string(address));
}

void set_timeouts(int fd) {
  const timeval timeout{.tv_sec = kSetupTimeoutMs / 1000, .tv_usec = 0};
  require(::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), "SO_RCVTIMEO");
  // connect(2) goes by it too.
  require(::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout), "SO_SNDTIMEO");
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

void throw_errno(std::string_view what) {
  throw std::system_error(errno, std::generic_category(), std::string(what));
}

int require(int result, std::string_view what) {
  if (result < 0) throw_errno(what);
  return result;
}

Socket tcp_connect(const SocketAddress& to, const SocketAddress* source) {
  Socket socket(require(::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  if (source != nullptr) {
    // The port is chosen at connect(), from the four-tuple and not from the address alone.
    set_option(socket.fd(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, "IP_BIND_ADDRESS_NO_PORT");
    bind_to(socket.fd(), *source);
  }
  set_timeouts(socket.fd());
  set_option(socket.fd(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
  if (::connect(socket.fd(), to.get(), to.size) < 0) {
    if (errno == EINPROGRESS) errno = ETIMEDOUT;  // what SO_SNDTIMEO makes of it
    throw_errno("connect " + to_string(to));
  }
  return socket;
}

Socket tcp_listen(const SocketAddress& at, int backlog) {
  Socket socket(require(::socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  set_option(socket.fd(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  bind_to(socket.fd(), at);
  require(::listen(socket.fd(), backlog), "listen");
  return socket;
}

Socket tcp_accept(int listener) {
  pollfd waiting{.fd = listener, .events = POLLIN, .revents = 0};
  if (poll_some(std::span(&waiting, 1), kSetupTimeoutMs) == 0) {
    throw std::runtime_error("nobody connected to " + to_string(local_address(listener)) + " in " +
                             std::to_string(kSetupTimeoutMs / 1000) + " s");
  }
  Socket socket(require(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept"));
  set_timeouts(socket.fd());
  set_option(socket.fd(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
  return socket;
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) throw_errno("send");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string receive_exactly(int fd, std::size_t size, std::string_view from) {
  std::string bytes(size, '\0');
  for (std::size_t have = 0; have < size;) {
    const auto got = ::recv(fd, &bytes[have], size - have, 0);
    if (got > 0) {
      have += static_cast<std::size_t>(got);
      continue;
    }
    const bool silent = got < 0 && errno == EAGAIN;
    if (got < 0 && !silent) throw_errno(from);
    throw std::runtime_error(std::string(from) + (silent ? " stays silent" : " closed early"));
  }
  return bytes;
}

Socket udp_bind(const SocketAddress& at, Sharing sharing) {
  Socket socket(require(::socket(at.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  if (sharing == Sharing::address) {
    set_option(socket.fd(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  }
  bind_to(socket.fd(), at);
  return socket;
}

void udp_connect(int fd, const SocketAddress& to) {
  require(::connect(fd, to.get(), to.size), "connect " + to_string(to));
}

int poll_some(std::span<pollfd> waiting, int timeout_ms) {
  const int ready = ::poll(waiting.data(), waiting.size(), timeout_ms);
  if (ready < 0 && errno != EINTR) throw_errno("poll");
  return std::max(ready, 0);
}

void set_nonblocking(int fd) {
  require(::fcntl(fd, F_SETFL, require(::fcntl(fd, F_GETFL), "F_GETFL") | O_NONBLOCK), "F_SETFL");
}

void set_option(int fd, int level, int name, int value, std::string_view what) {
  require(::setsockopt(fd, level, name, &value, sizeof value), what);
}

void set_buffers(int fd, int send_bytes, int receive_bytes) {
  const auto set = [fd](int forced, int plain, int bytes) {
    if (bytes == 0) return;
    if (::setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) == 0) return;
    set_option(fd, SOL_SOCKET, plain, bytes, "socket buffer");
  };
  set(SO_SNDBUFFORCE, SO_SNDBUF, send_bytes);
  set(SO_RCVBUFFORCE, SO_RCVBUF, receive_bytes);
}

void reset_on_close(int fd) {
  const linger abort{.l_onoff = 1, .l_linger = 0};
  require(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort), "SO_LINGER");
}

std::size_t sockets_max() {
  constexpr rlim_t kOthers = 32;  // standard streams, epoll, listeners, lines between processes
  rlimit limit{};
  require(::getrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE");
  limit.rlim_cur = limit.rlim_max;
  require(::setrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE");
  return std::max(limit.rlim_cur, kOthers + 2) - kOthers;
}

}  // namespace tandem::bench
