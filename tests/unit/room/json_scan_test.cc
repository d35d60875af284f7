#include "room/text/json_scan.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tandem {
namespace {

constexpr std::size_t kDeep = 64;

JsonSpan scanned(std::string_view text) {
  const auto span = scan_json(text, kDeep);
  REQUIRE(span.has_value());
  return *span;
}

TEST_CASE("what is JSON and what is not, as nlohmann has it") {
  for (const char* text :
       {"null", "true", "false", "0", "-0", "1", "-1", "10", "1.5", "1e5", "1E+5", "1.25e-7",
        "\"\"", "\"a\"", R"("\"\\\/\b\f\n\r\t\u00e9")", R"("\ud83d\ude00")", "[]", "[ ]", "{}",
        "{ }", "[1,2]", "[[],[[]]]", R"({"a":1})", R"({"a":{"b":[1,{"c":null}]}})",
        R"({"a":1,"a":2})", " \t\n\r[ 1 , 2 ] \n", R"( { "a" : 1 , "b" : [ ] } )", "\"\x7f\"",
        "\"\xc3\xa9\"",
        // and these are none
        "", " ", "nul", "nulll", "True", "01", "-", "-01", "+1", "1.", ".5", "1e", "1e+", "0x1",
        "1 2", "NaN", "Infinity", "\"", "\"a", "\"\\\"", R"("\x")", R"("\u12")", R"("\u12g4")",
        "\"\n\"", "'a'", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1,,2]", "{", "}",
        "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}", "{\"a\" 1}", "{,}", "[}", "{]",
        "[1}", "{\"a\":1]", "[]]", "[] []", "// c\n1",
        "\xef\xbb\xbf"
        "1x"}) {
    CAPTURE(text);
    CHECK(scan_json(text, kDeep).has_value() == nlohmann::json::accept(text));
  }
  CHECK(!scan_json(std::string_view("1\0", 2), kDeep));
  CHECK(!scan_json(std::string_view("\"\0\"", 3), kDeep));
}

TEST_CASE("a span is the value without the white space around it") {
  CHECK(scanned(" [1, 2] ").text == "[1, 2]");
  CHECK(scanned(" [1, 2] ").kind == JsonKind::array);
  CHECK(scanned("{}").kind == JsonKind::object);
  CHECK(scanned("\"a\"").kind == JsonKind::string);
  CHECK(scanned("-1").kind == JsonKind::number);
  CHECK(scanned("true").kind == JsonKind::boolean);
  CHECK(scanned("false").kind == JsonKind::boolean);
  CHECK(scanned("null").kind == JsonKind::null);
}

TEST_CASE("the depth is bounded and costs no stack") {
  CHECK(scan_json("1", 0));
  CHECK(!scan_json("[]", 0));
  CHECK(scan_json("[]", 1));
  CHECK(!scan_json("[[]]", 1));
  CHECK(scan_json(R"({"a":[]})", 2));
  CHECK(!scan_json(R"([1,{"a":[]}])", 2));
  CHECK(scan_json("[[],[],{}]", 2));
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  CHECK(!scan_json(deep, 999'999));
  CHECK(scan_json(deep, 1'000'000));
}

TEST_CASE("elements in order") {
  JsonElements elements(scanned(R"([ 1 , "a,]" ,[2,[3]], {"b":"}"} ,null])"));
  std::vector<std::string_view> texts;
  for (JsonSpan element; elements.next(element);) texts.push_back(element.text);
  CHECK(texts == std::vector<std::string_view>{"1", R"("a,]")", "[2,[3]]", R"({"b":"}"})", "null"});
  JsonElements none(scanned(" [ ] "));
  JsonSpan element;
  CHECK(!none.next(element));
}

TEST_CASE("members in order, names as they are spelled") {
  JsonMembers members(scanned(R"({ "a" : 1 ,"b\"":[ {"c":2} ],"a":"x" })"));
  std::vector<std::string_view> texts;
  JsonSpan name;
  JsonSpan value;
  while (members.next(name, value)) {
    texts.push_back(name.text);
    texts.push_back(value.text);
  }
  CHECK(texts == std::vector<std::string_view>{R"("a")", "1", R"("b\"")", R"([ {"c":2} ])",
                                               R"("a")", R"("x")"});
  JsonMembers none(scanned("{ }"));
  CHECK(!none.next(name, value));
}

TEST_CASE("a string's characters") {
  CHECK(json_text(scanned(R"("plain \u0041\u00e9\u20ac\ud83d\ude00")")) == "plain Aé€😀");
  CHECK(json_text(scanned(R"("\"\\\/\b\f\n\r\t")")) == "\"\\/\b\f\n\r\t");
  CHECK(json_text(scanned(R"("\u0000")")) == std::string(1, '\0'));
  // What JSON.parse would give as a lone surrogate cannot be said in UTF-8.
  CHECK(json_text(scanned(R"("\ud83d")")) == "\xef\xbf\xbd");
  CHECK(json_text(scanned(R"("\ud83dx")")) == "\xef\xbf\xbdx");
  CHECK(json_text(scanned(R"("\ude00\ud83d")")) == "\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(json_text(scanned(R"("\ud83d\ud83d\ude00")")) == "\xef\xbf\xbd😀");
  CHECK(json_plain_text(scanned("\"plain\"")) == "plain");
  CHECK(!json_plain_text(scanned(R"("\n")")));
}

TEST_CASE("numbers that fit, exactly") {
  CHECK(json_int(scanned("-9223372036854775808")) == INT64_MIN);
  CHECK(json_int(scanned("9223372036854775807")) == INT64_MAX);
  CHECK(!json_int(scanned("9223372036854775808")));
  CHECK(json_uint(scanned("18446744073709551615")) == UINT64_MAX);
  CHECK(!json_uint(scanned("18446744073709551616")));
  CHECK(!json_uint(scanned("-1")));
  for (const char* not_whole : {"1.0", "1e0", "0.5"}) {
    CHECK(!json_int(scanned(not_whole)));
    CHECK(!json_uint(scanned(not_whole)));
  }
  CHECK(json_double(scanned("1.5")) == 1.5);
  CHECK(json_double(scanned("-0")) == 0.0);
  CHECK(std::signbit(*json_double(scanned("-0"))));
  CHECK(json_double(scanned("1e308")) == 1e308);
  CHECK(!json_double(scanned("1e309")));
  CHECK(json_double(scanned("9007199254740993")) == 9007199254740992.0);
}

TEST_CASE("texts as JSON strings") {
  for (const std::string& text :
       {std::string(), std::string("plain"), std::string("\"quoted\" \\ /"),
        std::string("\n\r\t\b\f\x1f"), std::string("\0", 1), std::string("é€😀\x7f")}) {
    std::string json = "[";
    append_json_string(json, text);
    json += ']';
    CHECK(nlohmann::json::parse(json)[0].get<std::string>() == text);
  }
}

}  // namespace
}  // namespace tandem
