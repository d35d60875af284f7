// The room service's metrics: what RoomStats counted and what the glue found, under names with the
// prefix tandem_room_. What connections, sockets and the store count they show themselves.
#pragma once

#include <cstdint>

#include "common/metrics.h"
#include "room/room_stats.h"

namespace tandem {

// How things stand when somebody asks.
struct RoomFigures {
  std::uint64_t clients = 0;         // connected over Socket.IO, of whatever transport
  std::uint64_t clients_absent = 0;  // gone within their grace: they keep their seats
  std::uint64_t rooms = 0;
  std::uint64_t rooms_max = 0;
  std::uint64_t players = 0;  // seats that are taken
  std::uint64_t list_subscribers = 0;
  std::uint64_t relay_sessions = 0;     // of pairs in rooms
  std::uint64_t passwords_waiting = 0;  // PasswordWorker::waiting()
  std::uint64_t addresses_evicted = 0;  // AddressLimits::evicted()
  // Since the start.
  std::uint64_t rooms_created = 0;
  std::uint64_t rooms_closed = 0;
  std::uint64_t joins = 0;
  std::uint64_t messages = 0;  // room:message, each once however many get it
  std::uint64_t signals = 0;
};

void append_room_metrics(const RoomStats& stats, const RoomFigures& figures, Metrics& into);

}  // namespace tandem
