// What a room message of the generator carries: its room, its number there, and letters that follow
// from both, so that one that was altered or came to another room is told from its own. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "room/text/json_scan.h"

namespace tandem::bench {

struct MessageMark {
  std::uint64_t room = 0;
  std::uint64_t number = 0;
  friend bool operator==(const MessageMark&, const MessageMark&) = default;
};

inline constexpr std::size_t kMessageBytesMin = 64;  // the marks' own room, at their longest
inline constexpr std::size_t kMessageBytesMax = 16 * 1024;

// A JSON object of `size` characters, kMessageBytesMin to kMessageBytesMax, behind `into`.
void append_payload(std::string& into, const MessageMark& mark, std::size_t size);
// The mark of one that was `size` long; nothing where it is not as it was written. White space that
// a server put in or took out is no damage.
[[nodiscard]] std::optional<MessageMark> read_payload(JsonSpan data, std::size_t size);

}  // namespace tandem::bench
