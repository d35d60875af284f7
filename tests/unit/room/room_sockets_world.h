// Socket.IO clients of RoomSockets over fake WebSockets, the whole of the room service behind them
// but for its relays and its storage.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "room/room_sockets.h"
#include "tests/unit/room/fake_web.h"
#include "tests/unit/room/room_fixture.h"
#include "tests/unit/room/room_world.h"
#include "tests/unit/room/store_fixture.h"

namespace tandem {

// Not const where it came from a client: a member that is missing is null then, and fails its check
// alone.
using Json = nlohmann::json;

inline Moment later_by(Nanos span, Moment now = moment_now()) {
  return {.mono = now.mono + span, .wall = now.wall + span / kNanosPerMillisecond};
}

inline RegistryLimits limits_of(const Config& config) {
  RegistryLimits limits;
  limits.rooms_per_client = config.room.rooms_per_client;
  limits.players_max = config.room.max_players;
  limits.reconnect_grace = config.room.reconnect_grace_s * kNanosPerSecond;
  limits.list_broadcast = config.room.list_broadcast;
  limits.region = config.node.region;
  return limits;
}

struct SocketsWorld : RoomFixture {
  explicit SocketsWorld(const Config& its_config = room_config(),
                        const RecoveryOptions& recovery = {}, Moment begun = moment_now())
      : RoomFixture(its_config),
        registry({.connected_max = config.room.max_connections,
                  .absent_max = config.room.max_connections,
                  .rooms_max = config.room.max_connections},
                 limits_of(config), SipKey{5, 6}, random, begun),
        sockets(config, {.registry = registry,
                         .relays = relays,
                         .store = store,
                         .passwords = passwords,
                         .address_limits = address_limits,
                         .client_limits = client_limits,
                         .stats = stats,
                         .jwt_keys = [this]() -> const JwtKeys& { return jwt_keys; }}),
        server(options_with(recovery), sockets, [] {}) {
    sockets.attach(server);
  }
  ~SocketsWorld() { sockets.close(); }

  // What is due when that much time has passed.
  void tick(Nanos later = 0) {
    sockets.tick(later_by(later));
    server.flush();
  }
  [[nodiscard]] static UnixSeconds now() { return moment_now().wall / 1000; }

  SeededRandom random{1};
  RoomRegistry registry;
  PostedCalls calls;  // of the password worker
  std::mutex gate;    // while it is held the worker does not come to post
  PasswordWorker passwords{[this, post = calls.post()](std::function<void()> call) {
                             const std::lock_guard pass(gate);
                             post(std::move(call));
                           },
                           ScryptCost{.log2_n = 4, .r = 1, .p = 1}};
  RoomSockets sockets;
  SocketServer server;

 private:
  static SocketOptions options_with(const RecoveryOptions& recovery) {
    SocketOptions options;
    options.recovery = recovery;
    return options;
  }
};

// {"roomId":room,...}
inline Json in(const std::string& room, const Json& more = Json::object()) {
  Json payload{{"roomId", room}};
  payload.update(more);
  return payload;
}

// What is wrong with an acknowledgement or a CONNECT_ERROR.
inline std::string code_of(Json answer) {
  if (answer.contains("data")) return answer["data"]["code"];
  return answer.contains("error") ? answer["error"]["code"].get<std::string>() : "none";
}

inline std::string auth_with(const std::string& token) {
  return Json{{"token", token}}.dump();
}

inline constexpr IpAddress kElsewhere = IpAddress::v4(198, 51, 100, 1);
inline constexpr std::string_view kRoomHost = "rooms.example:3000";

// Ends before its world.
class RoomClient {
 public:
  struct Heard {
    std::string name;
    Json payload;
    std::vector<std::string> attachments;  // each as "<bytes>"
  };

  explicit RoomClient(SocketsWorld& world, std::string_view host = kRoomHost,
                      const IpAddress& address = IpAddress::v4(192, 0, 2, 1))
      : world_(world) {
    HttpRequest request{.method = "GET", .target = "/socket.io/?EIO=4&transport=websocket"};
    request.host = host;
    request.client = address;
    HttpReply refusal;
    websocket_.events =
        world_.server.engine().on_websocket(request, websocket_, refusal, monotonic_now());
    REQUIRE(websocket_.events != nullptr);
    REQUIRE(websocket_.take().size() == 1);
  }

