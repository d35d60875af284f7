// The modes rooms and matches: the load of a room service's clients over Socket.IO. Latencies count
// from when an event was due. Every message's copies are checked: each member gets each once, whole
// and in the one order of the room.
#pragma once

#include <cstddef>
#include <string>

#include "bench/load/report.h"
#include "bench/load/rooms/room_service.h"
#include "bench/load/scene.h"

namespace tandem::bench {

struct RoomLoadOptions {
  RoomService service = {};
  std::string metrics_url = {};  // the server's; empty: --pid tells, or nobody
  std::size_t message_bytes = 128;
  std::string visibility = "unlisted";
  double timeout_s = 10;
  bool spin = false;
};

struct RoomsOptions {
  RoomLoadOptions load = {};
  std::size_t clients = 1000;
  double connects_per_s = 500;
  std::size_t room_size = 8;
  double events_per_s = 1000;  // 0: the clients are idle
  double turnover_share = 0.1;
  std::size_t ramp = 0;  // clients a step; 0: all at once
};

struct MatchesOptions {
  RoomLoadOptions load = {};
  std::size_t matches = 2000;
  double matches_per_s = 200;
  std::size_t players = 2;
  std::size_t messages = 20;  // of each player
  double interval_s = 0.5;
};

// Damaged: a message was lost, repeated, altered or out of order. Throw std::runtime_error where
// the service cannot be reached at all, and where this process may not have so many sockets.
Integrity run_rooms(const Scene& scene, const RoomsOptions& options, Report& report);
Integrity run_matches(const Scene& scene, const MatchesOptions& options, Report& report);

}  // namespace tandem::bench
