#include <doctest/doctest.h>

#include <numeric>

#include "bench/load/quantities.h"
#include "bench/load/udp_load.h"
#include "tests/unit/bench/joined_pairs.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kSize = 200;

std::unique_ptr<Load> scattered(std::vector<SocketPair> pairs, const UdpOptions& options) {
  return make_udp_scattered(std::move(pairs), 0, Ends::both, options);
}

void check_intact(const Tally& tally) {
  CHECK(tally.sent > 0);
  CHECK(tally.delivered == tally.sent);
  CHECK(tally.delivered_bytes == tally.sent_bytes);
  CHECK(tally.damaged + tally.duplicated + tally.reordered + tally.gaps + tally.unsent == 0);
}

TEST_CASE(
    "a closed loop delivers all that it sent, each way and both, more pairs than batch or less") {
  for (const auto direction : {Direction::forward, Direction::reverse, Direction::both}) {
    for (const std::size_t count : {1, 5, 40}) {
      CAPTURE(count);
      const auto load = scattered(udp_pairs(count), {.direction = direction, .batch = 16});
      const Tally tally = drive(*load, delivered(2000));
      check_intact(tally);
      CHECK(tally.delivered_bytes == tally.delivered * kSize);
      const auto flows = load->delivered_by_flow();
      CHECK(flows.size() == (direction == Direction::both ? 2 * count : count));
      CHECK(std::accumulate(flows.begin(), flows.end(), std::uint64_t{0}) == tally.delivered_bytes);
      for (const auto bytes : flows) CHECK(bytes > 0);
    }
  }
}

TEST_CASE("a mix of sizes") {
  const auto load =
      scattered(udp_pairs(6), {.shape = {.sizes = parse_sizes("imix")}, .verify = Verify::full});
  const Tally tally = drive(*load, delivered(1200));
  check_intact(tally);
  CHECK(tally.delivered_bytes / tally.delivered > 200);
  CHECK(tally.delivered_bytes / tally.delivered < 400);
}

TEST_CASE("the least and the largest datagram") {
  for (const std::size_t size : {kStampSize, kPayloadMax}) {
    const auto load =
        scattered(udp_pairs(3), {.shape = {.sizes = {size}}, .window = 16, .verify = Verify::full});
    check_intact(drive(*load, delivered(300)));
  }
}

TEST_CASE("no more than the window is under way, and each turn has its batch") {
  Middle middle = Middle::of_udp(4);
  const auto load = scattered(middle.take_pairs(), {.window = 50, .batch = 16});
  const auto begun = Clock::now();
  load->start(begun);
  for (const std::uint64_t sent : {16, 32, 48, 50, 50}) {
    (void)load->turn(begun, Sending::on);  // nothing passes the middle
    CHECK(load->tally().sent == sent);
  }
}

