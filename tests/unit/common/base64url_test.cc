#include "common/base64url.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

namespace tandem {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::string encode(const Bytes& bytes) {
  std::string text(base64url_size(bytes.size()), '\0');
  base64url_encode(bytes, text);
  return text;
}

bool decodes(std::string_view text, std::size_t bytes) {
  Bytes out(bytes);
  return base64url_decode(text, out);
}

TEST_CASE("the vectors of RFC 4648, 10, without their padding") {
  Bytes bytes;
  CHECK(encode(bytes) == "");
  for (const auto& [next, text] :
       {std::pair{'f', "Zg"}, std::pair{'o', "Zm8"}, std::pair{'o', "Zm9v"},
        std::pair{'b', "Zm9vYg"}, std::pair{'a', "Zm9vYmE"}, std::pair{'r', "Zm9vYmFy"}}) {
    bytes.push_back(static_cast<std::uint8_t>(next));
    CHECK(encode(bytes) == text);
  }
}

TEST_CASE("the url-safe letters, and no others") {
  CHECK(encode({0xfb, 0xff, 0xfe}) == "-__-");
  CHECK(decodes("-__-", 3));
  for (std::string_view wrong : {"+__-", "-/_-", "-__=", "-_ -", "-_\n-", "\xff__-", "-__"}) {
    CAPTURE(wrong);
    CHECK_FALSE(decodes(wrong, 3));
  }
  CHECK_FALSE(decodes(std::string_view("\0__-", 4), 3));
}

TEST_CASE("unused bits are zero and the length is exact") {
  CHECK(decodes("Zg", 1));
  CHECK_FALSE(decodes("Zh", 1));
  CHECK_FALSE(decodes("Zo", 1));
  CHECK(decodes("Zm8", 2));
  CHECK_FALSE(decodes("Zm9", 2));
  CHECK_FALSE(decodes("Zg==", 1));
  CHECK_FALSE(decodes("Zg", 2));
  CHECK_FALSE(decodes("Z", 1));
  CHECK_FALSE(decodes("Zm9vY", 3));
  CHECK(decodes("", 0));
}

TEST_CASE("property: what decodes is what was encoded, and encodes back to the same text") {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes(random() % 64);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    std::string text = encode(bytes);
    Bytes back(bytes.size());
    REQUIRE(base64url_decode(text, back));
    REQUIRE(back == bytes);

    if (text.empty()) continue;
    text[random() % text.size()] = static_cast<char>(random());
    if (base64url_decode(text, back)) REQUIRE(encode(back) == text);
  }
}

}  // namespace
}  // namespace tandem
