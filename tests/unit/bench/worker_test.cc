#include "bench/load/worker.h"

#include <doctest/doctest.h>
#include <sched.h>

#include "tests/unit/bench/fake_load.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

struct Working {
  explicit Working(int cpu = -1) : worker(fake_worker(script, interrupt, cpu)) {}
  [[nodiscard]] Histogram settled_histogram() const {
    worker->stop();
    worker->await_settled();
    return worker->load().latencies()->histogram();
  }

  const Interrupt interrupt;
  FakeScript script;
  std::unique_ptr<Worker> worker;  // the last member: it uses the others
};

TEST_CASE("nothing is sent before the start, and the turns are its own thread's") {
  Working w;
  CHECK(w.worker->tally() == Tally{});
  w.worker->start();
  await_turns(*w.worker, 10);
  w.worker->stop();
  w.worker->await_settled();
  CHECK(w.script.starts == 1);
  CHECK(w.script.thread != std::this_thread::get_id());
}

TEST_CASE("what is under way at the stop is waited for") {
  Working w;
  w.worker->start();
  await_turns(*w.worker, 100);
  w.worker->stop();
  w.worker->await_settled();
  const Tally tally = w.worker->tally();
  CHECK(tally.sent >= 100);
  CHECK(tally.delivered == tally.sent);
  CHECK(tally.delivered_bytes == tally.sent * FakeLoad::kSize);
  CHECK(w.script.stops == 1);
  CHECK(!w.script.sent_when_off);
  CHECK(tally == w.worker->load().tally());
}

TEST_CASE("what does not come is waited for no longer than the load says") {
  Working w;
  w.script.loses = true;
  w.script.drain_timeout = 20ms;
  w.worker->start();
  await_turns(*w.worker, 100);
  const auto stopped = Clock::now();
  w.worker->stop();
  w.worker->await_settled();
  CHECK(Clock::now() - stopped >= 20ms);
  const Tally tally = w.worker->tally();
  CHECK(tally.sent - tally.delivered == FakeLoad::kUnderWay);
}

TEST_CASE("after a pause it goes on, and counts on") {
  Working w;
  for (int run = 1; run <= 3; ++run) {
    const auto before = w.worker->tally().sent;
    w.worker->start();
    await_turns(*w.worker, 50);
    w.worker->stop();
    w.worker->await_settled();
    CHECK(w.script.starts == run);
    CHECK(w.script.stops == run);
    CHECK(w.worker->tally().sent >= before + 50);
    CHECK(w.worker->tally().delivered == w.worker->tally().sent);
  }
}

TEST_CASE("what the load throws wakes whoever waits, and is thrown to whoever asks") {
  Working w;
  w.worker->start();
  await_turns(*w.worker, 10);
  w.worker->rethrow_failure();  // nothing yet
  w.script.fails = true;
  CHECK(!w.interrupt.wait_until(Clock::now() + 60s));
  CHECK(!w.interrupt.raised());
  CHECK_THROWS_WITH_AS(w.worker->rethrow_failure(), "as the script says", std::runtime_error);
  w.worker->stop();
  CHECK_THROWS_WITH_AS(w.worker->await_settled(), "as the script says", std::runtime_error);
}

TEST_CASE("a failure while it settles is one too") {
  Working w;
  w.script.loses = true;
  w.worker->start();
  await_turns(*w.worker, 10);
  w.worker->stop();
  w.script.fails = true;
  CHECK_THROWS_WITH_AS(w.worker->await_settled(), "as the script says", std::runtime_error);
}

TEST_CASE("it can end at any time") {
  SUBCASE("idle") {
    const Working w;
  }
  SUBCASE("sending") {
    const Working w;
    w.worker->start();
    await_turns(*w.worker, 10);
  }
  SUBCASE("settling") {
    Working w;
    w.script.loses = true;
    w.worker->start();
    await_turns(*w.worker, 10);
    w.worker->stop();
  }
  SUBCASE("failed") {
    Working w;
    w.script.fails = true;
    w.worker->start();
    CHECK(!w.interrupt.wait_until(Clock::now() + 60s));
  }
}

TEST_CASE("latencies of before forget_latencies() are not among the others") {
  constexpr std::int64_t kWarmUpNs = 5'000'000;
  Working w;
  w.script.latency_ns = kWarmUpNs;
  w.worker->start();
  await_turns(*w.worker, 50);
  SUBCASE("forgotten") {
    w.script.latency_ns = 10;
    await_turns(*w.worker, 2);  // the turn that had the earlier latency is over
    w.worker->forget_latencies();
    await_turns(*w.worker, 2 + 2 * FakeLoad::kUnderWay);
    const Histogram histogram = w.settled_histogram();
    CHECK(histogram.count() > 0);
    CHECK(histogram.max_ns() == 10);
    CHECK(w.worker->tally().delivered > histogram.count());  // that was no latency's business
  }
  SUBCASE("kept") {
    const Histogram histogram = w.settled_histogram();
    CHECK(histogram.max_ns() == kWarmUpNs);
    CHECK(histogram.count() == w.worker->tally().delivered);
  }
}

TEST_CASE("only turns that could have gone on at once count as full") {
  for (const Turn turn : {Turn::idle, Turn::some, Turn::full}) {
    Working w;
    w.script.turn = turn;
    const auto begun = Clock::now();
    w.worker->start();
    await_turns(*w.worker, 100);
    w.worker->stop();
    w.worker->await_settled();
    const auto full = std::chrono::nanoseconds(w.worker->tally().full_ns);
    CHECK((full > 0ns) == (turn == Turn::full));
    CHECK(full <= Clock::now() - begun);
  }
}

TEST_CASE("its CPU is told while it runs") {
  Working w;
  const double idle = w.worker->cpu_s();
  w.worker->start();
  await_turns(*w.worker, 1000);
  const double busy = w.worker->cpu_s();
  CHECK(busy > idle);
  CHECK(busy < 60);
}

TEST_CASE("it is pinned where that is asked for, or says why not") {
  cpu_set_t all;
  REQUIRE(::sched_getaffinity(0, sizeof all, &all) == 0);
  Working w(::sched_getcpu());
  w.worker->start();
  await_turns(*w.worker, 1);
  w.worker->stop();
  w.worker->await_settled();
  cpu_set_t now;
  REQUIRE(::sched_getaffinity(0, sizeof now, &now) == 0);
  CHECK(CPU_EQUAL(&all, &now));  // this thread is not

  Working none(1000);
  CHECK(!none.interrupt.wait_until(Clock::now() + 60s));
  CHECK_THROWS_AS(none.worker->rethrow_failure(), std::system_error);
}

}  // namespace
}  // namespace tandem::bench
