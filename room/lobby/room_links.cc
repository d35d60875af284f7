// How long members reach each other, and how: what storage keeps of it once it is over.
#include <algorithm>

#include "room/lobby/room_state.h"

namespace tandem {

// The same type again is the same connection: both ends report, and more than once.
void RoomRegistry::link(Moment now, Room& room, ClientKey from, ClientKey to,
                        std::string_view connection_type, Outcome& outcome) {
  const auto known = std::ranges::find_if(
      room.links, [&](const Link& each) { return each.from == from && each.to == to; });
  if (known == room.links.end()) {
    room.links.push_back({from, to, std::string(connection_type), now.mono});
    return;
  }
  if (known->connection_type == connection_type) return;
  end_link(now, room, *known, outcome);
  known->connection_type = connection_type;
  known->since = now.mono;
}

void RoomRegistry::end_link(Moment now, const Room& room, const Link& link, Outcome& outcome) {
  const Nanos lasted = std::max<Nanos>(0, now.mono - link.since);
  outcome.notices.emplace_back(
      ConnectionSample{.client_id = at(link.from).id,
                       .room_id = room.record.id,
                       .connection_type = link.connection_type,
                       .duration_s = static_cast<std::uint32_t>(lasted / kNanosPerSecond),
                       .at = now.wall});
}

void RoomRegistry::end_all_links(Moment now, Room& room, Outcome& outcome) {
  for (const Link& link : room.links) end_link(now, room, link, outcome);
  room.links.clear();
}

void RoomRegistry::end_links(Moment now, std::uint32_t& index, std::size_t rooms_max,
                             Outcome& outcome) {
  index = index == kListEnd ? kListEnd : rooms_.next(index);
  for (std::size_t i = 0; i < rooms_max && index != kListEnd; ++i, index = rooms_.next(index + 1))
    end_all_links(now, at(RoomKey{rooms_.handle_of(index)}), outcome);
}

// To and from this one.
void RoomRegistry::end_links_of(Moment now, Room& room, ClientKey key, Outcome& outcome) {
  std::erase_if(room.links, [&](const Link& link) {
    if (link.from != key && link.to != key) return false;
    end_link(now, room, link, outcome);
    return true;
  });
}

}  // namespace tandem
