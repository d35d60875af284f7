// The listening sockets of all shards, opened in shard order before any thread starts: the index of
// a socket in its SO_REUSEPORT group is what the steering filter returns. Owns the options a socket
// is born with; knows nothing of rings.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/endpoint.h"
#include "common/result.h"

namespace tandem::uring {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool open() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

struct ListenOptions {
  std::vector<IpAddress> addresses;
  uint16_t port = 0;  // 0: one that is free, the same for all (tests)
  bool udp = true;
  bool tcp = true;
  uint32_t backlog = 4096;
  bool fastopen = false;
  bool freebind = false;
  uint32_t datagram_buffer_bytes = 16u << 20;  // of the kernel, each way, as far as it lets us

  // Connections inherit these from their listener: no call for each of them.
  bool tcp_nodelay = true;
  Nanos keepalive_interval = 15 * kNanosPerSecond;  // whole seconds; 0 = no keepalive
  Nanos keepalive_timeout = 90 * kNanosPerSecond;   // unanswered for so long is broken
};

// A shard's own, in the order of ListenOptions::addresses; LocalAddress::socket is the index.
struct ListenSocket {
  IpAddress address;
  uint16_t port = 0;
  bool wildcard = false;  // bound to 0.0.0.0 or ::, so each datagram says where it arrived
  Descriptor udp;
  Descriptor tcp;
};
using ShardSockets = std::vector<ListenSocket>;

// One for each shard, in shard order. A port that another process holds is waited for half a
// second, since the kernel frees a killed ring's sockets late, then it is an error: one line.
//
// Datagrams whose first byte is 0x05 to 0x0c go to the shard that byte 1 names, modulo the shards;
// the rest by the kernel's hash of addresses and ports. So none of the sockets may be connected or
// closed while the others serve: either renumbers the group.
[[nodiscard]] Result<std::vector<ShardSockets>, std::string> open_listeners(
    const ListenOptions& options, uint32_t shards);

}  // namespace tandem::uring
