// Every room of this node and who is in it: the rules of ROOM_API's Socket.IO events. Pure: time,
// randomness and the outcome of password checks are arguments; knows no socket, no relay's address,
// no database. One thread (control's).
//
// Who hears of what: everybody in the room, whoever asked for it included (so a client can follow a
// room by its events alone), but for player:joined (the joiner has room:joined), player:left (the
// leaver has room:left, the one removed room:kicked) and what is for one. room:message goes to all
// in the room, the sender included, in the one order of seq; with `to` only to that one. Such a
// message has a number of the same sequence, so the others see a gap there.
//
// Clients are known by their token's `sub`. One is connected, or absent while its grace runs (it
// keeps its seats, follows lists, and counts as a recipient: its socket keeps things for it), or
// not known. Past the grace its seats are free, and the rooms remember whose they were for
// session_lifetime: until somebody sits there, the same sub gets the same playerId again, also
// where the room is locked, and without its password. Who left or was removed has no such claim.
//
// A room ends with its last member's going (grace over included), or `room_timeout` after the last
// connected one dropped, or by the operator. Members still there get room:closed.
//
// Every call fills an Outcome that the caller cleared; its work is bounded by the members of a room
// and the rooms of a client; where members report how they reach each other or leave, by the square
// of the members, since each has a link to each. Failures leave everything as it was.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/siphash.h"
#include "common/timer_wheel.h"
#include "room/lobby/keyed_table.h"
#include "room/lobby/room_code.h"
#include "room/lobby/room_directory.h"
#include "room/lobby/room_outcome.h"
#include "room/lobby/room_request.h"
#include "room/lobby/room_types.h"
#include "room/lobby/room_views.h"

namespace tandem {

// Fixed for the registry's life: they size its tables.
struct RegistryCapacity {
  std::uint32_t connected_max = 10'000;  // room.max_connections
  std::uint32_t absent_max = 10'000;     // one more that drops has no grace
  std::uint32_t rooms_max = 5'000;       // room.max_rooms
};

// May change while it runs; what is over a new limit stays.
struct RegistryLimits {
  std::uint32_t rooms_max = 5'000;  // at most the capacity's
  std::uint32_t rooms_per_client = 8;
  std::uint32_t players_max = 8;  // a room's maxPlayers is 2 to this
  Nanos reconnect_grace = 30 * kNanosPerSecond;
  Nanos session_lifetime = 1800 * kNanosPerSecond;
  Nanos room_timeout = 1800 * kNanosPerSecond;
  bool list_broadcast = true;
  std::uint32_t password_tries_per_minute = 5;  // a client and room; all clients together 64
  std::uint32_t relay_sessions_per_client = 16;
  std::string region = "global";  // of a room that names none
};

enum class Return : std::uint8_t {
  fresh,      // a new socket: it follows what new sockets follow
  recovered,  // the same socket again: it follows what it followed
};

struct Connection {
  ClientKey client;
  std::uint32_t number = 0;  // which of its connections this is; see drop()
  bool took_over = false;    // an older one was live: its socket has to be closed
  bool returned = false;     // it was absent
};

struct RegistryCounts {
  std::uint64_t rooms_created = 0;
  std::array<std::uint64_t, kCloseReasons> rooms_closed{};
  std::uint64_t joins = 0;
  std::uint64_t leaves = 0;  // of every cause
  std::uint64_t grace_expired = 0;
  std::uint64_t grace_denied = 0;  // dropped while absent_max were absent
  std::uint64_t takeovers = 0;
  std::uint64_t messages = 0;
  std::uint64_t signals = 0;
  std::uint64_t p2p_succeeded = 0;
  std::uint64_t p2p_failed = 0;
  std::uint64_t list_updates = 0;
  std::array<std::uint64_t, kErrorCodes> refused{};
};

class RoomRegistry {
 public:
  // `random` outlives this.
  RoomRegistry(const RegistryCapacity& capacity, const RegistryLimits& limits,
               const SipKey& hash_key, RandomSource& random, Moment now);
  ~RoomRegistry();
  RoomRegistry(const RoomRegistry&) = delete;
  RoomRegistry& operator=(const RoomRegistry&) = delete;

