// JSON texts (RFC 8259) looked at where they lie: is this one, what are its elements and members.
// Nothing is built, so what is only passed on (a message's data) keeps its bytes, numbers past 64
// bits too, and an object nested a million deep costs no stack. Pure; knows no event and no room.
//
// Everything but scan_json() takes spans that scan_json() accepted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tandem {

enum class JsonKind : std::uint8_t { object, array, string, number, boolean, null };

struct JsonSpan {
  JsonKind kind = JsonKind::null;
  std::string_view text = "null";  // without white space around it; a string's with its quotes
};

// One whole JSON text with nothing but white space around it, nested at most `depth_max` deep (a
// scalar is 0 deep, [] is 1). Takes no recursion. That it is UTF-8 is the caller's business: what
// comes by WebSocket was checked there.
[[nodiscard]] std::optional<JsonSpan> scan_json(std::string_view text, std::size_t depth_max);

// The elements of an array, in order.
class JsonElements {
 public:
  explicit JsonElements(JsonSpan array);
  [[nodiscard]] bool next(JsonSpan& element);

 private:
  std::string_view rest_;
};

// The members of an object, in order; a name may come twice (the last one counts, as for
// JSON.parse).
class JsonMembers {
 public:
  explicit JsonMembers(JsonSpan object);
  [[nodiscard]] bool next(JsonSpan& name, JsonSpan& value);

 private:
  std::string_view rest_;
};

// A string's characters, escapes undone; a lone surrogate becomes U+FFFD.
[[nodiscard]] std::string json_text(JsonSpan string);
// The same without a copy where it has no escape, which most have not.
[[nodiscard]] std::optional<std::string_view> json_plain_text(JsonSpan string);

// A number without fraction and exponent that fits, else nothing.
[[nodiscard]] std::optional<std::int64_t> json_int(JsonSpan number);
[[nodiscard]] std::optional<std::uint64_t> json_uint(JsonSpan number);
[[nodiscard]] std::optional<double> json_double(JsonSpan number);

// `text`, which is UTF-8, as a JSON string with its quotes.
void append_json_string(std::string& into, std::string_view text);

}  // namespace tandem
