// What came of one request (or of a connection's coming and going, or of time): the
// acknowledgement, events with who gets them, what relays and storage have to do. Texts and
// recipients lie in three buffers that are kept when it is cleared, so one Outcome used over and
// over allocates nothing for a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "room/lobby/room_types.h"

namespace tandem {

enum class RoomEventName : std::uint8_t {
  room_created,
  room_list,
  room_list_update,
  room_joined,
  room_left,
  room_updated,
  room_kicked,
  room_host,
  room_closed,
  room_resumed,
  room_message,
  player_joined,
  player_left,
  player_ready,
  p2p_signal,
  error,
};
[[nodiscard]] std::string_view room_event_name(RoomEventName name);  // "room:created"

struct RoomEvent {
  RoomEventName name = RoomEventName::error;
  std::string_view arguments{};     // JSON of its one argument
  std::span<const ClientKey> to{};  // also absent ones: what their sockets keep for them
  bool attachments = false;         // those of the request belong to it
};

enum class PasswordWork : std::uint8_t {
  none,
  derive,  // make the verifier of the request's password, set it there, apply again
  check,   // hold the request's password against `verifier`, set JoinRoom::checked, apply again
};

// A pair of clients needs a relay session, or fresh tokens of the one it has. Mint, then tell
// RoomRegistry::relay_granted() or relay_refused().
struct RelayWanted {
  RoomKey room{};
  ClientKey reporter{};  // slot 0's holder is `first`, whoever reports
  ClientKey first{};
  ClientKey second{};
  std::string region{};  // the room's
  // What it has: fresh tokens of that one, or of another where its relay is lost.
  std::optional<std::uint64_t> session_id{};
  std::optional<std::uint64_t> replaces{};  // another one, not on the relay of this one
  // An earlier one is being minted for: both will get that, there is nothing to do.
  bool under_way = false;
};

class Outcome {
 public:
  void clear();

  // Set: it was refused, nothing changed, and an `error` event goes to whoever asked.
  std::optional<ApiError> error;
  // Not none: nothing happened yet, and there is no acknowledgement.
  PasswordWork password = PasswordWork::none;
  std::string verifier;  // to check against

  std::optional<RelayWanted> relay;
  std::vector<std::uint64_t> revoked;  // relay sessions that nobody is entitled to any more
  std::vector<RoomNotice> notices;

  // One JSON object: {"success":true,...} or {"success":false,"error":{...}}.
  [[nodiscard]] std::string_view acknowledgement() const;
  [[nodiscard]] std::size_t event_count() const { return events_.size(); }
  // Views into this; in the order in which they are to be sent.
  [[nodiscard]] RoomEvent event(std::size_t index) const;

  // The error, as the acknowledgement and as an event; what there was of events is kept.
  void refuse(ClientKey asker, ApiError reason);

  // For whoever fills it: append the argument to text(), call to() for each recipient, then
  // end_event(). acknowledge() ends what was appended as the acknowledgement.
  [[nodiscard]] std::string& text() { return text_; }
  void to(ClientKey client) { recipients_.push_back(client); }
  void to(std::span<const ClientKey> clients);
  // Nothing is added where nobody gets it.
  void end_event(RoomEventName name, bool attachments = false);
  void acknowledge();

 private:
  struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  struct Entry {
    RoomEventName name = RoomEventName::error;
    bool attachments = false;
    Range text;
    Range to;
  };
  [[nodiscard]] Range rest_of_text();

  std::string text_;
  std::vector<ClientKey> recipients_;
  std::vector<Entry> events_;
  Range acknowledgement_;
  std::size_t text_used_ = 0;
  std::size_t recipients_used_ = 0;
};

}  // namespace tandem
