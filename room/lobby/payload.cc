#include "room/lobby/payload.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/assert.h"
#include "common/token.h"
#include "room/text/visible_text.h"

namespace tandem {
namespace {

std::string text_wanted(Need need, std::size_t most) {
  return fmt::format("a text of {} to {} characters without control characters",
                     need == Need::required ? 1 : 0, most);
}

bool is_within(std::string_view text, Need need, std::size_t most) {
  const std::size_t least = need == Need::required ? 1 : 0;
  // A code point has four bytes at most, so a longer text need not be counted.
  if (text.size() > most * 4) return false;
  const auto count = visible_code_points(text);
  return count && *count >= least && *count <= most;
}

}  // namespace

Payload::Payload(JsonSpan object, std::initializer_list<std::string_view> names) {
  TANDEM_CHECK(names.size() <= kFieldsMax);
  for (const std::string_view name : names) fields_[field_count_++].name = name;
  JsonMembers members(object);
  JsonSpan name;
  JsonSpan value;
  while (members.next(name, value)) {
    const auto plain = json_plain_text(name);
    const std::string unescaped = plain ? std::string() : json_text(name);
    const std::string_view given = plain ? *plain : std::string_view(unescaped);
    for (std::size_t at = 0; at < field_count_; ++at)
      if (fields_[at].name == given) fields_[at].value = value;
  }
}

const Payload::Field& Payload::field(std::string_view name) const {
  const auto end = fields_.begin() + static_cast<std::ptrdiff_t>(field_count_);
  const auto found =
      std::find_if(fields_.begin(), end, [&](const Field& each) { return each.name == name; });
  TANDEM_CHECK(found != end);
  return *found;
}

const JsonSpan* Payload::find(std::string_view name) const {
  const auto& value = field(name).value;
  return value && value->kind != JsonKind::null ? &*value : nullptr;
}

bool Payload::is_null(std::string_view name) const {
  const auto& value = field(name).value;
  return value && value->kind == JsonKind::null;
}

void Payload::refuse(std::string sentence) {
  if (!fault_) fault_ = ApiError{ErrorCode::bad_request, std::move(sentence)};
}

void Payload::refuse(std::string_view name, std::string_view wanted) {
  refuse(fmt::format("\"{}\" has to be {}", name, wanted));
}

void Payload::refuse_missing(std::string_view name, std::string_view what) {
  refuse(fmt::format("\"{}\" is missing: it has to be {}", name, what));
}

void Payload::text(std::string_view name, Need need, std::size_t most, FieldText& into) {
  const JsonSpan* value = wanted(name, need, [&] { return text_wanted(need, most); });
  if (value == nullptr) return;
  if (value->kind == JsonKind::string) {
    const auto plain = json_plain_text(*value);
    FieldText text = plain ? FieldText(*plain) : FieldText(json_text(*value));
    if (is_within(text.view(), need, most)) {
      into = std::move(text);
      return;
    }
  }
  refuse(name, text_wanted(need, most));
}

void Payload::text(std::string_view name, Need need, std::size_t most, std::string& into) {
  FieldText text;
  this->text(name, need, most, text);
  if (!fault_ && find(name) != nullptr) into = text.view();
}

void Payload::text(std::string_view name, std::size_t most, std::optional<std::string>& into) {
  FieldText text;
  this->text(name, Need::optional, most, text);
  if (!fault_ && find(name) != nullptr) into = text.view();
}

std::optional<std::int64_t> Payload::integer_within(std::string_view name, std::int64_t least,
                                                    std::int64_t most) {
  const JsonSpan* value = wanted(name, Need::optional, [] { return ""; });
  if (value == nullptr) return std::nullopt;
  const auto number = value->kind == JsonKind::number ? json_int(*value) : std::nullopt;
  if (number && *number >= least && *number <= most) return number;
  refuse(name, fmt::format("an integer from {} to {}", least, most));
  return std::nullopt;
}

void Payload::number(std::string_view name, Need need, double least, double most,
                     std::optional<double>& into) {
  const auto what = [&] { return fmt::format("a number from {} to {}", least, most); };
  const JsonSpan* value = wanted(name, need, what);
  if (value == nullptr) return;
  const auto number = value->kind == JsonKind::number ? json_double(*value) : std::nullopt;
  if (number && *number >= least && *number <= most) {
    into = *number;
  } else {
    refuse(name, what());
  }
}

void Payload::flag(std::string_view name, Need need, std::optional<bool>& into) {
  const JsonSpan* value = wanted(name, need, [] { return "true or false"; });
  if (value == nullptr) return;
  if (value->kind == JsonKind::boolean) {
    into = value->text == "true";
  } else {
    refuse(name, "true or false");
  }
}

void Payload::game_id(std::string_view name, Need need, std::optional<std::string>& into) {
  const auto what = [] {
    return fmt::format("a text of 1 to {} characters or an integer of 64 bits", kGameIdMax);
  };
  const JsonSpan* value = wanted(name, need, what);
  if (value == nullptr) return;
  if (value->kind == JsonKind::string) {
    std::string text = json_text(*value);
    if (is_within(text, Need::required, kGameIdMax)) {
      into = std::move(text);
      return;
    }
  } else if (value->kind == JsonKind::number) {
    // Through the integer, so that there is one text for each: JSON has -0 beside 0.
    if (const auto positive = json_uint(*value)) {
      into = fmt::to_string(*positive);
      return;
    }
    if (const auto any = json_int(*value)) {
      into = fmt::to_string(*any);
      return;
    }
  }
  refuse(name, what());
}

void Payload::visibility(std::string_view name, std::optional<Visibility>& into) {
  const JsonSpan* value = wanted(name, Need::optional, [] { return ""; });
  if (value == nullptr) return;
  if (value->kind == JsonKind::string) {
    const std::string text = json_text(*value);
    for (const Visibility each : {Visibility::listed, Visibility::unlisted, Visibility::hidden})
      if (text == visibility_name(each)) {
        into = each;
        return;
      }
  }
  refuse(name, "\"public\", \"unlisted\" or \"private\"");
}

void Payload::session_id(std::string_view name, Need need, std::optional<std::uint64_t>& into) {
  const JsonSpan* value = wanted(name, need, [] { return "a session's 16 hex digits"; });
  if (value == nullptr) return;
  const auto id =
      value->kind == JsonKind::string ? parse_session_id(json_text(*value)) : std::nullopt;
  if (id) {
    into = *id;
  } else {
    refuse(name, "a session's 16 hex digits");
  }
}

void Payload::json(std::string_view name, Need need, std::size_t most,
                   std::optional<std::string_view>& into) {
  if (fault_) return;
  const auto& value = field(name).value;
  if (!value) {
    if (need == Need::required) refuse(fmt::format("\"{}\" is missing: it may be anything", name));
  } else if (value->text.size() > most) {
    refuse(name, fmt::format("at most {} bytes of JSON", most));
  } else {
    into = value->text;
  }
}

}  // namespace tandem
