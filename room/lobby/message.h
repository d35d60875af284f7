// The client's events as requests, and what goes back as JSON. Pure: knows every event's fields and
// bounds, but neither rooms nor sockets.
//
// A payload is one object, the first argument; names that are not known are passed over, of a name
// that comes twice the last one counts, and null is the same as not there. Wrong types and lengths
// are BAD_REQUEST with a sentence that names the field.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/result.h"
#include "room/lobby/room_outcome.h"
#include "room/lobby/room_request.h"
#include "room/text/json_scan.h"

namespace tandem {

struct MessageLimits {
  std::uint32_t max_players = 8;  // room.max_players
};

[[nodiscard]] EventClass event_class(std::string_view event);
// Of a request that clients can make; for metrics, whose labels are bounded.
[[nodiscard]] bool is_room_request(std::string_view event);

// `arguments` came from scan_json(), in UTF-8. `attachments`: how many binary ones the event has;
// only room:message and p2p:signal may have any. A SendMessage and a SendSignal refer to the
// arguments' memory, all others own what they hold.
[[nodiscard]] Result<RoomRequest, ApiError> parse_request(std::string_view event,
                                                          std::span<const JsonSpan> arguments,
                                                          std::size_t attachments,
                                                          const MessageLimits& limits);

// The same filters and paging from a query string's parameters (GET /api/v1/rooms), one at a time;
// a name that is none of theirs is passed over.
[[nodiscard]] Result<void, ApiError> read_list_parameter(std::string_view name,
                                                         std::string_view value, ListRooms& list);

// Encoders: each appends one JSON object.
void append_error(std::string& into, const ApiError& error);    // {"code":...,"message":...}
void append_failure(std::string& into, const ApiError& error);  // {"success":false,"error":...}

struct ConnectedGreeting {
  std::string_view client_id{};
  UnixMillis server_time = 0;
  std::string_view server_version{};
  std::string_view node{};
  std::string_view region{};
};
void append_connected(std::string& into, const ConnectedGreeting& greeting);

// use:relay for one of the two.
struct RelayGrant {
  std::string_view room_id{};
  std::string_view peer_client_id{};
  std::string_view server{};
  std::uint16_t port = 0;
  std::string_view token{};
  std::uint64_t session_id = 0;  // 16 hex digits in JSON
  std::uint8_t slot = 0;         // 0 or 1, as the token has it
  bool tcp = false;
  bool udp = false;
  UnixSeconds expires_at = 0;
  std::string_view region{};
  std::string_view e2e_key{};  // base64url; empty: left out
};
void append_use_relay(std::string& into, const RelayGrant& grant);
// The same as p2p:failure's acknowledgement, with success.
void append_use_relay_acknowledgement(std::string& into, const RelayGrant& grant);

// What a client missed, put into room:resumed's object before its end.
struct MissedEvent {
  std::string_view name{};
  std::string_view arguments{};  // JSON, with commas between
};
void append_missed(std::string& resumed, std::span<const MissedEvent> missed, bool all);

// The cursor of a list, opaque to clients.
[[nodiscard]] std::string encode_cursor(std::uint64_t order);
[[nodiscard]] std::optional<std::uint64_t> decode_cursor(std::string_view text);

}  // namespace tandem
