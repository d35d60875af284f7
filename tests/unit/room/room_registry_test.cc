// Random requests from a seed, by several clients in several rooms, with what has to hold after
// each of them. A failure prints the seed and the step; seeds that found something stay in the
// list.
#include "room/lobby/room_registry.h"

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/room/room_world.h"

namespace tandem {
namespace {

constexpr std::uint32_t kClients = 10;
constexpr RegistryLimits kLimits = {.rooms_max = 7,
                                    .rooms_per_client = 3,
                                    .players_max = 4,
                                    .reconnect_grace = 30 * kNanosPerSecond,
                                    .session_lifetime = 120 * kNanosPerSecond,
                                    .room_timeout = 20 * kNanosPerSecond,
                                    .password_tries_per_minute = 1,
                                    .relay_sessions_per_client = 4};

// A lobby as a client builds it from a list and the updates behind it.
struct Lobby {
  std::string id;
  bool open_only = false;
  std::map<std::string, std::string> rooms;  // id -> JSON

  void hear(const Heard& update) {
    const std::string type = json_at(update.json, "type");
    const std::string room = json_at(update.json, "room.id");
    CHECK((type == "add") == !rooms.contains(room));
    if (type == "remove") {
      rooms.erase(room);
    } else {
      rooms[room] = json_at(update.json, "room");
    }
  }
};

class Crowd {
 public:
  explicit Crowd(std::uint64_t seed)
      : world_(kLimits, {.connected_max = 16, .absent_max = 2, .rooms_max = 8}, seed),
        dice_(seed * 7919) {
    for (Lobby& lobby : lobbies_) (void)world_.connect(lobby.id);
    REQUIRE(world_.ask("open lobby", "room:subscribe", R"({"open":true})").good());
  }

  void step() {
    const Members before = members();
    const Answer answer = act();
    const Members after = members();
    check_events(answer, before, after);
    check_relays(answer);
    check_rooms();
    check_clients();
    if (dice_.below(4) == 0) check_lobbies();
  }
  [[nodiscard]] const RegistryCounts& counts() const { return world_.registry.counts(); }

 private:
  using Members = std::map<std::string, std::set<std::string>>;  // room -> clients

  std::string someone() { return fmt::format("c{}", dice_.below(kClients)); }
  // Mostly one that is there.
  std::string some_room() {
    if (ever_.empty() || dice_.below(20) == 0) return "nothing";
    const auto all = views();
    if (all.empty() || dice_.below(8) == 0)
      return ever_[dice_.below(static_cast<std::uint32_t>(ever_.size()))];
    return all[dice_.below(static_cast<std::uint32_t>(all.size()))].record.id;
  }
  // Mostly one who is in it.
  std::string someone_of(const std::string& room) {
    const auto view = world_.registry.view_room(room);
    if (!view || dice_.below(3) == 0) return someone();
    const auto& players = view->record.players;
    return players[dice_.below(static_cast<std::uint32_t>(players.size()))].client_id;
  }

  // Whoever asks has to be connected.
  Answer act() {
    const std::string room = some_room();
    const std::string id = dice_.below(2) == 0 ? someone() : someone_of(room);
    const bool connected = connected_.contains(id);
    const std::uint32_t die = dice_.below(100);
    if (die < 6 || (!connected && die < 40)) {
      connected_.insert(id);
      return world_.connect(id, dice_.below(2) == 0 ? Return::fresh : Return::recovered);
    }
    if (die < 10 && connected) {
      connected_.erase(id);
      return world_.drop(id);
    }
    if (die < 12 && connected) {
      connected_.erase(id);
      return world_.quit(id);
    }
    if (die < 18) return world_.pass_and_expire(dice_.below(15) * kNanosPerSecond);
    if (die == 18 && world_.registry.view_room(room)) return world_.close(room);
    if (die < 24) return mint();
    return connected ? ask(id, room) : Answer{};
  }

