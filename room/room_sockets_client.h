// What hangs on each Socket of the rooms. Shared by room_sockets.cc and room_events.cc alone.
#pragma once

#include <cstdint>
#include <optional>

#include "room/room_sockets.h"

namespace tandem {

struct RoomSockets::Client {
  ClientKey key;
  std::uint32_t number = 0;  // of its connection, as the registry counts
  UnixSeconds expires_at = 0;
  std::optional<std::list<Parked>::iterator> parked{};
};

struct RoomSockets::Question {
  Moment now;
  ClientKey from;
  std::uint32_t number = 0;
  std::optional<std::uint64_t> ack_id;
};

}  // namespace tandem
