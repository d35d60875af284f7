// The MTU of the way to an address, as the kernel's routing table has it. Owns a small cache; asks
// with throw-away sockets, since to connect a listening one would break its group.
#pragma once

#include <array>
#include <cstdint>

#include "common/clock.h"
#include "common/endpoint.h"

namespace tandem::uring {

class PathMtu {
 public:
  // Bytes of an IP packet; 1,280 for IPv6 and 1,500 for IPv4 where there is no route.
  [[nodiscard]] uint32_t find(const IpAddress& to, const IpAddress& from, Nanos now);

 private:
  struct Entry {
    IpAddress to;
    IpAddress from;
    uint32_t mtu = 0;  // 0: empty
    Nanos expires = 0;
  };
  // Direct mapped: who collides on purpose gains a few system calls, no more.
  std::array<Entry, 256> entries_;
};

}  // namespace tandem::uring
