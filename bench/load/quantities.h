// Owns how rates and datagram sizes are written on the command line. Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::bench {

// Bits a second as iperf3 writes them: "1000000", "2.5M", "10G"; K, M, G and T in any case,
// 1000-based. Throws std::invalid_argument.
[[nodiscard]] double parse_bit_rate(std::string_view text);

// "200", or "imix" for 7 : 4 : 1 of 64, 512 and 1,200 bytes (the classic proportions of short,
// middle and long; RFC 6985 asks that a mix be told in full). Payload bytes, one cycle of sizes.
// Throws std::invalid_argument.
[[nodiscard]] std::vector<std::size_t> parse_sizes(std::string_view text);

}  // namespace tandem::bench
