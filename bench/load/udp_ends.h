// Owns the sockets of many UDP clients. Towards a target in 127/8 the ends share a few: a socket
// that is bound to a port alone can send from any 127.x.y.z (IP_PKTINFO, ip(7)), so 400,000 ends,
// each with an address and port of its own, need 64 descriptors. Elsewhere each end has a socket.
// Knows nothing of what the datagrams say.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "bench/load/address.h"

namespace tandem::bench {

class UdpEnds {
 public:
  using Take = std::function<void(std::size_t end, std::span<const std::uint8_t> datagram)>;

  virtual ~UdpEnds() = default;
  // These throw std::system_error; ECONNREFUSED where nothing listens at the target.
  virtual void send(std::size_t end, std::span<const std::uint8_t> datagram) = 0;
  // Waits for datagrams as long as `timeout_ms`, or until a signal, and gives away all that are
  // there.
  virtual void receive(int timeout_ms, const Take& take) = 0;
};

// Throws std::runtime_error where the process may not have so many sockets, or 127/8 has no room.
[[nodiscard]] std::unique_ptr<UdpEnds> make_udp_ends(const SocketAddress& target,
                                                     std::size_t count);

}  // namespace tandem::bench