  Answer ask(const std::string& id, const std::string& room) {
    const std::string other = someone_of(room);
    const auto on = [&](std::string_view field) {
      return World::in(room, fmt::format(R"("{}":"{}","data":[1],"ready":true,"password":"{}")",
                                         field, other, dice_.below(2)));
    };
    constexpr std::string_view kVisibilities[] = {"public", "public", "unlisted", "private"};
    const std::string_view visibility = kVisibilities[dice_.below(4)];
    switch (dice_.below(16)) {
      case 0:
      case 1: {
        const Answer answer = world_.ask(
            id, "room:create",
            fmt::format(R"({{"name":"room {}","gameId":{},"maxPlayers":{},"visibility":"{}"{}}})",
                        dice_.below(5), dice_.below(3), 2 + dice_.below(3), visibility,
                        dice_.below(3) == 0 ? R"(,"password":"1")" : ""));
        if (answer.good()) ever_.push_back(answer.at("room.id"));
        return answer;
      }
      case 2:
        return world_.ask(id, "room:leave", World::in(room));
      case 3:
        return world_.ask(
            id, "room:update",
            World::in(room, fmt::format(R"("locked":{},"visibility":"{}","maxPlayers":{})",
                                        dice_.below(3) == 0, visibility, 2 + dice_.below(3))));
      case 4:
        return world_.ask(id, dice_.below(2) == 0 ? "room:ban" : "room:kick", on("clientId"));
      case 5:
        return world_.ask(id, "room:transfer", on("clientId"));
      case 6:
        return world_.ask(id, "room:ready", on("clientId"));
      case 7:
        return world_.ask(id, "room:message", on("to"));
      case 8:
        return world_.ask(id, "room:message", World::in(room, R"("data":{"x":1})"));
      case 9:
        return world_.ask(id, "p2p:signal", on("targetClientId"));
      case 10:
      case 11:
        return fail(id, on("targetClientId"));
      default:
        return world_.ask(id, "room:join", on("clientId"));
    }
  }

  Answer fail(const std::string& id, const std::string& json) {
    const Answer answer = world_.ask(id, "p2p:failure", json);
    if (answer.relay && !answer.relay->under_way) minting_.push_back(*answer.relay);
    return answer;
  }

  // A mint ends, well or not; or a session loses its relay.
  Answer mint() {
    if (dice_.below(3) == 0 && !sessions_.empty()) {
      const std::uint64_t session = *sessions_.begin();
      Outcome outcome;
      if (world_.registry.relay_lost(session, outcome) && !outcome.relay->under_way)
        minting_.push_back(*outcome.relay);
      return {};
    }
    if (minting_.empty()) return {};
    const RelayWanted wanted = minting_.front();
    minting_.erase(minting_.begin());
    if (dice_.below(4) == 0) {
      world_.registry.relay_refused(wanted.room, wanted.first, wanted.second);
      return {};
    }
    Outcome outcome;
    const std::uint64_t session = wanted.session_id ? *wanted.session_id : ++last_session_;
    if (world_.registry.relay_granted(world_.now, wanted.room, wanted.first, wanted.second, session,
                                      outcome))
      sessions_.insert(session);
    for (const std::uint64_t each : outcome.revoked) CHECK(sessions_.erase(each) == 1);
    return {};
  }

  std::vector<RoomView> views() const {
    std::uint32_t index = 0;
    return world_.registry.view_rooms(index, 100);
  }
  Members members() const {
    Members all;
    for (const RoomView& view : views())
      for (const PlayerRecord& player : view.record.players)
        all[view.record.id].insert(player.client_id);
    return all;
  }

  // Whoever hears of a room is in it, or was until now.
  void check_events(const Answer& answer, const Members& before, const Members& after) {
    for (const Heard& event : answer.events) {
      if (event.name == "error" || event.name == "room:list") continue;
      CHECK_FALSE(event.to.empty());
      std::string room = json_at(event.json, "roomId");
      if (room.empty()) room = json_at(event.json, "room.id");
      for (const std::string& client : event.to) {
        const bool was = before.contains(room) && before.at(room).contains(client);
        const bool is = after.contains(room) && after.at(room).contains(client);
        CHECK_MESSAGE((was || is), event.name << " to " << client);
      }
      if (event.name == "room:message") {
        const std::uint64_t seq = std::stoull(json_at(event.json, "seq"));
        CHECK(seq > seqs_[room]);
        seqs_[room] = seq;
      }
    }
    if (answer.error) {
      CHECK(before == after);
      CHECK(answer.notices.empty());
      CHECK(answer.revoked.empty());
    }
  }

  void check_relays(const Answer& answer) {
    for (const std::uint64_t each : answer.revoked) CHECK(sessions_.erase(each) == 1);
    CHECK(world_.registry.relay_sessions() == sessions_.size());
  }

  void check_rooms() {
    std::set<std::string> codes;
    std::map<std::string, std::uint32_t> games;
    std::set<std::string> open;
    std::size_t players = 0;
    for (const RoomView& view : views()) {
      const RoomRecord& room = view.record;
      open.insert(room.id);
      CHECK(codes.insert(room.code).second);
      ++games[room.game_id];
      players += room.players.size();
      CHECK_FALSE(room.players.empty());
      CHECK(room.players.size() <= room.max_players);
      CHECK(room.peak_players >= room.players.size());
      std::set<std::uint32_t> seats;
      std::set<std::string> ids;
      for (const PlayerRecord& player : room.players) {
        CHECK(seats.insert(player.player_id).second);
        CHECK(ids.insert(player.client_id).second);
        CHECK(player.player_id >= 1);
        CHECK(std::find(room.banned.begin(), room.banned.end(), player.client_id) ==
              room.banned.end());
      }
      CHECK(ids.contains(room.host_id));
      const SharedJson json = world_.registry.look_up(room.id);
      CHECK((json == nullptr) == (room.visibility == Visibility::hidden));
      if (json) CHECK(json_at(*json, "currentPlayers") == std::to_string(room.players.size()));
    }
    CHECK(players == world_.registry.players());
    CHECK(open.size() == world_.registry.rooms());
    CHECK(open.size() <= kLimits.rooms_max);
    CHECK(games.size() == world_.registry.rooms_by_game().size());
    for (const auto& [game, count] : world_.registry.rooms_by_game()) CHECK(games[game] == count);
    for (const std::string& id : ever_)
      if (!open.contains(id)) CHECK(world_.registry.look_up(id) == nullptr);
  }

