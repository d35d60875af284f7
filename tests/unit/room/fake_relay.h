// A relay without shards: says what a test tells it and notes what it is asked. Answers at once
// unless `hold` is set, then when release() is called.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "common/relay_control.h"

namespace tandem {

class FakeRelay final : public RelayControl {
 public:
  FakeRelay() {
    features_ = {"io_uring", "defer", "off", {"recv_bundle", "udp_gro"}};
    shards_ = {{.shard = 0,
                .cpu = 1,
                .sessions = 2,
                .sessions_paired = 1,
                .streams = 3,
                .datagrams_received = 10,
                .datagrams_forwarded = 8,
                .datagrams_dropped = 2,
                .stream_bytes = 4096,
                .datagram_bytes = 1200,
                .buffers_free = 192,
                .buffers_total = 256,
                .turns = 77}};
    for (const std::uint64_t id : {0x0123456789abcdefULL, 0xfedcba9876543210ULL}) {
      SessionRow row{.session_id = id,
                     .paired = true,
                     .age = 90 * kNanosPerSecond,
                     .idle = 20 * kNanosPerMillisecond,
                     .rate_bytes_per_second = 125'000,
                     .dropped_packets = 4,
                     .ends = {}};
      row.ends[0] = {.udp = {IpAddress::v4(192, 0, 2, 7), 4000},
                     .tcp_streams = 1,
                     .bytes = 1 << 20,
                     .packets = 900,
                     .tcp = {IpAddress::v4(192, 0, 2, 7), 4001}};
      row.ends[1] = {.udp = {},
                     .tcp_streams = 1,
                     .bytes = 512,
                     .packets = 0,
                     .tcp = {*IpAddress::parse("2001:db8::7"), 5000}};
      rows_[id] = row;
    }
  }

  [[nodiscard]] RelayState state() const override { return state_; }
  [[nodiscard]] const RelayFeatures& features() const override { return features_; }
  [[nodiscard]] std::vector<ShardSummary> shards() const override { return shards_; }
  [[nodiscard]] std::uint64_t sessions() const override { return rows_.size(); }
  [[nodiscard]] std::uint64_t sessions_max() const override { return sessions_max_; }
  [[nodiscard]] bool healthy() const override { return healthy_; }
  void collect(Metrics& into) const override {
    into.push_back({"tandem_sessions", "Sessions of a shard.", MetricType::gauge, "shard=\"0\"",
                    static_cast<double>(rows_.size())});
  }

  void kick(std::uint64_t session_id, Done done) override {
    const auto outcome =
        rows_.erase(session_id) == 1 ? RelayOutcome::done : RelayOutcome::not_found;
    answer([done = std::move(done), outcome] { done(outcome); });
  }
  void block(const Network& network, Nanos duration, Done done) override {
    blocks_.push_back({.network = network, .remaining = duration});
    answer([done = std::move(done)] { done(RelayOutcome::done); });
  }
  void unblock(const Network& network, Done done) override {
    const auto gone =
        std::erase_if(blocks_, [&](const BlockRow& row) { return row.network == network; });
    answer([done = std::move(done), gone] {
      done(gone > 0 ? RelayOutcome::done : RelayOutcome::not_found);
    });
  }
  void blocks(std::function<void(RelayOutcome, std::vector<BlockRow>)> done) override {
    answer([done = std::move(done), rows = blocks_] { done(RelayOutcome::done, rows); });
  }
  void list_sessions(std::uint32_t max,
                     std::function<void(RelayOutcome, std::vector<SessionRow>)> done) override {
    std::vector<SessionRow> rows;
    for (const auto& [id, row] : rows_)
      if (rows.size() < max) rows.push_back(row);
    answer([done = std::move(done), rows] { done(RelayOutcome::done, rows); });
  }
  void describe_session(std::uint64_t session_id,
                        std::function<void(RelayOutcome, SessionRow)> done) override {
    const auto found = rows_.find(session_id);
    const bool known = found != rows_.end();
    answer([done = std::move(done), known, row = known ? found->second : SessionRow{}] {
      done(known ? RelayOutcome::done : RelayOutcome::not_found, row);
    });
  }
  void set_draining(bool draining) override {
    state_ = draining ? RelayState::draining : RelayState::serving;
  }
  void apply(const ShardSettings&, Done done) override { done(RelayOutcome::done); }

  void release() {
    for (const auto& held : std::exchange(held_, {})) held();
  }

  RelayState state_ = RelayState::serving;
  RelayFeatures features_;
  std::vector<ShardSummary> shards_;
  std::map<std::uint64_t, SessionRow> rows_;
  std::vector<BlockRow> blocks_;
  std::uint64_t sessions_max_ = 1000;
  bool healthy_ = true;
  bool hold_ = false;

 private:
  void answer(std::function<void()> call) {
    if (!hold_) return call();
    held_.push_back(std::move(call));
  }

  std::vector<std::function<void()>> held_;
};

}  // namespace tandem
