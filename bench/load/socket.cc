#include "bench/load/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <stdexcept>
#include <system_error>

namespace tandem::bench {
namespace {

constexpr int kSetupTimeoutMs = 5000;

// The sockets API is defined in terms of this cast.
const sockaddr* generic(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

void bind_to(int fd, const SocketAddress& address) {
  require(::bind(fd, generic(address), sizeof address), "bind " + to_string(address));
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

SocketAddress address_of(std::uint32_t host_order, std::uint16_t port) {
  SocketAddress address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(host_order);
  return address;
}

SocketAddress parse_address(const std::string& text) {
  const auto colon = text.rfind(':');
  const std::string host = colon == std::string::npos ? "127.0.0.1" : text.substr(0, colon);
  const std::string digits = colon == std::string::npos ? text : text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto* end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, port);
  in_addr parsed{};
  if (error != std::errc{} || rest != end || ::inet_pton(AF_INET, host.c_str(), &parsed) != 1) {
    throw std::invalid_argument("not an IPv4 address and port: " + text);
  }
  if (ntohl(parsed.s_addr) >> 24 != 127) {
    throw std::invalid_argument("not a loopback address: " + text);
  }
  return address_of(ntohl(parsed.s_addr), port);
}

std::string to_string(const SocketAddress& address) {
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
  return std::string(text) + ":" + std::to_string(ntohs(address.sin_port));
}

SocketAddress local_address(int fd) {
  SocketAddress address{};
  socklen_t size = sizeof address;
  require(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  return address;
}

Socket tcp_connect(const SocketAddress& to, const SocketAddress* source) {
  Socket socket(require(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  if (source != nullptr) {
    // The port is chosen at connect(), from the four-tuple and not from the address alone.
    set_option(socket.fd(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, "IP_BIND_ADDRESS_NO_PORT");
    bind_to(socket.fd(), *source);
  }
  const timeval timeout{.tv_sec = kSetupTimeoutMs / 1000, .tv_usec = 0};
  require(::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout),
          "SO_RCVTIMEO");
  set_option(socket.fd(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
  require(::connect(socket.fd(), generic(to), sizeof to), "connect " + to_string(to));
  return socket;
}

Socket tcp_listen(const SocketAddress& at, int backlog) {
  Socket socket(require(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  set_option(socket.fd(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  bind_to(socket.fd(), at);
  require(::listen(socket.fd(), backlog), "listen");
  return socket;
}

Socket tcp_accept(int listener) {
  pollfd waiting{.fd = listener, .events = POLLIN, .revents = 0};
  if (require(::poll(&waiting, 1, kSetupTimeoutMs), "poll") == 0) {
    errno = ETIMEDOUT;
    throw_errno("nobody connected to the sink");
  }
  Socket socket(require(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept"));
  set_option(socket.fd(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
  return socket;
}

Socket udp_bind(const SocketAddress& at) {
  Socket socket(require(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  bind_to(socket.fd(), at);
  return socket;
}

void udp_connect(int fd, const SocketAddress& to) {
  require(::connect(fd, generic(to), sizeof to), "connect " + to_string(to));
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

}  // namespace tandem::bench
