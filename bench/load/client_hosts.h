// Where the many clients of sessions, reflect and rooms come from: towards a target in 127/8 from
// many hosts of that network, since all of it is this machine's; elsewhere one address has to do
// for all of them.
#pragma once

#include <sys/socket.h>

#include <cstdint>

#include "bench/load/address.h"

namespace tandem::bench {

// The first of each: 127.1.0.0, 127.2.0.1, 127.3.0.1 and 127.128.0.1, up to 127.255.0.1.
inline constexpr std::uint32_t kUdpClientHosts = 0x7f010000;
inline constexpr std::uint32_t kUdpClientHostsMax = 0x00fe0000;  // so that they stay within 127/8
inline constexpr std::uint32_t kTcpClientHosts = 0x7f020001;
inline constexpr std::uint32_t kProbeHosts = 0x7f030001;
inline constexpr std::uint32_t kRoomClientHosts = 0x7f800001;
inline constexpr std::uint32_t kRoomClientHostsMax = 0x007f0000;

[[nodiscard]] inline bool has_many_hosts(const SocketAddress& target) {
  return target.family() == AF_INET && target.is_loopback();
}

}  // namespace tandem::bench
