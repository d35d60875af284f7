// What a crew of clients can be told to do, each at a fixed rate whatever becomes of what was sent
// before (an open loop): connect, form rooms, play in them, have matches, leave.
#pragma once

#include <cstddef>
#include <memory>

#include "bench/load/rooms/room_crew.h"

namespace tandem::bench {

// Clients `from` up to, not including, `to`.
[[nodiscard]] std::unique_ptr<RoomTask> connect_task(std::size_t from, std::size_t to,
                                                     double clients_per_s);

// The first member creates a room, the others join it once it is there. Of the first `rooms` those
// that are not full; one with a member that is not connected is passed over as broken.
[[nodiscard]] std::unique_ptr<RoomTask> form_task(std::size_t rooms, double rooms_per_s);

struct PlayOptions {
  std::size_t rooms = 0;  // the first so many
  double events_per_s = 0;
  // The part of the events that are not messages: all members leave a room, its first creates
  // another, the others join that.
  double turnover_share = 0;
};
// Until it is stopped. Where events_per_s is 0 it does nothing: the clients are idle.
[[nodiscard]] std::unique_ptr<RoomTask> play_task(const PlayOptions& options);

struct MatchOptions {
  double matches_per_s = 1;
  std::size_t messages = 0;  // of each player
  double interval_s = 1;     // between two of one player's
};
// Each room is a match: when it is due its players connect, the first creates it, the others join,
// then all send their messages. It stays.
[[nodiscard]] std::unique_ptr<RoomTask> matches_task(const MatchOptions& options);

// Whoever is in a room leaves it.
[[nodiscard]] std::unique_ptr<RoomTask> leave_task(double clients_per_s);

}  // namespace tandem::bench
