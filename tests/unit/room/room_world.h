// A registry with its clients by name, asked with the events and the JSON that clients send. Checks
// of every outcome that its texts are JSON. Passwords are "derived" by putting "v:" before them.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "room/lobby/message.h"
#include "room/lobby/room_registry.h"
#include "room/text/json_scan.h"

namespace tandem {

// splitmix64: the same names for the same seed.
class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e37'79b9'7f4a'7c15);
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
  }
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(next() % bound); }
  void fill(std::span<std::uint8_t> bytes) override {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(next());
  }

 private:
  std::uint64_t state_;
};

// What stands at "room.id" or "players.0.name": a string's characters, else the JSON; "" where
// there is nothing.
inline std::string json_at(std::string_view text, std::string_view path) {
  const auto whole = scan_json(text, 64);
  REQUIRE(whole.has_value());
  JsonSpan here = *whole;
  while (!path.empty()) {
    const std::string_view step = path.substr(0, path.find('.'));
    path.remove_prefix(std::min(path.size(), step.size() + 1));
    std::optional<JsonSpan> found;
    if (here.kind == JsonKind::object) {
      JsonMembers members(here);
      for (JsonSpan name, value; members.next(name, value);)
        if (json_text(name) == step) found = value;
    } else if (here.kind == JsonKind::array) {
      JsonElements elements(here);
      std::size_t left = std::stoul(std::string(step));
      for (JsonSpan value; elements.next(value); --left)
        if (left == 0) {
          found = value;
          break;
        }
    }
    if (!found) return {};
    here = *found;
  }
  return here.kind == JsonKind::string ? json_text(here) : std::string(here.text);
}

struct Heard {
  std::string name;
  std::string json;
  std::vector<std::string> to;  // clients' ids, sorted
  bool attachments = false;
};

struct Answer {
  std::string ack;
  std::optional<ApiError> error;
  std::vector<Heard> events;
  std::optional<RelayWanted> relay;
  std::vector<std::uint64_t> revoked;
  std::vector<RoomNotice> notices;

  [[nodiscard]] std::string at(std::string_view path) const { return json_at(ack, path); }
  [[nodiscard]] bool good() const { return !error && at("success") == "true"; }
  [[nodiscard]] std::string code() const {
    return error ? std::string(error_code_name(error->code)) : "";
  }
  [[nodiscard]] std::vector<Heard> named(std::string_view name) const {
    std::vector<Heard> some;
    for (const Heard& each : events)
      if (each.name == name) some.push_back(each);
    return some;
  }
  // The only event of this name; to whom, "a,b".
  [[nodiscard]] Heard only(std::string_view name) const {
    const auto some = named(name);
    REQUIRE(some.size() == 1);
    return some.front();
  }
  [[nodiscard]] std::string to(std::string_view name) const {
    std::string all;
    for (const std::string& each : only(name).to) all += (all.empty() ? "" : ",") + each;
    return all;
  }
  // What one of them hears, in order: "player:left room:host".
  [[nodiscard]] std::string heard(const std::string& client) const {
    std::string all;
    for (const Heard& each : events)
      if (std::find(each.to.begin(), each.to.end(), client) != each.to.end())
        all += (all.empty() ? "" : " ") + each.name;
    return all;
  }
  template <class Notice>
  [[nodiscard]] std::vector<Notice> told() const {
    std::vector<Notice> some;
    for (const RoomNotice& each : notices)
      if (const auto* notice = std::get_if<Notice>(&each)) some.push_back(*notice);
    return some;
  }
};

class World {
 public:
  explicit World(const RegistryLimits& limits = {},
                 const RegistryCapacity& capacity = {.connected_max = 64,
                                                     .absent_max = 64,
                                                     .rooms_max = 64},
                 std::uint64_t seed = 1)
      : random(seed), registry(capacity, limits, SipKey{1, 2, 3}, random, now) {}

