// Whether bytes are UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF), in
// pieces that may cut a character. Three bytes of state.
#pragma once

#include <cstdint>
#include <string_view>

namespace tandem {

class Utf8Check {
 public:
  // False as soon as no continuation can make it UTF-8; nothing more may come then.
  [[nodiscard]] bool add(std::string_view bytes);
  // No character is cut at the end.
  [[nodiscard]] bool complete() const { return missing_ == 0; }

 private:
  [[nodiscard]] bool add_byte(std::uint8_t byte);

  std::uint8_t missing_ = 0;  // bytes of the character that was begun
  // What the next byte has to be; narrower than 80..BF behind E0, ED, F0 and F4.
  std::uint8_t lowest_ = 0x80;
  std::uint8_t highest_ = 0xbf;
};

[[nodiscard]] bool is_utf8(std::string_view bytes);

}  // namespace tandem
