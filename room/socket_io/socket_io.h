// Socket.IO v5 as bytes: packets and their JSON, binary attachments' placeholders. Pure; knows no
// session, no event by name. (github.com/socketio/socket.io-protocol, revision 5)
//
//   <type>[<attachments>-][<namespace>,][<ack id>][<JSON>]
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "room/text/json_scan.h"

namespace tandem {

enum class SocketPacketType : std::uint8_t {
  connect,
  disconnect,
  event,
  ack,
  connect_error,
  binary_event,
  binary_ack,
};

inline constexpr std::size_t kSocketAttachmentsMax = 32;
inline constexpr std::size_t kNamespaceBytesMax = 128;
inline constexpr std::size_t kEventNameBytesMax = 128;
inline constexpr std::size_t kEventArgumentsMax = 64;
inline constexpr std::size_t kSocketJsonDepthMax = 64;

// A packet's text, taken apart where it lies.
struct SocketFrame {
  SocketPacketType type = SocketPacketType::connect;
  std::uint32_t attachments = 0;  // binary frames that follow
  std::string_view nsp = "/";
  std::optional<std::uint64_t> ack_id;
  std::optional<JsonSpan> data;  // an array of an event and an ack, an object of CONNECT
};

// What stands behind Engine.IO's message type. Strict: each type has the data, the ack id and the
// attachments that it may have and must have, numbers have no leading zeros, an event's first
// element is its name, and each placeholder of a binary packet names one of its attachments, so
// that what is passed on breaks no other client.
[[nodiscard]] std::optional<SocketFrame> decode_socket_frame(std::string_view text);

// An event's or an ack's elements: `name` is an event's first one, escapes undone with `storage`'s
// help where it has any, and `arguments` are the others.
struct SocketArguments {
  std::string_view name;
  std::vector<JsonSpan> arguments;
  std::string storage;
};
// Of a frame that decode_socket_frame() gave. `into` is used again and again, so that nothing is
// allocated for most events.
void split_arguments(const SocketFrame& frame, SocketArguments& into);

// What stands before the JSON, Engine.IO's message type included: "42", "452-/nsp,7".
[[nodiscard]] std::string socket_frame_head(SocketPacketType type, std::size_t attachments,
                                            std::string_view nsp,
                                            std::optional<std::uint64_t> ack_id);

}  // namespace tandem
