// Rooms and clients as an operator looks at them: copies of what the registry has, for tandemctl
// and the dashboard. Knows no rule and no JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "room/lobby/room_types.h"

namespace tandem {

struct RoomView {
  RoomKey key;
  RoomRecord record;  // with players and no password_verifier
  bool has_password = false;
  std::uint32_t connected = 0;
  std::uint64_t messages = 0;  // the last seq
};
struct ClientView {
  ClientKey key;
  std::string_view id;
  std::string_view name;
  bool connected = false;
  std::size_t rooms = 0;
};

}  // namespace tandem
