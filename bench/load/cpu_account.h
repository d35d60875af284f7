// Owns the reading of CPU time and memory from /proc: the measured processes, the generator itself
// and the whole machine. Knows nothing of what they do. Sources: proc(5), Linux 6.1.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <vector>

namespace tandem::bench {

struct CpuSample {
  std::chrono::steady_clock::time_point at;
  double relay_s = 0;         // user + system of the measured processes, kernel threads among it
  double relay_kernel_s = 0;  // of these the kernel's threads: io_uring's pollers and workers
  double generator_s = 0;     // this process and its waited-for children
  double machine_busy_s = 0;  // all cores, neither idle nor stolen by the hypervisor
  double stolen_s = 0;
};

// What was used between two samples; the same units.
struct CpuUse {
  double wall_s = 0;
  double relay_s = 0;
  double relay_kernel_s = 0;
  double generator_s = 0;
  double machine_busy_s = 0;
  double stolen_s = 0;
  // Busy time of nobody in this measurement. Well above zero the machine was not quiet, and the
  // machine figure says nothing.
  double foreign_s = 0;
};

class CpuAccount {
 public:
  // `relay` may be empty (no relay in the way). A process counts with its threads and with its
  // children, those that have ended among them.
  explicit CpuAccount(std::vector<pid_t> relay) : relay_(std::move(relay)) {}

  // Throws std::runtime_error where a measured process is gone: its figures would be lies.
  [[nodiscard]] CpuSample sample() const;
  // Resident bytes of the measured processes, from smaps_rollup: each page shared with others
  // counts by its share (Pss).
  [[nodiscard]] std::uint64_t resident_bytes() const;
  // Context switches of all their threads so far: wake-ups, in an idle process.
  [[nodiscard]] std::uint64_t switches() const;
  [[nodiscard]] bool has_relay() const { return !relay_.empty(); }

 private:
  // Calls `read` with each measured process, its children, children's children and so on, each
  // once.
  template <typename Read>
  void each(Read read) const;

  std::vector<pid_t> relay_;
};

[[nodiscard]] CpuUse use_between(const CpuSample& from, const CpuSample& to);

// Pins the calling thread; a negative cpu leaves it where it is.
void pin_to_cpu(int cpu);

}  // namespace tandem::bench
