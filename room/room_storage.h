// Between the rooms and what is stored of them: the registry's notices as a store's writes, and a
// store's rows as rooms to open again. Pure; knows no driver and no socket.
#pragma once

#include <vector>

#include "room/lobby/room_types.h"
#include "room/storage/store.h"

namespace tandem {

// In the order in which they have to be posted.
[[nodiscard]] std::vector<StoreWrite> store_writes(const RoomNotice& notice);

// A room and its players, as RoomRegistry::restore() takes them. Players of no room are left out.
[[nodiscard]] std::vector<RoomRecord> room_records(const LiveRooms& live);
// The other way round, for Store::replace_live().
[[nodiscard]] LiveRooms live_rooms(const std::vector<RoomRecord>& records);

}  // namespace tandem
