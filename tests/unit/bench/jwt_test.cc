#include "bench/load/rooms/jwt.h"

#include <doctest/doctest.h>

#include <stdexcept>

namespace tandem::bench {
namespace {

TEST_CASE("a token that another library made of the same") {
  const JwtClaims claims{.issuer = "sudachi-rooms",
                         .audience = "sudachi-multiplayer",
                         .issued_at_s = 1'700'000'000,
                         .expires_at_s = 1'700'003'600};
  CHECK(mint_jwt({.key_id = "", .secret = "0123456789abcdef0123456789abcdef"}, claims, "bench-1") ==
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJiZW5jaC0xIiwiaXNzIjoic"
        "3VkYWNoaS1yb29tcyIsImF1ZCI6InN1ZGFjaGktbXVsdGlwbGF5ZXIiLCJpYXQiOjE3MDA"
        "wMDAwMDAsImV4cCI6MTcwMDAwMzYwMH0.eAjdi-_PKDVCc-fQz8FCtEiuyyay4FbqEeVwR"
        "S24Oxc");
  CHECK(
      mint_jwt({.key_id = "k1", .secret = "0123456789abcdef0123456789abcdef"}, claims, "bench-1") ==
      "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsxIn0.eyJzdWIiOiJiZW5jaC"
      "0xIiwiaXNzIjoic3VkYWNoaS1yb29tcyIsImF1ZCI6InN1ZGFjaGktbXVsdGlwbGF5ZXIi"
      "LCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6MTcwMDAwMzYwMH0.wrsxZ4Z7JHJSipCCFIwHk3"
      "R5OQ_CNVbXoODqZmCIZ6s");
}

TEST_CASE("a secret file: one bare secret, or lines of which one mints") {
  const auto secret_in = [](std::string_view text) { return parse_jwt_secret(text).secret; };
  CHECK(secret_in("abc") == "abc");
  CHECK(secret_in("\n# comment\n  abc \r\n\n") == "abc");
  CHECK(parse_jwt_secret("abc\n").key_id.empty());
  const auto last = parse_jwt_secret("old aaa\nnew bbb\n");
  CHECK((last.key_id == "new" && last.secret == "bbb"));
  const auto marked = parse_jwt_secret("old aaa mint\nnew bbb\n");
  CHECK((marked.key_id == "old" && marked.secret == "aaa"));
  CHECK_THROWS_AS((void)parse_jwt_secret(""), std::invalid_argument);
  CHECK_THROWS_AS((void)parse_jwt_secret("# only this\n"), std::invalid_argument);
}

}  // namespace
}  // namespace tandem::bench