  void pass(Nanos time) {
    now.mono += time;
    now.wall += time / kNanosPerMillisecond;
  }
  Answer connect(const std::string& id, Return how = Return::fresh) {
    Outcome outcome;
    const auto connected = registry.connect(now, id, "name of " + id, how, outcome);
    REQUIRE(connected.has_value());
    connection[id] = *connected;
    names[connected->client] = id;
    return take(outcome);
  }
  void connect_all(std::initializer_list<std::string> ids) {
    for (const std::string& id : ids) (void)connect(id);
  }
  Answer drop(const std::string& id) {
    Outcome outcome;
    registry.drop(now, connection.at(id).client, connection.at(id).number, outcome);
    return take(outcome);
  }
  Answer quit(const std::string& id) {
    Outcome outcome;
    registry.quit(now, connection.at(id).client, connection.at(id).number, outcome);
    return take(outcome);
  }
  // Later by `time`, with everything that is due then.
  Answer pass_and_expire(Nanos time) {
    pass(time + TimerWheel::kTick);
    Outcome outcome;
    while (registry.expire(now, 16, outcome) > 0) {
    }
    return take(outcome);
  }
  Answer list_changes() {
    Outcome outcome;
    while (registry.take_list_changes(16, outcome) > 0) {
    }
    return take(outcome);
  }
  Answer close(const std::string& room) {
    Outcome outcome;
    REQUIRE(registry.close_room(now, room, CloseReason::by_operator, outcome));
    return take(outcome);
  }
  // From the first room on; the index behind them comes with it.
  Answer end_links(std::uint32_t& index, std::size_t rooms_max) {
    Outcome outcome;
    registry.end_links(now, index, rooms_max, outcome);
    return take(outcome);
  }
  Answer grant(const RelayWanted& wanted, std::uint64_t session, bool holds = true) {
    Outcome outcome;
    CHECK(registry.relay_granted(now, wanted.room, wanted.first, wanted.second, session, outcome) ==
          holds);
    return take(outcome);
  }

  Answer ask(const std::string& id, std::string_view event, std::string_view json,
             std::size_t attachments = 0) {
    const auto argument = scan_json(json, 64);
    REQUIRE(argument.has_value());
    auto request = parse_request(event, {&*argument, 1}, attachments,
                                 {.max_players = registry.limits().players_max});
    Outcome outcome;
    const ClientKey from = connection.at(id).client;
    if (!request) {
      outcome.refuse(from, request.error());
      return take(outcome);
    }
    registry.apply(now, from, *request, outcome);
    if (outcome.password != PasswordWork::none) {
      CHECK(outcome.event_count() == 0);
      CHECK(outcome.acknowledgement().empty());
      ++passwords;
      work(*request, outcome);
      outcome.clear();
      registry.apply(now, from, *request, outcome);
    }
    return take(outcome);
  }
  // A room of this client's; its id.
  std::string make_room(const std::string& id,
                        std::string_view json = R"({"name":"a room","gameId":1})") {
    const Answer answer = ask(id, "room:create", json);
    REQUIRE(answer.good());
    return answer.at("room.id");
  }
  Answer join(const std::string& id, const std::string& room) {
    return ask(id, "room:join", in(room));
  }
  // {"roomId":room,...}
  static std::string in(const std::string& room, std::string_view more = "") {
    std::string json = R"({"roomId":")";
    json += room;
    json += '"';
    if (!more.empty()) json += ',';
    json += more;
    json += '}';
    return json;
  }

  Moment now{.mono = kNanosPerHour, .wall = 1'700'000'000'000};
  SeededRandom random;
  RoomRegistry registry;
  std::map<std::string, Connection> connection;
  std::unordered_map<ClientKey, std::string> names;
  int passwords = 0;  // how often one had to be derived or checked

 private:
  static void work(RoomRequest& request, const Outcome& outcome) {
    if (auto* create = std::get_if<CreateRoom>(&request))
      create->verifier = "v:" + create->password;
    if (auto* update = std::get_if<UpdateRoom>(&request))
      update->verifier = "v:" + *update->password;
    if (auto* join = std::get_if<JoinRoom>(&request))
      join->checked = {outcome.verifier, outcome.verifier == "v:" + join->password};
  }
  Answer take(const Outcome& outcome) const {
    Answer answer{.ack = std::string(outcome.acknowledgement()),
                  .error = outcome.error,
                  .events = {},
                  .relay = outcome.relay,
                  .revoked = outcome.revoked,
                  .notices = outcome.notices};
    if (!answer.ack.empty()) CHECK(scan_json(answer.ack, 64).has_value());
    for (std::size_t at = 0; at < outcome.event_count(); ++at) {
      const RoomEvent event = outcome.event(at);
      Heard heard{.name = std::string(room_event_name(event.name)),
                  .json = std::string(event.arguments),
                  .to = {},
                  .attachments = event.attachments};
      CHECK_MESSAGE(scan_json(heard.json, 64).has_value(), heard.json);
      for (const ClientKey key : event.to) heard.to.push_back(names.at(key));
      std::sort(heard.to.begin(), heard.to.end());
      CHECK(std::adjacent_find(heard.to.begin(), heard.to.end()) == heard.to.end());
      answer.events.push_back(std::move(heard));
    }
    return answer;
  }
};

}  // namespace tandem
