// What the control core may ask of the relay, without knowing shards: implemented by
// relay/shard_proxy, used by room/. Everything here runs on the control thread, callbacks too.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/control.h"
#include "common/metrics.h"

namespace tandem {

// What is in use, told once in the log and in `tandemctl status`.
struct RelayFeatures {
  std::string backend;                       // "io_uring"
  std::string submission;                    // "defer", "sqpoll"
  std::string zero_copy;                     // "off", "splice", "send_zc"
  std::vector<std::string> kernel_features;  // "recv_bundle", "udp_gro" ...
};

struct ShardSummary {
  uint16_t shard = 0;
  int cpu = -1;
  uint64_t sessions = 0;
  uint64_t sessions_paired = 0;
  uint64_t streams = 0;
  uint64_t datagrams_received = 0;
  uint64_t datagrams_forwarded = 0;
  uint64_t datagrams_dropped = 0;
  uint64_t stream_bytes = 0;
  uint64_t datagram_bytes = 0;
  uint64_t buffers_free = 0;
  uint64_t buffers_total = 0;
  uint64_t turns = 0;  // of its loop: one that stands still while it should not is a fault
};

enum class RelayState : uint8_t { starting, serving, draining, stopped };

// `request_failed`: a shard's command ring was full or it did not answer within two seconds.
enum class RelayOutcome : uint8_t { done, not_found, table_full, request_failed };

class RelayControl {
 public:
  virtual ~RelayControl() = default;

  [[nodiscard]] virtual RelayState state() const = 0;
  [[nodiscard]] virtual const RelayFeatures& features() const = 0;
  [[nodiscard]] virtual std::vector<ShardSummary> shards() const = 0;
  [[nodiscard]] virtual uint64_t sessions() const = 0;
  [[nodiscard]] virtual uint64_t sessions_max() const = 0;
  // True while every shard's loop answers: the systemd watchdog hangs on it.
  [[nodiscard]] virtual bool healthy() const = 0;
  virtual void collect(Metrics& into) const = 0;

  using Done = std::function<void(RelayOutcome)>;
  virtual void kick(uint64_t session_id, Done done) = 0;
  virtual void block(const Network& network, Nanos duration, Done done) = 0;
  virtual void unblock(const Network& network, Done done) = 0;
  virtual void blocks(std::function<void(RelayOutcome, std::vector<BlockRow>)> done) = 0;
  // At most `max` rows (over all shards, bounded by 10,000), the busiest first.
  virtual void list_sessions(uint32_t max,
                             std::function<void(RelayOutcome, std::vector<SessionRow>)> done) = 0;
  virtual void describe_session(uint64_t session_id,
                                std::function<void(RelayOutcome, SessionRow)> done) = 0;

  virtual void set_draining(bool draining) = 0;
  // Done once every shard goes by them.
  virtual void apply(const ShardSettings& settings, Done done) = 0;
};

}  // namespace tandem
