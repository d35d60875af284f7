#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <optional>

#include "common/config_keys.h"
#include "common/units.h"

namespace tandem {
namespace {

using Outcome = Result<KeyValue, std::string>;

constexpr std::size_t kListMax = 4096;

// The type of what was found, in the words of the documentation.
std::string_view found_type(const KeyValue& value) {
  constexpr std::string_view kNames[] = {"boolean", "integer", "decimal", "string", "list"};
  return kNames[value.index()];
}

Outcome wrong_type(const ConfigKey& key, const KeyValue& value) {
  return unexpected(
      fmt::format("wrong type: expected {}, got {}", type_name(key.type), found_type(value)));
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// What a message may repeat of an operator's text: one line, bounded.
std::string shown(std::string_view text) {
  constexpr std::size_t kShownMax = 80;
  std::string shown(text.substr(0, kShownMax));
  std::replace_if(shown.begin(), shown.end(), is_control, '?');
  return fmt::format("\"{}\"{}", shown, text.size() > kShownMax ? "…" : "");
}

Outcome not_a(const ConfigKey& key, std::string_view text) {
  return unexpected(fmt::format("{}: expected {}", shown(text), type_name(key.type)));
}

// fmt::join has GCC 12 warn about its own header (-Wstringop-overflow).
template <class Texts>
std::string joined(const Texts& texts) {
  std::string joined;
  for (const auto& text : texts) {
    if (!joined.empty()) joined += ", ";
    joined += text;
  }
  return joined;
}

std::string format_size(std::int64_t bytes) {
  constexpr std::pair<int, std::string_view> kUnits[] = {{30, "gb"}, {20, "mb"}, {10, "kb"}};
  for (const auto& [shift, unit] : kUnits) {
    const std::int64_t one = std::int64_t{1} << shift;
    if (bytes != 0 && bytes % one == 0) return fmt::format("{}{}", bytes >> shift, unit);
  }
  return fmt::format("{}", bytes);
}

std::string format_number(KeyType type, double number) {
  return type == KeyType::size ? format_size(static_cast<std::int64_t>(number))
                               : fmt::format("{}", number);
}

Outcome check_integer(const ConfigKey& key, std::int64_t number) {
  const auto& [min, max, multiple_of, power_of_two, rule] = key.bounds;
  const auto as_double = static_cast<double>(number);
  if (as_double < min || as_double > max) {
    return unexpected(fmt::format("{} is out of range: {}", number, format_bounds(key)));
  }
  if (power_of_two && !std::has_single_bit(static_cast<std::uint64_t>(number))) {
    return unexpected(fmt::format("{} is not a power of two", number));
  }
  if (number % multiple_of != 0) {
    return unexpected(fmt::format("{} is not a multiple of {}", number, multiple_of));
  }
  return KeyValue(number);
}

Outcome check_size(const ConfigKey& key, std::string_view text) {
  const auto bytes = parse_size(text);
  if (!bytes) {
    return unexpected(fmt::format("{}: expected a size such as 4096, 64k or 1mb", shown(text)));
  }
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 62;
  return check_integer(key, static_cast<std::int64_t>(std::min(*bytes, kHuge)));
}

Outcome check_decimal(const ConfigKey& key, double number) {
  // NaN compares false with everything.
  if (number >= key.bounds.min && number <= key.bounds.max) return KeyValue(number);
  return unexpected(fmt::format("{} is out of range: {}", number, format_bounds(key)));
}

Outcome check_choice(const ConfigKey& key, std::string text) {
  const auto& choices = key.choices;
  if (std::find(choices.begin(), choices.end(), text) != choices.end()) return KeyValue(text);
  return unexpected(fmt::format("{} is not one of: {}", shown(text), joined(choices)));
}

// What is wrong with one text of this key, a list's element included.
std::optional<std::string> text_fault(const ConfigKey& key, std::string_view text) {
  const std::string name = key.type == KeyType::secret ? "the value" : shown(text);
  if (std::any_of(text.begin(), text.end(), is_control)) {
    return fmt::format("{} holds a control character", name);
  }
  const bool address = key.type == KeyType::address || key.type == KeyType::addresses;
  if (address && !IpAddress::parse(text)) return name + ": expected an IPv4 or IPv6 address";
  if (key.type == KeyType::networks && !Network::parse(text)) {
    return name + ": expected a network such as 10.0.0.0/8 or 2001:db8::/32, or an address";
  }
  const TextRule* rule = key.bounds.rule;
  if (rule != nullptr && !rule->holds(text))
    return fmt::format("{}: expected {}", name, rule->expected);
  return std::nullopt;
}

Outcome check_text(const ConfigKey& key, std::string text) {
  if (auto fault = text_fault(key, text)) return unexpected(std::move(*fault));
  return KeyValue(std::move(text));
}

Outcome check_list(const ConfigKey& key, std::vector<std::string> texts) {
  if (texts.size() > kListMax) {
    return unexpected(fmt::format("{} elements; at most {}", texts.size(), kListMax));
  }
  for (const auto& text : texts) {
    if (auto fault = text_fault(key, text)) return unexpected(std::move(*fault));
  }
  return KeyValue(std::move(texts));
}

std::string lower(std::string_view text) {
  std::string low(text);
  for (char& c : low) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return low;
}

std::optional<bool> parse_boolean(std::string_view text) {
  const std::string word = lower(text);
  if (word == "true" || word == "1" || word == "yes" || word == "on") return true;
  if (word == "false" || word == "0" || word == "no" || word == "off") return false;
  return std::nullopt;
}

template <class Number>
std::optional<KeyValue> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> texts;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    std::string_view element = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (element.starts_with(' ')) element.remove_prefix(1);
    while (element.ends_with(' ')) element.remove_suffix(1);
    texts.emplace_back(element);
  }
  return texts;
}

std::string quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted += '"';
}

}  // namespace

