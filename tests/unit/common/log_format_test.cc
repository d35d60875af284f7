#include "common/log_format.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/log.h"
#include "tests/unit/common/log_fixture.h"

namespace tandem {
namespace {

using nlohmann::json;

constexpr std::int64_t kNoonNs = 1'795'176'000'123'456'789;  // 2026-11-20T12:00:00.123Z

std::string line(LogStyle style, std::string_view msg, std::vector<LogField> fields = {},
                 LogLevel level = LogLevel::info) {
  return format_log_line({kNoonNs, level, "relay", msg, fields}, style);
}

TEST_CASE("a JSON line has its head in order and then the fields") {
  CHECK(
      line(LogStyle::json, "listening",
           {{"address", "::"},
            {"port", 7777},
            {"big", std::uint64_t{1} << 63},
            {"low", -5},
            {"share", 0.5},
            {"tcp", true}}) ==
      R"({"time":"2026-11-20T12:00:00.123Z","level":"info","component":"relay","msg":"listening",)"
      R"("address":"::","port":7777,"big":9223372036854775808,"low":-5,"share":0.5,"tcp":true})");
}

TEST_CASE("a text line has the same as key=value") {
  CHECK(line(LogStyle::text, "listening", {{"address", "::"}, {"port", 7777}, {"tcp", true}}) ==
        "2026-11-20T12:00:00.123Z info  relay: listening address=:: port=7777 tcp=true");
  CHECK(line(LogStyle::text, "gone", {{"name", "Ann B"}, {"why", "\"x\"\n"}, {"none", ""}},
             LogLevel::error) ==
        R"(2026-11-20T12:00:00.123Z error relay: gone name="Ann B" why="\"x\"\n" none="")");
}

TEST_CASE("a journal line has a priority and no time") {
  CHECK(line(LogStyle::journal, "up", {}, LogLevel::debug) == "<7>relay: up");
  CHECK(line(LogStyle::journal, "up", {}, LogLevel::info) == "<6>relay: up");
  CHECK(line(LogStyle::journal, "up", {}, LogLevel::warn) == "<4>relay: up");
  CHECK(line(LogStyle::journal, "up", {}, LogLevel::error) == "<3>relay: up");
  CHECK(line(LogStyle::journal, "up", {{"n", 1}}, LogLevel::fatal) == "<2>relay: up n=1");
}

TEST_CASE("whatever the bytes, JSON lines parse and keep what was valid") {
  const std::vector<std::string> texts = {"plain",
                                          "quote \" back \\ slash",
                                          "tab\tnew\nline\r",
                                          std::string("nul\0in", 6),
                                          "\x1b[31mred",
                                          "M\xc3\xbcller \xf0\x9f\x8e\xae",
                                          "\xe2\x80\xa8separator",
                                          "\x7f"};
  for (const std::string& text : texts) {
    const json parsed = json::parse(line(LogStyle::json, text, {{"user", text}}));
    CHECK(parsed["msg"] == text);
    CHECK(parsed["user"] == text);
  }
}

TEST_CASE("invalid UTF-8 is replaced, byte by byte") {
  const std::string mark = "\xef\xbf\xbd";
  const auto replaced = [](const std::string& text) {
    return json::parse(line(LogStyle::json, text))["msg"].get<std::string>();
  };
  CHECK(replaced("a\xff"
                 "b") == "a" + mark + "b");
  CHECK(replaced("\xc3") == mark);
  CHECK(replaced("\xc0\x80") == mark + mark);                        // overlong
  CHECK(replaced("\xed\xa0\x80") == mark + mark + mark);             // surrogate
  CHECK(replaced("\xf4\x90\x80\x80") == mark + mark + mark + mark);  // above 10ffff
  CHECK(replaced("\xe2\x82"
                 "x") == mark + mark + "x");
  CHECK(replaced("\xf0\x9f\x8e") == mark + mark + mark);
  CHECK(replaced(mark) == mark);
}

TEST_CASE("every pair of bytes gives a line that parses and stays one line") {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string text = {static_cast<char>(first), static_cast<char>(second)};
      const std::string as_json = line(LogStyle::json, text, {{"user", text}});
      REQUIRE(json::accept(as_json));
      const std::string as_text = line(LogStyle::text, text, {{"user", text}});
      for (const char c : as_json + as_text) REQUIRE(static_cast<unsigned char>(c) >= 0x20);
    }
  }
}

TEST_CASE("a client's text cannot pass for a line or a field of ours") {
  const std::string forged =
      "x\n2026-11-20T12:00:00.123Z warn  room: Authentication failed for 6.6.6.6";
  CHECK(lines(line(LogStyle::text, "joined", {{"user", forged}})).size() == 1);
  const json parsed =
      json::parse(line(LogStyle::json, "joined", {{"level", "fatal"}, {"msg", "other"}}));
  CHECK(parsed["level"] == "info");
  CHECK(parsed["level_"] == "fatal");
  CHECK(parsed["msg"] == "joined");
}

TEST_CASE("numbers that JSON has not are null") {
  const json parsed =
      json::parse(line(LogStyle::json, "odd",
                       {{"nan", std::nan("")}, {"inf", std::numeric_limits<double>::infinity()}}));
  CHECK(parsed["nan"].is_null());
  CHECK(parsed["inf"].is_null());
}

TEST_CASE("what fail2ban reads, for both families") {
  const auto v4 = IpAddress::v4(203, 0, 113, 9);
  const auto v6 = *IpAddress::parse("2001:db8::9");
  CHECK(authentication_failed_message(v4) == "Authentication failed for 203.0.113.9");
  CHECK(authentication_failed_message(v6) == "Authentication failed for 2001:db8::9");
  CHECK(rate_limit_exceeded_message(v4) == "Rate limit exceeded for 203.0.113.9");
  CHECK(rate_limit_exceeded_message(v6) == "Rate limit exceeded for 2001:db8::9");
}

}  // namespace
}  // namespace tandem
