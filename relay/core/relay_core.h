// One shard's whole policy: events in, decisions out, no I/O. What the loop of a shard and the
// simulation drive.
#pragma once

#include "relay/core/datagram_path.h"
#include "relay/core/joining.h"
#include "relay/core/operations.h"
#include "relay/core/stream_pair.h"

namespace tandem {

class RelayCore {
 public:
  RelayCore(ShardPlace place, const ShardSettings& settings, SharedCounts& shared,
            Environment environment, Nanos now)
      : state_(place, settings, shared, environment, now),
        lifecycle_(state_),
        datagrams_(state_, lifecycle_),
        pair_(state_, lifecycle_),
        joining_(state_, lifecycle_, pair_),
        operations_(state_, lifecycle_) {}
  RelayCore(const RelayCore&) = delete;
  RelayCore& operator=(const RelayCore&) = delete;

  // Before anything else of a turn.
  void begin_turn(Nanos now, UnixSeconds unix_now, uint64_t stream_bytes_free);

  uint32_t on_datagrams(std::span<const Datagram> batch) { return datagrams_.on_datagrams(batch); }
  void on_stream_event(const StreamEvent& event);
  void on_command(const ToShard& command) { operations_.on_command(command); }
  // Fires what is due, at most `budget` timers.
  void on_timers(uint32_t budget);
  [[nodiscard]] std::optional<Nanos> next_deadline() const { return state_.timers.next_deadline(); }

  // ---- handing a connection over ----
  struct Departure {
    Endpoint remote;
    LocalAddress local;
    std::span<const uint8_t> read;  // its first line and what followed; valid until departed()
  };
  [[nodiscard]] Departure departure(StreamId id);
  void departed(StreamId id);
  void departure_failed(StreamId id);  // the other shard's ring is full
  void on_handed_over(StreamId id, const Endpoint& remote, const LocalAddress& local,
                      std::span<const uint8_t> read) {
    joining_.on_handed_over(id, remote, local, read);
  }

  [[nodiscard]] Decisions& decisions() { return state_.out; }
  [[nodiscard]] ShardState& state() { return state_; }
  [[nodiscard]] const RelayCounters& counters() const { return state_.counters; }
  [[nodiscard]] bool stopping() const { return operations_.stopping(); }

 private:
  ShardState state_;
  Lifecycle lifecycle_;
  DatagramPath datagrams_;
  StreamPair pair_;
  Joining joining_;
  Operations operations_;
};

}  // namespace tandem
