// The names under which existing dashboards and autoscalers look for what a game's rooms do
// (monitoring.compat_metrics), beside those with a prefix. The names are theirs, with their faults:
// gauges that end in _total, milliseconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "common/metrics.h"
#include "room/room_stats.h"

namespace tandem {

struct CompatFigures {
  std::string_view node;    // node.id
  std::string_view region;  // node.region
  std::uint64_t websockets = 0;
  std::uint64_t websockets_opened = 0;  // since the start
  std::uint64_t clients = 0;            // connected over Socket.IO
  std::uint64_t rooms = 0;
  std::vector<GameShare> games = {};  // largest_games(..., kGamesShown)
  std::uint64_t matches = 0;          // rooms that two or more are in
  bool redis_connected = false;
  std::uint64_t relay_bytes = 0;  // payload that the shards forwarded, since the start
  std::uint64_t resident_bytes = 0;
  std::map<unsigned, std::uint64_t> http_requests = {};  // by status
};

// Games that are named; the rest of the rooms are "other".
inline constexpr std::size_t kGamesShown = 50;

void append_compat_metrics(const RoomStats& stats, const CompatFigures& figures, Metrics& into);

// The sum of tandem_http_requests_total over all listeners by status, from what is on the page
// already.
[[nodiscard]] std::map<unsigned, std::uint64_t> http_requests_by_status(const Metrics& page);

}  // namespace tandem