  // CONNECT with this payload; what it was answered, CONNECT_ERROR's object or CONNECT's.
  Json connect(const std::string& auth) {
    answer_ = nullptr;
    websocket_.text("40" + auth);
    settle();
    return answer_;
  }
  // With a good token, and that of its last connection and of what it has where `back` has them.
  void enter(const std::string& sub, const RoomClient* back = nullptr) {
    Json auth{{"token", world_.token(sub, SocketsWorld::now() + 86'400)}};
    if (back != nullptr) auth["pid"] = back->pid();
    if (back != nullptr) auth["offset"] = back->offset_;
    REQUIRE(connect(auth.dump()).contains("sid"));
  }

  void say(const std::string& event, const Json& payload) {
    websocket_.text("42" + Json::array({event, payload}).dump());
    settle();
  }
  // The acknowledgement, null where there is none yet.
  Json ask(const std::string& event, const Json& payload) {
    websocket_.text("42" + std::to_string(++asked_) + Json::array({event, payload}).dump());
    settle();
    return answer();
  }
  Json ask_binary(const std::string& event, const Json& payload,
                  const std::vector<std::string>& attachments) {
    websocket_.text("45" + std::to_string(attachments.size()) + '-' + std::to_string(++asked_) +
                    Json::array({event, payload}).dump());
    for (const std::string& attachment : attachments) websocket_.binary(attachment);
    settle();
    return answer();
  }
  // To what it asked last.
  Json answer() {
    settle();
    const auto found = acknowledged_.find(asked_);
    return found == acknowledged_.end() ? Json() : found->second;
  }
  // The room's id.
  std::string make_room(const Json& more = Json::object()) {
    Json wanted{{"name", "a room"}, {"gameId", 1}};
    wanted.update(more);
    const Json answer = ask("room:create", wanted);
    REQUIRE(answer["success"] == true);
    return answer["room"]["id"];
  }
  void join(const std::string& room) {
    REQUIRE(ask("room:join", {{"roomId", room}})["success"] == true);
  }

  // The oldest event of this name that was not taken yet.
  Heard take_whole(std::string_view name) {
    settle();
    const auto found = std::ranges::find(heard_, name, &Heard::name);
    REQUIRE_MESSAGE(found != heard_.end(), name);
    Heard one = std::move(*found);
    heard_.erase(found);
    return one;
  }
  Json take(std::string_view name) { return take_whole(name).payload; }
  // The names of all that was not taken, with blanks between; none of it is left.
  std::string rest() {
    settle();
    std::string names;
    for (const Heard& each : std::exchange(heard_, {})) {
      if (!names.empty()) names += ' ';
      names += each.name;
    }
    return names;
  }

  // The connection goes without a word.
  void drop() {
    websocket_.gone();
    world_.server.flush();
  }
  // As client libraries do it when they are told to.
  void disconnect() {
    websocket_.text("41");
    world_.server.flush();
  }
  // The code with which the server closed the connection.
  [[nodiscard]] std::optional<std::uint16_t> closed() const { return websocket_.closed; }
  // It was sent a DISCONNECT.
  [[nodiscard]] bool told_to_go() {
    settle();
    return told_to_go_;
  }
  [[nodiscard]] std::string sid() const { return answer_["sid"]; }
  [[nodiscard]] std::string pid() const { return answer_["pid"]; }

 private:
  void settle() {
    world_.server.flush();
    for (const std::string& text : websocket_.take()) read(text);
  }
  void read(const std::string& text) {
    if (text.starts_with('<')) {
      REQUIRE(!heard_.empty());
      heard_.back().attachments.push_back(text);
    } else if (text.starts_with("40") || text.starts_with("44")) {
      answer_ = Json::parse(text.substr(2));
    } else if (text == "41") {
      told_to_go_ = true;
    } else if (text.starts_with("43")) {
      const std::size_t begin = text.find('[');
      acknowledged_[std::stoi(text.substr(2, begin - 2))] = Json::parse(text.substr(begin)).at(0);
    } else {
      REQUIRE((text.starts_with("42") || text.starts_with("45")));
      const Json event = Json::parse(text.substr(text.find('[')));
      if (event.at(0) == "offset") {
        offset_ = event.at(1);
      } else {
        heard_.push_back({event.at(0), event.at(1), {}});
      }
    }
  }

  SocketsWorld& world_;
  FakeWebSocket websocket_;
  Json answer_;
  std::string offset_ = "0";
  bool told_to_go_ = false;
  int asked_ = 0;
  std::map<int, Json> acknowledged_;
  std::vector<Heard> heard_;
};

}  // namespace tandem
