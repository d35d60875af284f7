#include "room/text/visible_text.h"

#include <doctest/doctest.h>

namespace tandem {
namespace {

TEST_CASE("code points") {
  CHECK(visible_code_points("") == 0);
  CHECK(visible_code_points("abc def~") == 8);
  CHECK(visible_code_points("\u00a0\u00fc\u20ac\U0001f3ae\U0010ffff") == 5);
}

TEST_CASE("what is not UTF-8") {
  for (const char* text :
       {"\x80", "\xff", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "a\xc3", "\xe2\x82",
        "\xf0\x9f\x8e", "\xc3\x28", "\xf8\x88\x80\x80\x80"})
    CHECK(!visible_code_points(text));
}

TEST_CASE("what moves the cursor") {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {"\0"sv, "a\nb"sv, "\t"sv, "\x1b[31m"sv, "\x7f"sv, "\u0080"sv, "\u009f"sv, "\u2028"sv,
        "\u2029"sv, "\u202a"sv, "\u202e"sv, "\u2066"sv, "\u2069"sv})
    CHECK(!visible_code_points(text));
  for (const char* text : {" ", "\u00a0", "\u2027", "\u202f", "\u2065", "\u206a"})
    CHECK(visible_code_points(text) == 1);
}

TEST_CASE("cutting falls between code points") {
  CHECK(cut_to_code_points("a\u20acb", 0) == "");
  CHECK(cut_to_code_points("a\u20acb", 2) == "a\u20ac");
  CHECK(cut_to_code_points("a\u20acb", 3) == "a\u20acb");
  CHECK(cut_to_code_points("a\u20acb", 9) == "a\u20acb");
}

TEST_CASE("the visible part") {
  CHECK(visible_part("a\tb\u202ec\x7f\u20ac", 9) == "abc\u20ac");
  CHECK(visible_part("\u0080a\u20acb", 2) == "a\u20ac");
  CHECK(visible_part("\xff"
                     "a\xe2\x82",
                     9) == "a");
  CHECK(visible_part("abc", 0) == "");
}

}  // namespace
}  // namespace tandem
