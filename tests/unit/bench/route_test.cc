#include "bench/load/route.h"

#include <doctest/doctest.h>

#include <stdexcept>

namespace tandem::bench {
namespace {

constexpr std::string_view kLine =
    R"({"a":"706c65617365","b":"00FF","expect_a":"6f6b0a","expect_b":""})";

TEST_CASE("greetings, one JSON object a line") {
  const std::string text = std::string(kLine) + "\n" +
                           R"({"expect_b": "01", "expect_a": "", "b": "", "a": "02", "more": 7})" +
                           "\n";
  const auto greetings = parse_greetings(text);
  REQUIRE(greetings.size() == 2);
  CHECK(greetings[0].a == "please");
  CHECK(greetings[0].b == std::string("\0\xff", 2));
  CHECK(greetings[0].expected_by_a == "ok\n");
  CHECK(greetings[0].expected_by_b.empty());
  CHECK(greetings[1].a == "\x02");
  CHECK(greetings[1].b.empty());
  CHECK(greetings[1].expected_by_a.empty());
  CHECK(greetings[1].expected_by_b == "\x01");
}

TEST_CASE("empty lines, CRLF and a last line without its end") {
  CHECK(parse_greetings("").empty());
  CHECK(parse_greetings("\n \t\r\n\r\n").empty());
  const std::string line(kLine);
  CHECK(parse_greetings("\n" + line + "\r\n\n" + line).size() == 2);
}

TEST_CASE("what is no greeting is refused with its line's number") {
  for (const char* bad : {
           "{",
           "[]",
           "7",
           "null",
           "{}",
           R"({"a":"00","b":"00","expect_a":"00"})",
           R"({"a":"0","b":"","expect_a":"","expect_b":""})",
           R"({"a":"zz","b":"","expect_a":"","expect_b":""})",
           R"({"a":7,"b":"","expect_a":"","expect_b":""})",
           R"({"a":null,"b":"","expect_a":"","expect_b":""})",
           R"({"a":"","b":"","expect_a":"","expect_b":""} {})",
       }) {
    CAPTURE(bad);
    const std::string text = std::string(kLine) + "\n\n" + bad + "\n" + std::string(kLine);
    try {
      (void)parse_greetings(text);
      FAIL("was not refused");
    } catch (const std::invalid_argument& error) {
      CHECK(std::string_view(error.what()).starts_with("greetings, line 3: "));
    }
  }
}

TEST_CASE("every route has a name of its own") {
  CHECK(name_of(RouteKind::direct) == "direct");
  CHECK(name_of(RouteKind::proxy) == "proxy");
  CHECK(name_of(RouteKind::relay) == "relay");
  CHECK(name_of(RouteKind::greeted) == "greeted");
}

}  // namespace
}  // namespace tandem::bench