Result<KeyValue, std::string> check_value(const ConfigKey& key, KeyValue value) {
  const auto* integer = std::get_if<std::int64_t>(&value);
  const auto* decimal = std::get_if<double>(&value);
  auto* text = std::get_if<std::string>(&value);
  auto* texts = std::get_if<std::vector<std::string>>(&value);
  switch (key.type) {
    case KeyType::boolean:
      if (std::holds_alternative<bool>(value)) return value;
      break;
    case KeyType::integer:
      if (integer != nullptr) return check_integer(key, *integer);
      break;
    case KeyType::decimal:
      if (integer != nullptr) return check_decimal(key, static_cast<double>(*integer));
      if (decimal != nullptr) return check_decimal(key, *decimal);
      break;
    case KeyType::size:
      if (integer != nullptr) return check_integer(key, *integer);
      if (text != nullptr) return check_size(key, *text);
      break;
    case KeyType::choice:
      if (text != nullptr) return check_choice(key, std::move(*text));
      break;
    case KeyType::text:
    case KeyType::secret:
    case KeyType::address:
      if (text != nullptr) return check_text(key, std::move(*text));
      break;
    case KeyType::addresses:
    case KeyType::networks:
    case KeyType::texts:
      if (texts != nullptr) return check_list(key, std::move(*texts));
      break;
  }
  return wrong_type(key, value);
}

Result<KeyValue, std::string> parse_value(const ConfigKey& key, std::string_view text) {
  // The names of choices are lower case; LOG_LEVEL=INFO is what other programs' users write.
  switch (key.type) {
    case KeyType::boolean: {
      const auto parsed = parse_boolean(text);
      return parsed ? Outcome(KeyValue(*parsed)) : not_a(key, text);
    }
    case KeyType::integer: {
      auto parsed = parse_number<std::int64_t>(text);
      return parsed ? check_value(key, std::move(*parsed)) : not_a(key, text);
    }
    case KeyType::decimal: {
      auto parsed = parse_number<double>(text);
      return parsed ? check_value(key, std::move(*parsed)) : not_a(key, text);
    }
    case KeyType::choice:
      return check_value(key, lower(text));
    case KeyType::size:
    case KeyType::text:
    case KeyType::secret:
    case KeyType::address:
      return check_value(key, std::string(text));
    case KeyType::addresses:
    case KeyType::networks:
    case KeyType::texts:
      return check_value(key, split_list(text));
  }
  return not_a(key, text);
}

std::string format_value(const ConfigKey& key, const KeyValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return key.type == KeyType::size ? quoted(format_size(*integer)) : fmt::format("{}", *integer);
  }
  if (const auto* decimal = std::get_if<double>(&value)) {
    // TOML tells decimals from integers by the point.
    return *decimal == std::floor(*decimal) ? fmt::format("{:.1f}", *decimal)
                                            : fmt::format("{}", *decimal);
  }
  if (const auto* text = std::get_if<std::string>(&value)) return quoted(*text);
  std::vector<std::string> elements;
  for (const auto& text : std::get<std::vector<std::string>>(value))
    elements.push_back(quoted(text));
  return fmt::format("[{}]", joined(elements));
}

std::string_view type_name(KeyType type) {
  switch (type) {
    case KeyType::boolean:
      return "boolean";
    case KeyType::integer:
      return "integer";
    case KeyType::decimal:
      return "decimal";
    case KeyType::size:
      return "size";
    case KeyType::text:
    case KeyType::secret:
    case KeyType::choice:
      return "string";
    case KeyType::address:
      return "address";
    case KeyType::addresses:
      return "list of addresses";
    case KeyType::networks:
      return "list of networks";
    case KeyType::texts:
      return "list of strings";
  }
  return "";
}

std::string format_bounds(const ConfigKey& key) {
  const KeyBounds& bounds = key.bounds;
  if (!key.choices.empty()) return joined(key.choices);
  if (bounds.rule != nullptr) return std::string(bounds.rule->expected);
  if (bounds.max == bounds.min) return "";
  std::string text = fmt::format("{} to {}", format_number(key.type, bounds.min),
                                 format_number(key.type, bounds.max));
  if (bounds.power_of_two) text += ", a power of two";
  if (bounds.multiple_of > 1) text += fmt::format(", a multiple of {}", bounds.multiple_of);
  return text;
}

}  // namespace tandem
