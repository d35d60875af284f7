// Owns descriptors and the few socket calls the load generator needs, on IPv4 loopback. Knows
// nothing of proxies, relays or load. Set-up failures throw std::system_error: a generator that
// cannot build its scene has nothing to measure.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace tandem::bench {

class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket();

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Throws std::system_error made of errno and `what`.
[[noreturn]] void throw_errno(std::string_view what);
// Returns `result`, or throws where it is negative.
int require(int result, std::string_view what);

using SocketAddress = sockaddr_in;

// "127.0.0.1:7777" or "7777" (then on 127.0.0.1); throws std::invalid_argument, also for an address
// outside 127.0.0.0/8: the generator never leaves the machine.
SocketAddress parse_address(const std::string& text);
// `host_order` is an IPv4 address such as 0x7f000001.
SocketAddress address_of(std::uint32_t host_order, std::uint16_t port);
std::string to_string(const SocketAddress& address);
SocketAddress local_address(int fd);

// Blocking TCP; a `source` of port 0 binds only the address. Receive times out after 5 s.
Socket tcp_connect(const SocketAddress& to, const SocketAddress* source = nullptr);
Socket tcp_listen(const SocketAddress& at, int backlog);
// One connection, within 5 s.
Socket tcp_accept(int listener);

Socket udp_bind(const SocketAddress& at);
void udp_connect(int fd, const SocketAddress& to);

void set_nonblocking(int fd);
void set_option(int fd, int level, int name, int value, std::string_view what);
// Beyond net.core.rmem_max and wmem_max where the process may; 0 leaves the kernel's tuning alone.
void set_buffers(int fd, int send_bytes, int receive_bytes);
// close() then sends a reset and leaves no TIME_WAIT behind.
void reset_on_close(int fd);

}  // namespace tandem::bench
