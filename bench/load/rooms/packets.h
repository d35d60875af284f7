// Engine.IO v4 packets and the Socket.IO v5 packets within them (of the namespace "/"), as a client
// over WebSocket writes and reads them: pure functions over text. Knows no event by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "room/text/json_scan.h"

namespace tandem::bench {

enum class PacketKind : std::uint8_t {
  open,           // 0: the session
  close,          // 1
  ping,           // 2
  connected,      // 40: the namespace
  disconnected,   // 41
  event,          // 42
  ack,            // 43
  connect_error,  // 44
  other,          // a noop, a pong, a binary event: not for this client
  malformed,
};

struct Packet {
  PacketKind kind = PacketKind::malformed;
  std::string_view event{};  // of an event: its name as it was written
  JsonSpan argument{};       // the first one, or null: of events and acks; else the data
  std::optional<std::uint64_t> ack_id{};  // of an ack always
};

// The packet in one text message, whose parts lie in it.
[[nodiscard]] Packet read_packet(std::string_view text);

// CONNECT with the token that is to let it in.
[[nodiscard]] std::string connect_packet(std::string_view token);
// `argument` is JSON. Written into `into`, which is emptied.
void write_event(std::string& into, std::string_view event, std::string_view argument,
                 std::optional<std::uint64_t> ack_id);

// A member of an object, or nothing; the last of several.
[[nodiscard]] std::optional<JsonSpan> member_of(JsonSpan object, std::string_view name);
// The plain text of a member that is a string, else "".
[[nodiscard]] std::string_view text_of(JsonSpan object, std::string_view name);

}  // namespace tandem::bench
