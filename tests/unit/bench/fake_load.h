// A load without sockets: a message a turn while it sends, of which the last few are under way.
// What the worker's thread does with it is counted, and what it shall do can be said from another
// one.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "bench/load/worker.h"

namespace tandem::bench {

struct FakeScript {
  std::atomic<bool> fails{false};
  std::atomic<std::int64_t> latency_ns{1000};
  Turn turn = Turn::some;
  bool waits = false;
  bool loses = false;  // the last few never come
  Clock::duration drain_timeout = std::chrono::seconds(30);
  std::vector<std::uint64_t> by_flow = {1};

  std::atomic<int> starts{0};
  std::atomic<int> stops{0};
  std::atomic<bool> sent_when_off{false};  // a turn that was to send came after stop()
  std::thread::id thread;                  // that took the turns
  double per_second = -1;
};

class FakeLoad : public Load {
 public:
  static constexpr std::uint64_t kUnderWay = 3;
  static constexpr std::uint64_t kSize = 100;

  explicit FakeLoad(FakeScript& script) : script_(script), latencies_(1) {}

  void start(Clock::time_point) override {
    ++script_.starts;
    script_.thread = std::this_thread::get_id();
    stopped_ = false;
  }
  Turn turn(Clock::time_point, Sending sending) override {
    std::this_thread::yield();
    if (script_.fails) throw std::runtime_error("as the script says");
    if (sending == Sending::on) {
      if (stopped_) script_.sent_when_off = true;
      ++tally_.sent;
    }
    const bool may_come = sending == Sending::on ? tally_.sent > tally_.delivered + kUnderWay
                                                 : tally_.sent > tally_.delivered && !script_.loses;
    if (may_come) {
      ++tally_.delivered;
      tally_.delivered_bytes += kSize;
      latencies_.record(0, script_.latency_ns);
    }
    return script_.turn;
  }
  void stop() override {
    ++script_.stops;
    stopped_ = true;
  }
  void pace(double per_second) override { script_.per_second = per_second; }
  bool drained() const override { return tally_.delivered == tally_.sent; }
  Clock::duration drain_timeout() const override { return script_.drain_timeout; }
  Tally tally() const override { return tally_; }
  std::vector<std::uint64_t> delivered_by_flow() const override { return script_.by_flow; }
  LatencyMeter* latencies() override { return &latencies_; }
  bool waits() const override { return script_.waits; }

 private:
  FakeScript& script_;
  Tally tally_;
  LatencyMeter latencies_;
  bool stopped_ = false;
};

inline std::unique_ptr<Worker> fake_worker(FakeScript& script, const Interrupt& interrupt,
                                           int cpu = -1) {
  return std::make_unique<Worker>(std::make_unique<FakeLoad>(script), cpu, interrupt);
}

// Until the worker has taken so many further turns that it sent in, or failed.
inline void await_turns(const Worker& worker, std::uint64_t turns) {
  const auto deadline = Clock::now() + std::chrono::seconds(30);
  for (const auto until = worker.tally().sent + turns; worker.tally().sent < until;) {
    worker.rethrow_failure();
    if (Clock::now() > deadline) throw std::runtime_error("the worker stands still");
    std::this_thread::yield();
  }
}

}  // namespace tandem::bench