  void set_limits(const RegistryLimits& limits);
  [[nodiscard]] const RegistryLimits& limits() const { return limits_; }

  // A client with a valid token is there. `sub` is 1 to kClientIdMax characters, `name` what a
  // player is called (cut to kPlayerNameMax; what visible_text.h refuses goes). Events:
  // room:resumed for each of its rooms: {roomId, room, players, self, seq}. OVER_CAPACITY where
  // connected_max are there.
  [[nodiscard]] Result<Connection, ApiError> connect(Moment now, std::string_view sub,
                                                     std::string_view name, Return how,
                                                     Outcome& outcome);
  // Its socket is gone: the grace begins. A number that is not the client's latest connection's
  // (somebody took over) changes nothing.
  void drop(Moment now, ClientKey client, std::uint32_t number, Outcome& outcome);
  // It leaves everything for good; the same rule for the number.
  void quit(Moment now, ClientKey client, std::uint32_t number, Outcome& outcome);

  // `from` is connected, or was when a password's check began.
  void apply(Moment now, ClientKey from, const RoomRequest& request, Outcome& outcome);

  // What is due, at most `budget` clients and rooms; returns of how many. next_deadline() then says
  // whether there is more.
  std::uint32_t expire(Moment now, std::uint32_t budget, Outcome& outcome);
  // For those that are absent, and for the rooms that nobody is connected to: they waited for us.
  void begin_graces_anew(Moment now);
  [[nodiscard]] std::optional<Nanos> next_deadline() const { return timers_.next_deadline(); }

  [[nodiscard]] bool has_list_changes() const { return directory_.has_changes(); }
  // room:list:update for the followers; call it every so often (100 ms is what a lobby needs).
  std::size_t take_list_changes(std::size_t rooms_max, Outcome& outcome);

  // A RelayWanted's session is minted. False: the pair is no more, or its members are other ones
  // now; revoke it. The session it replaces, if any, goes to `revoked`.
  [[nodiscard]] bool relay_granted(Moment now, RoomKey room, ClientKey first, ClientKey second,
                                   std::uint64_t session_id, Outcome& outcome);
  // There is no relay for it: the next report asks again.
  void relay_refused(RoomKey room, ClientKey first, ClientKey second);
  // Its relay is dead or drains: outcome.relay asks for another one. False where nobody has it.
  bool relay_lost(std::uint64_t session_id, Outcome& outcome);
  // What the client measured last.
  [[nodiscard]] std::span<const Beacon> beacons(ClientKey client) const;

  // Nothing new is let in: DRAINING. Rooms stay until they are closed.
  void set_draining(bool draining) { draining_ = draining; }
  // False where there is none.
  bool close_room(Moment now, std::string_view room_id, CloseReason reason, Outcome& outcome);
  // At most `rooms_max`; returns how many.
  std::uint32_t close_rooms(Moment now, CloseReason reason, std::uint32_t rooms_max,
                            Outcome& outcome);

  // What lasts between members of at most `rooms_max` rooms from `index` on is over, as far as this
  // node will know: it ends. `index` as in view_rooms().
  void end_links(Moment now, std::uint32_t& index, std::size_t rooms_max, Outcome& outcome);

  // Rooms of before a restart, before anybody connects. Members are absent, their grace begins now.
  // Returns how many were taken: what does not fit or contradicts itself is left out.
  std::size_t restore(Moment now, std::span<const RoomRecord> rooms);

