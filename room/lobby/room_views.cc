// The rooms as others look at them, and as they come back after a restart.
#include <fmt/format.h>

#include <algorithm>

#include "common/assert.h"
#include "room/lobby/message.h"
#include "room/lobby/room_state.h"

namespace tandem {

RoomRegistry::Room* RoomRegistry::find_by_code(std::string_view text) const {
  const auto code = normalize_room_code(text);
  return code ? find_room(RoomName{.id = {}, .code = *code}) : nullptr;
}

SharedJson RoomRegistry::shown(Room* room) {
  if (room == nullptr || room->record.visibility == Visibility::hidden) return nullptr;
  return room->as_public();
}

SharedJson RoomRegistry::look_up(std::string_view id) {
  return shown(find_room(id));
}

SharedJson RoomRegistry::look_up_by_code(std::string_view code) {
  return shown(find_by_code(code));
}

RoomView RoomRegistry::view_of(const Room& room) {
  RoomView view{.key = room.key,
                .record = record_of(room),
                .connected = room.connected,
                .messages = room.seq};
  view.record.password_verifier.clear();
  view.has_password = !room.record.password_verifier.empty();
  return view;
}

std::optional<RoomView> RoomRegistry::view_room(std::string_view id_or_code) const {
  const Room* room = find_room(id_or_code);
  if (room == nullptr) room = find_by_code(id_or_code);
  if (room == nullptr) return std::nullopt;
  return view_of(*room);
}

std::vector<RoomView> RoomRegistry::view_rooms(std::uint32_t& index, std::size_t most) const {
  static_assert(kListEnd == decltype(rooms_)::kNone);
  std::vector<RoomView> views;
  index = index == kListEnd ? kListEnd : rooms_.next(index);
  while (index != kListEnd && views.size() < most) {
    views.push_back(view_of(at(RoomKey{rooms_.handle_of(index)})));
    index = rooms_.next(index + 1);
  }
  return views;
}

void RoomRegistry::append_all(std::string& into, std::uint32_t index, std::size_t most) {
  into += R"({"rooms":[)";
  std::size_t shown = 0;
  for (index = rooms_.next(index); index != kListEnd && shown < most;
       index = rooms_.next(index + 1), ++shown) {
    if (shown > 0) into += ',';
    into += *at(RoomKey{rooms_.handle_of(index)}).as_public();
  }
  into += R"(],"nextCursor":)";
  into += index == kListEnd ? "null" : fmt::format(R"("{}")", index);
  into += '}';
}

std::vector<RoomRecord> RoomRegistry::records(std::uint32_t& index, std::size_t most) const {
  std::vector<RoomRecord> records;
  index = index == kListEnd ? kListEnd : rooms_.next(index);
  while (index != kListEnd && records.size() < most) {
    records.push_back(record_of(at(RoomKey{rooms_.handle_of(index)})));
    index = rooms_.next(index + 1);
  }
  return records;
}

std::vector<ClientView> RoomRegistry::view_clients(std::uint32_t& index, std::size_t most) const {
  std::vector<ClientView> views;
  index = index == kListEnd ? kListEnd : clients_.next(index);
  while (index != kListEnd && views.size() < most) {
    const ClientKey key{clients_.handle_of(index)};
    const Client& client = at(key);
    views.push_back({.key = key,
                     .id = client.id,
                     .name = client.name,
                     .connected = client.connected,
                     .rooms = client.rooms.size()});
    index = clients_.next(index + 1);
  }
  return views;
}

std::optional<ClientKey> RoomRegistry::find_client(std::string_view sub) const {
  const auto found = clients_by_sub_.find(sub);
  if (found == clients_by_sub_.end()) return std::nullopt;
  return found->second;
}

std::string_view RoomRegistry::client_id(ClientKey key) const {
  const Client* client = find(key);
  return client == nullptr ? std::string_view() : std::string_view(client->id);
}

std::span<const ClientKey> RoomRegistry::members(RoomKey key) const {
  const Room* room = find(key);
  if (room == nullptr) return {};
  return room->everyone;
}

std::string_view RoomRegistry::room_id(RoomKey key) const {
  const Room* room = find(key);
  return room == nullptr ? std::string_view() : std::string_view(room->record.id);
}

std::size_t RoomRegistry::restore(Moment now, std::span<const RoomRecord> records) {
  std::vector<const RoomRecord*> in_order;
  for (const RoomRecord& record : records) in_order.push_back(&record);
  std::stable_sort(in_order.begin(), in_order.end(), [](const RoomRecord* a, const RoomRecord* b) {
    return a->created_at < b->created_at;
  });
  std::size_t restored = 0;
  for (const RoomRecord* record : in_order) restored += restore_room(now, *record) ? 1 : 0;
  return restored;
}

bool RoomRegistry::restore_room(Moment now, const RoomRecord& record) {
  const auto code = normalize_room_code(record.code);
  if (record.id.empty() || !code || *code != record.code || rooms_by_id_.contains(record.id) ||
      rooms_by_code_.contains(record.code) || rooms_.size() >= limits_.rooms_max)
    return false;
  std::vector<std::pair<ClientKey, const PlayerRecord*>> players;
  for (const PlayerRecord& player : record.players) {
    if (players.size() >= record.max_players || player.player_id == 0) break;
    if (const auto key = restore_client(now, player)) players.emplace_back(*key, &player);
  }
  if (players.empty()) return false;

  auto made = std::make_unique<Room>();
  made->record = record;
  made->record.players.clear();
  made->seq = record.seq_reserved;
  Room& room = open_room(record.created_at, std::move(made));
  for (const auto& [key, player] : players) {
    if (room.find(key) != nullptr || room.is_taken(player->player_id)) continue;
    seat(now, room, key).player = *player;
    if (player->client_id == record.host_id) room.host = key;
  }
  if (room.find(room.host) == nullptr) {
    room.host = room.members.front().key;
    room.record.host_id = room.members.front().player.client_id;
    room.record.host_endpoint.clear();
    room.record.host_peer_id.clear();
  }
  list_anew(room);
  return true;
}

// Nothing where it would be in too many rooms, or where too many are absent.
std::optional<ClientKey> RoomRegistry::restore_client(Moment now, const PlayerRecord& player) {
  if (player.client_id.empty()) return std::nullopt;
  if (const auto known = find_client(player.client_id)) {
    if (at(*known).rooms.size() >= limits_.rooms_per_client) return std::nullopt;
    return known;
  }
  if (absent() >= capacity_.absent_max) return std::nullopt;
  const ClientKey key = add_client(player.client_id, player.name);
  timers_.schedule(timer_of(key), now.mono + limits_.reconnect_grace);
  return key;
}

}  // namespace tandem
