#include "room/lobby/room_code.h"

#include <array>

#include "common/assert.h"
#include "common/hex.h"

namespace tandem {
namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
static_assert(kAlphabet.size() == 32);

constexpr char upper(char letter) {
  return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;
}

// Crockford's: what is read as something else by people is that.
constexpr char understood(char letter) {
  letter = upper(letter);
  if (letter == 'O') return '0';
  if (letter == 'I' || letter == 'L') return '1';
  return letter;
}

}  // namespace

std::string make_uuid(RandomSource& random) {
  std::array<std::uint8_t, 16> bytes{};
  random.fill(bytes);
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);  // version 4
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);  // the variant of RFC 9562
  std::array<char, 32> digits{};
  hex_encode(bytes, digits);
  const std::string_view text(digits.data(), digits.size());
  std::string uuid;
  uuid.reserve(36);
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (at == 8 || at == 12 || at == 16 || at == 20) uuid += '-';
    uuid += text[at];
  }
  return uuid;
}

std::string make_room_code(RandomSource& random, std::size_t length) {
  TANDEM_CHECK(length >= kRoomCodeMin && length <= kRoomCodeMax);
  std::array<std::uint8_t, kRoomCodeMax> bytes{};
  random.fill(std::span(bytes).first(length));
  std::string code;
  for (std::size_t at = 0; at < length; ++at) code += kAlphabet[bytes[at] & 31];
  return code;
}

std::optional<std::string> normalize_room_code(std::string_view typed) {
  std::string code;
  for (const char letter : typed) {
    if (letter == '-') continue;
    const char meant = understood(letter);
    if (code.size() == kRoomCodeMax || kAlphabet.find(meant) == std::string_view::npos)
      return std::nullopt;
    code += meant;
  }
  if (code.size() < kRoomCodeMin) return std::nullopt;
  return code;
}

}  // namespace tandem
