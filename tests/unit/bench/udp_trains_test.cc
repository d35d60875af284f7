#include <doctest/doctest.h>

#include "bench/load/udp_load.h"
#include "tests/unit/bench/joined_pairs.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kSize = 200;

std::unique_ptr<Load> trains(std::vector<SocketPair> pairs, const UdpOptions& options = {}) {
  return make_udp_trains(std::move(pairs), 0, Ends::both, options);
}

void check_intact(const Tally& tally) {
  CHECK(tally.sent > 0);
  CHECK(tally.delivered == tally.sent);
  CHECK(tally.delivered_bytes == tally.sent_bytes);
  CHECK(tally.damaged + tally.duplicated + tally.reordered + tally.gaps + tally.unsent == 0);
}

TEST_CASE("a closed loop delivers all that it sent, in trains of any length") {
  for (const std::size_t train : {1, 2, 32, 64}) {
    CAPTURE(train);
    const auto load = trains(udp_pairs(3), {.train = train, .verify = Verify::full});
    const Tally tally = drive(*load, delivered(2000));
    check_intact(tally);
    CHECK(tally.sent % train == 0);
    CHECK(tally.delivered_bytes == tally.delivered * kSize);
    for (const auto bytes : load->delivered_by_flow()) CHECK(bytes > 0);
  }
}

TEST_CASE("a train is no longer than a datagram of the kernel's") {
  const auto load = trains(udp_pairs(1), {.shape = {.sizes = {kPayloadMax}}, .train = 64});
  load->start(Clock::now());
  (void)load->turn(Clock::now(), Sending::on);
  CHECK(load->tally().sent == 65507 / kPayloadMax);
  while (!load->drained()) (void)load->turn(Clock::now(), Sending::off);
  check_intact(load->tally());
}

TEST_CASE("an open loop sends a train when it is due, and tells what is late") {
  const auto load = trains(udp_pairs(2), {.per_second = 32'000, .train = 32});
  const auto begun = Clock::now();
  load->start(begun);
  (void)load->turn(begun, Sending::on);
  (void)load->turn(begun + 999us, Sending::on);
  CHECK(load->tally().sent == 32);
  (void)load->turn(begun + 1ms, Sending::on);
  CHECK(load->tally().sent == 64);
  CHECK(load->tally().late == 0);
  (void)load->turn(begun + 4ms, Sending::on);  // due at 2 ms
  CHECK(load->tally().sent == 96);
  CHECK(load->tally().late == 32);
  while (!load->drained()) (void)load->turn(Clock::now(), Sending::off);
  check_intact(load->tally() - Tally{.late = 32});
}

TEST_CASE("each end alone, as on two hosts") {
  auto pairs = udp_pairs(2);
  auto b_pairs = take_b(pairs);
  const UdpOptions options{.per_second = 50'000};
  const auto a = make_udp_trains(std::move(pairs), 3, Ends::a, options);
  const auto b = make_udp_trains(std::move(b_pairs), 3, Ends::b, options);
  b->start(Clock::now());
  const Between turn_b = [&b] { (void)b->turn(Clock::now(), Sending::on); };
  send_until(*a, sent(640), turn_b);
  while (b->tally().delivered < a->tally().sent) turn_b();
  Tally sum = a->tally() + b->tally();
  sum.late = 0;
  check_intact(sum);
  CHECK(b->tally().sent == 0);
}

Tally harmed(const Tamper& tamper, const UdpOptions& options = {.window = 256}) {
  Middle middle = Middle::of_udp(2);
  middle.forward(1).tamper = tamper;
  const auto load = trains(middle.take_pairs(), options);
  return drive(*load, sent(1000), middle.pumping());
}

TEST_CASE("what happens to one datagram of a train in the middle is seen") {
  const Tally altered = harmed(altering(nth(40), kSize - 1), {.verify = Verify::full});
  CHECK(altered.damaged == 1);
  CHECK(altered.delivered == altered.sent - 1);
  const Tally lost = harmed(losing(nth(40)));
  CHECK(lost.gaps == 1);
  CHECK(lost.delivered == lost.sent - 1);
  const Tally doubled = harmed(doubling(nth(40)));
  CHECK(doubled.duplicated == 1);
  CHECK(doubled.delivered == doubled.sent);
  const Tally swapped = harmed(swapping(nth(40)));
  CHECK(swapped.reordered == 1);
  CHECK(swapped.delivered == swapped.sent);
  CHECK(altered.duplicated + lost.damaged + doubled.damaged + swapped.damaged == 0);
}

TEST_CASE("a relay that stands still for longer than is waited for leaves the window as it was") {
  constexpr std::size_t kWindow = 128;
  Middle middle = Middle::of_udp(2);
  const auto load = trains(middle.take_pairs(), {.window = kWindow});
  auto stands_until = Clock::time_point::min();
  bool stood = false;
  std::uint64_t under_way_after = 0;
  const Tally tally = drive(*load, delivered(3000), [&, turns = 0]() mutable {
    if (++turns % 16 != 0) return;  // so the window fills
    const Tally now = load->tally();
    if (!stood && now.delivered > 500) {
      stood = true;
      stands_until = Clock::now() + 50ms;
    }
    if (Clock::now() < stands_until) return;
    if (now.delivered > 2000) under_way_after = std::max(under_way_after, now.sent - now.delivered);
    middle.pump();
  });
  CHECK(stood);
  check_intact(tally);
  CHECK(under_way_after <= kWindow);
}

}  // namespace
}  // namespace tandem::bench
