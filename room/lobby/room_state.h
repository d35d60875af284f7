// What the registry holds of a client and of a room, for its own sources alone.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/assert.h"
#include "room/lobby/room_registry.h"

namespace tandem {

struct RoomRegistry::Client {
  std::string id;
  std::string name;
  bool connected = false;
  std::uint32_t connection = 0;
  std::uint32_t pairs = 0;     // of all its rooms, with a relay session or one being minted
  std::vector<RoomKey> rooms;  // in the order in which it came
  std::vector<Beacon> beacons;
};

struct RoomRegistry::Member {
  ClientKey key;
  PlayerRecord player;
};

// Two members that cannot reach each other, and the relay session that they have or that is being
// minted. The one that reported first holds slot 0.
struct RoomRegistry::Pair {
  ClientKey first;
  ClientKey second;
  std::optional<std::uint64_t> session;
  bool under_way = false;

  [[nodiscard]] bool has(ClientKey key) const { return first == key || second == key; }
};

// How a member reaches another one, as it reported or as it was given: "relay" or a type of its
// own. The other one has a link of its own back.
struct RoomRegistry::Link {
  ClientKey from;
  ClientKey to;
  std::string connection_type;
  Nanos since = 0;
};

// Whose seat a timeout freed.
struct FormerSeat {
  std::string client_id;
  std::uint32_t player_id = 0;
  Nanos until = 0;
};

// When who tried a password, within the last minute.
class PasswordTries {
 public:
  static constexpr std::size_t kAllMax = 64;  // a minute, of everyone together

  // Counts one, or tells in how many seconds there may be one again.
  std::optional<std::uint32_t> count(std::uint64_t who, std::uint32_t one_max, Nanos now);

 private:
  struct Try {
    std::uint64_t who = 0;
    Nanos at = 0;
  };
  std::vector<Try> tries_;  // the oldest first
};

struct RoomRegistry::Room {
  static constexpr std::size_t kBannedMax = 256;
  static constexpr std::size_t kFormerSeatsMax = 32;

  RoomKey key;
  std::uint64_t order = 0;
  RoomRecord record;                // without players: they are in `members`
  std::vector<Member> members;      // the one longest there first
  std::vector<ClientKey> everyone;  // their keys, as recipients
  ClientKey host;
  std::uint32_t connected = 0;
  std::uint64_t seq = 0;
  std::vector<Pair> pairs;
  std::vector<Link> links;  // at most one for each two members and direction
  std::vector<FormerSeat> former;
  PasswordTries tries;
  SharedJson public_json;  // null: has to be made anew
  SharedJson member_json;

  [[nodiscard]] Member* find(ClientKey client) {
    const auto at = std::find(everyone.begin(), everyone.end(), client);
    return at == everyone.end() ? nullptr
                                : &members[static_cast<std::size_t>(at - everyone.begin())];
  }
  [[nodiscard]] Member& at(ClientKey client) {
    Member* member = find(client);
    TANDEM_CHECK(member != nullptr);
    return *member;
  }
  [[nodiscard]] Member* find(std::string_view client_id) {
    const auto at = std::find_if(members.begin(), members.end(), [&](const Member& member) {
      return member.player.client_id == client_id;
    });
    return at == members.end() ? nullptr : &*at;
  }
  [[nodiscard]] bool is_banned(std::string_view client_id) const {
    return std::find(record.banned.begin(), record.banned.end(), client_id) != record.banned.end();
  }
  [[nodiscard]] bool is_full() const { return members.size() >= record.max_players; }
  [[nodiscard]] bool is_taken(std::uint32_t player_id) const {
    return std::any_of(members.begin(), members.end(),
                       [&](const Member& each) { return each.player.player_id == player_id; });
  }
  // The seat that this client may take again, if there is one.
  [[nodiscard]] const FormerSeat* claim(std::string_view client_id, Nanos now) const {
    for (const FormerSeat& seat : former)
      if (seat.client_id == client_id && seat.until > now && !is_taken(seat.player_id))
        return &seat;
    return nullptr;
  }
  void forget_claims(std::string_view client_id) {
    std::erase_if(former, [&](const FormerSeat& seat) { return seat.client_id == client_id; });
  }
  [[nodiscard]] std::uint32_t free_seat(Nanos now) const;

  const SharedJson& as_public();
  const SharedJson& as_member();
  void append_players(std::string& into) const;  // a JSON array
};

// A player as JSON.
void append_player(std::string& into, const PlayerRecord& player);

struct RoomRegistry::Asking {
  Moment now;
  ClientKey from;
  Client& client;
  Outcome& outcome;
  RegistryCounts& counts;

  // Always null, so that a look-up can return it.
  std::nullptr_t refuse(ErrorCode code, std::string message,
                        std::optional<std::uint32_t> retry_after_s = std::nullopt) {
    ++counts.refused[static_cast<std::size_t>(code)];
    outcome.refuse(from, {code, std::move(message), retry_after_s});
    return nullptr;
  }
  // {"success":true}
  void done() {
    outcome.text() += R"({"success":true})";
    outcome.acknowledge();
  }
};

}  // namespace tandem
