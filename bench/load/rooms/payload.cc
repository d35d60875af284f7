#include "bench/load/rooms/payload.h"

#include <fmt/format.h>

#include <array>
#include <iterator>

#include "common/assert.h"

namespace tandem::bench {
namespace {

constexpr std::string_view kEnd = "\"}";
constexpr std::string_view kLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// The letters twice, so that any stretch of up to 64 from any of the first 64 is one piece of it.
constexpr std::array<char, 128> kTwice = [] {
  std::array<char, 128> twice{};
  for (std::size_t i = 0; i < twice.size(); ++i) twice[i] = kLetters[i % kLetters.size()];
  return twice;
}();

constexpr std::string_view kWithoutNumbers = R"({"r":,"n":,"p":""})";

std::size_t digits_of(std::uint64_t number) {
  std::size_t digits = 1;
  for (; number >= 10; number /= 10) ++digits;
  return digits;
}

std::size_t letters_in(const MessageMark& mark, std::size_t size) {
  return size - kWithoutNumbers.size() - digits_of(mark.room) - digits_of(mark.number);
}

std::size_t first_letter(const MessageMark& mark) {
  return static_cast<std::size_t>((mark.room * 7 + mark.number * 31) % kLetters.size());
}

// Calls take(piece) with the letters of a mark, in pieces that together are `size` long, until one
// returns false.
template <typename Take>
bool each_piece(const MessageMark& mark, std::size_t size, Take take) {
  const std::string_view round(kTwice.data() + first_letter(mark), kLetters.size());
  for (; size > round.size(); size -= round.size()) {
    if (!take(round)) return false;
  }
  return take(round.substr(0, size));
}

bool has_letters(std::string_view text, const MessageMark& mark) {
  return each_piece(mark, text.size(), [&text](std::string_view piece) {
    if (!text.starts_with(piece)) return false;
    text.remove_prefix(piece.size());
    return true;
  });
}

}  // namespace

void append_payload(std::string& into, const MessageMark& mark, std::size_t size) {
  TANDEM_CHECK(size >= kMessageBytesMin && size <= kMessageBytesMax);
  fmt::format_to(std::back_inserter(into), R"({{"r":{},"n":{},"p":")", mark.room, mark.number);
  each_piece(mark, letters_in(mark, size), [&into](std::string_view piece) {
    into += piece;
    return true;
  });
  into += kEnd;
}

std::optional<MessageMark> read_payload(JsonSpan data, std::size_t size) {
  if (data.kind != JsonKind::object) return std::nullopt;
  std::optional<std::uint64_t> room;
  std::optional<std::uint64_t> number;
  std::string_view letters;
  JsonMembers members(data);
  JsonSpan name;
  JsonSpan value;
  while (members.next(name, value)) {
    if (name.text == "\"r\"" && value.kind == JsonKind::number) room = json_uint(value);
    if (name.text == "\"n\"" && value.kind == JsonKind::number) number = json_uint(value);
    if (name.text == "\"p\"" && value.kind == JsonKind::string) {
      letters = value.text.substr(1, value.text.size() - 2);
    }
  }
  if (!room || !number) return std::nullopt;
  const MessageMark mark{.room = *room, .number = *number};
  if (letters.size() != letters_in(mark, size) || !has_letters(letters, mark)) return std::nullopt;
  return mark;
}

}  // namespace tandem::bench
