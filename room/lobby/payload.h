// A client's object read field by field, with the first thing that is wrong told in one sentence
// that names the field. Knows JSON and bounds, and no event.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "room/lobby/room_request.h"
#include "room/lobby/room_types.h"
#include "room/text/json_scan.h"

namespace tandem {

enum class Need : std::uint8_t { optional, required };

class Payload {
 public:
  static constexpr std::size_t kFieldsMax = 12;

  // One pass over the object; `names` are all that will be asked for, and outlive this.
  Payload(JsonSpan object, std::initializer_list<std::string_view> names);

  // Each of these leaves `into` alone where the field is not there, or where something was wrong
  // before. A text has 1 to `most` code points where it is required, else 0 to `most`.
  void text(std::string_view name, Need need, std::size_t most, std::string& into);
  void text(std::string_view name, std::size_t most, std::optional<std::string>& into);
  void text(std::string_view name, Need need, std::size_t most, FieldText& into);
  template <class Integer>
  void integer(std::string_view name, Integer least, Integer most, std::optional<Integer>& into) {
    const auto value = integer_within(name, least, most);
    if (value) into = static_cast<Integer>(*value);
  }
  void number(std::string_view name, Need need, double least, double most,
              std::optional<double>& into);
  void flag(std::string_view name, Need need, std::optional<bool>& into);
  // A text, or an integer of 64 bits, as its digits.
  void game_id(std::string_view name, Need need, std::optional<std::string>& into);
  void visibility(std::string_view name, std::optional<Visibility>& into);
  void session_id(std::string_view name, Need need, std::optional<std::uint64_t>& into);
  // Any JSON, null too. `most` in bytes.
  void json(std::string_view name, Need need, std::size_t most,
            std::optional<std::string_view>& into);

  [[nodiscard]] const JsonSpan* find(std::string_view name) const;  // nullptr for null, too
  // `name` came as null, which find() does not tell from nothing.
  [[nodiscard]] bool is_null(std::string_view name) const;
  // Its first fault stays.
  void refuse(std::string_view name, std::string_view wanted);
  void refuse(std::string sentence);
  [[nodiscard]] const std::optional<ApiError>& fault() const { return fault_; }

 private:
  struct Field {
    std::string_view name;
    std::optional<JsonSpan> value;
  };
  [[nodiscard]] std::optional<std::int64_t> integer_within(std::string_view name,
                                                           std::int64_t least, std::int64_t most);
  // The value where it is there; where it is not and had to be, that is told. `what` makes the text
  // of what was wanted, which most never need.
  template <class What>
  [[nodiscard]] const JsonSpan* wanted(std::string_view name, Need need, What&& what) {
    if (fault_) return nullptr;
    const JsonSpan* value = find(name);
    if (value == nullptr && need == Need::required) refuse_missing(name, what());
    return value;
  }
  void refuse_missing(std::string_view name, std::string_view what);
  [[nodiscard]] const Field& field(std::string_view name) const;

  std::array<Field, kFieldsMax> fields_;
  std::size_t field_count_ = 0;
  std::optional<ApiError> fault_;
};

}  // namespace tandem
