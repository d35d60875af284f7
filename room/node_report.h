// How this node is, as probes and operators are told: the state that it is judged by, the verdicts
// and their JSON. Pure; whoever asks gathers the state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/relay_control.h"
#include "room/process_metrics.h"

namespace tandem {

// The room service; one that is off is neither full nor missed.
struct RoomSummary {
  bool enabled = false;
  std::uint64_t connections = 0;  // to the room port
  std::uint64_t connections_max = 0;
  std::uint64_t clients = 0;  // over Socket.IO, of whatever transport
  std::uint64_t rooms = 0;
  std::uint64_t rooms_max = 0;
  std::uint64_t players = 0;  // seats that are taken
};

struct StorageSummary {
  std::string_view driver = "none";
  bool ok = true;           // the last write went through
  std::uint64_t queue = 0;  // writes that wait
  std::uint64_t queue_max = 0;
  std::uint64_t dropped = 0;  // writes lost to a full queue, since the start
};

struct RedisSummary {
  bool configured = false;
  bool connected = false;
  std::optional<double> response_ms{};  // of the last answer
};

struct NodeState {
  std::int64_t unix_ms = 0;
  Nanos uptime = 0;
  RelayState relay = RelayState::starting;
  bool shards_answer = true;  // RelayControl::healthy()
  std::uint64_t sessions = 0;
  std::uint64_t sessions_max = 0;
  std::vector<ShardSummary> shards;
  ProcessSample process;
  RoomSummary rooms = {};
  StorageSummary storage = {};
  RedisSummary redis = {};
};

enum class Health : std::uint8_t { ok, degraded, error };

struct HealthChecks {
  Health memory = Health::ok;            // degraded: under 5 % of the host's memory is available
  Health file_descriptors = Health::ok;  // degraded: over 90 % of the limit are open
  Health shards = Health::ok;            // error: one does not answer, or the relay has stopped
  // Never more than degraded: sessions and rooms live on without either.
  Health storage = Health::ok;  // writes fail, or their queue is over 90 % full
  Health redis = Health::ok;    // configured and not connected

  [[nodiscard]] Health worst() const;
};
[[nodiscard]] HealthChecks check_health(const NodeState& node);

// Whether new sessions should be sent here: full is one that has no room for a session or for a
// connection to its room port. A node that is not ready may be healthy.
enum class Readiness : std::uint8_t { ready, starting, draining, full, unhealthy };
[[nodiscard]] Readiness check_readiness(const NodeState& node);

[[nodiscard]] std::string_view to_string(Health health);
[[nodiscard]] std::string_view to_string(Readiness readiness);
[[nodiscard]] std::string_view to_string(RelayState state);

// One JSON object without a line end. The body of /health:
[[nodiscard]] std::string health_json(const NodeState& node);
// and the answer to `tandemctl status`: the same and what is in use.
[[nodiscard]] std::string status_json(const NodeState& node, const RelayFeatures& features);

}  // namespace tandem
