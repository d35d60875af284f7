#include <cstdint>

#include "room/lobby/room_directory.h"

namespace tandem {
namespace {

// The lower case of a letter below U+0500. Only scripts whose letters come at fixed distances, so
// there are no tables; the few exceptions of those blocks stay as they are.
constexpr std::uint32_t lower(std::uint32_t point) {
  if (point >= 'A' && point <= 'Z') return point + 0x20;
  if (point >= 0xc0 && point <= 0xde && point != 0xd7) return point + 0x20;  // Latin-1
  const bool even_first = (point >= 0x100 && point <= 0x12f) || (point >= 0x14a && point <= 0x177);
  const bool odd_first = (point >= 0x139 && point <= 0x148) || (point >= 0x179 && point <= 0x17e);
  if (even_first && point % 2 == 0) return point + 1;
  if (odd_first && point % 2 == 1) return point + 1;
  if (point >= 0x391 && point <= 0x3a9 && point != 0x3a2) return point + 0x20;  // Greek
  if (point >= 0x400 && point <= 0x40f) return point + 0x50;                    // Cyrillic
  if (point >= 0x410 && point <= 0x42f) return point + 0x20;
  return point;
}

}  // namespace

std::string fold_case(std::string_view text) {
  std::string folded;
  folded.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto first = static_cast<unsigned char>(text[at]);
    if (first < 0x80) {
      folded += static_cast<char>(lower(first));
    } else if ((first & 0xe0) == 0xc0 && at + 1 < text.size()) {
      const auto second = static_cast<unsigned char>(text[++at]);
      const std::uint32_t point = lower((first & 0x1fu) << 6 | (second & 0x3fu));
      folded += static_cast<char>(0xc0 | point >> 6);
      folded += static_cast<char>(0x80 | (point & 0x3f));
    } else {
      folded += text[at];
    }
  }
  return folded;
}

}  // namespace tandem
