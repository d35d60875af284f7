#include "bench/load/hex.h"

#include <stdexcept>

namespace tandem::bench {
namespace {

int hex_digit(char letter) {
  if (letter >= '0' && letter <= '9') return letter - '0';
  if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
  if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
  throw std::invalid_argument("not a hex digit");
}

}  // namespace

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string digits;
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    digits += {kDigits[value >> 4], kDigits[value & 15]};
  }
  return digits;
}

std::string from_hex(std::string_view digits) {
  if (digits.size() % 2 != 0) throw std::invalid_argument("an odd number of hex digits");
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    bytes.push_back(static_cast<char>(hex_digit(digits[i]) << 4 | hex_digit(digits[i + 1])));
  }
  return bytes;
}

}  // namespace tandem::bench
