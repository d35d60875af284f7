#include "room/text/visible_text.h"

#include <cstdint>

namespace tandem {
namespace {

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t size = 0;  // bytes; 0: this is not UTF-8
};

CodePoint first_code_point(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4) return {};
  std::uint32_t value = lead & (0x7fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < kLeast[size] || value > 0x10ffff || surrogate) return {};
  return {value, size};
}

bool is_visible(std::uint32_t value) {
  if (value < 0x20 || (value >= 0x7f && value < 0xa0)) return false;
  if (value >= 0x2028 && value <= 0x202e) return false;
  return value < 0x2066 || value > 0x2069;
}

}  // namespace

std::optional<std::size_t> visible_code_points(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) {
    const CodePoint point = first_code_point(text);
    if (point.size == 0 || !is_visible(point.value)) return std::nullopt;
    text.remove_prefix(point.size);
  }
  return count;
}

std::string_view cut_to_code_points(std::string_view text, std::size_t code_points_max) {
  std::size_t end = 0;
  while (code_points_max-- > 0 && end < text.size()) end += first_code_point(text.substr(end)).size;
  return text.substr(0, end);
}

std::string visible_part(std::string_view text, std::size_t code_points_max) {
  std::string part;
  while (code_points_max > 0 && !text.empty()) {
    const CodePoint point = first_code_point(text);
    if (point.size != 0 && is_visible(point.value)) {
      part += text.substr(0, point.size);
      --code_points_max;
    }
    text.remove_prefix(point.size == 0 ? 1 : point.size);
  }
  return part;
}

}  // namespace tandem
