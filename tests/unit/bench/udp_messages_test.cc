#include <doctest/doctest.h>

#include "bench/load/echo_load.h"
#include "bench/load/udp_load.h"
#include "tests/unit/bench/joined_pairs.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

constexpr MessageOptions kFast{.size = 128, .per_second = 50'000};

void check_intact(const Tally& tally, std::size_t size = kFast.size) {
  CHECK(tally.sent > 0);
  CHECK(tally.delivered == tally.sent);
  CHECK(tally.delivered_bytes == tally.delivered * size);
  CHECK(tally.sent_bytes == tally.delivered_bytes);
  CHECK(tally.damaged + tally.duplicated + tally.reordered + tally.gaps + tally.unsent == 0);
}

TEST_CASE("every message arrives, and each has its latency") {
  for (const std::size_t size : {kTimedStampSize, std::size_t{128}, kPayloadMax}) {
    CAPTURE(size);
    const auto load = make_udp_messages(udp_pairs(3), {.size = size, .per_second = 20'000});
    const Tally tally = drive(*load, delivered(300));
    check_intact(tally, size);
    const auto& histogram = load->latencies()->histogram();
    CHECK(histogram.count() == tally.delivered);
    CHECK(histogram.max_ns() > 0);
    CHECK(histogram.max_ns() < 30'000'000'000);
    CHECK(load->delivered_by_flow().size() == 3);
  }
}

TEST_CASE("messages leave when they are due, and count from then") {
  const auto load = make_udp_messages(udp_pairs(2), {.size = 128, .per_second = 1000});
  const auto begun = Clock::now() - 500ms;
  load->start(begun);
  (void)load->turn(begun + 20ms, Sending::on);
  CHECK(load->tally().sent == 21);
  CHECK(load->tally().late == 19);
  while (!load->drained()) (void)load->turn(begun + 20ms, Sending::off);
  CHECK(load->latencies()->histogram().quantile_ns(0) >= 470'000'000);
}

TEST_CASE("a burst that catches up after a pause does not overflow the generator's own sockets") {
  const auto load = make_udp_messages(udp_pairs(1), {.size = kPayloadMax, .per_second = 20'000});
  const auto begun = Clock::now();
  load->start(begun);
  for (int i = 0; i < 20; ++i) (void)load->turn(begun + 1s, Sending::on);
  CHECK(load->tally().sent == 20 * 64);
  for (int i = 0; i < 100; ++i) (void)load->turn(begun + 1s, Sending::off);
  CHECK(load->tally().delivered == 20 * 64);
}

TEST_CASE("who echoes on another host makes round trips of it") {
  auto pairs = udp_pairs(2);
  const auto echo = make_udp_echo(take_b(pairs));
  const auto load = make_udp_messages(std::move(pairs), kFast);
  echo->start(Clock::now());
  const Tally tally =
      drive(*load, delivered(500), [&] { (void)echo->turn(Clock::now(), Sending::on); });
  check_intact(tally);
  CHECK(load->latencies()->histogram().count() == tally.delivered);
}

TEST_CASE("what the socket does not take is no loss") {
  const auto load = make_udp_messages(narrow_pair(), {.size = 128, .per_second = 1e6});
  const auto begun = Clock::now();
  load->start(begun);
  for (auto now = begun; now < begun + 3ms; now += 1ms) (void)load->turn(now, Sending::on);
  CHECK(load->tally().unsent > 0);
  while (!load->drained()) (void)load->turn(Clock::now(), Sending::off);
  const Tally tally = load->tally();
  CHECK(tally.delivered == tally.sent);
  CHECK(tally.delivered_bytes == tally.sent_bytes);
  CHECK(tally.gaps == 0);
}

Tally harmed(const Tamper& tamper) {
  Middle middle = Middle::of_udp(2);
  middle.forward(1).tamper = tamper;
  const auto load = make_udp_messages(middle.take_pairs(), kFast);
  const Tally tally = drive(*load, sent(200), middle.pumping());
  CHECK(load->latencies()->histogram().count() == tally.delivered);
  return tally;
}

TEST_CASE("what happens to one message in the middle is seen") {
  for (const std::size_t at : {0, 4, 16, 127}) {
    CAPTURE(at);
    const Tally altered = harmed(altering(nth(20), at));
    CHECK(altered.damaged == 1);
    CHECK(altered.delivered == altered.sent - 1);
  }
  const Tally lost = harmed(losing(nth(20)));
  CHECK(lost.gaps == 1);
  CHECK(lost.delivered == lost.sent - 1);
  const Tally doubled = harmed(doubling(nth(20)));
  CHECK(doubled.duplicated == 1);
  CHECK(doubled.delivered == doubled.sent);
  const Tally swapped = harmed(swapping(nth(20)));
  CHECK(swapped.reordered == 1);
  CHECK(swapped.delivered == swapped.sent);
}

}  // namespace
}  // namespace tandem::bench
