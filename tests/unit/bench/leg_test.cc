#include "bench/load/leg.h"

#include <doctest/doctest.h>

#include <array>
#include <utility>

#include "tests/unit/bench/fake_load.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

const CpuAccount kNoRelay{{}};

// A leg of two workers.
struct TwoWorkers {
  TwoWorkers() {
    leg.name = "fake";
    for (auto& script : scripts) leg.workers.push_back(fake_worker(script, interrupt));
  }
  Measured run(const Timing& timing, const Tell& tell = {}) {
    return measure(leg, timing, kNoRelay, interrupt, tell);
  }

  const Interrupt interrupt;
  std::array<FakeScript, 2> scripts;
  Leg leg;
};

constexpr Timing kShort{.warm_up_s = 0.01, .seconds = 0.05, .interval_s = 0.02};

TEST_CASE("the pairs are dealt out to the threads, with their number and share") {
  const Interrupt interrupt;
  FakeScript script;
  struct Dealt {
    std::size_t pairs;
    std::size_t first;
    double share;
    bool operator==(const Dealt&) const = default;
  };
  const auto deal = [&](std::size_t pairs, std::size_t threads) {
    std::vector<Dealt> dealt;
    const Leg leg = make_leg("it", std::vector<SocketPair>(pairs), threads, {}, interrupt,
                             [&](std::vector<SocketPair> some, std::size_t first, double share) {
                               dealt.push_back({some.size(), first, share});
                               return std::make_unique<FakeLoad>(script);
                             });
    CHECK(leg.name == "it");
    CHECK(leg.workers.size() == dealt.size());
    return dealt;
  };
  CHECK((deal(5, 1) == std::vector<Dealt>{{5, 0, 1}}));
  CHECK((deal(5, 2) == std::vector<Dealt>{{2, 0, 0.4}, {3, 2, 0.6}}));
  CHECK((deal(2, 8) == std::vector<Dealt>{{1, 0, 0.5}, {1, 1, 0.5}}));  // a thread without none
  CHECK((deal(4, 0) == std::vector<Dealt>{{4, 0, 1}}));
}

TEST_CASE("a rate is dealt out too") {
  TwoWorkers two;
  two.leg.pace(1000);
  CHECK(two.scripts[0].per_second == 500);
  CHECK(two.scripts[1].per_second == 500);
}

TEST_CASE("everything that was sent is waited for, of both workers") {
  TwoWorkers two;
  const Measured measured = two.run(kShort);
  for (const FakeScript& script : two.scripts) {
    CHECK(script.starts == 1);
    CHECK(script.stops == 1);
  }
  CHECK(measured.overall.sent > 0);
  CHECK(measured.overall.delivered == measured.overall.sent);
  CHECK(measured.overall == two.leg.workers[0]->load().tally() +
                                two.leg.workers[1]->load().tally() +
                                Tally{.full_ns = measured.overall.full_ns});
  CHECK(measured.during.delivered > 0);
  CHECK(measured.during.delivered < measured.overall.delivered);  // there was a warm-up
  CHECK(measured.use.wall_s >= 0.05);
  CHECK(!measured.interrupted);
}

TEST_CASE("the intervals follow one another and add up to the whole") {
  TwoWorkers two;
  std::size_t told = 0;
  const Measured measured = two.run(kShort, [&told](const Interval& interval) {
    CHECK(interval.to_s > interval.from_s);
    ++told;
  });
  REQUIRE(measured.intervals.size() >= 2);
  CHECK(told == measured.intervals.size());
  double end = 0;
  std::uint64_t bytes = 0;
  std::uint64_t packets = 0;
  double generator_cpu_s = 0;
  for (const Interval& interval : measured.intervals) {
    CHECK(interval.from_s == end);
    end = interval.to_s;
    bytes += interval.bytes;
    packets += interval.packets;
    generator_cpu_s += interval.generator_cpu_s;
  }
  CHECK(end == measured.use.wall_s);
  CHECK(bytes == measured.during.delivered_bytes);
  CHECK(packets == measured.during.delivered);
  CHECK(generator_cpu_s == doctest::Approx(measured.use.generator_s));
}

TEST_CASE("without an interval none is told") {
  TwoWorkers two;
  const Measured measured = two.run({.warm_up_s = 0, .seconds = 0.02, .interval_s = 0},
                                    [](const Interval&) { FAIL("told"); });
  CHECK(measured.intervals.empty());
  CHECK(measured.during.delivered > 0);
}

