#include <doctest/doctest.h>

#include "bench/load/echo_load.h"
#include "bench/load/tcp_load.h"
#include "tests/unit/bench/joined_pairs.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

constexpr MessageOptions kFast{.size = 128, .per_second = 200'000};

void check_intact(const Tally& tally, std::size_t size = kFast.size) {
  CHECK(tally.damaged == 0);
  CHECK(tally.sent > 0);
  CHECK(tally.delivered == tally.sent);
  CHECK(tally.delivered_bytes == tally.delivered * size);
  CHECK(tally.sent_bytes == tally.delivered_bytes);
}

TEST_CASE("every message arrives, and each has its latency") {
  for (const std::size_t size : {kMessageSizeMin, std::size_t{128}, std::size_t{65536}}) {
    CAPTURE(size);
    const auto load = make_tcp_messages(
        tcp_pairs(3), {.size = size, .per_second = 2e8 / static_cast<double>(size)});
    const Tally tally = drive(*load, delivered(300));
    check_intact(tally, size);
    const auto& histogram = load->latencies()->histogram();
    CHECK(histogram.count() == tally.delivered);
    CHECK(histogram.max_ns() > 0);
    CHECK(histogram.max_ns() < 30'000'000'000);
    const auto flows = load->delivered_by_flow();
    REQUIRE(flows.size() == 3);
    CHECK(flows[0] + flows[1] + flows[2] == tally.delivered_bytes);
    CHECK(flows[0] - flows[2] <= size);  // in turn
  }
}

TEST_CASE("a message that has its time left to come is under way") {
  Middle middle = Middle::of_tcp(2);
  const auto load = make_tcp_messages(middle.take_pairs(), kFast);
  send_until(*load, sent(100), [] {});
  load->stop();
  CHECK(load->tally().unfinished == 0);  // nothing has come since: that may be a loss
  bool passed = false;
  middle.forward(1).tamper = [&passed](Bytes passing, const auto& send) {
    if (!std::exchange(passed, true)) passing.resize(kFast.size);
    if (passing.size() == kFast.size) send(passing);
  };
  middle.pump();
  while (load->tally().delivered < 51) (void)load->turn(Clock::now(), Sending::off);
  CHECK(load->tally().unfinished == 1);
}

TEST_CASE("messages leave when they are due, and count from then") {
  const auto load = make_tcp_messages(tcp_pairs(2), {.size = 128, .per_second = 1000});
  // A generator that stood still for half a second: all of it is in the latencies.
  const auto begun = Clock::now() - 500ms;
  load->start(begun);
  (void)load->turn(begun, Sending::on);
  CHECK(load->tally().sent == 1);
  CHECK(load->tally().late == 0);
  (void)load->turn(begun + 999us, Sending::on);
  CHECK(load->tally().sent == 1);
  (void)load->turn(begun + 20ms, Sending::on);
  CHECK(load->tally().sent == 21);
  CHECK(load->tally().late == 19 - 1);  // all but the last two are more than a millisecond late
  (void)load->turn(begun + 500ms, Sending::on);
  CHECK(load->tally().sent == 21 + 64);  // then the receivers have their turn
  while (!load->drained()) (void)load->turn(begun + 500ms, Sending::off);
  CHECK(load->latencies()->histogram().quantile_ns(0) >= 400'000'000);
}

TEST_CASE("who echoes on another host makes round trips of it") {
  auto pairs = tcp_pairs(2);
  const auto echo = make_tcp_echo(take_b(pairs));
  const auto load = make_tcp_messages(std::move(pairs), kFast);
  echo->start(Clock::now());
  const Tally tally =
      drive(*load, delivered(500), [&] { (void)echo->turn(Clock::now(), Sending::on); });
  check_intact(tally);
  CHECK(load->latencies()->histogram().count() == tally.delivered);
  CHECK(echo->tally() == Tally{});
}

TEST_CASE("what the route does not take waits, and beyond a bound never leaves") {
  Middle middle = Middle::of_tcp(1);
  const auto load = make_tcp_messages(middle.take_pairs(), {.size = 65536, .per_second = 10'000});
  // The middle takes nothing until the sockets and the megabyte beside them are full.
  bool full = false;
  const Tally tally = drive(
      *load, [&](const Tally& t) { return (full = full || t.unsent > 10) && t.delivered > 50; },
      [&] {
        if (full) middle.pump();
      });
  CHECK(tally.unsent > 10);
  CHECK(tally.damaged == 0);
  CHECK(tally.delivered == tally.sent);
}

// Messages of a stream, whatever pieces it comes in.
Tamper by_message(Tamper tamper) {
  return
      [tamper = std::move(tamper), rest = Bytes()](const Bytes& passing, const auto& send) mutable {
        rest.insert(rest.end(), passing.begin(), passing.end());
        while (rest.size() >= kFast.size) {
          const auto end = rest.begin() + static_cast<long>(kFast.size);
          tamper(Bytes(rest.begin(), end), send);
          rest.erase(rest.begin(), end);
        }
      };
}

Tally harmed(const Tamper& tamper) {
  Middle middle = Middle::of_tcp(2);
  middle.forward(1).tamper = by_message(tamper);
  const auto load = make_tcp_messages(middle.take_pairs(), kFast);
  return drive(*load, sent(200), [&] { middle.pump(); });
}

TEST_CASE("one altered byte is one damaged message at least") {
  for (const std::size_t at : {0, 4, 16, 127}) {
    CAPTURE(at);
    const Tally tally = harmed(altering(nth(20), at));
    CHECK(tally.damaged > 0);
    CHECK(tally.delivered + tally.damaged == tally.sent);
  }
}

TEST_CASE("a swapped, doubled or lost message is damage: a stream has an order") {
  CHECK(harmed(swapping(nth(20))).damaged > 0);
  CHECK(harmed(doubling(nth(20))).damaged > 0);
  Middle middle = Middle::of_tcp(1);
  middle.forward(0).tamper = by_message(losing(nth(20)));
  const auto load = make_tcp_messages(middle.take_pairs(), kFast);
  send_until(
      *load, [](const Tally& tally) { return tally.damaged > 0; }, middle.pumping());
  CHECK(load->tally().delivered == 20);
}

TEST_CASE("a pair that is closed under load ends the run with its reason") {
  Middle middle = Middle::of_tcp(1);
  const auto load = make_tcp_messages(middle.take_pairs(), kFast);
  CHECK_THROWS_AS((void)drive(*load, delivered(1 << 30),
                              [&, turns = 0]() mutable {
                                if (++turns < 20) middle.pump();
                                if (turns == 20) middle.cut(0);
                              }),
                  std::runtime_error);
}

}  // namespace
}  // namespace tandem::bench
