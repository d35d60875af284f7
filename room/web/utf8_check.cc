#include "room/web/utf8_check.h"

#include <cstring>

namespace tandem {

bool Utf8Check::add_byte(std::uint8_t byte) {
  if (missing_ > 0) {
    if (byte < lowest_ || byte > highest_) return false;
    lowest_ = 0x80;
    highest_ = 0xbf;
    --missing_;
    return true;
  }
  if (byte < 0x80) return true;
  if (byte < 0xc2 || byte > 0xf4) return false;
  missing_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
  if (byte == 0xe0) lowest_ = 0xa0;
  if (byte == 0xed) highest_ = 0x9f;
  if (byte == 0xf0) lowest_ = 0x90;
  if (byte == 0xf4) highest_ = 0x8f;
  return true;
}

bool Utf8Check::add(std::string_view bytes) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  while (at != end) {
    // Most of it is ASCII: eight at a time.
    while (missing_ == 0 && end - at >= 8) {
      std::uint64_t word;
      std::memcpy(&word, at, sizeof word);
      if ((word & 0x8080'8080'8080'8080) != 0) break;
      at += 8;
    }
    if (at == end) break;
    if (!add_byte(static_cast<std::uint8_t>(*at++))) return false;
  }
  return true;
}

bool is_utf8(std::string_view bytes) {
  Utf8Check check;
  return check.add(bytes) && check.complete();
}

}  // namespace tandem
