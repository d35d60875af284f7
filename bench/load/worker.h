// A thread that takes a load's turns, and what others may see of it meanwhile. Whoever measures
// starts and stops it, and reads what it has published.
#pragma once

#include <array>
#include <atomic>
#include <exception>
#include <memory>
#include <thread>

#include "bench/load/interrupt.h"
#include "bench/load/load.h"

namespace tandem::bench {

class Worker {
 public:
  // Pinned to `cpu` where that is not negative. A failure of the load wakes `interrupt`.
  Worker(std::unique_ptr<Load> load, int cpu, const Interrupt& interrupt);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start();
  // Sending ends; what is under way may still come.
  void stop();
  // After stop(): returns once everything has come or the load's time for that is over. Rethrows
  // what the load threw.
  void await_settled();
  void rethrow_failure() const;

  // As of its last turn. Readable at any time.
  [[nodiscard]] Tally tally() const;
  // The CPU that the thread has used, in seconds.
  [[nodiscard]] double cpu_s() const;
  // Before its next turn.
  void forget_latencies() { forget_.store(true); }
  // Only between await_settled() and the next start().
  [[nodiscard]] Load& load() const { return *load_; }

 private:
  enum class State { idle, sending, settling, failed, ended };

  void live(int cpu);
  void take_turns();
  void publish(Tally tally, std::uint64_t full_ns);

  std::unique_ptr<Load> load_;
  const Interrupt& interrupt_;
  std::atomic<State> state_{State::idle};
  std::atomic<bool> forget_{false};
  std::array<std::atomic<std::uint64_t>, Tally::kFields> published_{};
  std::uint64_t full_ns_ = 0;
  std::exception_ptr failure_;
  std::thread thread_;  // the last member: it uses the others
};

}  // namespace tandem::bench
