#include "room/lobby/room_registry.h"

#include <fmt/format.h>

#include "common/assert.h"
#include "common/overloaded.h"
#include "room/lobby/message.h"
#include "room/lobby/room_state.h"
#include "room/text/json_write.h"
#include "room/text/visible_text.h"

namespace tandem {

RoomRegistry::RoomRegistry(const RegistryCapacity& capacity, const RegistryLimits& limits,
                           const SipKey& hash_key, RandomSource& random, Moment now)
    : capacity_(capacity),
      random_(random),
      clients_(capacity.connected_max + capacity.absent_max),
      rooms_(capacity.rooms_max),
      timers_(clients_.capacity() + rooms_.capacity(), now.mono),
      clients_by_sub_(0, KeyedHash{hash_key}),
      rooms_by_id_(0, KeyedHash{hash_key}),
      rooms_by_code_(0, KeyedHash{hash_key}),
      rooms_by_game_(0, KeyedHash{hash_key}),
      directory_(hash_key) {
  set_limits(limits);
}

RoomRegistry::~RoomRegistry() = default;

void RoomRegistry::set_limits(const RegistryLimits& limits) {
  limits_ = limits;
  limits_.rooms_max = std::min(limits_.rooms_max, rooms_.capacity());
}

RoomRegistry::Client& RoomRegistry::at(ClientKey key) const {
  Client* client = find(key);
  TANDEM_CHECK(client != nullptr);
  return *client;
}

RoomRegistry::Room& RoomRegistry::at(RoomKey key) const {
  Room* room = find(key);
  TANDEM_CHECK(room != nullptr);
  return *room;
}

ClientKey RoomRegistry::add_client(std::string_view sub, std::string_view name) {
  TANDEM_CHECK(!sub.empty());
  auto client = std::make_unique<Client>();
  client->id = sub;
  client->name = visible_part(name, kPlayerNameMax);
  const auto handle = clients_.add(std::move(client));
  TANDEM_CHECK(
      handle.has_value());  // connected_max and absent_max hold, and there is room for both
  const ClientKey key{*handle};
  clients_by_sub_.emplace(sub, key);
  return key;
}

void RoomRegistry::remove_client(ClientKey key) {
  const Client& client = at(key);
  TANDEM_CHECK(client.rooms.empty() && client.pairs == 0);
  if (client.connected) --connected_;
  timers_.cancel(timer_of(key));
  directory_.forget(key);
  clients_by_sub_.erase(client.id);
  clients_.remove(key.handle);
}

Result<Connection, ApiError> RoomRegistry::connect(Moment now, std::string_view sub,
                                                   std::string_view name, Return how,
                                                   Outcome& outcome) {
  const auto known = clients_by_sub_.find(sub);
  const Client* client = known == clients_by_sub_.end() ? nullptr : find(known->second);
  const bool was_connected = client != nullptr && client->connected;
  if (!was_connected && connected_ >= capacity_.connected_max) {
    ++counts_.refused[static_cast<std::size_t>(ErrorCode::over_capacity)];
    return unexpected(ApiError{ErrorCode::over_capacity, "there are too many clients here"});
  }
  const bool is_new = client == nullptr;
  const ClientKey key = is_new ? add_client(sub, name) : known->second;
  Client& here = at(key);
  if (!is_new && !name.empty()) here.name = visible_part(name, kPlayerNameMax);
  if (was_connected) {
    ++counts_.takeovers;
  } else {
    here.connected = true;
    ++connected_;
    timers_.cancel(timer_of(key));
    for (const RoomKey each : here.rooms) {
      Room& room = at(each);
      ++room.connected;
      watch_presence(now, room);
    }
  }
  if (how == Return::fresh || is_new) {
    directory_.forget(key);
    if (limits_.list_broadcast) directory_.follow_all(key);
  }
  tell_resumed(key, outcome);
  return Connection{.client = key,
                    .number = ++here.connection,
                    .took_over = was_connected,
                    .returned = !is_new && !was_connected};
}

void RoomRegistry::tell_resumed(ClientKey key, Outcome& outcome) {
  for (const RoomKey each : at(key).rooms) {
    Room& room = at(each);
    JsonObject object(outcome.text());
    object.text("roomId", room.record.id).json("room", *room.as_member()).name("players");
    room.append_players(outcome.text());
    object.name("self");
    append_player(outcome.text(), room.at(key).player);
    object.number("seq", room.seq);
    object.end();
    outcome.to(key);
    outcome.end_event(RoomEventName::room_resumed);
  }
}

void RoomRegistry::drop(Moment now, ClientKey key, std::uint32_t number, Outcome& outcome) {
  Client* client = find(key);
  if (client == nullptr || !client->connected || client->connection != number) return;
  client->connected = false;
  --connected_;
  for (const RoomKey each : client->rooms) {
    Room& room = at(each);
    --room.connected;
    watch_presence(now, room);
  }
  const bool too_many = absent() > capacity_.absent_max;
  if (too_many) ++counts_.grace_denied;
  if (!too_many && limits_.reconnect_grace > 0) {
    timers_.schedule(timer_of(key), now.mono + limits_.reconnect_grace);
    return;
  }
  leave_rooms(now, key, LeaveCause::timeout, outcome);
  remove_client(key);
}

void RoomRegistry::quit(Moment now, ClientKey key, std::uint32_t number, Outcome& outcome) {
  const Client* client = find(key);
  if (client == nullptr || client->connection != number) return;
  leave_rooms(now, key, LeaveCause::left, outcome);
  remove_client(key);
}

void RoomRegistry::leave_rooms(Moment now, ClientKey key, LeaveCause cause, Outcome& outcome) {
  while (!at(key).rooms.empty()) unseat(now, at(at(key).rooms.back()), key, cause, {}, outcome);
}

std::uint32_t RoomRegistry::expire(Moment now, std::uint32_t budget, Outcome& outcome) {
  return timers_.advance(now.mono, budget, [&](std::uint32_t timer) { fire(now, timer, outcome); });
}

void RoomRegistry::begin_graces_anew(Moment now) {
  for (std::uint32_t index = clients_.next(0); index != clients_.kNone;
       index = clients_.next(index + 1)) {
    const ClientKey key{clients_.handle_of(index)};
    if (!at(key).connected) timers_.schedule(timer_of(key), now.mono + limits_.reconnect_grace);
  }
  for (std::uint32_t index = rooms_.next(0); index != rooms_.kNone;
       index = rooms_.next(index + 1)) {
    const RoomKey key{rooms_.handle_of(index)};
    if (at(key).connected == 0) timers_.schedule(timer_of(key), now.mono + limits_.room_timeout);
  }
}

void RoomRegistry::fire(Moment now, std::uint32_t timer, Outcome& outcome) {
  if (timer >= clients_.capacity()) {
    Room& room = at(RoomKey{rooms_.handle_of(timer - clients_.capacity())});
    TANDEM_CHECK(room.connected == 0);
    close(now, room, CloseReason::timeout, outcome);
    return;
  }
  const ClientKey key{clients_.handle_of(timer)};
  TANDEM_CHECK(!at(key).connected);
  ++counts_.grace_expired;
  leave_rooms(now, key, LeaveCause::timeout, outcome);
  remove_client(key);
}

// A room that is watched by nobody's connection has until its timeout.
void RoomRegistry::watch_presence(Moment now, Room& room) {
  const std::uint32_t timer = timer_of(room.key);
  if (room.connected > 0) {
    timers_.cancel(timer);
  } else if (!timers_.armed(timer)) {
    timers_.schedule(timer, now.mono + limits_.room_timeout);
  }
}

void RoomRegistry::apply(Moment now, ClientKey from, const RoomRequest& request, Outcome& outcome) {
  Client* client = find(from);
  if (client == nullptr) {
    // Its grace ended while a password of its was being checked.
    ++counts_.refused[static_cast<std::size_t>(ErrorCode::not_found)];
    outcome.refuse(from, {ErrorCode::not_found, "this connection is over"});
    return;
  }
  Asking asking{now, from, *client, outcome, counts_};
  std::visit(Overloaded{
                 [&](const CreateRoom& each) { create(asking, each); },
                 [&](const ListRooms& each) { list(asking, each); },
                 [&](const SubscribeList& each) { subscribe(asking, each); },
                 [&](const UnsubscribeList& each) { unsubscribe(asking, each); },
                 [&](const JoinRoom& each) { join(asking, each); },
                 [&](const LeaveRoom& each) { leave(asking, each); },
                 [&](const UpdateRoom& each) { update(asking, each); },
                 [&](const RemovePlayer& each) { remove(asking, each); },
                 [&](const TransferHost& each) { transfer(asking, each); },
                 [&](const SetReady& each) { ready(asking, each); },
                 [&](const SendMessage& each) { message(asking, each); },
                 [&](const SendSignal& each) { signal(asking, each); },
                 [&](const ReportP2pSuccess& each) { p2p_success(asking, each); },
                 [&](const ReportP2pFailure& each) { p2p_failure(asking, each); },
                 [&](const ReportBeacons& each) { keep_beacons(asking, each); },
                 [&](const ReportRelay& each) { relay_report(asking, each); },
             },
             request);
}

RoomRegistry::Room* RoomRegistry::find_room(std::string_view id) const {
  const auto found = rooms_by_id_.find(id);
  return found == rooms_by_id_.end() ? nullptr : find(found->second);
}

RoomRegistry::Room* RoomRegistry::find_room(const RoomName& name) const {
  if (!name.id.empty()) return find_room(name.id);
  const auto found = rooms_by_code_.find(name.code);
  return found == rooms_by_code_.end() ? nullptr : find(found->second);
}

RoomRegistry::Room* RoomRegistry::room_of(Asking& asking, std::string_view id) {
  Room* room = find_room(id);
  if (room == nullptr) return asking.refuse(ErrorCode::not_found, "there is no such room");
  if (room->find(asking.from) == nullptr)
    return asking.refuse(ErrorCode::not_in_room, "you are not in this room");
  return room;
}

RoomRegistry::Room* RoomRegistry::room_of_host(Asking& asking, std::string_view id) {
  Room* room = room_of(asking, id);
  if (room != nullptr && room->host != asking.from)
    return asking.refuse(ErrorCode::not_host, "only the room's host may do this");
  return room;
}

RoomRegistry::Member* RoomRegistry::member_of(Asking& asking, Room& room, std::string_view id,
                                              std::string_view field) {
  Member* member = room.find(id);
  if (member == nullptr)
    return asking.refuse(ErrorCode::not_in_room,
                         fmt::format("\"{}\" names nobody in this room", field));
  return member;
}

RoomRegistry::Member* RoomRegistry::other_member_of(Asking& asking, Room& room, std::string_view id,
                                                    std::string_view field) {
  if (id == asking.client.id)
    return asking.refuse(ErrorCode::bad_request,
                         fmt::format("\"{}\" has to be somebody else", field));
  return member_of(asking, room, id, field);
}

void RoomRegistry::list(Asking& asking, const ListRooms& request) {
  std::string& text = asking.outcome.text();
  append_list(text, request);
  asking.outcome.to(asking.from);
  asking.outcome.end_event(RoomEventName::room_list);
  text += R"({"success":true,)";
  const std::size_t begin = text.size();
  append_list(text, request);
  text.erase(begin, 1);  // its brace
  asking.outcome.acknowledge();
}

void RoomRegistry::append_list(std::string& into, const ListRooms& request) const {
  const ListPage page = directory_.list(request);
  JsonObject object(into);
  object.name("rooms");
  into += '[';
  for (std::size_t at = 0; at < page.rooms.size(); ++at) {
    if (at > 0) into += ',';
    into += *page.rooms[at];
  }
  into += ']';
  if (page.next_before) {
    object.text("nextCursor", encode_cursor(*page.next_before));
  } else {
    object.json("nextCursor", "null");
  }
  object.end();
}

void RoomRegistry::subscribe(Asking& asking, const SubscribeList& request) {
  switch (directory_.follow(asking.from, request.filter)) {
    case RoomDirectory::Follow::followed:
      return asking.done();
    case RoomDirectory::Follow::too_many:
      asking.refuse(ErrorCode::over_capacity, fmt::format("a client has at most {} subscriptions",
                                                          RoomDirectory::kFiltersMax));
  }
}

void RoomRegistry::unsubscribe(Asking& asking, const UnsubscribeList& request) {
  directory_.unfollow(asking.from, request.filter);
  asking.done();
}

std::size_t RoomRegistry::take_list_changes(std::size_t rooms_max, Outcome& outcome) {
  const std::size_t count = directory_.take_changes(rooms_max, outcome);
  counts_.list_updates += count;
  return count;
}

}  // namespace tandem
