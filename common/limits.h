// Bounds that are fixed when the relay is compiled, each with its reason. What an operator can set
// is in the configuration.
#pragma once

#include <cstddef>

namespace tandem {

// The longest JOIN or PROVE line with its LF: the token's 54 characters and every word the protocol
// has fit twice over, and it is all the memory that a connection without a token gets.
inline constexpr std::size_t kJoinLineMax = 256;

// A BIND is padded to this, so that nothing that answers it (BOUND, 40 bytes, the largest) is
// longer than what came: no amplification.
inline constexpr std::size_t kBindMin = 96;

// A PING from an address that is not bound is answered up to this size: what every IPv6 path
// carries (1,280 bytes, RFC 8200, 5) less the headers and a tunnel's.
inline constexpr std::size_t kPingUnboundMax = 1200;

// The largest datagram or GRO train that a socket delivers: 16 bits of length.
inline constexpr std::size_t kDatagramMax = 65535;

}  // namespace tandem