TEST_CASE("an interrupt ends it early, with what there is") {
  TwoWorkers two;
  std::thread waker([&two] {
    await_turns(*two.leg.workers[0], 100);
    two.interrupt.wake();
  });
  const Measured measured = two.run({.warm_up_s = 0, .seconds = 600, .interval_s = 300});
  waker.join();
  CHECK(measured.interrupted);
  CHECK(measured.use.wall_s < 300);
  CHECK(measured.intervals.size() == 1);
  CHECK(measured.overall.delivered == measured.overall.sent);
  CHECK(measured.overall.sent >= 100);
}

TEST_CASE("what one worker's load throws ends the measuring") {
  TwoWorkers two;
  std::thread breaker([&two] {
    await_turns(*two.leg.workers[1], 10);
    two.scripts[1].fails = true;
  });
  CHECK_THROWS_WITH_AS((void)two.run({.warm_up_s = 0, .seconds = 600, .interval_s = 300}),
                       "as the script says", std::runtime_error);
  breaker.join();
}

TEST_CASE("latencies of the warm-up are not among those of the run") {
  TwoWorkers two;
  for (auto& script : two.scripts) script.latency_ns = 1'000'000;
  std::thread changer([&two] {
    // Within the warm-up, which is over when its own latencies have been recorded.
    for (const auto& worker : two.leg.workers) await_turns(*worker, 10);
    for (auto& script : two.scripts) script.latency_ns = 1000;
    for (const auto& worker : two.leg.workers) await_turns(*worker, 2);
    two.interrupt.wake();
  });
  const Measured measured = two.run({.warm_up_s = 600, .seconds = 600, .interval_s = 0});
  changer.join();
  CHECK(measured.interrupted);
  const Latencies latencies = two.leg.latencies();
  CHECK(latencies.name == "fake");
  CHECK(latencies.histogram.max_ns() <= 1000);
}

TEST_CASE("a run's latencies are those of all workers, its jitter their mean") {
  TwoWorkers two;
  two.leg.start();
  for (const auto& worker : two.leg.workers) await_turns(*worker, 10);
  two.leg.stop();
  const Latencies latencies = two.leg.latencies();
  CHECK(latencies.histogram.count() == two.leg.tally().delivered);
  CHECK(latencies.jitter_ns == 0);  // all are the same
}

TEST_CASE("the busiest worker: by its full turns where it spins, by its CPU where it waits") {
  TwoWorkers two;
  SUBCASE("full") {
    two.scripts[1].turn = Turn::full;
    CHECK(two.run(kShort).worker_busy > 0.1);
  }
  SUBCASE("idle") {
    CHECK(two.run(kShort).worker_busy == 0);
  }
  SUBCASE("in the kernel's eyes") {
    for (auto& script : two.scripts) script.waits = true;
    CHECK(two.run(kShort).worker_busy > 0);
  }
}

TEST_CASE("how even the flows were, over all workers") {
  TwoWorkers two;
  two.scripts[0].by_flow = {10, 20};
  two.scripts[1].by_flow = {30, 60};
  Measured measured = two.run(kShort);
  CHECK(measured.least_share == doctest::Approx(1.0 / 3));
  CHECK(measured.most_share == 2);
  for (auto& script : two.scripts) script.by_flow = {0, 0};
  measured = two.run(kShort);
  CHECK(measured.least_share == 1);
  CHECK(measured.most_share == 1);
}

// On another host: it has delivered what it says.
class FakeHalf : public FarHalf {
 public:
  explicit FakeHalf(std::string& calls) : calls_(calls) {}
  void start() override { calls_ += 's'; }
  double cpu_s() const override { return static_cast<double>(delivered_ - 1'000'000'000); }
  Tally tally() override { return {.delivered = ++delivered_, .delivered_bytes = 7}; }
  void stop() override { calls_ += 'e'; }

 private:
  std::string& calls_;
  std::uint64_t delivered_ = 1'000'000'000;
};

TEST_CASE("the half on another host is started, asked and stopped, and counts") {
  TwoWorkers two;
  std::string calls;
  two.leg.far = std::make_unique<FakeHalf>(calls);
  const Measured measured = two.run(kShort);
  CHECK(calls == "se");
  CHECK(measured.overall.delivered > 1'000'000'000);
  CHECK(measured.during.delivered > 0);
  CHECK(measured.during.delivered < 1'000'000'000);
  CHECK(measured.far_cpu_s >= 1);  // of the asking between the first look and the last
}

}  // namespace
}  // namespace tandem::bench
