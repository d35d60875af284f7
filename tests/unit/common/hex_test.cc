#include "common/hex.h"

#include <doctest/doctest.h>

#include <array>
#include <string>

namespace tandem {
namespace {

TEST_CASE("every byte, both ways") {
  for (int value = 0; value < 256; ++value) {
    const std::array<std::uint8_t, 1> byte{static_cast<std::uint8_t>(value)};
    std::string text(2, '\0');
    hex_encode(byte, text);
    CHECK(std::stoi(text, nullptr, 16) == value);
    std::array<std::uint8_t, 1> back{};
    CHECK(hex_decode(text, back));
    CHECK(back == byte);
  }
}

TEST_CASE("either case in, lower case out") {
  std::array<std::uint8_t, 2> bytes{};
  CHECK(hex_decode("aBcD", bytes));
  std::string text(4, '\0');
  hex_encode(bytes, text);
  CHECK(text == "abcd");
}

TEST_CASE("what is not that many digits is refused") {
  std::array<std::uint8_t, 2> bytes{};
  for (std::string_view wrong : {"", "abc", "abcde", "abcdef", "abcg", "ab d", "0x12", "ab/d",
                                 "ab:d", "ab@d", "abGd", "ab`d", "abc\xff"}) {
    CAPTURE(wrong);
    CHECK_FALSE(hex_decode(wrong, bytes));
  }
  CHECK(hex_decode("", std::span<std::uint8_t>{}));
}

}  // namespace
}  // namespace tandem
