// Owns the end of a run before its time: Ctrl-C (SIGINT) or SIGTERM, which once asks for what there
// is and a second time ends the process at once, and a worker that failed. Knows no run.
#pragma once

#include <poll.h>

#include "bench/load/load.h"
#include "bench/load/socket.h"

namespace tandem::bench {

class Interrupt {
 public:
  // Takes the signals: at most one at a time, they are the process's.
  Interrupt();
  // For one run of several: interrupted when `process` is, which outlives it, and woken alone.
  explicit Interrupt(const Interrupt* process);
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // A signal came.
  [[nodiscard]] bool raised() const;
  // Ends all waits, these and later ones. From any thread.
  void wake() const;
  // Waits until then, or until interrupted or woken; whether the time was reached.
  bool wait_until(Clock::time_point end) const;
  // Waits for `fd` to be readable; false where interrupted, woken or after `timeout_ms`.
  [[nodiscard]] bool wait_readable(int fd, int timeout_ms) const;

 private:
  enum class Woken { not_yet, here, readable };
  [[nodiscard]] Woken wait(pollfd file, Clock::duration timeout) const;

  const Interrupt* process_ = nullptr;
  Socket event_;
};

}  // namespace tandem::bench
