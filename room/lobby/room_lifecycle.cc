// Rooms come, change and go.
#include <fmt/format.h>

#include "common/assert.h"
#include "room/lobby/room_state.h"
#include "room/text/json_write.h"

namespace tandem {
namespace {

// Seqs are reserved ahead, so that storage hears of one in so many messages and a room that comes
// back after a restart goes on behind all of them.
constexpr std::uint64_t kSeqReserve = 4096;

}  // namespace

bool RoomRegistry::may_open_room(Asking& asking) {
  if (draining_) {
    asking.refuse(ErrorCode::draining, "this server takes no new rooms: it is about to stop");
    return false;
  }
  if (rooms_.size() >= limits_.rooms_max) {
    asking.refuse(ErrorCode::over_capacity, "there are too many rooms here");
    return false;
  }
  return may_enter_one_more(asking);
}

bool RoomRegistry::may_enter_one_more(Asking& asking) {
  if (asking.client.rooms.size() < limits_.rooms_per_client) return true;
  asking.refuse(ErrorCode::over_capacity, fmt::format("you are in {} rooms, and that is the most",
                                                      asking.client.rooms.size()));
  return false;
}

std::string RoomRegistry::fresh_code() {
  constexpr int kTriesALength = 4;
  for (std::size_t length = kRoomCodeMin; length <= kRoomCodeMax; ++length) {
    for (int tries = 0; tries < kTriesALength; ++tries) {
      std::string code = make_room_code(random_, length);
      if (!rooms_by_code_.contains(code)) return code;
    }
  }
  return {};
}

RoomRegistry::Room& RoomRegistry::open_room(UnixMillis order_least, std::unique_ptr<Room> made) {
  Room& room = *made;
  const auto handle = rooms_.add(std::move(made));
  TANDEM_CHECK(handle.has_value());
  room.key = RoomKey{*handle};
  // Times, so that cursors hold over a restart; one more where two rooms share a millisecond.
  last_order_ =
      std::max(last_order_ + 1, static_cast<std::uint64_t>(std::max<UnixMillis>(0, order_least)));
  room.order = last_order_;
  rooms_by_id_.emplace(room.record.id, room.key);
  rooms_by_code_.emplace(room.record.code, room.key);
  ++rooms_by_game_[room.record.game_id];
  return room;
}

void RoomRegistry::create(Asking& asking, const CreateRoom& request) {
  if (!may_open_room(asking)) return;
  const std::uint32_t max_players = request.max_players.value_or(limits_.players_max);
  if (max_players < 2 || max_players > limits_.players_max) {
    asking.refuse(
        ErrorCode::bad_request,
        fmt::format("\"maxPlayers\" has to be an integer from 2 to {}", limits_.players_max));
    return;
  }
  if (!request.password.empty() && request.verifier.empty()) {
    asking.outcome.password = PasswordWork::derive;
    return;
  }
  auto made = std::make_unique<Room>();
  RoomRecord& record = made->record;
  record.id = make_uuid(random_);
  record.code = fresh_code();
  if (record.code.empty() || rooms_by_id_.contains(record.id)) {
    asking.refuse(ErrorCode::internal, "the room could not be given a name");
    return;
  }
  record.name = request.name;
  record.game_id = request.game_id;
  record.game_version = request.game_version;
  record.host_id = asking.client.id;
  record.host_endpoint = request.host_endpoint;
  record.host_peer_id = request.host_peer_id;
  record.region = request.region.empty() ? limits_.region : request.region;
  record.metadata = request.metadata;
  if (!request.password.empty()) record.password_verifier = request.verifier;
  record.visibility = request.visibility;
  record.max_players = max_players;
  record.created_at = record.updated_at = asking.now.wall;
  record.seq_reserved = kSeqReserve;

  Room& room = open_room(asking.now.wall, std::move(made));
  room.host = asking.from;
  const Member& member = seat(asking.now, room, asking.from);
  changed(asking.now, room);
  ++counts_.rooms_created;

  for (const bool to_event : {true, false}) {
    JsonObject object(asking.outcome.text());
    object.flag("success", true).json("room", *room.as_member()).name("self");
    append_player(asking.outcome.text(), member.player);
    object.end();
    if (to_event) {
      asking.outcome.to(asking.from);
      asking.outcome.end_event(RoomEventName::room_created);
    } else {
      asking.outcome.acknowledge();
    }
  }
  asking.outcome.notices.emplace_back(RoomOpened{record_of(room)});
}

void RoomRegistry::update(Asking& asking, const UpdateRoom& request) {
  Room* room = room_of_host(asking, request.room.id);
  if (room == nullptr) return;
  RoomRecord& record = room->record;
  if (request.max_players && *request.max_players < room->members.size()) {
    asking.refuse(
        ErrorCode::bad_request,
        fmt::format("\"maxPlayers\" is below the {} players that are there", room->members.size()));
    return;
  }
  if (request.max_players && *request.max_players > limits_.players_max) {
    asking.refuse(
        ErrorCode::bad_request,
        fmt::format("\"maxPlayers\" has to be an integer from 2 to {}", limits_.players_max));
    return;
  }
  if (request.password && !request.password->empty() && request.verifier.empty()) {
    asking.outcome.password = PasswordWork::derive;
    return;
  }
  const auto put = [](const auto& given, auto& into) {
    if (given) into = *given;
  };
  put(request.name, record.name);
  put(request.max_players, record.max_players);
  put(request.visibility, record.visibility);
  put(request.locked, record.locked);
  put(request.metadata, record.metadata);
  put(request.host_endpoint, record.host_endpoint);
  put(request.host_peer_id, record.host_peer_id);
  if (request.password)
    record.password_verifier = request.password->empty() ? std::string() : request.verifier;
  changed(asking.now, *room);

  std::string& text = asking.outcome.text();
  JsonObject event(text);
  event.json("room", *room->as_member());
  event.end();
  asking.outcome.to(room->everyone);
  asking.outcome.end_event(RoomEventName::room_updated);
  JsonObject acknowledgement(text);
  acknowledgement.flag("success", true).json("room", *room->as_member());
  acknowledgement.end();
  asking.outcome.acknowledge();
  asking.outcome.notices.emplace_back(RoomChanged{record});
}

// Whatever anybody sees of it is another now.
void RoomRegistry::changed(Moment now, Room& room) {
  room.record.updated_at = std::max(room.record.updated_at, now.wall);
  room.public_json = nullptr;
  room.member_json = nullptr;
  list_anew(room);
}

void RoomRegistry::list_anew(Room& room) {
  if (room.record.visibility != Visibility::listed) {
    directory_.remove(room.order);
    return;
  }
  directory_.put(room.order, {.game_id = room.record.game_id,
                              .region = room.record.region,
                              .folded_name = fold_case(room.record.name),
                              .open = !room.is_full() && !room.record.locked,
                              .has_password = !room.record.password_verifier.empty(),
                              .json = room.as_public()});
}

std::uint64_t RoomRegistry::next_seq(Room& room, Outcome& outcome) {
  if (++room.seq > room.record.seq_reserved) {
    room.record.seq_reserved = room.seq + kSeqReserve - 1;
    outcome.notices.emplace_back(RoomChanged{room.record});
  }
  return room.seq;
}

void RoomRegistry::close(Moment now, Room& room, CloseReason reason, Outcome& outcome) {
  for (Pair& pair : room.pairs) end_pair(pair, outcome);
  room.pairs.clear();
  end_all_links(now, room, outcome);
  JsonObject object(outcome.text());
  object.text("roomId", room.record.id).text("reason", close_reason_name(reason));
  object.end();
  outcome.to(room.everyone);
  outcome.end_event(RoomEventName::room_closed);
  for (const ClientKey each : room.everyone) std::erase(at(each).rooms, room.key);
  players_ -= static_cast<std::uint32_t>(room.members.size());
  counts_.leaves += room.members.size();
  if (room.members.size() >= 2) --matches_;
  forget_room(now, room, reason, outcome);
}

// Nobody has it among its rooms any more.
void RoomRegistry::forget_room(Moment now, Room& room, CloseReason reason, Outcome& outcome) {
  const RoomRecord& record = room.record;
  const UnixMillis lived = std::max<UnixMillis>(0, now.wall - record.created_at);
  outcome.notices.emplace_back(RoomEnded{{.id = record.id,
                                          .game_id = record.game_id,
                                          .host_id = record.host_id,
                                          .region = record.region,
                                          .max_players = record.max_players,
                                          .peak_players = record.peak_players,
                                          .created_at = record.created_at,
                                          .closed_at = now.wall,
                                          .duration_s = static_cast<std::uint32_t>(lived / 1000),
                                          .reason = reason}});
  ++counts_.rooms_closed[static_cast<std::size_t>(reason)];
  timers_.cancel(timer_of(room.key));
  directory_.remove(room.order);
  rooms_by_id_.erase(record.id);
  rooms_by_code_.erase(record.code);
  const auto game = rooms_by_game_.find(record.game_id);
  TANDEM_CHECK(game != rooms_by_game_.end());
  if (--game->second == 0) rooms_by_game_.erase(game);
  rooms_.remove(room.key.handle);
}

bool RoomRegistry::close_room(Moment now, std::string_view room_id, CloseReason reason,
                              Outcome& outcome) {
  Room* room = find_room(room_id);
  if (room == nullptr) return false;
  close(now, *room, reason, outcome);
  return true;
}

std::uint32_t RoomRegistry::close_rooms(Moment now, CloseReason reason, std::uint32_t rooms_max,
                                        Outcome& outcome) {
  std::uint32_t closed = 0;
  for (std::uint32_t index = rooms_.next(0); index != rooms_.kNone && closed < rooms_max;
       index = rooms_.next(index + 1), ++closed)
    close(now, at(RoomKey{rooms_.handle_of(index)}), reason, outcome);
  return closed;
}

RoomRecord RoomRegistry::record_of(const Room& room) {
  RoomRecord record = room.record;
  for (const Member& member : room.members) record.players.push_back(member.player);
  return record;
}

}  // namespace tandem
