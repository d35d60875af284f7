// One JSON object, appended member by member to a text that others own. Knows no event.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

#include "room/text/json_scan.h"

namespace tandem {

// Names are ours: ASCII, and nothing in them has to be escaped. end() closes it.
class JsonObject {
 public:
  explicit JsonObject(std::string& into) : into_(into) {}

  JsonObject& text(std::string_view name, std::string_view value) {
    begin(name);
    append_json_string(into_, value);
    return *this;
  }
  JsonObject& number(std::string_view name, std::integral auto value) {
    begin(name);
    char digits[24];
    const auto [end, fault] = std::to_chars(std::begin(digits), std::end(digits), value);
    into_.append(digits, end);
    return *this;
  }
  JsonObject& flag(std::string_view name, bool value) {
    return json(name, value ? "true" : "false");
  }
  // A value that is JSON already.
  JsonObject& json(std::string_view name, std::string_view value) {
    begin(name);
    into_ += value;
    return *this;
  }
  // The value is what the caller appends next.
  JsonObject& name(std::string_view name) {
    begin(name);
    return *this;
  }
  void end() {
    if (empty_) into_ += '{';
    into_ += '}';
  }

 private:
  void begin(std::string_view name) {
    into_ += empty_ ? '{' : ',';
    empty_ = false;
    into_ += '"';
    into_ += name;
    into_ += "\":";
  }

  std::string& into_;
  bool empty_ = true;
};

}  // namespace tandem
