// What members say to each other, and the relay sessions of those that cannot reach each other.
#include <fmt/format.h>

#include "common/assert.h"
#include "room/lobby/room_state.h"
#include "room/text/json_write.h"

namespace tandem {

void RoomRegistry::message(Asking& asking, const SendMessage& request) {
  Room* room = room_of(asking, request.room_id.view());
  if (room == nullptr) return;
  const Member* target = nullptr;
  if (request.to) {
    target = member_of(asking, *room, request.to->view(), "to");
    if (target == nullptr) return;
  }
  ++counts_.messages;
  Outcome& outcome = asking.outcome;
  const std::uint64_t seq = next_seq(*room, outcome);
  JsonObject object(outcome.text());
  object.text("roomId", room->record.id)
      .text("from", asking.client.id)
      .number("seq", seq)
      .json("data", request.data);
  object.end();
  if (target == nullptr) {
    outcome.to(room->everyone);
  } else {
    outcome.to(target->key);
  }
  outcome.end_event(RoomEventName::room_message, true);
  JsonObject acknowledgement(outcome.text());
  acknowledgement.flag("success", true).number("seq", seq);
  acknowledgement.end();
  outcome.acknowledge();
}

void RoomRegistry::signal(Asking& asking, const SendSignal& request) {
  Room* room = room_of(asking, request.room_id.view());
  if (room == nullptr) return;
  const Member* target =
      other_member_of(asking, *room, request.target_client_id.view(), "targetClientId");
  if (target == nullptr) return;
  ++counts_.signals;
  JsonObject object(asking.outcome.text());
  object.text("roomId", room->record.id)
      .text("fromClientId", asking.client.id)
      .json("data", request.data);
  object.end();
  asking.outcome.to(target->key);
  asking.outcome.end_event(RoomEventName::p2p_signal, true);
  asking.done();
}

void RoomRegistry::p2p_success(Asking& asking, const ReportP2pSuccess& request) {
  Room* room = room_of(asking, request.room.id);
  if (room == nullptr) return;
  const Member* target = other_member_of(asking, *room, request.target_client_id, "targetClientId");
  if (target == nullptr) return;
  ++counts_.p2p_succeeded;
  const std::string_view type = request.connection_type;
  link(asking.now, *room, asking.from, target->key, type.empty() ? "direct" : type, asking.outcome);
  asking.outcome.notices.emplace_back(ConnectionSample{.client_id = asking.client.id,
                                                       .room_id = room->record.id,
                                                       .connection_type = request.connection_type,
                                                       .latency_ms = request.latency_ms,
                                                       .at = asking.now.wall});
  asking.done();
}

void RoomRegistry::keep_beacons(Asking& asking, const ReportBeacons& request) {
  asking.client.beacons = request.relays;
  asking.done();
}

std::span<const Beacon> RoomRegistry::beacons(ClientKey key) const {
  const Client* client = find(key);
  if (client == nullptr) return {};
  return client->beacons;
}

void RoomRegistry::relay_report(Asking& asking, const ReportRelay& request) {
  const auto found = relay_pairs_.find(request.session_id);
  if (found == relay_pairs_.end() ||
      (found->second.first != asking.from && found->second.second != asking.from)) {
    asking.refuse(ErrorCode::not_found, "\"sessionId\" is no relay session of yours");
    return;
  }
  asking.outcome.notices.emplace_back(ConnectionSample{.client_id = asking.client.id,
                                                       .room_id = at(found->second.room).record.id,
                                                       .connection_type = "relay",
                                                       .latency_ms = request.latency_ms,
                                                       .packet_loss = request.packet_loss,
                                                       .bandwidth_kbps = request.bandwidth_kbps,
                                                       .at = asking.now.wall});
  asking.done();
}

RoomRegistry::Pair* RoomRegistry::find_pair(Room& room, ClientKey first, ClientKey second) {
  for (Pair& pair : room.pairs)
    if (pair.has(first) && pair.has(second)) return &pair;
  return nullptr;
}

void RoomRegistry::p2p_failure(Asking& asking, const ReportP2pFailure& request) {
  Room* room = room_of(asking, request.room.id);
  if (room == nullptr) return;
  const Member* target = other_member_of(asking, *room, request.target_client_id, "targetClientId");
  if (target == nullptr) return;
  Pair* pair = find_pair(*room, asking.from, target->key);
  if (pair == nullptr) {
    pair = add_pair(asking, *room, target->key);
    if (pair == nullptr) return;
    ++counts_.p2p_failed;
    asking.outcome.relay = wanted(*room, *pair, asking.from);
  } else if (pair->under_way) {
    asking.outcome.relay = wanted(*room, *pair, asking.from);
    asking.outcome.relay->under_way = true;
  } else {
    asking.outcome.relay = wanted(*room, *pair, asking.from);
    if (request.session_id == pair->session) {
      asking.outcome.relay->replaces = pair->session;
    } else {
      asking.outcome.relay->session_id = pair->session;
    }
    pair->under_way = true;
  }
  asking.done();
}

RoomRegistry::Pair* RoomRegistry::add_pair(Asking& asking, Room& room, ClientKey target) {
  Client& other = at(target);
  const std::uint32_t most = limits_.relay_sessions_per_client;
  if (asking.client.pairs >= most || other.pairs >= most)
    return asking.refuse(
        ErrorCode::over_capacity,
        fmt::format("{} the most relay sessions that a client can have, {}",
                    asking.client.pairs >= most ? "you have" : "the other one has", most));
  ++asking.client.pairs;
  ++other.pairs;
  room.pairs.push_back(
      {.first = asking.from, .second = target, .session = std::nullopt, .under_way = true});
  return &room.pairs.back();
}

RelayWanted RoomRegistry::wanted(const Room& room, const Pair& pair, ClientKey reporter) {
  return {.room = room.key,
          .reporter = reporter,
          .first = pair.first,
          .second = pair.second,
          .region = room.record.region};
}

bool RoomRegistry::relay_granted(Moment now, RoomKey key, ClientKey first, ClientKey second,
                                 std::uint64_t session_id, Outcome& outcome) {
  Room* room = find(key);
  Pair* pair = room == nullptr ? nullptr : find_pair(*room, first, second);
  if (pair == nullptr) return false;
  if (pair->session == session_id) {
    pair->under_way = false;
    return true;
  }
  const bool is_new =
      pair->under_way &&
      relay_pairs_.try_emplace(session_id, RelayPlace{key, pair->first, pair->second}).second;
  if (!is_new) return false;
  if (pair->session) {
    outcome.revoked.push_back(*pair->session);
    relay_pairs_.erase(*pair->session);
  }
  pair->session = session_id;
  pair->under_way = false;
  link(now, *room, first, second, "relay", outcome);
  link(now, *room, second, first, "relay", outcome);
  return true;
}

void RoomRegistry::relay_refused(RoomKey key, ClientKey first, ClientKey second) {
  Room* room = find(key);
  Pair* pair = room == nullptr ? nullptr : find_pair(*room, first, second);
  if (pair == nullptr || !pair->under_way) return;
  pair->under_way = false;
  if (!pair->session) remove_pair(*room, *pair);
}

bool RoomRegistry::relay_lost(std::uint64_t session_id, Outcome& outcome) {
  const auto found = relay_pairs_.find(session_id);
  if (found == relay_pairs_.end()) return false;
  Room& room = at(found->second.room);
  Pair* pair = find_pair(room, found->second.first, found->second.second);
  TANDEM_CHECK(pair != nullptr);
  outcome.relay = wanted(room, *pair, pair->first);
  outcome.relay->replaces = session_id;
  outcome.relay->under_way = pair->under_way;
  pair->under_way = true;
  return true;
}

void RoomRegistry::remove_pair(Room& room, Pair& pair) {
  --at(pair.first).pairs;
  --at(pair.second).pairs;
  room.pairs.erase(room.pairs.begin() + (&pair - room.pairs.data()));
}

// Of a pair that the caller takes away.
void RoomRegistry::end_pair(Pair& pair, Outcome& outcome) {
  --at(pair.first).pairs;
  --at(pair.second).pairs;
  if (!pair.session) return;
  outcome.revoked.push_back(*pair.session);
  relay_pairs_.erase(*pair.session);
}

void RoomRegistry::end_pairs(Room& room, ClientKey key, Outcome& outcome) {
  std::erase_if(room.pairs, [&](Pair& pair) {
    if (!pair.has(key)) return false;
    end_pair(pair, outcome);
    return true;
  });
}

}  // namespace tandem
