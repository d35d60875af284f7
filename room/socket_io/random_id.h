// Names that nobody may guess: session and socket ids.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace tandem {

// 15 bytes of getrandom(2) as base64url.
using RandomId = std::array<char, 20>;

[[nodiscard]] RandomId random_id();
// A key for siphash.
[[nodiscard]] std::array<std::uint8_t, 16> random_key();

[[nodiscard]] inline std::string_view text_of(const RandomId& id) {
  return {id.data(), id.size()};
}

// For a table of ids. What a client takes for one finds its bucket but is never put into it, so
// some of the random bytes are hash enough.
[[nodiscard]] inline std::size_t hash_of_id(std::string_view id) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, id.data(), std::min(id.size(), sizeof bits));
  return bits * 0x9e37'79b9'7f4a'7c15;
}

}  // namespace tandem
