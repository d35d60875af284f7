// SipHash (Aumasson and Bernstein, 2012): the keyed hash for whatever a stranger can choose, and
// the short MAC of cookies. Results are what the reference implementation writes, read as
// little-endian.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace tandem {

using SipKey = std::array<std::uint8_t, 16>;

// 2 rounds a block and 4 to finish: a MAC.
[[nodiscard]] std::uint64_t siphash24(const SipKey& key, std::span<const std::uint8_t> data);

// 1 and 3: for hash tables, where a collision costs time and not trust.
[[nodiscard]] std::uint64_t siphash13(const SipKey& key, std::span<const std::uint8_t> data);

// The 128-bit variant, in the byte order of the reference implementation.
[[nodiscard]] std::array<std::uint8_t, 16> siphash24_128(const SipKey& key,
                                                         std::span<const std::uint8_t> data);

}  // namespace tandem
