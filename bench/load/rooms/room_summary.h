// Owns how a run of room events becomes a report's figures and warnings.
#pragma once

#include "bench/load/leg.h"
#include "bench/load/report.h"
#include "bench/load/rooms/room_stats.h"
#include "bench/load/scene.h"

namespace tandem::bench {

// What a server did for its CPU: `cpu_percent` of one core (NaN: nobody was watched) while
// `measured` and `stats` were counted.
void summarize_events(const Measured& measured, const RoomStats& stats, double cpu_percent,
                      Figures& figures);
// create_p95_us and so on, and the distributions.
void summarize_event_latencies(const RoomStats& stats, Report& report);
// By code.
void summarize_errors(const RoomStats& stats, Report& report);
// Of what was delivered: nothing lost, doubled, altered or out of order.
[[nodiscard]] Integrity judge_rooms(const Tally& overall, const RoomStats& stats);
void warn_of_rooms(const Measured& measured, const RoomStats& stats, Report& report);

// Requests that were answered, and copies of messages that were delivered.
[[nodiscard]] std::uint64_t events_of(const Measured& measured, const RoomStats& stats);
// Requests and messages.
[[nodiscard]] std::uint64_t sent_events(const RoomStats& stats);

}  // namespace tandem::bench
