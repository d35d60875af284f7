#include "bench/load/tokens.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>

#include "common/token.h"

namespace tandem::bench {
namespace {

TokenBytes sample_token(std::uint8_t first) {
  TokenBytes token{};
  std::ranges::generate(token, [&first] { return first++; });
  return token;
}

std::string answer(const std::string& a, const std::string& b) {
  return R"({"session":"0123456789abcdef","tokens":{"a":")" + a + R"(","b":")" + b +
         R"("},"expires_at":1})";
}

TEST_CASE("both slots' tokens, and whatever else is said") {
  const auto pair =
      parse_session_answer(answer(token_text(sample_token(1)), token_text(sample_token(100))));
  CHECK(pair.a == sample_token(1));
  CHECK(pair.b == sample_token(100));
}

TEST_CASE("a slot without a token is told by its name") {
  const std::string good = token_text(sample_token(1));
  CHECK_THROWS_WITH_AS((void)parse_session_answer(answer("short", good)),
                       "the answer to POST /api/v1/sessions has no token for slot a",
                       std::runtime_error);
  CHECK_THROWS_WITH_AS((void)parse_session_answer(answer(good, "")),
                       "the answer to POST /api/v1/sessions has no token for slot b",
                       std::runtime_error);
}

TEST_CASE("what is no such answer is refused") {
  const std::string good = token_text(sample_token(1));
  for (const std::string& json :
       {std::string(), std::string("{"), std::string("[]"), std::string("null"), std::string("7"),
        std::string("{}"), std::string(R"({"tokens":null})"), std::string(R"({"tokens":[]})"),
        std::string(R"({"tokens":{"a":7,"b":8}})"), R"({"tokens":{"a":")" + good + R"("}})",
        R"({"tokens":{"b":")" + good + R"("}})", answer(good + "A", good),
        answer(good, good + "=")}) {
    CAPTURE(json);
    CHECK_THROWS_AS((void)parse_session_answer(json), std::runtime_error);
  }
}

}  // namespace
}  // namespace tandem::bench
