// Bytes as hexadecimal digits and back. No allocation.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace tandem {

// out.size() is exactly twice bytes.size(); lower case.
void hex_encode(std::span<const std::uint8_t> bytes, std::span<char> out);

// True where text is exactly 2 * out.size() digits, of either case. After false, out holds nothing
// of use.
[[nodiscard]] bool hex_decode(std::string_view text, std::span<std::uint8_t> out);

}  // namespace tandem