  // The JSON of a room that may be looked at by whoever names it (public and unlisted), or null.
  [[nodiscard]] SharedJson look_up(std::string_view id);
  [[nodiscard]] SharedJson look_up_by_code(std::string_view code);
  // {"rooms":[...],"nextCursor":...}
  void append_list(std::string& into, const ListRooms& request) const;
  // The same of every room, whoever may look at it: the operator's. At most `most` from `index` on,
  // which is where the page before ended. A room that is there all the while is in exactly one
  // page.
  void append_all(std::string& into, std::uint32_t index, std::size_t most);
  [[nodiscard]] std::optional<RoomView> view_room(std::string_view id_or_code) const;
  // From `index` on, at most `most`; `index` is moved behind them, to kListEnd at the end.
  static constexpr std::uint32_t kListEnd = 0xffff'ffff;
  [[nodiscard]] std::vector<RoomView> view_rooms(std::uint32_t& index, std::size_t most) const;
  // With password_verifier: for the storage alone.
  [[nodiscard]] std::vector<RoomRecord> records(std::uint32_t& index, std::size_t most) const;
  [[nodiscard]] std::vector<ClientView> view_clients(std::uint32_t& index, std::size_t most) const;
  [[nodiscard]] std::optional<ClientKey> find_client(std::string_view sub) const;
  [[nodiscard]] std::string_view client_id(ClientKey client) const;      // "" where it is not known
  [[nodiscard]] std::string_view room_id(RoomKey room) const;            // the same
  [[nodiscard]] std::span<const ClientKey> members(RoomKey room) const;  // the longest there first

  [[nodiscard]] const RegistryCounts& counts() const { return counts_; }
  [[nodiscard]] std::uint32_t rooms() const { return rooms_.size(); }
  [[nodiscard]] std::uint32_t connected() const { return connected_; }
  [[nodiscard]] std::uint32_t absent() const { return clients_.size() - connected_; }
  [[nodiscard]] std::uint32_t players() const { return players_; }
  [[nodiscard]] std::uint32_t matches() const { return matches_; }  // rooms of two or more
  [[nodiscard]] std::size_t relay_sessions() const { return relay_pairs_.size(); }
  // How many rooms each game has.
  [[nodiscard]] const TextMap<std::uint32_t>& rooms_by_game() const { return rooms_by_game_; }
  [[nodiscard]] const RoomDirectory& directory() const { return directory_; }

 private:
  struct Client;
  struct Member;
  struct Room;
  struct Pair;
  struct Link;
  struct Asking;  // one request: when, who, where its outcome goes
  struct RelayPlace {
    RoomKey room;
    ClientKey first;
    ClientKey second;
  };

  // room_registry.cc
  Client* find(ClientKey key) const { return clients_.find(key.handle); }
  Room* find(RoomKey key) const { return rooms_.find(key.handle); }
  // It is there.
  Client& at(ClientKey key) const;
  Room& at(RoomKey key) const;
  Room* find_room(std::string_view id) const;
  Room* find_room(const RoomName& name) const;
  // Null: told why.
  Room* room_of(Asking& asking, std::string_view id);
  Room* room_of_host(Asking& asking, std::string_view id);
  Member* member_of(Asking& asking, Room& room, std::string_view id, std::string_view field);
  Member* other_member_of(Asking& asking, Room& room, std::string_view id, std::string_view field);
  ClientKey add_client(std::string_view sub, std::string_view name);
  void remove_client(ClientKey key);
  void leave_rooms(Moment now, ClientKey key, LeaveCause cause, Outcome& outcome);
  void tell_resumed(ClientKey key, Outcome& outcome);
  void fire(Moment now, std::uint32_t timer, Outcome& outcome);
  std::uint32_t timer_of(ClientKey key) const { return key.handle.index; }
  std::uint32_t timer_of(RoomKey key) const { return clients_.capacity() + key.handle.index; }

  // room_lifecycle.cc
  void create(Asking& asking, const CreateRoom& request);
  void update(Asking& asking, const UpdateRoom& request);
  bool may_open_room(Asking& asking);
  bool may_enter_one_more(Asking& asking);
  Room& open_room(UnixMillis order_least, std::unique_ptr<Room> made);
  std::string fresh_code();
  void changed(Moment now, Room& room);
  void list_anew(Room& room);
  std::uint64_t next_seq(Room& room, Outcome& outcome);
  static RoomRecord record_of(const Room& room);
  void close(Moment now, Room& room, CloseReason reason, Outcome& outcome);
  void forget_room(Moment now, Room& room, CloseReason reason, Outcome& outcome);

