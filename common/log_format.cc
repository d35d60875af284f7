#include "common/log_format.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace tandem {
namespace {

constexpr char32_t kReplacement = 0xfffd;

struct Scalar {
  char32_t value;
  std::size_t bytes;
};

// The scalar value that `text` (not empty) begins with. A byte that begins none is one replacement
// character (RFC 3629, 3 and 4: no overlong forms, no surrogates, nothing above 10ffff).
Scalar first_scalar(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return {kReplacement, 1};
  char32_t value = lead & (0xffU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return {kReplacement, 1};
    value = (value << 6) | (byte(i) & 0x3fU);
  }
  constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < kLeast[bytes] || value > 0x10ffff || surrogate) return {kReplacement, 1};
  return {value, bytes};
}

// What would move a terminal's cursor, break a line or reorder it.
bool must_escape(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

enum class Quotes : std::uint8_t { escaped, plain };

// JSON's escapes (RFC 8259, 7); `plain` leaves quotes and backslashes for text that stands
// unquoted.
void append_escaped(std::string& line, std::string_view text, Quotes quotes) {
  while (!text.empty()) {
    const auto [c, bytes] = first_scalar(text);
    if (c == kReplacement) {
      line += "\xef\xbf\xbd";
    } else if (c == '\n') {
      line += "\\n";
    } else if (c == '\t') {
      line += "\\t";
    } else if (must_escape(c)) {
      line += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c));
    } else {
      if (quotes == Quotes::escaped && (c == '"' || c == '\\')) line += '\\';
      line += text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
}

void append_quoted(std::string& line, std::string_view text) {
  line += '"';
  append_escaped(line, text, Quotes::escaped);
  line += '"';
}

bool stands_unquoted(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
}

void append_number(std::string& line, const LogField& field) {
  if (const auto* flag = std::get_if<bool>(&field.value)) line += *flag ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&field.value)) line += fmt::to_string(*number);
  if (const auto* number = std::get_if<std::uint64_t>(&field.value))
    line += fmt::to_string(*number);
  if (const auto* number = std::get_if<double>(&field.value)) {
    // JSON has no other numbers.
    line += std::isfinite(*number) ? fmt::format("{}", *number) : "null";
  }
}

void append_time(std::string& line, std::int64_t unix_ns) {
  constexpr std::int64_t kMilli = 1'000'000;
  const time_t seconds = unix_ns / (1000 * kMilli);
  tm utc{};
  gmtime_r(&seconds, &utc);
  line +=
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                  utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, unix_ns / kMilli % 1000);
}

bool is_head_key(std::string_view key) {
  return key == "time" || key == "level" || key == "component" || key == "msg";
}

std::string as_json(const LogRecord& record) {
  std::string line = R"({"time":")";
  append_time(line, record.unix_ns);
  line += R"(","level":")";
  line += level_name(record.level);
  line += R"(","component":)";
  append_quoted(line, record.component);
  line += R"(,"msg":)";
  append_quoted(line, record.msg);
  for (const LogField& field : record.fields) {
    line += ",\"";
    append_escaped(line, field.key, Quotes::escaped);
    // Twice the same key is not an error in JSON, and each reader picks another of the two.
    line += is_head_key(field.key) ? "_\":" : "\":";
    const auto* text = std::get_if<std::string_view>(&field.value);
    text != nullptr ? append_quoted(line, *text) : append_number(line, field);
  }
  return line += '}';
}

void append_text(std::string& line, const LogRecord& record) {
  line += record.component;
  line += ": ";
  append_escaped(line, record.msg, Quotes::plain);
  for (const LogField& field : record.fields) {
    line += ' ';
    append_escaped(line, field.key, Quotes::plain);
    line += '=';
    const auto* text = std::get_if<std::string_view>(&field.value);
    if (text == nullptr) {
      append_number(line, field);
    } else if (stands_unquoted(*text)) {
      line += *text;
    } else {
      append_quoted(line, *text);
    }
  }
}

// syslog(3)'s priorities.
int priority_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return 7;
    case LogLevel::info:
      return 6;
    case LogLevel::warn:
      return 4;
    case LogLevel::error:
      return 3;
    case LogLevel::fatal:
      return 2;
  }
  return 2;
}

}  // namespace

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
    case LogLevel::fatal:
      return "fatal";
  }
  return "fatal";
}

std::string format_log_line(const LogRecord& record, LogStyle style) {
  if (style == LogStyle::json) return as_json(record);
  std::string line;
  if (style == LogStyle::journal) {
    line = fmt::format("<{}>", priority_of(record.level));
  } else {
    append_time(line, record.unix_ns);
    line += fmt::format(" {:<5} ", level_name(record.level));
  }
  append_text(line, record);
  return line;
}

}  // namespace tandem
