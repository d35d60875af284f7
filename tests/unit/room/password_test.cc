#include "room/admission/password.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/base64url.h"
#include "common/hex.h"

namespace tandem {
namespace {

constexpr ScryptCost kCheap{.log2_n = 4, .r = 1, .p = 1};
const PasswordSalt kSalt{'0', '1', '2', '3', '4', '5', '6', '7',
                         '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};

TEST_CASE("right and wrong") {
  using enum PasswordVerdict;
  const std::string verifier = make_verifier("s3cret", kSalt, kCheap);
  CHECK(check_password("s3cret", verifier) == right);
  for (const char* password : {"", "s3cre", "s3cret ", "S3cret", "s3cret1"})
    CHECK(check_password(password, verifier) == wrong);
  CHECK(check_password(std::string("s3cret\0", 7), verifier) == wrong);
  CHECK(check_password(std::string(kPasswordBytesMax + 1, 'x'), verifier) == wrong);
  const std::string longest(kPasswordBytesMax, 'x');
  CHECK(check_password(longest, make_verifier(longest, kSalt, kCheap)) == right);
}

// By Python: hashlib.scrypt(b"s3cret", salt=b"0123456789abcdef", n=..., r=..., p=..., dklen=32)
TEST_CASE("it is scrypt") {
  const auto expect = [](const ScryptCost& cost, std::string_view hex) {
    std::array<std::uint8_t, 32> hash;
    REQUIRE(hex_decode(hex, hash));
    std::string text(base64url_size(hash.size()), '\0');
    base64url_encode(hash, text);
    CHECK(make_verifier("s3cret", kSalt, cost) ==
          fmt::format("scrypt:{}:{}:{}:MDEyMzQ1Njc4OWFiY2RlZg:{}", cost.log2_n, cost.r, cost.p,
                      text));
  };
  expect(kCheap, "675ff96cf840c569409d0d76dc34333b6d1d2b448fbdd5f95b81c851923af0a1");
  expect({.log2_n = 10, .r = 8, .p = 2},
         "d2e752d9884d7cb0d392b84cf96d1453063844842801c15ce56d84b0d01a33bb");
  expect(kPasswordCost, "aa60caa8f99b94705aee6ce1afa42a85736586c582d3385a1e762a17391fa0c7");
}

TEST_CASE("the salt counts") {
  PasswordSalt other = kSalt;
  other[15] ^= 1;
  CHECK(make_verifier("x", kSalt, kCheap).substr(40) !=
        make_verifier("x", other, kCheap).substr(40));
}

TEST_CASE("what is no verifier is nobody's password") {
  const std::string good = make_verifier("x", kSalt, kCheap);
  const std::string rest = good.substr(std::string_view("scrypt:4:1:1").size());
  const auto with = [&](std::string_view cost) {
    return check_password("x", fmt::format("scrypt:{}{}", cost, rest));
  };
  CHECK(with("4:1:1") == PasswordVerdict::right);
  CHECK(with("4:1:2") == PasswordVerdict::wrong);
  for (const char* cost : {"0:1:1", "21:1:1", "4:0:1", "4:65:1", "4:1:0", "4:1:5", "17:8:1",
                           "20:1:1", "-4:1:1", "4294967300:1:1", "4:1", "4::1", "x:1:1", " 4:1:1"})
    CHECK(with(cost) == PasswordVerdict::bad_verifier);
  for (const std::string& text :
       {std::string(), std::string("scrypt"), std::string("x"), good + ":", good + "A",
        good.substr(1), good.substr(0, good.size() - 1)})
    CHECK(check_password("x", text) == PasswordVerdict::bad_verifier);
}

}  // namespace
}  // namespace tandem
