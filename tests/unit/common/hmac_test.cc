#include "common/hmac.h"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

#include "common/hex.h"

namespace tandem {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes of_text(std::string_view text) {
  return {text.begin(), text.end()};
}

Secret of_hex(std::string_view digits) {
  Secret secret{};
  REQUIRE(hex_decode(digits, secret));
  return secret;
}

// The first 16 bytes of each.
struct Vector {
  Bytes key;
  Bytes data;
  std::string_view mac;
};
const Vector kRfc4231[] = {
    {Bytes(20, 0x0b), of_text("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b"},
    {of_text("Jefe"), of_text("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c7"},
    {Bytes(20, 0xaa), Bytes(50, 0xdd), "773ea91e36800e46854db8ebd09181a7"},
    {Bytes(131, 0xaa), of_text("Test Using Larger Than Block-Size Key - Hash Key First"),
     "60e431591ee0b67f0d8a26aacbf5b77f"},
};

TEST_CASE("the vectors of RFC 4231, with a prepared key, again and again") {
  for (const Vector& vector : kRfc4231) {
    Hmac hmac(vector.key);
    for (int i = 0; i < 3; ++i) {
      CHECK(hmac.mac16(vector.data) == of_hex(vector.mac));
      CHECK(hmac.mac16({}) == mac16(vector.key, {}));
    }
  }
}

TEST_CASE("the same with keys used once, in turn") {
  for (int i = 0; i < 3; ++i)
    for (const Vector& vector : kRfc4231)
      CHECK(mac16(vector.key, vector.data) == of_hex(vector.mac));
}

TEST_CASE("one context does not disturb another, moved ones neither") {
  std::vector<Hmac> hmacs;
  for (const Vector& vector : kRfc4231) hmacs.emplace_back(vector.key);
  for (std::size_t i = hmacs.size(); i-- > 0;)
    CHECK(hmacs[i].mac16(kRfc4231[i].data) == of_hex(kRfc4231[i].mac));
}

TEST_CASE("equality") {
  const Secret secret = of_hex("000102030405060708090a0b0c0d0e0f");
  CHECK(constant_time_equal(secret, secret));
  CHECK(constant_time_equal({}, {}));
  CHECK_FALSE(constant_time_equal(secret, std::span(secret).first(15)));
  for (std::size_t bit = 0; bit < 128; ++bit) {
    Secret other = secret;
    other[bit / 8] = static_cast<std::uint8_t>(other[bit / 8] ^ 1u << bit % 8);
    CHECK_FALSE(constant_time_equal(secret, other));
  }
}

}  // namespace
}  // namespace tandem
