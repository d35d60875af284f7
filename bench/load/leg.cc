#include "bench/load/leg.h"

#include <algorithm>
#include <numeric>

namespace tandem::bench {
namespace {

// What there is at one moment of a run.
struct Moment {
  CpuSample cpu;
  Tally tally;
  double far_cpu_s;
};

Moment look(const Leg& leg, const CpuAccount& account) {
  for (const auto& worker : leg.workers) worker->rethrow_failure();
  const Tally tally = leg.tally();
  return {.cpu = account.sample(), .tally = tally, .far_cpu_s = leg.far ? leg.far->cpu_s() : 0};
}

double seconds_between(const Moment& from, const Moment& to) {
  return std::chrono::duration<double>(to.cpu.at - from.cpu.at).count();
}

Interval interval_between(const Moment& origin, const Moment& from, const Moment& to) {
  const Tally tally = to.tally - from.tally;
  const CpuUse use = use_between(from.cpu, to.cpu);
  return {.from_s = seconds_between(origin, from),
          .to_s = seconds_between(origin, to),
          .bytes = tally.delivered_bytes,
          .packets = tally.delivered,
          // A late one closes a gap of an earlier interval.
          .lost = static_cast<std::int64_t>(tally.gaps) > 0 ? tally.gaps : 0,
          .relay_cpu_s = use.relay_s,
          .generator_cpu_s = use.generator_s,
          .machine_cpu_s = use.machine_busy_s};
}

std::vector<double> cpu_of_workers(const Leg& leg) {
  std::vector<double> used;
  for (const auto& worker : leg.workers) used.push_back(worker->cpu_s());
  return used;
}

std::vector<std::uint64_t> full_ns_of_workers(const Leg& leg) {
  std::vector<std::uint64_t> full;
  for (const auto& worker : leg.workers) full.push_back(worker->tally().full_ns);
  return full;
}

// How busy each worker has been since it was made. One that waits is as busy as its CPU says, one
// that spins as the share of its turns that had all the work they can take.
class Busyness {
 public:
  explicit Busyness(const Leg& leg)
      : leg_(leg), cpu_(cpu_of_workers(leg)), full_ns_(full_ns_of_workers(leg)) {}

  // Since construction, of the busiest.
  [[nodiscard]] double most(double seconds) const {
    const auto cpu = cpu_of_workers(leg_);
    const auto full_ns = full_ns_of_workers(leg_);
    double most = 0;
    for (std::size_t i = 0; i < cpu.size(); ++i) {
      const bool waits = leg_.workers[i]->load().waits();
      const double busy_s =
          waits ? cpu[i] - cpu_[i] : static_cast<double>(full_ns[i] - full_ns_[i]) * 1e-9;
      most = std::max(most, ratio(busy_s, seconds));
    }
    return most;
  }

 private:
  const Leg& leg_;
  std::vector<double> cpu_;
  std::vector<std::uint64_t> full_ns_;
};

void compare_flows(const Leg& leg, Measured& measured) {
  std::vector<std::uint64_t> bytes;
  for (const auto& worker : leg.workers) {
    const auto some = worker->load().delivered_by_flow();
    bytes.insert(bytes.end(), some.begin(), some.end());
  }
  const auto sum = std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0});
  if (sum == 0) return;
  const double mean = static_cast<double>(sum) / static_cast<double>(bytes.size());
  measured.least_share = static_cast<double>(std::ranges::min(bytes)) / mean;
  measured.most_share = static_cast<double>(std::ranges::max(bytes)) / mean;
}

}  // namespace

Tally Leg::tally() const {
  Tally sum;
  for (const auto& worker : workers) sum = sum + worker->tally();
  return far ? sum + far->tally() : sum;
}

void Leg::pace(double per_second) const {
  for (const auto& worker : workers) {
    worker->load().pace(per_second / static_cast<double>(workers.size()));
  }
}

void Leg::start() const {
  if (far) far->start();
  for (const auto& worker : workers) worker->start();
}

void Leg::stop() const {
  for (const auto& worker : workers) worker->stop();
  if (far) far->stop();
  for (const auto& worker : workers) worker->await_settled();
}

Latencies Leg::latencies() const {
  Latencies sum{.name = name, .histogram = {}};
  for (const auto& worker : workers) {
    const LatencyMeter* meter = worker->load().latencies();
    sum.histogram.merge(meter->histogram());
    sum.jitter_ns += meter->jitter_ns() / static_cast<double>(workers.size());
  }
  return sum;
}

Leg make_leg(std::string name, std::vector<SocketPair> pairs, std::size_t threads,
             const std::vector<int>& cpus, const Interrupt& interrupt, const MakeLoad& make_load) {
  Leg leg{.name = std::move(name), .workers = {}};
  threads = std::clamp<std::size_t>(threads, 1, pairs.size());
  for (std::size_t i = 0; i < threads; ++i) {
    const auto first = pairs.size() * i / threads;
    const auto end = pairs.size() * (i + 1) / threads;
    std::vector<SocketPair> some(std::make_move_iterator(pairs.begin() + first),
                                 std::make_move_iterator(pairs.begin() + end));
    const double share = static_cast<double>(end - first) / static_cast<double>(pairs.size());
    const int cpu = cpus.empty() ? -1 : cpus[i % cpus.size()];
    leg.workers.push_back(
        std::make_unique<Worker>(make_load(std::move(some), first, share), cpu, interrupt));
  }
  return leg;
}

Measured measure(const Leg& leg, const Timing& timing, const CpuAccount& account,
                 const Interrupt& interrupt, const Tell& tell,
                 const std::function<bool()>& is_done) {
  const auto forget_latencies = [&leg] {
    for (const auto& worker : leg.workers) worker->forget_latencies();
  };
  Measured measured;
  forget_latencies();  // of an earlier measurement
  leg.start();
  interrupt.wait_until(Clock::now() + to_duration(timing.warm_up_s));
  if (timing.warm_up_s > 0) forget_latencies();
  const Busyness busyness(leg);
  const Moment begin = look(leg, account);
  const auto end_at = begin.cpu.at + to_duration(timing.seconds);
  const auto step = to_duration(timing.interval_s > 0 ? timing.interval_s : timing.seconds);
  Moment last = begin;
  for (auto next = begin.cpu.at + step; last.cpu.at < end_at; next += step) {
    const bool reached = interrupt.wait_until(std::min(next, end_at));
    const Moment now = look(leg, account);
    if (timing.interval_s > 0) {
      measured.intervals.push_back(interval_between(begin, last, now));
      if (tell) tell(measured.intervals.back());
    }
    last = now;
    measured.interrupted = !reached;
    if (!reached || (is_done && is_done())) break;
  }
  measured.use = use_between(begin.cpu, last.cpu);
  measured.far_cpu_s = last.far_cpu_s - begin.far_cpu_s;
  measured.during = last.tally - begin.tally;
  measured.worker_busy = busyness.most(measured.use.wall_s);
  leg.stop();
  measured.overall = leg.tally();
  compare_flows(leg, measured);
  return measured;
}

}  // namespace tandem::bench
