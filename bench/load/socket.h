// Owns descriptors and the few socket calls the load generator needs. Knows nothing of proxies,
// relays or load. Set-up failures throw std::system_error: a generator that cannot build its scene
// has nothing to measure.
#pragma once

#include <poll.h>

#include <span>
#include <string_view>
#include <utility>

#include "bench/load/address.h"

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

// How long a pair's set-up may wait for its other side, at each step.
inline constexpr int kSetupTimeoutMs = 5000;

// Blocking TCP; a `source` of port 0 binds only the address. Connecting and receiving time out
// after kSetupTimeoutMs.
Socket tcp_connect(const SocketAddress& to, const SocketAddress* source = nullptr);
Socket tcp_listen(const SocketAddress& at, int backlog);
// One connection, within kSetupTimeoutMs; its receives time out as tcp_connect's do.
Socket tcp_accept(int listener);
// All of it, or throws.
void send_all(int fd, std::string_view bytes);
// Exactly `size` bytes, or throws std::runtime_error, in which `from` names who did not send them.
std::string receive_exactly(int fd, std::size_t size, std::string_view from);

enum class Sharing { none, address };  // SO_REUSEADDR: several sockets, each connected, at one port
Socket udp_bind(const SocketAddress& at, Sharing sharing = Sharing::none);
void udp_connect(int fd, const SocketAddress& to);

// As poll(2), but a signal is no failure: nothing is ready then.
int poll_some(std::span<pollfd> waiting, int timeout_ms);

void set_nonblocking(int fd);
void set_option(int fd, int level, int name, int value, std::string_view what);
// Beyond net.core.rmem_max and wmem_max where the process may; 0 leaves the kernel's tuning alone.
void set_buffers(int fd, int send_bytes, int receive_bytes);
// close() then sends a reset and leaves no TIME_WAIT behind.
void reset_on_close(int fd);

// How many sockets this process, or one that it forks, may have: from now on all that it may ask
// for, less a few for other descriptors. Two at least.
std::size_t sockets_max();

}  // namespace tandem::bench
