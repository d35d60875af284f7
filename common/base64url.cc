#include "common/base64url.h"

#include <array>

#include "common/assert.h"

namespace tandem {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kNoDigit = 0xff;

constexpr auto kDigitOf = [] {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(kNoDigit);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    digits[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  return digits;
}();

}  // namespace

void base64url_encode(std::span<const std::uint8_t> bytes, std::span<char> out) {
  TANDEM_CHECK(out.size() == base64url_size(bytes.size()));
  std::uint32_t bits = 0;
  int bits_held = 0;
  std::size_t written = 0;
  for (const std::uint8_t byte : bytes) {
    bits = bits << 8 | byte;
    for (bits_held += 8; bits_held >= 6; bits_held -= 6)
      out[written++] = kAlphabet[bits >> (bits_held - 6) & 63];
  }
  if (bits_held > 0) out[written] = kAlphabet[bits << (6 - bits_held) & 63];
}

bool base64url_decode(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != base64url_size(out.size())) return false;
  std::uint32_t bits = 0;
  int bits_held = 0;
  std::size_t written = 0;
  for (const char character : text) {
    const std::uint8_t digit = kDigitOf[static_cast<unsigned char>(character)];
    if (digit == kNoDigit) return false;
    bits = bits << 6 | digit;
    bits_held += 6;
    if (bits_held >= 8) {
      bits_held -= 8;
      out[written++] = static_cast<std::uint8_t>(bits >> bits_held);
    }
  }
  return (bits & ((1u << bits_held) - 1)) == 0;
}

}  // namespace tandem
