// Control's typed hand on the shards: sends commands, matches replies, deals out the global
// bandwidth, writes down what shards report. Lives on the control thread; reads the shards'
// counters and nothing else of theirs.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "common/relay_control.h"
#include "relay/core/relay_counters.h"
#include "relay/inbox.h"

namespace tandem {

// What the proxy may see of a running shard.
struct ShardView {
  int cpu = -1;
  Inbox* inbox = nullptr;
  const RelayCounters* counters = nullptr;
  std::function<void()> wake;
  std::function<void(Metrics&, uint32_t shard)> collect_io;  // the back end's own figures
  std::function<std::pair<uint64_t, uint64_t>()> buffers;    // free and total bytes
};

class ShardProxy final : public RelayControl {
 public:
  ShardProxy(std::vector<ShardView> shards, RelayFeatures features,
             std::unique_ptr<const ShardSettings> settings);

  // To be called when a shard has woken control, and every 100 ms.
  void drain();
  void tick(Nanos now);

  // Asks every shard to end its sessions and its loop; stopped() once all have.
  void stop();
  [[nodiscard]] bool stopped() const { return stopped_ == shards_.size(); }

  [[nodiscard]] RelayState state() const override { return state_; }
  [[nodiscard]] const RelayFeatures& features() const override { return features_; }
  [[nodiscard]] std::vector<ShardSummary> shards() const override;
  [[nodiscard]] uint64_t sessions() const override;
  [[nodiscard]] uint64_t sessions_max() const override { return settings_.back()->max_sessions; }
  [[nodiscard]] bool healthy() const override { return healthy_; }
  void collect(Metrics& into) const override;

  void kick(uint64_t session_id, Done done) override;
  void block(const Network& network, Nanos duration, Done done) override;
  void unblock(const Network& network, Done done) override;
  void blocks(std::function<void(RelayOutcome, std::vector<BlockRow>)> done) override;
  void list_sessions(uint32_t max,
                     std::function<void(RelayOutcome, std::vector<SessionRow>)> done) override;
  void describe_session(uint64_t session_id,
                        std::function<void(RelayOutcome, SessionRow)> done) override;
  void set_draining(bool draining) override;
  void apply(const ShardSettings& settings, Done done) override;

 private:
  // Something asked of one or all shards. Whoever answers last completes it.
  struct Request {
    uint32_t waiting = 0;
    Nanos deadline = 0;
    RelayOutcome outcome = RelayOutcome::not_found;
    uint32_t rows_max = 0;
    std::vector<SessionRow> sessions;
    std::vector<BlockRow> blocks;
    std::function<void(Request&)> complete;
  };
  using Complete = std::function<void(Request&)>;

  [[nodiscard]] RequestId open(uint32_t waiting, Complete complete);
  [[nodiscard]] bool send(uint32_t shard, const ToShard& command);
  // To all shards; the request fails where one's ring is full.
  void ask_all(const std::function<ToShard(RequestId)>& command, Complete complete);
  void ask(uint32_t shard, const std::function<ToShard(RequestId)>& command, Complete complete);
  void answered(RequestId request, RelayOutcome outcome);

  void on(uint32_t shard, const SessionRow& row);
  void on(uint32_t shard, const BlockRow& row);
  void on(uint32_t shard, const ListEnd& end);
  void on(uint32_t shard, const CommandDone& done);
  void on(uint32_t shard, const LogEvent& event);
  void on(uint32_t shard, const AutoBlocked& blocked);
  void on(uint32_t shard, const SettingsApplied& applied);
  void on(uint32_t shard, const ShardStopped& stopped);

  void expire(Nanos now);
  void check_health(Nanos now);
  void deal_global_bandwidth();

  std::vector<ShardView> shards_;
  RelayFeatures features_;
  // The newest at the end, before them those that a shard may still go by.
  std::deque<std::unique_ptr<const ShardSettings>> settings_;
  std::vector<const ShardSettings*> goes_by_;  // by shard
  RelayState state_ = RelayState::serving;
  std::map<RequestId, Request> requests_;
  RequestId last_request_ = 0;
  uint32_t stopped_ = 0;
  bool healthy_ = true;
  Nanos now_ = 0;
  Nanos health_checked_ = 0;
  std::vector<uint64_t> turns_;     // at the last check of health
  std::vector<uint32_t> standing_;  // checks in a row that found a shard where it was
  std::vector<uint64_t> demand_;    // at the last deal
};

}  // namespace tandem
