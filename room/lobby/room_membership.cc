// Who comes into a room, who goes, and who is its host.
#include <fmt/format.h>

#include "common/assert.h"
#include "room/lobby/room_state.h"
#include "room/text/json_write.h"

namespace tandem {

void RoomRegistry::join(Asking& asking, const JoinRoom& request) {
  Room* room = find_room(request.room);
  if (room == nullptr) {
    asking.refuse(ErrorCode::not_found, "there is no such room");
    return;
  }
  if (room->find(asking.from) != nullptr) {
    tell_joined(asking, *room);  // it asks again: nothing is new for the others
    return;
  }
  if (!may_join(asking, *room, request)) return;
  const Member& member = seat(asking.now, *room, asking.from);
  changed(asking.now, *room);
  ++counts_.joins;
  tell_joined(asking, *room);

  Outcome& outcome = asking.outcome;
  JsonObject object(outcome.text());
  object.text("roomId", room->record.id).name("player");
  append_player(outcome.text(), member.player);
  object.end();
  for (const ClientKey each : room->everyone)
    if (each != asking.from) outcome.to(each);
  outcome.end_event(RoomEventName::player_joined);
  outcome.notices.emplace_back(PlayerEntered{room->record.id, member.player});
}

void RoomRegistry::tell_joined(Asking& asking, Room& room) {
  std::string& text = asking.outcome.text();
  for (const bool to_event : {true, false}) {
    JsonObject object(text);
    if (!to_event) object.flag("success", true);
    object.json("room", *room.as_member()).name("players");
    room.append_players(text);
    object.name("self");
    append_player(text, room.at(asking.from).player);
    object.end();
    if (to_event) {
      asking.outcome.to(asking.from);
      asking.outcome.end_event(RoomEventName::room_joined);
    } else {
      asking.outcome.acknowledge();
    }
  }
}

// False: it was told why not, or a password has to be checked first.
bool RoomRegistry::may_join(Asking& asking, Room& room, const JoinRoom& request) {
  if (draining_) {
    asking.refuse(ErrorCode::draining, "nobody can join any more: this server is about to stop");
    return false;
  }
  if (room.is_banned(asking.client.id)) {
    asking.refuse(ErrorCode::banned, "you are banned from this room");
    return false;
  }
  if (!may_enter_one_more(asking)) return false;
  const bool comes_back = room.claim(asking.client.id, asking.now.mono) != nullptr;
  if (room.record.locked && !comes_back) {
    asking.refuse(ErrorCode::room_locked, "the room is locked");
    return false;
  }
  if (room.is_full()) {
    asking.refuse(ErrorCode::room_full,
                  fmt::format("the room has its {} players", room.record.max_players));
    return false;
  }
  return comes_back || password_holds(asking, room, request);
}

bool RoomRegistry::password_holds(Asking& asking, Room& room, const JoinRoom& request) {
  const std::string& verifier = room.record.password_verifier;
  if (verifier.empty()) return true;
  // A verdict on another password than the room's present one is none.
  if (request.checked && request.checked->verifier == verifier) {
    if (request.checked->good) return true;
    asking.refuse(ErrorCode::bad_password, "this is not the room's password");
    return false;
  }
  if (request.password.empty()) {
    asking.refuse(ErrorCode::bad_password, "the room has a password");
    return false;
  }
  const std::uint64_t who = clients_by_sub_.hash_function()(asking.client.id);
  if (const auto wait = room.tries.count(who, limits_.password_tries_per_minute, asking.now.mono)) {
    asking.refuse(ErrorCode::rate_limited, "there were too many tries at this room's password",
                  *wait);
    return false;
  }
  asking.outcome.password = PasswordWork::check;
  asking.outcome.verifier = verifier;
  return false;
}

RoomRegistry::Member& RoomRegistry::seat(Moment now, Room& room, ClientKey key) {
  Client& client = at(key);
  const FormerSeat* claim = room.claim(client.id, now.mono);
  const std::uint32_t player_id = claim == nullptr ? room.free_seat(now.mono) : claim->player_id;
  TANDEM_CHECK(player_id != 0);
  room.forget_claims(client.id);
  room.members.push_back({.key = key,
                          .player = {.client_id = client.id,
                                     .name = client.name,
                                     .player_id = player_id,
                                     .joined_at = now.wall,
                                     .ready = false}});
  room.everyone.push_back(key);
  room.record.peak_players =
      std::max(room.record.peak_players, static_cast<std::uint32_t>(room.members.size()));
  client.rooms.push_back(room.key);
  if (client.connected) ++room.connected;
  ++players_;
  if (room.members.size() == 2) ++matches_;
  watch_presence(now, room);
  return room.members.back();
}

// The room may be gone afterwards.
void RoomRegistry::unseat(Moment now, Room& room, ClientKey key, LeaveCause cause,
                          std::string_view reason, Outcome& outcome) {
  Client& client = at(key);
  const Member& member = room.at(key);
  if (cause == LeaveCause::timeout) {
    const Nanos until = now.mono + limits_.session_lifetime;
    room.forget_claims(client.id);
    if (room.former.size() == Room::kFormerSeatsMax) room.former.erase(room.former.begin());
    room.former.push_back({client.id, member.player.player_id, until});
  }
  const auto position = &member - room.members.data();
  room.members.erase(room.members.begin() + position);
  room.everyone.erase(room.everyone.begin() + position);
  std::erase(client.rooms, room.key);
  if (client.connected) --room.connected;
  --players_;
  if (room.members.size() == 1) --matches_;
  ++counts_.leaves;
  end_pairs(room, key, outcome);
  end_links_of(now, room, key, outcome);
  outcome.notices.emplace_back(PlayerGone{room.record.id, client.id, cause});
  if (room.members.empty()) {
    forget_room(now, room, CloseReason::empty, outcome);
    return;
  }
  JsonObject object(outcome.text());
  object.text("roomId", room.record.id)
      .text("clientId", client.id)
      .text("reason", reason.empty() ? leave_cause_name(cause) : reason)
      .text("cause", leave_cause_name(cause));
  object.end();
  outcome.to(room.everyone);
  outcome.end_event(RoomEventName::player_left);
  if (room.host == key) {
    set_host(now, room, room.members.front(), leave_cause_name(cause), outcome);
  } else {
    changed(now, room);
  }
  watch_presence(now, room);
}

void RoomRegistry::set_host(Moment now, Room& room, const Member& member, std::string_view reason,
                            Outcome& outcome) {
  room.host = member.key;
  room.record.host_id = member.player.client_id;
  // They were where the one before is reached.
  room.record.host_endpoint.clear();
  room.record.host_peer_id.clear();
  changed(now, room);
  JsonObject object(outcome.text());
  object.text("roomId", room.record.id)
      .text("hostId", member.player.client_id)
      .text("hostName", member.player.name)
      .text("reason", reason);
  object.end();
  outcome.to(room.everyone);
  outcome.end_event(RoomEventName::room_host);
  outcome.notices.emplace_back(RoomChanged{room.record});
}

void RoomRegistry::leave(Asking& asking, const LeaveRoom& request) {
  Room* room = room_of(asking, request.room.id);
  if (room == nullptr) return;
  for (const bool to_event : {true, false}) {
    JsonObject object(asking.outcome.text());
    if (!to_event) object.flag("success", true);
    object.text("roomId", room->record.id);
    object.end();
    if (to_event) {
      asking.outcome.to(asking.from);
      asking.outcome.end_event(RoomEventName::room_left);
    } else {
      asking.outcome.acknowledge();
    }
  }
  unseat(asking.now, *room, asking.from, LeaveCause::left, {}, asking.outcome);
}

void RoomRegistry::remove(Asking& asking, const RemovePlayer& request) {
  Room* room = room_of_host(asking, request.room.id);
  if (room == nullptr) return;
  const LeaveCause cause = request.ban ? LeaveCause::banned : LeaveCause::kicked;
  if (request.client_id == asking.client.id) {
    asking.refuse(ErrorCode::bad_request, "\"clientId\" has to be somebody else");
    return;
  }
  if (!request.ban && member_of(asking, *room, request.client_id, "clientId") == nullptr) return;
  if (request.ban && !ban(asking, *room, request.client_id)) return;
  room->forget_claims(request.client_id);
  if (const Member* member = room->find(request.client_id); member != nullptr) {
    const ClientKey key = member->key;
    JsonObject object(asking.outcome.text());
    object.text("roomId", room->record.id)
        .text("reason", request.reason.empty() ? leave_cause_name(cause) : request.reason)
        .flag("banned", request.ban);
    object.end();
    asking.outcome.to(key);
    asking.outcome.end_event(RoomEventName::room_kicked);
    unseat(asking.now, *room, key, cause, request.reason, asking.outcome);
  }
  asking.done();
}

bool RoomRegistry::ban(Asking& asking, Room& room, const std::string& client_id) {
  if (room.is_banned(client_id)) return true;
  if (room.record.banned.size() == Room::kBannedMax) {
    asking.refuse(ErrorCode::over_capacity,
                  fmt::format("a room can ban at most {} clients", Room::kBannedMax));
    return false;
  }
  room.record.banned.push_back(client_id);
  asking.outcome.notices.emplace_back(RoomChanged{room.record});
  return true;
}

void RoomRegistry::transfer(Asking& asking, const TransferHost& request) {
  Room* room = room_of_host(asking, request.room.id);
  if (room == nullptr) return;
  const Member* member = member_of(asking, *room, request.client_id, "clientId");
  if (member == nullptr) return;
  if (member->key != asking.from) set_host(asking.now, *room, *member, "transfer", asking.outcome);
  asking.done();
}

void RoomRegistry::ready(Asking& asking, const SetReady& request) {
  Room* room = room_of(asking, request.room.id);
  if (room == nullptr) return;
  room->at(asking.from).player.ready = request.ready;
  JsonObject object(asking.outcome.text());
  object.text("roomId", room->record.id)
      .text("clientId", asking.client.id)
      .flag("ready", request.ready);
  object.end();
  asking.outcome.to(room->everyone);
  asking.outcome.end_event(RoomEventName::player_ready);
  asking.done();
}

}  // namespace tandem