  // room_membership.cc
  void join(Asking& asking, const JoinRoom& request);
  void leave(Asking& asking, const LeaveRoom& request);
  void remove(Asking& asking, const RemovePlayer& request);
  void transfer(Asking& asking, const TransferHost& request);
  void ready(Asking& asking, const SetReady& request);
  void tell_joined(Asking& asking, Room& room);
  bool ban(Asking& asking, Room& room, const std::string& client_id);
  bool may_join(Asking& asking, Room& room, const JoinRoom& request);
  bool password_holds(Asking& asking, Room& room, const JoinRoom& request);
  Member& seat(Moment now, Room& room, ClientKey key);
  void unseat(Moment now, Room& room, ClientKey key, LeaveCause cause, std::string_view reason,
              Outcome& outcome);
  void set_host(Moment now, Room& room, const Member& member, std::string_view reason,
                Outcome& outcome);
  void watch_presence(Moment now, Room& room);

  // room_signalling.cc
  void message(Asking& asking, const SendMessage& request);
  void signal(Asking& asking, const SendSignal& request);
  void p2p_success(Asking& asking, const ReportP2pSuccess& request);
  void p2p_failure(Asking& asking, const ReportP2pFailure& request);
  void keep_beacons(Asking& asking, const ReportBeacons& request);
  void relay_report(Asking& asking, const ReportRelay& request);
  static Pair* find_pair(Room& room, ClientKey first, ClientKey second);
  Pair* add_pair(Asking& asking, Room& room, ClientKey target);
  void remove_pair(Room& room, Pair& pair);
  static RelayWanted wanted(const Room& room, const Pair& pair, ClientKey reporter);
  void end_pairs(Room& room, ClientKey key, Outcome& outcome);
  void end_pair(Pair& pair, Outcome& outcome);

  // room_links.cc
  void link(Moment now, Room& room, ClientKey from, ClientKey to, std::string_view connection_type,
            Outcome& outcome);
  void end_links_of(Moment now, Room& room, ClientKey key, Outcome& outcome);
  void end_all_links(Moment now, Room& room, Outcome& outcome);
  void end_link(Moment now, const Room& room, const Link& link, Outcome& outcome);

  // room_views.cc
  Room* find_by_code(std::string_view text) const;
  static SharedJson shown(Room* room);
  static RoomView view_of(const Room& room);
  bool restore_room(Moment now, const RoomRecord& record);
  std::optional<ClientKey> restore_client(Moment now, const PlayerRecord& player);

  // The lists.
  void list(Asking& asking, const ListRooms& request);
  void subscribe(Asking& asking, const SubscribeList& request);
  void unsubscribe(Asking& asking, const UnsubscribeList& request);

  RegistryLimits limits_;
  RegistryCapacity capacity_;
  RandomSource& random_;
  bool draining_ = false;
  KeyedTable<Client> clients_;
  KeyedTable<Room> rooms_;
  TimerWheel timers_;  // clients' graces, then rooms' timeouts
  TextMap<ClientKey> clients_by_sub_;
  TextMap<RoomKey> rooms_by_id_;
  TextMap<RoomKey> rooms_by_code_;
  TextMap<std::uint32_t> rooms_by_game_;
  std::unordered_map<std::uint64_t, RelayPlace> relay_pairs_;  // by session id: ours, not a
                                                               // stranger's
  RoomDirectory directory_;
  std::uint64_t last_order_ = 0;
  std::uint32_t connected_ = 0;
  std::uint32_t players_ = 0;
  std::uint32_t matches_ = 0;
  RegistryCounts counts_;
};

}  // namespace tandem
