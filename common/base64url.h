// base64url without padding (RFC 4648, 5), strictly: there is one text for each byte string and one
// byte string for each text. No allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace tandem {

// Characters for that many bytes.
[[nodiscard]] constexpr std::size_t base64url_size(std::size_t bytes) {
  return bytes / 3 * 4 + (bytes % 3 == 0 ? 0 : bytes % 3 + 1);
}

// out.size() is exactly base64url_size(bytes.size()).
void base64url_encode(std::span<const std::uint8_t> bytes, std::span<char> out);

// True where text is the encoding of exactly out.size() bytes: the right length, no character from
// outside the alphabet (so no padding and no white space), unused bits zero (RFC 4648, 3.5). After
// false, out holds nothing of use.
[[nodiscard]] bool base64url_decode(std::string_view text, std::span<std::uint8_t> out);

}  // namespace tandem
