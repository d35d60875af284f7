#include "room/text/json_scan.h"

#include <charconv>

namespace tandem {
namespace {

constexpr bool is_space(char letter) {
  return letter == ' ' || letter == '\t' || letter == '\n' || letter == '\r';
}
constexpr bool is_digit(char letter) {
  return letter >= '0' && letter <= '9';
}
constexpr int hex_value(char letter) {
  if (is_digit(letter)) return letter - '0';
  if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
  if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
  return -1;
}

std::size_t past_space(std::string_view text, std::size_t at) {
  while (at < text.size() && is_space(text[at])) ++at;
  return at;
}

constexpr std::size_t kBad = std::string_view::npos;

// Each of these: `at` is on the first character; the result is behind the last one, or kBad.
std::size_t past_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    const char letter = text[at];
    if (letter == '"') return at + 1;
    if (static_cast<unsigned char>(letter) < 0x20) return kBad;
    if (letter != '\\') continue;
    if (++at == text.size()) return kBad;
    if (text[at] != 'u') {
      if (std::string_view(R"("\/bfnrt)").find(text[at]) == std::string_view::npos) return kBad;
      continue;
    }
    for (int digit = 0; digit < 4; ++digit)
      if (++at == text.size() || hex_value(text[at]) < 0) return kBad;
  }
  return kBad;
}

std::size_t past_digits(std::string_view text, std::size_t at) {
  if (at == text.size() || !is_digit(text[at])) return kBad;
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

std::size_t past_number(std::string_view text, std::size_t at) {
  if (text[at] == '-') ++at;
  const std::size_t digits = at;
  at = past_digits(text, at);
  if (at == kBad || (text[digits] == '0' && at > digits + 1)) return kBad;
  if (at < text.size() && text[at] == '.') at = past_digits(text, at + 1);
  if (at == kBad) return kBad;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    at = past_digits(text, at);
  }
  return at;
}

std::size_t past_scalar(std::string_view text, std::size_t at) {
  const char first = text[at];
  if (first == '"') return past_string(text, at);
  if (first == '-' || is_digit(first)) return past_number(text, at);
  for (const std::string_view word : {"true", "false", "null"})
    if (text.substr(at, word.size()) == word) return at + word.size();
  return kBad;
}

JsonKind kind_of(char first) {
  switch (first) {
    case '{':
      return JsonKind::object;
    case '[':
      return JsonKind::array;
    case '"':
      return JsonKind::string;
    case 't':
    case 'f':
      return JsonKind::boolean;
    case 'n':
      return JsonKind::null;
    default:
      return JsonKind::number;
  }
}

// Behind the value that begins at `at`, with what is open in it on a stack of its own.
class Scanner {
 public:
  Scanner(std::string_view text, std::size_t depth_max) : text_(text), depth_max_(depth_max) {}

  std::size_t past_value(std::size_t at) {
    for (;;) {
      at = past_space(text_, at);
      if (at == text_.size()) return kBad;
      if (text_[at] == '{' || text_[at] == '[') {
        at = open(at);
      } else {
        at = past_scalar(text_, at);
      }
      if (at == kBad) return kBad;
      if (!entered_) at = close(at);
      entered_ = false;
      if (at == kBad || open_.empty()) return at;
    }
  }

 private:
  // Goes into the container at `at`: to its first value, or behind it where it is empty.
  std::size_t open(std::size_t at) {
    if (open_.size() == depth_max_) return kBad;
    const char end = text_[at] == '{' ? '}' : ']';
    at = past_space(text_, at + 1);
    if (at == text_.size()) return kBad;
    if (text_[at] == end) return at + 1;
    open_.push_back(end);
    entered_ = true;
    return end == '}' ? past_name(at) : at;
  }

  // Behind a value: closes what ends here, and goes to the next value where one follows.
  std::size_t close(std::size_t at) {
    while (!open_.empty()) {
      at = past_space(text_, at);
      if (at == text_.size()) return kBad;
      if (text_[at] == ',') {
        at = past_space(text_, at + 1);
        return open_.back() == '}' ? past_name(at) : at;
      }
      if (text_[at] != open_.back()) return kBad;
      open_.pop_back();
      ++at;
    }
    return at;
  }

  std::size_t past_name(std::size_t at) const {
    if (at == text_.size() || text_[at] != '"') return kBad;
    at = past_string(text_, at);
    if (at == kBad) return kBad;
    at = past_space(text_, at);
    return at < text_.size() && text_[at] == ':' ? at + 1 : kBad;
  }

