// JSON texts, with nlohmann::json as the oracle: the same ones are accepted, and what they hold is
// the same. It differs where it should: nlohmann checks UTF-8 and not the depth, and refuses
// numbers that no double can hold.
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/assert.h"
#include "room/text/json_scan.h"
#include "room/web/utf8_check.h"

namespace tandem {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kDepth = 100;

// Does nlohmann take it, but for numbers past a double's range?
struct Events final : nlohmann::json_sax<Json> {
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool key(string_t&) override { return true; }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& thrown) override {
    out_of_range = thrown.id == 406;
    return false;
  }
  bool enter() {
    deepest = std::max(deepest, ++depth);
    return true;
  }
  bool leave() {
    --depth;
    return true;
  }

  std::size_t depth = 0;
  std::size_t deepest = 0;
  bool out_of_range = false;
};

void check_same(JsonSpan span, const Json& value);

void check_same_object(JsonSpan span, const Json& value) {
  // The last of two members with one name counts.
  std::size_t members = 0;
  Json last_ones = Json::object();
  JsonMembers walk(span);
  for (JsonSpan name, member; walk.next(name, member); ++members) {
    TANDEM_CHECK(name.kind == JsonKind::string);
    const auto again = scan_json(member.text, kDepth);
    TANDEM_CHECK(again && again->text == member.text && again->kind == member.kind);
    last_ones[json_text(name)] = std::string(member.text);
  }
  TANDEM_CHECK(members >= value.size() && last_ones.size() == value.size());
  for (const auto& [name, text] : last_ones.items()) {
    TANDEM_CHECK(value.contains(name));
    check_same(*scan_json(text.get_ref<const std::string&>(), kDepth), value[name]);
  }
}

void check_same_array(JsonSpan span, const Json& value) {
  JsonElements walk(span);
  std::size_t count = 0;
  for (JsonSpan element; walk.next(element); ++count) {
    TANDEM_CHECK(count < value.size());
    check_same(element, value[count]);
  }
  TANDEM_CHECK(count == value.size());
}

void check_same_number(JsonSpan span, const Json& value) {
  const auto number = json_double(span);
  if (value.is_number_float()) {
    const double expected = value.get<double>();
    // from_chars gives nothing for what is nearer to 0 than any double.
    TANDEM_CHECK(number ? *number == expected : std::fabs(expected) < 1e-300);
    return;
  }
  TANDEM_CHECK(number && *number == value.get<double>());
  if (value.is_number_unsigned()) TANDEM_CHECK(json_uint(span) == value.get<std::uint64_t>());
  if (!value.is_number_unsigned()) TANDEM_CHECK(json_int(span) == value.get<std::int64_t>());
}

void check_same_string(JsonSpan span, const Json& value) {
  const std::string text = json_text(span);
  TANDEM_CHECK(text == value.get_ref<const std::string&>());
  if (const auto plain = json_plain_text(span)) TANDEM_CHECK(*plain == text);
  std::string json;
  append_json_string(json, text);
  const auto again = scan_json(json, 0);
  TANDEM_CHECK(again && json_text(*again) == text);
}

void check_same(JsonSpan span, const Json& value) {
  switch (span.kind) {
    case JsonKind::object:
      TANDEM_CHECK(value.is_object());
      return check_same_object(span, value);
    case JsonKind::array:
      TANDEM_CHECK(value.is_array());
      return check_same_array(span, value);
    case JsonKind::string:
      TANDEM_CHECK(value.is_string());
      return check_same_string(span, value);
    case JsonKind::number:
      TANDEM_CHECK(value.is_number());
      return check_same_number(span, value);
    case JsonKind::boolean:
      TANDEM_CHECK(value.is_boolean() && value.get<bool>() == (span.text == "true"));
      return;
    case JsonKind::null:
      TANDEM_CHECK(value.is_null() && span.text == "null");
      return;
  }
}

// A lone surrogate, which nlohmann refuses to read, is U+FFFD here.
bool has_surrogate_escape(std::string_view text) {
  for (std::size_t at = 0; (at = text.find("\\u", at)) != std::string_view::npos; at += 2)
    if (at + 2 < text.size() && (text[at + 2] == 'd' || text[at + 2] == 'D')) return true;
  return false;
}

void check(std::string_view text) {
  const auto span = scan_json(text, kDepth);
  if (span) {
    TANDEM_CHECK(span->text.size() <= text.size());
    const auto again = scan_json(span->text, kDepth);
    TANDEM_CHECK(again && again->text == span->text && again->kind == span->kind);
  }
  // nlohmann skips a byte order mark, and takes a null character for the end.
  if (!is_utf8(text) || text.starts_with("\xef\xbb\xbf") || text.find('\0') != text.npos) return;
  Events events;
  const bool accepted = Json::sax_parse(text.begin(), text.end(), &events);
  if (!accepted && (events.out_of_range || has_surrogate_escape(text))) return;
  TANDEM_CHECK(span.has_value() == (accepted && events.deepest <= kDepth));
  if (span && accepted) check_same(*span, Json::parse(text));
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tandem::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
