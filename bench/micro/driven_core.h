// One shard's policy without its loop: a clock that the benchmark turns, seeded randomness, a key
// to mint tokens with, and clients that get their bindings as docs/PROTOCOL.md has it. Limits are
// in force as in a default configuration, and so high that nobody reaches them.
#pragma once

#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "bench/micro/micro.h"
#include "relay/core/relay_core.h"

namespace tandem::bench {

class DrivenCore {
 public:
  DrivenCore(uint32_t sessions_max, uint32_t streams_max);

  // Begins a turn, `passed` after the last.
  void begin_turn(Nanos passed);
  // What is due, as many as the shard's loop fires in a turn.
  void fire_timers() { core_->on_timers(kTimerBudget); }
  // Everything that was decided is done.
  void forget() {
    Decisions& decisions = core_->decisions();
    benchmark::DoNotOptimize(decisions.forwards.data());
    benchmark::DoNotOptimize(decisions.replies.data());
    benchmark::ClobberMemory();
    decisions.forwards.clear();
    decisions.replies.clear();
    decisions.actions.clear();
    decisions.messages.clear();
  }

  [[nodiscard]] TokenBytes token(uint64_t session_id, uint8_t slot) const;
  [[nodiscard]] RelayCore& core() { return *core_; }
  [[nodiscard]] const RelayCounters& counters() const { return core_->counters(); }
  [[nodiscard]] Decisions& decisions() { return core_->decisions(); }
  [[nodiscard]] Nanos now() const { return now_; }

  static constexpr LocalAddress kLocal{IpAddress::v4(198, 51, 100, 1), 0};
  // A client of its own for each number below 2^24.
  [[nodiscard]] static Endpoint client(uint32_t number) {
    return {IpAddress::from_v4(0x0a000000 | number), 4000};
  }

 private:
  static constexpr uint32_t kTimerBudget = 256;
  static constexpr Nanos kStart = 1000 * kNanosPerSecond;

  ShardSettings settings_;
  std::unique_ptr<SharedCounts> shared_;
  Nanos now_ = kStart;
  Random random_{13};
  std::unique_ptr<RelayCore> core_;
};

// A client's BIND, and what comes back.
class Binder {
 public:
  Binder(DrivenCore& driven, const TokenBytes& token, const Endpoint& from);

  [[nodiscard]] Datagram first_bind();
  // Gets a cookie, so that bind() is whole from then on.
  void be_challenged();
  [[nodiscard]] Datagram bind();
  // Both, and the channel that BOUND names.
  [[nodiscard]] uint32_t be_bound();

  static constexpr size_t kSize = kBindMin;

 private:
  [[nodiscard]] Datagram datagram();
  // The one answer to it.
  [[nodiscard]] Reply feed(const Datagram& datagram);

  DrivenCore& driven_;
  TokenBytes token_;
  Endpoint from_;
  std::array<uint8_t, kSize> bytes_{};
};

// Full of sessions that are paired over UDP, with a row of DATA of all their ends in random order,
// so that nobody falls silent.
class PairedSessions {
 public:
  explicit PairedSessions(uint32_t sessions);

  static constexpr uint32_t kPayload = 200;

  // The next of the row, at most as many as it has, as the kernel would just have written them.
  [[nodiscard]] std::span<const Datagram> next(size_t count) {
    if (at_ + count > row_.size()) at_ = 0;
    for (size_t i = at_; i < at_ + count; ++i) std::memcpy(row_[i].data, &headers_[i], kHeaderSize);
    at_ += count;
    return std::span(row_).subspan(at_ - count, count);
  }
  // A whole turn of the shard but for its I/O; a packet comes each microsecond.
  void turn(std::span<const Datagram> batch, uint64_t packets) {
    driven.begin_turn(static_cast<Nanos>(packets) * kNanosPerMicrosecond);
    driven.core().on_datagrams(batch);
    driven.forget();
    driven.fire_timers();
    driven.forget();
  }

  DrivenCore driven;

 private:
  struct Session {
    uint8_t shard_key;
    uint32_t channel;
  };
  static constexpr size_t kHeaderSize = kDataHeaderSize;
  using Header = std::array<uint8_t, kHeaderSize>;
  // A back end's receive buffer. A few that are used again and again: what has just come is in the
  // cache.
  using Buffer = std::array<uint8_t, 2048>;
  static constexpr uint32_t kBuffers = 64;

  [[nodiscard]] static Endpoint end_of(uint32_t session, uint32_t slot) {
    return DrivenCore::client(2 * session + slot);
  }
  void pair(uint32_t session, uint64_t id);
  void fill_row();
  void add_to_row(uint32_t session, uint32_t slot);
  void check_row();

  std::vector<Session> sessions_;
  std::vector<Buffer> buffers_;
  std::vector<Datagram> row_;
  std::vector<Header> headers_;  // of the row's datagrams
  std::vector<Endpoint> expected_;
  size_t at_ = 0;
};

}  // namespace tandem::bench
