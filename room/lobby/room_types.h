// The words that the room service's layers share: keys, errors, what a room is, what is stored of
// it. Knows no JSON, no socket and no rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "common/slab.h"

namespace tandem {

// Milliseconds since 1970: every time that a client sees (createdAt, joinedAt, serverTime), a JSON
// number, as JavaScript's Date.now() has it.
using UnixMillis = std::int64_t;

// What the control loop's two clocks show. Deadlines hang on the one, what is shown on the other.
struct Moment {
  Nanos mono = 0;
  UnixMillis wall = 0;
};

// A client while it is connected or its grace runs, a room while it is open. Eight bytes; one that
// outlived its owner finds nothing.
struct ClientKey {
  Handle handle;
  friend constexpr bool operator==(const ClientKey&, const ClientKey&) = default;
};
struct RoomKey {
  Handle handle;
  friend constexpr bool operator==(const RoomKey&, const RoomKey&) = default;
};

// Lengths in UTF-8 code points, which is how a user counts them and what the database's columns
// take; none may hold what visible_text.h refuses.
inline constexpr std::size_t kUserNameMax = 32;
inline constexpr std::size_t kPlayerNameMax = 64;
inline constexpr std::size_t kRoomNameMax = 128;
inline constexpr std::size_t kGameVersionMax = 32;
inline constexpr std::size_t kShortTextMax = 16;  // region, platform, version, connectionType
inline constexpr std::size_t kHostEndpointMax = 128;
inline constexpr std::size_t kHostPeerIdMax = 128;
inline constexpr std::size_t kGameIdMax = 64;     // where it is a string
inline constexpr std::size_t kClientIdMax = 128;  // `sub`; a UUID where we made it
inline constexpr std::size_t kReasonMax = 128;
inline constexpr std::size_t kPasswordMax = 128;
inline constexpr std::size_t kMetadataBytesMax = 4096;  // of its JSON as it came
inline constexpr std::size_t kListLimitMax = 50;
inline constexpr std::size_t kBeaconsMax = 64;
inline constexpr std::size_t kRelayIdMax = 64;

// Which budget a request is charged to.
enum class EventClass : std::uint8_t {
  request,  // room.rate_limit: every HTTP request, and every event that is none of the next two
  message,  // room.message_rate_limit: room:message
  signal,   // room.signal_rate_limit: p2p:signal
};

enum class ErrorCode : std::uint8_t {
  auth_failed,
  bad_request,
  not_found,
  room_full,
  room_locked,
  bad_password,
  banned,
  not_host,
  not_in_room,
  rate_limited,
  over_capacity,
  no_relay,
  draining,
  internal,
};
inline constexpr std::size_t kErrorCodes = 14;
[[nodiscard]] std::string_view error_code_name(ErrorCode code);  // "AUTH_FAILED"

struct ApiError {
  ErrorCode code = ErrorCode::internal;
  std::string message{};                         // one sentence for people, ASCII
  std::optional<std::uint32_t> retry_after_s{};  // where waiting helps
};

// public: listed. unlisted: not listed; whoever has its id or code can look at it and join.
// private: the same, but only its members can look at it.
enum class Visibility : std::uint8_t { listed, unlisted, hidden };
[[nodiscard]] std::string_view visibility_name(Visibility visibility);  // "public", ...

enum class LeaveCause : std::uint8_t { left, timeout, kicked, banned };
[[nodiscard]] std::string_view leave_cause_name(LeaveCause cause);

enum class CloseReason : std::uint8_t { timeout, by_operator, draining, empty };
inline constexpr std::size_t kCloseReasons = 4;
[[nodiscard]] std::string_view close_reason_name(CloseReason reason);

struct Beacon {
  std::string relay_id{};
  double rtt_ms = 0;
};

// What storage keeps of a seat and of a room, enough to open it again after a restart.
struct PlayerRecord {
  std::string client_id{};
  std::string name{};
  std::uint32_t player_id = 0;  // the seat, from 1
  UnixMillis joined_at = 0;
  bool ready = false;
};

struct RoomRecord {
  std::string id{};
  std::string code{};
  std::string name{};
  std::string game_id{};
  std::string game_version{};
  std::string host_id{};
  std::string host_endpoint{};
  std::string host_peer_id{};
  std::string region{};
  std::string metadata{};           // JSON
  std::string password_verifier{};  // empty: none
  Visibility visibility = Visibility::listed;
  bool locked = false;
  std::uint32_t max_players = 0;
  std::uint32_t peak_players = 0;
  UnixMillis created_at = 0;
  UnixMillis updated_at = 0;
  std::uint64_t seq_reserved = 0;  // no message of this room had or has a larger seq
  std::vector<std::string> banned{};
  std::vector<PlayerRecord> players{};  // the one longest there first
};

struct RoomHistory {
  std::string id{};
  std::string game_id{};
  std::string host_id{};
  std::string region{};
  std::uint32_t max_players = 0;
  std::uint32_t peak_players = 0;
  UnixMillis created_at = 0;
  UnixMillis closed_at = 0;
  std::uint32_t duration_s = 0;
  CloseReason reason = CloseReason::empty;
};

// What became of the rooms, for storage, in order. None for a message or a signal.
struct RoomOpened {
  RoomRecord room{};  // with its first player
};
struct RoomChanged {
  RoomRecord room{};  // without players
};
struct RoomEnded {
  RoomHistory history{};
};
struct PlayerEntered {
  std::string room_id{};
  PlayerRecord player{};
};
struct PlayerGone {
  std::string room_id{};
  std::string client_id{};
  LeaveCause cause = LeaveCause::left;
};
// p2p:success and relay:report; and the end of a connection, which has a duration and nothing
// measured.
struct ConnectionSample {
  std::string client_id{};
  std::string room_id{};
  std::string connection_type{};  // "relay" for a report; may be empty for a success
  std::optional<double> latency_ms{};
  std::optional<double> packet_loss{};
  std::optional<double> bandwidth_kbps{};
  std::optional<std::uint32_t> duration_s{};
  UnixMillis at = 0;
};
using RoomNotice =
    std::variant<RoomOpened, RoomChanged, RoomEnded, PlayerEntered, PlayerGone, ConnectionSample>;

}  // namespace tandem

template <>
struct std::hash<tandem::ClientKey> {
  std::size_t operator()(const tandem::ClientKey& key) const noexcept {
    return std::hash<std::uint64_t>{}(std::uint64_t{key.handle.generation} << 32 |
                                      key.handle.index);
  }
};
template <>
struct std::hash<tandem::RoomKey> {
  std::size_t operator()(const tandem::RoomKey& key) const noexcept {
    return std::hash<std::uint64_t>{}(std::uint64_t{key.handle.generation} << 32 |
                                      key.handle.index);
  }
};
