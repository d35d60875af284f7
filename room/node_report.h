// How this node is, as probes and operators are told: the state that it is judged by, the verdicts
// and their JSON. Pure; whoever asks gathers the state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/relay_control.h"
#include "room/process_metrics.h"

namespace tandem {

struct NodeState {
  std::int64_t unix_ms = 0;
  Nanos uptime = 0;
  RelayState relay = RelayState::starting;
  bool shards_answer = true;  // RelayControl::healthy()
  std::uint64_t sessions = 0;
  std::uint64_t sessions_max = 0;
  std::vector<ShardSummary> shards;
  ProcessSample process;
};

enum class Health : std::uint8_t { ok, degraded, error };

struct HealthChecks {
  Health memory = Health::ok;            // degraded: under 5 % of the host's memory is available
  Health file_descriptors = Health::ok;  // degraded: over 90 % of the limit are open
  Health shards = Health::ok;            // error: one does not answer, or the relay has stopped

  [[nodiscard]] Health worst() const;
};
[[nodiscard]] HealthChecks check_health(const NodeState& node);

// Whether new sessions should be sent here. A node that is not ready may be healthy.
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
