// What a shard counts. One writer, the shard; control reads at any time. Owns the names of the
// metrics as well, so that a counter and what it is called stand together.
#pragma once

#include <string_view>

#include "common/counters.h"
#include "relay/core/verdict.h"

namespace tandem {

// How a first line ended.
enum class JoinOutcome : uint8_t {
  waiting,
  paired,
  handed_over,
  bad_request,
  bad_version,
  bad_token,
  expired,
  session_full,
  timeout,
  rate_limited,
  blocked,
  over_capacity,
  draining,
  not_allowed,
  kicked,
  health_check,
  gone,
};
inline constexpr size_t kJoinOutcomes = static_cast<size_t>(JoinOutcome::gone) + 1;
[[nodiscard]] constexpr std::string_view join_outcome_text(JoinOutcome outcome) {
  constexpr std::string_view kTexts[kJoinOutcomes] = {
      "waiting",  "paired",       "handed_over", "bad_request",  "bad_version", "bad_token",
      "expired",  "session_full", "timeout",     "rate_limited", "blocked",     "over_capacity",
      "draining", "not_allowed",  "kicked",      "health_check", "gone"};
  return kTexts[static_cast<size_t>(outcome)];
}

// How a BIND ended.
enum class BindOutcome : uint8_t {
  challenged,
  waiting,
  paired,
  refreshed,
  moved,
  bad_token,
  expired,
  session_full,
  over_capacity,
  draining,
  rate_limited,
  not_allowed,
  kicked,
  blocked,
  stale_move,
};
inline constexpr size_t kBindOutcomes = static_cast<size_t>(BindOutcome::stale_move) + 1;
[[nodiscard]] constexpr std::string_view bind_outcome_text(BindOutcome outcome) {
  constexpr std::string_view kTexts[kBindOutcomes] = {
      "challenged",   "waiting",     "paired",       "refreshed",     "moved",
      "bad_token",    "expired",     "session_full", "over_capacity", "draining",
      "rate_limited", "not_allowed", "kicked",       "blocked",       "stale_move"};
  return kTexts[static_cast<size_t>(outcome)];
}

// How a lane ended.
enum class LaneEnd : uint8_t { finished, reset, takeover, kicked, blocked, lifetime, stopped };
inline constexpr size_t kLaneEnds = static_cast<size_t>(LaneEnd::stopped) + 1;
[[nodiscard]] constexpr std::string_view lane_end_text(LaneEnd end) {
  constexpr std::string_view kTexts[kLaneEnds] = {"finished", "reset",    "takeover", "kicked",
                                                  "blocked",  "lifetime", "stopped"};
  return kTexts[static_cast<size_t>(end)];
}

// 1, 2, 4 ... 32,768: a turn takes 256 receives at most, and the longest train is 128 datagrams.
inline constexpr size_t kBatchBounds = 16;

struct RelayCounters {
  // Datagrams: received = forwarded + replied + the dropped, after every turn.
  Counter datagrams_received;
  Counter datagrams_forwarded;
  Counter datagrams_replied;
  CounterArray<DropReason, kDropReasons> datagrams_dropped;
  SizeHistogram<kBatchBounds> datagram_batches;  // received in one turn, where any were
  Counter datagram_bytes;                        // of payload forwarded, headers apart
  Counter notices;                               // sent unasked: BOUND and CLOSE to the counterpart
  Counter strays;  // arrived at another shard than their session's, passed on
  CounterArray<BindOutcome, kBindOutcomes> binds;

  Counter connections;  // accepted
  CounterArray<JoinOutcome, kJoinOutcomes> joins;
  CounterArray<LaneEnd, kLaneEnds> lanes_ended;
  Counter stream_bytes;
  Counter lane_pauses;  // reading ceased since the other side did not take it
  Counter rate_pauses;  // or since the session was over its rate
  Counter accept_failures;

  Counter offences;
  Counter auto_blocks;
  Counter sessions_opened;
  Counter sessions_closed;
  Counter replies_lost;   // of our own datagrams, no slot being free
  Counter messages_lost;  // to control, its ring being full
  Counter turns;

  // Gauges.
  Counter sessions;
  Counter sessions_paired;
  Counter streams;
  Counter streams_half_open;
  Counter blocks;
  Counter stream_bytes_free;
  Counter demand;  // payload bytes that came within caps other than the global one
};

}  // namespace tandem
