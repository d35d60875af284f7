// The operator's overview: everything that the dashboard draws, as plain values and as one JSON
// object. Pure; whoever asks gathers the values. What is counted is told as totals since the start,
// never as rates: the page subtracts, so two pages do not disturb each other.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/metrics.h"
#include "common/relay_control.h"
#include "room/node_report.h"

namespace tandem {

// How long the handling of clients' events took. counts[i] is of those up to bounds_ms[i] and above
// the bound before; one more, the last, of those above all bounds. Not cumulative.
struct EventLatency {
  std::vector<double> bounds_ms;
  std::vector<std::uint64_t> counts;
};

// The latency that `share` (0 to 1) of the events kept to, in milliseconds, interpolated within its
// bucket; of those above all bounds the last bound. Nothing where no event was counted.
[[nodiscard]] std::optional<double> latency_percentile(const EventLatency& latency, double share);

enum class StorageHealth : std::uint8_t {
  off,     // storage.driver = none
  ok,      // the last write went through
  behind,  // the queue grows or was full: what was counted as dropped is lost
  down,    // writes fail
};

struct StorageOverview {
  std::string driver = "none";
  StorageHealth health = StorageHealth::off;
  std::uint64_t queued = 0;
  std::uint64_t queue_max = 0;
  std::uint64_t written = 0;
  std::uint64_t failed = 0;
  std::uint64_t dropped = 0;
};

struct ClusterOverview {
  bool configured = false;
  bool connected = false;
  double response_ms = 0;   // of the last heartbeat
  std::uint64_t nodes = 0;  // alive, this one too
};

// The room service at a glance; gauges unless they say _total.
struct RoomOverview {
  bool enabled = false;
  std::uint64_t rooms = 0;
  std::uint64_t rooms_max = 0;
  std::uint64_t members = 0;      // seats that are taken
  std::uint64_t clients = 0;      // Socket.IO clients, of whatever transport
  std::uint64_t connections = 0;  // TCP connections on the room port
  std::uint64_t connections_max = 0;
  std::uint64_t websockets = 0;
  std::uint64_t subscribers = 0;  // of the room list
  std::uint64_t events_total = 0;
  std::uint64_t events_refused_total = 0;  // over a rate
  std::uint64_t p2p_succeeded_total = 0;
  std::uint64_t p2p_failed_total = 0;
  std::uint64_t authentications_failed_total = 0;
  EventLatency latency;
  StorageOverview storage;
  ClusterOverview cluster;
};

struct Overview {
  std::string_view id;    // node.id
  std::string_view host;  // node.public_host, may be empty
  std::string_view region;
  NodeState node;
  RelayFeatures features;
  Metrics relay;  // RelayControl::collect()
  RoomOverview rooms;
};

[[nodiscard]] std::string_view to_string(StorageHealth health);

// status_json() without "ok", and beside it "id", "host", "region", "uptimeMs", "process",
// "traffic", "rooms", "latency", "storage" and "cluster". Without a line end.
[[nodiscard]] std::string overview_json(const Overview& overview);

}  // namespace tandem
