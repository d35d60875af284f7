#include "room/text_bounds.h"

namespace tandem {
namespace {

constexpr bool continues(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0) == 0x80;
}

// Bytes of the control character at `at`, 0 where there is none.
std::size_t control_at(std::string_view text, std::size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x20 || byte == 0x7f) return 1;
  if (byte != 0xc2 || at + 1 == text.size()) return 0;
  const auto next = static_cast<unsigned char>(text[at + 1]);
  return next >= 0x80 && next < 0xa0 ? 2 : 0;
}

}  // namespace

std::size_t code_points(std::string_view text) {
  std::size_t count = 0;
  for (const char byte : text) count += continues(byte) ? 0 : 1;
  return count;
}

bool has_control(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at)
    if (control_at(text, at) != 0) return true;
  return false;
}

std::string clean_text(std::string_view text, std::size_t most) {
  std::string clean;
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t bytes = control_at(text, at); bytes != 0) {
      at += bytes;
      continue;
    }
    if (!continues(text[at]) && ++count > most) break;
    clean += text[at++];
  }
  return clean;
}

}  // namespace tandem