  void check_clients() {
    std::map<std::string, std::size_t> rooms;
    std::map<std::string, std::uint32_t> connected;
    for (const auto& [room, clients] : members())
      for (const std::string& client : clients) ++rooms[client];
    std::uint32_t index = 0;
    std::uint32_t here = 0;
    for (const ClientView& client : world_.registry.view_clients(index, 100)) {
      const std::string id(client.id);
      CHECK(client.rooms == rooms[id]);
      CHECK(client.rooms <= kLimits.rooms_per_client);
      here += client.connected ? 1 : 0;
      rooms.erase(id);
      if (client.connected && id.starts_with("c")) CHECK(connected_.contains(id));
    }
    for (const auto& [id, count] : rooms) CHECK(count == 0);
    CHECK(here == connected_.size() + std::size(lobbies_));
    CHECK(world_.registry.absent() <= 2);
    for (const RoomView& view : views()) {
      std::uint32_t of_room = 0;
      for (const PlayerRecord& player : view.record.players)
        of_room += connected_.contains(player.client_id) ? 1 : 0;
      CHECK(view.connected == of_room);
    }
  }

  // What lobbies made of the updates is what a list says.
  void check_lobbies() {
    const Answer changes = world_.list_changes();
    for (const Heard& update : changes.events)
      for (Lobby& lobby : lobbies_)
        if (std::find(update.to.begin(), update.to.end(), lobby.id) != update.to.end())
          lobby.hear(update);
    for (const Lobby& lobby : lobbies_) {
      ListRooms request;
      if (lobby.open_only) request.filter.open = true;
      const ListPage page = world_.registry.directory().list(request);
      CHECK(page.rooms.size() == lobby.rooms.size());
      for (const SharedJson& room : page.rooms) {
        const auto known = lobby.rooms.find(json_at(*room, "id"));
        REQUIRE(known != lobby.rooms.end());
        CHECK(known->second == *room);
      }
    }
  }

  World world_;
  SeededRandom dice_;
  Lobby lobbies_[2] = {{.id = "lobby", .open_only = false, .rooms = {}},
                       {.id = "open lobby", .open_only = true, .rooms = {}}};
  std::set<std::string> connected_;
  std::vector<std::string> ever_;  // rooms that there were
  std::map<std::string, std::uint64_t> seqs_;
  std::vector<RelayWanted> minting_;
  std::set<std::uint64_t> sessions_;
  std::uint64_t last_session_ = 0;
};

// How often each thing happened, so that a run in which it did not is seen.
std::vector<std::uint64_t> tally(const RegistryCounts& counts) {
  std::vector<std::uint64_t> all = {counts.rooms_created, counts.joins,        counts.leaves,
                                    counts.grace_expired, counts.grace_denied, counts.takeovers,
                                    counts.messages,      counts.signals,      counts.p2p_failed,
                                    counts.list_updates};
  for (const CloseReason reason :
       {CloseReason::timeout, CloseReason::by_operator, CloseReason::empty})
    all.push_back(counts.rooms_closed[static_cast<std::size_t>(reason)]);
  for (const ErrorCode code :
       {ErrorCode::not_found, ErrorCode::room_full, ErrorCode::room_locked, ErrorCode::bad_password,
        ErrorCode::banned, ErrorCode::not_host, ErrorCode::not_in_room, ErrorCode::rate_limited,
        ErrorCode::over_capacity})
    all.push_back(counts.refused[static_cast<std::size_t>(code)]);
  return all;
}

TEST_CASE("whatever clients do, the rooms stay whole") {
  std::vector<std::uint64_t> happened;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    Crowd crowd(seed);
    for (int step = 0; step < 1500; ++step) {
      CAPTURE(step);
      crowd.step();
    }
    const auto counts = tally(crowd.counts());
    happened.resize(counts.size());
    for (std::size_t at = 0; at < counts.size(); ++at) happened[at] += counts[at];
  }
  for (std::size_t at = 0; at < happened.size(); ++at) {
    CAPTURE(at);
    CHECK(happened[at] >= 5);
  }
}

}  // namespace
}  // namespace tandem
