// What a client can ask of the rooms, one type a Socket.IO event. Everything here is within its
// bounds already (parse_request() sees to that), but whether it may be done is room_registry's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "room/lobby/room_types.h"

namespace tandem {

// A room by its id or, where that is empty, by its code (in the form of normalize_room_code()).
struct RoomName {
  std::string id{};
  std::string code{};
};

// Passwords are not the registry's: it keeps a verifier that it cannot read. Where a request
// carries a password, apply() says in Outcome::password what has to be done with it, off the
// thread; the caller puts the outcome here and applies the same request again.
struct CreateRoom {
  std::string name{};
  std::string game_id{};  // a JSON integer as its digits
  std::string game_version{};
  std::optional<std::uint32_t> max_players{};  // left out: the configured most
  Visibility visibility = Visibility::listed;
  std::string region{};         // empty: the node's
  std::string metadata = "{}";  // JSON
  std::string host_endpoint{};
  std::string host_peer_id{};
  std::string password{};  // empty: none
  std::string verifier{};  // set by the caller
};

struct RoomFilter {
  std::optional<std::string> game_id{};
  std::optional<std::string> region{};
  std::optional<bool> open{};  // neither full nor locked
  std::optional<bool> has_password{};
  std::string text{};  // a part of the name, in any case; empty: any
  friend bool operator==(const RoomFilter&, const RoomFilter&) = default;
};

struct ListRooms {
  RoomFilter filter{};
  std::uint32_t limit = kListLimitMax;
  std::optional<std::uint64_t> before{};  // the cursor, read
  std::uint32_t offset = 0;
};

struct SubscribeList {
  RoomFilter filter{};
};
// The one subscription that has just this filter; an empty filter: all of them.
struct UnsubscribeList {
  RoomFilter filter{};
};

struct JoinRoom {
  RoomName room{};
  std::string password{};
  // Set by the caller: what the password was held against, and whether it is the one.
  struct Checked {
    std::string verifier;
    bool good = false;
  };
  std::optional<Checked> checked{};
};

struct LeaveRoom {
  RoomName room{};
};

struct UpdateRoom {
  RoomName room{};
  std::optional<std::string> name{};
  std::optional<std::uint32_t> max_players{};
  std::optional<Visibility> visibility{};
  std::optional<std::string> password{};  // empty (or null in JSON): the room has none any more
  std::optional<bool> locked{};
  std::optional<std::string> metadata{};
  std::optional<std::string> host_endpoint{};
  std::optional<std::string> host_peer_id{};
  std::string verifier{};  // set by the caller
};

// room:kick and room:ban. Who is not there can be banned too.
struct RemovePlayer {
  RoomName room{};
  std::string client_id{};
  std::string reason{};  // the host's words, may be empty
  bool ban = false;
};

struct TransferHost {
  RoomName room{};
  std::string client_id{};
};

struct SetReady {
  RoomName room{};
  bool ready = false;
};

// Of the two that come often nothing is copied: they hold on to the event's memory. A text with
// escapes has its characters here.
class FieldText {
 public:
  FieldText() = default;
  explicit FieldText(std::string_view plain) : plain_(plain) {}
  explicit FieldText(std::string unescaped) : unescaped_(std::move(unescaped)) {}
  [[nodiscard]] std::string_view view() const {
    return unescaped_ ? std::string_view(*unescaped_) : plain_;
  }

 private:
  std::string_view plain_{};
  std::optional<std::string> unescaped_;
};

struct SendMessage {
  FieldText room_id{};
  std::optional<FieldText> to{};  // a client id; nothing: everyone
  std::string_view data{};        // JSON
};

struct SendSignal {
  FieldText room_id{};
  FieldText target_client_id{};
  std::string_view data{};
};

struct ReportP2pSuccess {
  RoomName room{};
  std::string target_client_id{};
  std::optional<double> latency_ms{};
  std::string connection_type{};  // may be empty
};

struct ReportP2pFailure {
  RoomName room{};
  std::string target_client_id{};
  std::string reason{};
  std::optional<std::uint64_t> session_id{};  // whose relay cannot be reached
};

struct ReportBeacons {
  std::vector<Beacon> relays{};
};

struct ReportRelay {
  std::uint64_t session_id = 0;
  std::optional<double> latency_ms{};
  std::optional<double> packet_loss{};  // 0 to 1
  std::optional<double> bandwidth_kbps{};
};

using RoomRequest =
    std::variant<CreateRoom, ListRooms, SubscribeList, UnsubscribeList, JoinRoom, LeaveRoom,
                 UpdateRoom, RemovePlayer, TransferHost, SetReady, SendMessage, SendSignal,
                 ReportP2pSuccess, ReportP2pFailure, ReportBeacons, ReportRelay>;

}  // namespace tandem
