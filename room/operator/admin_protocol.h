// What tandemctl and the daemon say to each other over the admin socket: one JSON object a line, a
// request answered by one answer, in order. Codecs only: no socket, no relay.
//
//   {"command":"kick","id":"0123456789abcdef"}
//   {"ok":true}
//   {"ok":false,"error":{"code":"not_found","message":"..."}}
//
// 64-bit session ids are 16 hex digits, since JSON numbers lose them in many readers; counters are
// numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "common/config.h"
#include "common/control.h"
#include "common/endpoint.h"
#include "common/relay_control.h"
#include "common/result.h"
#include "room/control_hooks.h"
#include "room/lobby/room_views.h"
#include "room/relays/token_mint.h"

namespace tandem {

// Both with the LF. An answer's largest is 10,000 sessions of some 500 bytes.
inline constexpr std::size_t kAdminRequestMax = 4096;
inline constexpr std::size_t kAdminAnswerMax = 16 * 1024 * 1024;

// Sessions, rooms or clients in one answer.
inline constexpr std::uint32_t kAdminRowsMax = 10'000;
inline constexpr std::size_t kAdminPathMax = 1024;
// Of a room's id or code.
inline constexpr std::size_t kAdminRoomNameMax = 64;

namespace admin {

struct Status {
  friend bool operator==(const Status&, const Status&) = default;
};
struct Sessions {
  std::uint32_t max = 50;  // 1 to kAdminRowsMax
  friend bool operator==(const Sessions&, const Sessions&) = default;
};
struct Session {
  std::uint64_t id = 0;
  friend bool operator==(const Session&, const Session&) = default;
};
struct Kick {
  std::uint64_t id = 0;
  friend bool operator==(const Kick&, const Kick&) = default;
};
struct Block {
  Network network;
  std::uint32_t seconds = 0;  // 0: until it is removed
  friend bool operator==(const Block&, const Block&) = default;
};
struct Unblock {
  Network network;
  friend bool operator==(const Unblock&, const Unblock&) = default;
};
struct Blocks {
  friend bool operator==(const Blocks&, const Blocks&) = default;
};
struct SetDraining {
  bool draining = true;
  friend bool operator==(const SetDraining&, const SetDraining&) = default;
};
struct Reload {
  friend bool operator==(const Reload&, const Reload&) = default;
};
struct SetLogLevel {
  LogLevel level = LogLevel::info;
  friend bool operator==(const SetLogLevel&, const SetLogLevel&) = default;
};
struct Rooms {
  std::uint32_t max = 50;  // 1 to kAdminRowsMax
  friend bool operator==(const Rooms&, const Rooms&) = default;
};
struct Room {
  std::string name;  // its id or its code
  friend bool operator==(const Room&, const Room&) = default;
};
struct CloseRoom {
  std::string name;  // the same
  friend bool operator==(const CloseRoom&, const CloseRoom&) = default;
};
struct Clients {
  std::uint32_t max = 50;
  friend bool operator==(const Clients&, const Clients&) = default;
};
struct Backup {
  std::string path;  // see is_admin_path()
  friend bool operator==(const Backup&, const Backup&) = default;
};
struct Version {
  friend bool operator==(const Version&, const Version&) = default;
};

}  // namespace admin

using AdminRequest =
    std::variant<admin::Status, admin::Sessions, admin::Session, admin::Kick, admin::Block,
                 admin::Unblock, admin::Blocks, MintRequest, admin::SetDraining, admin::Reload,
                 admin::SetLogLevel, admin::Rooms, admin::Room, admin::CloseRoom, admin::Clients,
                 admin::Backup, admin::Version>;

enum class AdminErrorCode : std::uint8_t {
  bad_request,  // not a request of this protocol, or a value out of its bounds
  not_found,    // no such session or block
  table_full,   // the blocklist holds no more
  no_answer,    // a shard did not answer in time
  refused,      // not now, or not to this peer
  failed,       // the reload kept the old configuration, the backup was not made
};
[[nodiscard]] std::string_view to_string(AdminErrorCode code);

struct AdminError {
  AdminErrorCode code = AdminErrorCode::bad_request;
  std::string message;
};

// Without the LF. decode takes anything: unknown commands and keys, wrong types and values out of
// bounds are bad_request with a message that says what would be right.
[[nodiscard]] std::string encode_request(const AdminRequest& request);
[[nodiscard]] Result<AdminRequest, AdminError> decode_request(std::string_view line);

// Answers, without the LF. That of `status` is node_report's status_json().
[[nodiscard]] std::string encode_done();
[[nodiscard]] std::string encode_error(const AdminError& error);
[[nodiscard]] std::string encode_sessions(std::span<const SessionRow> rows);
[[nodiscard]] std::string encode_session(const SessionRow& row);
[[nodiscard]] std::string encode_blocks(std::span<const BlockRow> rows);
[[nodiscard]] std::string encode_rooms(std::span<const RoomView> rooms);
[[nodiscard]] std::string encode_room(const RoomView& room);
[[nodiscard]] std::string encode_clients(std::span<const ClientView> clients);
[[nodiscard]] std::string encode_minted(const MintedTokens& minted);
[[nodiscard]] std::string encode_reloaded(const ReloadReport& report);
[[nodiscard]] std::string encode_backed_up(std::string_view path, std::uint64_t bytes);
[[nodiscard]] std::string encode_version(std::string_view version);

// The daemon's refusal, or nothing where the answer is {"ok":true ...}. An answer that is no such
// object is bad_request.
[[nodiscard]] std::optional<AdminError> refusal_in(std::string_view answer);

// Absolute, at most kAdminPathMax bytes, UTF-8 without control characters: what a request carries
// as it is.
[[nodiscard]] bool is_admin_path(std::string_view path);

// The names of the configuration's log.level: "debug", "info", "warn", "error", "fatal".
[[nodiscard]] std::string_view log_level_name(LogLevel level);
[[nodiscard]] std::optional<LogLevel> parse_log_level(std::string_view name);

}  // namespace tandem