TEST_CASE("an open loop sends what is due, a batch at most, and tells what is late") {
  const auto load = scattered(udp_pairs(3), {.per_second = 10'000, .batch = 32});
  const auto begun = Clock::now();
  load->start(begun);
  (void)load->turn(begun + 900us, Sending::on);
  CHECK(load->tally().sent == 10);
  CHECK(load->tally().late == 0);
  (void)load->turn(begun + 1ms, Sending::on);
  CHECK(load->tally().sent == 11);
  (void)load->turn(begun + 10ms, Sending::on);  // 90 are due
  CHECK(load->tally().sent == 11 + 32);
  CHECK(load->tally().late == 32);
  for (int i = 0; i < 3; ++i) (void)load->turn(begun + 10ms, Sending::on);
  CHECK(load->tally().sent == 101);
  CHECK(load->tally().late == 90 - 11);  // the last eleven by no more than a millisecond
  while (!load->drained()) (void)load->turn(Clock::now(), Sending::off);
  check_intact(load->tally() - Tally{.late = 79});
}

TEST_CASE("the same pairs at one rate after another, and in a closed loop between") {
  const auto load = scattered(udp_pairs(3), {.per_second = 50'000});
  std::uint64_t all = 0;
  for (const double rate : {50'000.0, 0.0, 20'000.0}) {
    load->pace(rate);
    const Tally tally = drive(*load, sent(all + 500));
    all = tally.sent;
    check_intact(tally - Tally{.late = tally.late});
  }
}

TEST_CASE("each end alone, as on two hosts") {
  auto pairs = udp_pairs(3);
  auto b_pairs = take_b(pairs);
  const UdpOptions options{.direction = Direction::both, .per_second = 50'000};
  const auto a = make_udp_scattered(std::move(pairs), 7, Ends::a, options);
  const auto b = make_udp_scattered(std::move(b_pairs), 7, Ends::b, options);
  b->start(Clock::now());
  const Between turn_b = [&b] { (void)b->turn(Clock::now(), Sending::on); };
  send_until(*a, sent(500), turn_b);
  while ((a->tally() + b->tally()).delivered < (a->tally() + b->tally()).sent) {
    (void)a->turn(Clock::now(), Sending::off);
    (void)b->turn(Clock::now(), Sending::off);
  }
  Tally sum = a->tally() + b->tally();
  sum.late = 0;
  check_intact(sum);
  CHECK(!a->drained());  // it cannot know
  CHECK(a->delivered_by_flow().size() == 3);
}

TEST_CASE("what the socket does not take is not offered, and no loss") {
  const auto load = scattered(narrow_pair(), {.per_second = 1e6, .batch = 1024});
  const auto begun = Clock::now();
  load->start(begun);
  for (auto now = begun; now < begun + 3ms; now += 1ms) (void)load->turn(now, Sending::on);
  CHECK(load->tally().unsent > 0);
  while (!load->drained()) (void)load->turn(Clock::now(), Sending::off);
  const Tally tally = load->tally();
  CHECK(tally.delivered == tally.sent);
  CHECK(tally.delivered_bytes == tally.sent_bytes);
  CHECK(tally.gaps == 0);
  CHECK(tally.damaged == 0);
}

TEST_CASE("a hello of the joining that comes late is nobody's datagram") {
  auto pairs = udp_pairs(2);
  for (const auto& pair : pairs) send_all(pair.a.fd(), std::string(kHello) + "0");
  for (const auto& pair : pairs) send_all(pair.b.fd(), std::string(kHello) + "1");
  const auto load = scattered(std::move(pairs), {.direction = Direction::both});
  check_intact(drive(*load, delivered(500)));
}

// ---- somebody in the middle ----

Tally harmed(const Tamper& tamper, const UdpOptions& options = {.window = 64}) {
  Middle middle = Middle::of_udp(3);
  middle.forward(1).tamper = tamper;
  const auto load = scattered(middle.take_pairs(), options);
  return drive(*load, sent(600), middle.pumping());
}

TEST_CASE("nobody is accused where the middle only passes on") {
  Middle middle = Middle::of_udp(3);
  const auto load = scattered(middle.take_pairs(),
                              {.direction = Direction::both, .window = 64, .verify = Verify::full});
  check_intact(drive(*load, delivered(600), middle.pumping()));
}

TEST_CASE("an altered byte is damage, in the stamp or behind it") {
  for (const std::size_t at : {std::size_t{0}, std::size_t{5}, kSize - 1}) {
    CAPTURE(at);
    const Tally tally = harmed(altering(nth(20), at), {.window = 64, .verify = Verify::full});
    CHECK(tally.damaged == 1);
    CHECK(tally.delivered == tally.sent - 1);
  }
}

TEST_CASE("a lost datagram is lost alone") {
  const Tally tally = harmed(losing(nth(20)));
  CHECK(tally.delivered == tally.sent - 1);
  CHECK(tally.gaps == 1);
  CHECK(tally.damaged + tally.duplicated + tally.reordered == 0);
}

TEST_CASE("a doubled datagram counts once") {
  const Tally tally = harmed(doubling(nth(20)));
  CHECK(tally.duplicated == 1);
  CHECK(tally.delivered == tally.sent);
  CHECK(tally.damaged + tally.gaps == 0);
}

TEST_CASE("swapped datagrams are out of order, no loss") {
  const Tally tally = harmed(swapping(nth(20)));
  CHECK(tally.reordered == 1);
  CHECK(tally.delivered == tally.sent);
  CHECK(tally.damaged + tally.gaps + tally.duplicated == 0);
}

TEST_CASE("another pair's datagram is damage") {
  Middle middle = Middle::of_udp(2);
  Bytes astray;
  middle.forward(0).tamper = [&astray](const Bytes& passing, const auto& send) {
    if (astray.empty()) astray = passing;
    send(passing);
  };
  middle.forward(1).tamper = [&astray, once = true](const Bytes& passing,
                                                    const auto& send) mutable {
    if (once && !astray.empty()) send(astray);
    once = once && astray.empty();
    send(passing);
  };
  const auto load = scattered(middle.take_pairs(), {.window = 64});
  const Tally tally = drive(*load, sent(300), middle.pumping());
  CHECK(tally.damaged == 1);
  CHECK(tally.delivered == tally.sent);
}

TEST_CASE("where all of a window is lost, the loop goes on") {
  const Tally tally = harmed([lost = 0](const Bytes& passing, const auto& send) mutable {
    if (++lost > 64) send(passing);
  });
  CHECK(tally.sent - tally.delivered == 64);
  CHECK(tally.sent >= 600);
}

TEST_CASE("a relay that stands still for longer than is waited for loses nothing by it") {
  constexpr std::size_t kWindow = 64;
  Middle middle = Middle::of_udp(3);
  const auto load = scattered(middle.take_pairs(), {.window = kWindow, .batch = 16});
  auto stands_until = Clock::time_point::min();
  bool stood = false;
  std::uint64_t under_way_after = 0;
  const Tally tally = drive(*load, delivered(2000), [&, turns = 0]() mutable {
    if (++turns % 8 != 0) return;  // so the window fills
    const Tally now = load->tally();
    if (!stood && now.delivered > 300) {
      stood = true;
      stands_until = Clock::now() + 50ms;
    }
    if (Clock::now() < stands_until) return;
    if (now.delivered > 1500) under_way_after = std::max(under_way_after, now.sent - now.delivered);
    middle.pump();
  });
  CHECK(stood);
  check_intact(tally);
  CHECK(under_way_after <= kWindow);  // the window is what it was
}

TEST_CASE("a load that waited long for its start has its whole window") {
  Middle middle = Middle::of_udp(2);
  const auto load = scattered(middle.take_pairs(), {.window = 32, .batch = 16});
  const auto later = Clock::now() + 1h;
  load->start(later);
  for (int i = 0; i < 5; ++i) (void)load->turn(later, Sending::on);
  CHECK(load->tally().sent == 32);
  middle.pump();
  for (int i = 0; i < 5; ++i) (void)load->turn(later, Sending::off);
  check_intact(load->tally());
}

}  // namespace
}  // namespace tandem::bench