  std::string_view text_;
  std::size_t depth_max_;
  std::string open_;  // what closes each open container
  bool entered_ = false;
};

// Of text that scan_json() accepted, so brackets and quotes match.
std::size_t past_known_value(std::string_view text) {
  if (text[0] == '"') return past_string(text, 0);
  if (text[0] != '{' && text[0] != '[') {
    std::size_t at = 0;
    while (at < text.size() && text[at] != ',' && text[at] != '}' && text[at] != ']' &&
           !is_space(text[at]))
      ++at;
    return at;
  }
  std::size_t depth = 0;
  for (std::size_t at = 0; at < text.size();) {
    const char letter = text[at];
    if (letter == '"') {
      at = past_string(text, at);
      continue;
    }
    ++at;
    if (letter == '{' || letter == '[') ++depth;
    if ((letter == '}' || letter == ']') && --depth == 0) return at;
  }
  return text.size();
}

JsonSpan take_value(std::string_view& rest) {
  rest.remove_prefix(past_space(rest, 0));
  const std::string_view value = rest.substr(0, past_known_value(rest));
  rest.remove_prefix(value.size());
  rest.remove_prefix(past_space(rest, 0));
  return {kind_of(value[0]), value};
}

void append_utf8(std::string& into, std::uint32_t point) {
  const auto put = [&](std::uint32_t byte) { into += static_cast<char>(byte); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xc0 | point >> 6);
    put(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    put(0xe0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3f));
    put(0x80 | (point & 0x3f));
  } else {
    put(0xf0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3f));
    put(0x80 | (point >> 6 & 0x3f));
    put(0x80 | (point & 0x3f));
  }
}

std::uint32_t hex4(std::string_view digits) {
  std::uint32_t value = 0;
  for (const char digit : digits.substr(0, 4))
    value = value << 4 | static_cast<std::uint32_t>(hex_value(digit));
  return value;
}

// `text` begins behind a \u; the result is how much of it was used: 4, or 10 for a pair.
std::size_t append_escaped_point(std::string& into, std::string_view text) {
  constexpr std::uint32_t kReplacement = 0xfffd;
  const std::uint32_t first = hex4(text);
  if (first < 0xd800 || first > 0xdfff) {
    append_utf8(into, first);
    return 4;
  }
  if (first < 0xdc00 && text.size() >= 10 && text.substr(4, 2) == "\\u") {
    const std::uint32_t second = hex4(text.substr(6));
    if (second >= 0xdc00 && second <= 0xdfff) {
      append_utf8(into, 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
      return 10;
    }
  }
  append_utf8(into, kReplacement);
  return 4;
}

template <class Number>
std::optional<Number> whole_number(std::string_view text) {
  Number value{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<JsonSpan> scan_json(std::string_view text, std::size_t depth_max) {
  const std::size_t begin = past_space(text, 0);
  const std::size_t end = Scanner(text, depth_max).past_value(begin);
  if (end == kBad || past_space(text, end) != text.size()) return std::nullopt;
  return JsonSpan{kind_of(text[begin]), text.substr(begin, end - begin)};
}

JsonElements::JsonElements(JsonSpan array) : rest_(array.text.substr(1, array.text.size() - 2)) {
  rest_.remove_prefix(past_space(rest_, 0));
}

bool JsonElements::next(JsonSpan& element) {
  if (rest_.empty()) return false;
  element = take_value(rest_);
  if (!rest_.empty()) rest_.remove_prefix(1);  // the comma
  return true;
}

JsonMembers::JsonMembers(JsonSpan object) : rest_(object.text.substr(1, object.text.size() - 2)) {
  rest_.remove_prefix(past_space(rest_, 0));
}

bool JsonMembers::next(JsonSpan& name, JsonSpan& value) {
  if (rest_.empty()) return false;
  name = take_value(rest_);
  rest_.remove_prefix(1);  // the colon
  value = take_value(rest_);
  if (!rest_.empty()) rest_.remove_prefix(1);  // the comma
  return true;
}

std::optional<std::string_view> json_plain_text(JsonSpan string) {
  const std::string_view inner = string.text.substr(1, string.text.size() - 2);
  if (inner.find('\\') != std::string_view::npos) return std::nullopt;
  return inner;
}

std::string json_text(JsonSpan string) {
  std::string_view rest = string.text.substr(1, string.text.size() - 2);
  std::string text;
  text.reserve(rest.size());
  for (;;) {
    const std::size_t escape = rest.find('\\');
    text += rest.substr(0, escape);
    if (escape == std::string_view::npos) return text;
    const char letter = rest[escape + 1];
    rest.remove_prefix(escape + 2);
    if (letter == 'u') {
      rest.remove_prefix(append_escaped_point(text, rest));
      continue;
    }
    constexpr std::string_view kLetters = "bfnrt";
    constexpr std::string_view kMeanings = "\b\f\n\r\t";
    const std::size_t which = kLetters.find(letter);
    text += which == std::string_view::npos ? letter : kMeanings[which];
  }
}

std::optional<std::int64_t> json_int(JsonSpan number) {
  return whole_number<std::int64_t>(number.text);
}
std::optional<std::uint64_t> json_uint(JsonSpan number) {
  return whole_number<std::uint64_t>(number.text);
}
std::optional<double> json_double(JsonSpan number) {
  return whole_number<double>(number.text);
}

void append_json_string(std::string& into, std::string_view text) {
  into += '"';
  std::size_t from = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto letter = static_cast<unsigned char>(text[at]);
    if (letter >= 0x20 && letter != '"' && letter != '\\') continue;
    into += text.substr(from, at - from);
    from = at + 1;
    into += '\\';
    if (letter == '"' || letter == '\\') {
      into += text[at];
    } else {
      constexpr std::string_view kHex = "0123456789abcdef";
      into += "u00";
      into += kHex[letter >> 4];
      into += kHex[letter & 15];
    }
  }
  into += text.substr(from);
  into += '"';
}

}  // namespace tandem
