// A leg: one route under load, by one or several threads here and perhaps another host, and the
// measuring of it. Knows nothing of what the load is.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/load/cpu_account.h"
#include "bench/load/report.h"
#include "bench/load/route.h"
#include "bench/load/worker.h"

namespace tandem::bench {

// The half of a run that is on another host. Calls throw std::runtime_error where it fails.
class FarHalf {
 public:
  virtual ~FarHalf() = default;
  virtual void start() = 0;
  [[nodiscard]] virtual Tally tally() = 0;
  // What its process had used when it was last asked.
  [[nodiscard]] virtual double cpu_s() const = 0;
  // Sending ends there; returns once what is under way has come or its time is over.
  virtual void stop() = 0;
};

struct Leg {
  std::string name;  // the route's
  std::vector<std::unique_ptr<Worker>> workers;
  std::unique_ptr<FarHalf> far = nullptr;

  [[nodiscard]] Tally tally() const;
  void pace(double per_second) const;  // all workers together; before start()
  void start() const;
  void stop() const;
  [[nodiscard]] Latencies latencies() const;  // after stop()
};

// Makes the load of some of the pairs: `first` is the first one's number, `share` their part of
// all.
using MakeLoad = std::function<std::unique_ptr<Load>(std::vector<SocketPair> pairs,
                                                     std::size_t first, double share)>;
// The pairs are dealt out to `threads` workers, worker n on the n-th of `cpus` (round and round; an
// empty list pins none).
[[nodiscard]] Leg make_leg(std::string name, std::vector<SocketPair> pairs, std::size_t threads,
                           const std::vector<int>& cpus, const Interrupt& interrupt,
                           const MakeLoad& make_load);

struct Timing {
  double warm_up_s = 0.5;
  double seconds = 5;
  double interval_s = 1;  // 0: none are told
};

using Tell = std::function<void(const Interval&)>;

struct Measured {
  CpuUse use;
  double far_cpu_s = 0;  // of the other host's generator
  Tally during;          // of the measured time
  Tally overall;         // from the first byte to the last one, the warm-up among it
  std::vector<Interval> intervals;
  // Of the busiest worker: the share of its time that it could not have done with less.
  double worker_busy = 0;
  // Bytes of the flow that got least, and of the one that got most, by the mean; 1 is even.
  double least_share = 1;
  double most_share = 1;
  bool interrupted = false;
};

// Warms up, measures and stops the leg. An interrupt ends it early, with what there is; so does
// `is_done` where one is given, which is asked after each interval.
[[nodiscard]] Measured measure(const Leg& leg, const Timing& timing, const CpuAccount& account,
                               const Interrupt& interrupt, const Tell& tell,
                               const std::function<bool()>& is_done = {});

}  // namespace tandem::bench
