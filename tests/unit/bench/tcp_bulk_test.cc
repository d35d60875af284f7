#include <doctest/doctest.h>

#include "bench/load/tcp_load.h"
#include "tests/unit/bench/joined_pairs.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kEnough = 4 << 20;

void check_intact(const Tally& tally) {
  CHECK(tally.damaged == 0);
  CHECK(tally.sent_bytes > 0);
  CHECK(tally.delivered_bytes == tally.sent_bytes);
}

TEST_CASE("everything arrives, each way and both") {
  for (const auto direction : {Direction::forward, Direction::reverse, Direction::both}) {
    for (const auto verify : {Verify::sampled, Verify::full}) {
      const auto load = make_tcp_bulk(tcp_pairs(3), 5, {.direction = direction, .verify = verify});
      const Tally tally = drive(*load, delivered_bytes(kEnough));
      check_intact(tally);
      CHECK(tally.delivered_bytes >= kEnough);
      const auto flows = load->delivered_by_flow();
      CHECK(flows.size() == (direction == Direction::both ? 6 : 3));
      for (const auto bytes : flows) CHECK(bytes > 0);
      if (verify == Verify::full) CHECK(tally.compared_bytes == tally.delivered_bytes);
      if (verify == Verify::sampled) CHECK(tally.compared_bytes < tally.delivered_bytes / 8);
    }
  }
}

TEST_CASE("chunks of any size") {
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{1000}, std::size_t{1} << 20}) {
    const auto load = make_tcp_bulk(tcp_pairs(1), 0, {.chunk = chunk, .verify = Verify::full});
    check_intact(drive(*load, delivered_bytes(8 * chunk + 1000)));
  }
}

TEST_CASE("a rate is kept, and what could not leave in time is caught up") {
  constexpr double kRate = 10e6;
  const auto load = make_tcp_bulk(tcp_pairs(2), 0,
                                  {.direction = Direction::both, .bytes_per_second_each = kRate});
  const auto begun = Clock::now();
  load->start(begun);
  const auto due_by = [&](Clock::time_point now) {
    return static_cast<std::uint64_t>(kRate * std::chrono::duration<double>(now - begun).count());
  };
  // The moments are the test's own, so that a busy machine changes nothing.
  for (const auto passed : {1ms, 10ms, 11ms, 20ms}) {
    const auto due = 4 * due_by(begun + passed);  // of 4 flows
    while (load->tally().sent_bytes < due) (void)load->turn(begun + passed, Sending::on);
    (void)load->turn(begun + passed, Sending::on);
    CHECK(load->tally().sent_bytes == due);
  }
  load->stop();
  while (!load->drained()) (void)load->turn(Clock::now(), Sending::off);
  check_intact(load->tally());
}

TEST_CASE("each end alone, as on two hosts") {
  auto pairs = tcp_pairs(2);
  auto b_pairs = take_b(pairs);
  const BulkOptions options{.direction = Direction::both, .verify = Verify::full};
  const auto a = make_tcp_bulk(std::move(pairs), 0, options);
  const auto b = make_tcp_bulk(std::move(b_pairs), 0, options);
  a->start(Clock::now());
  b->start(Clock::now());
  while ((a->tally() + b->tally()).delivered_bytes < kEnough) {
    (void)a->turn(Clock::now(), Sending::on);
    (void)b->turn(Clock::now(), Sending::on);
  }
  a->stop();
  b->stop();
  while (!a->drained() || !b->drained()) {
    (void)a->turn(Clock::now(), Sending::off);
    (void)b->turn(Clock::now(), Sending::off);
  }
  check_intact(a->tally() + b->tally());
  CHECK(a->tally().delivered_bytes == b->tally().sent_bytes);
  CHECK(b->tally().delivered_bytes == a->tally().sent_bytes);
  CHECK(a->delivered_by_flow().size() == 2);
}

TEST_CASE("another pair's bytes are not one's own: flows are numbered from the first pair") {
  auto pairs = tcp_pairs(1);
  auto b_pairs = take_b(pairs);
  const auto a = make_tcp_bulk(std::move(pairs), 4, {});
  const auto b = make_tcp_bulk(std::move(b_pairs), 5, {});
  a->start(Clock::now());
  b->start(Clock::now());
  while (b->tally().delivered_bytes < kBlock) {
    (void)a->turn(Clock::now(), Sending::on);
    (void)b->turn(Clock::now(), Sending::on);
  }
  CHECK(b->tally().damaged > 0);
}

// A stream's byte at `at` is changed, lost or doubled by the middle.
enum class Harm { altered, lost, doubled };
Tamper harming(Harm harm, std::uint64_t at) {
  return [harm, at, offset = std::uint64_t{0}](Bytes passing, const auto& send) mutable {
    if (at >= offset && at < offset + passing.size()) {
      const auto place = passing.begin() + static_cast<long>(at - offset);
      switch (harm) {
        case Harm::altered:
          *place ^= 1;
          break;
        case Harm::lost:
          passing.erase(place);
          break;
        case Harm::doubled:
          passing.insert(place, *place);
          break;
      }
      offset = UINT64_MAX / 2;  // once
    }
    offset += passing.size();
    send(passing);
  };
}

Tally harmed(Harm harm, std::uint64_t at, const BulkOptions& options) {
  Middle middle = Middle::of_tcp(2);
  (options.direction == Direction::reverse ? middle.reverse(1) : middle.forward(1)).tamper =
      harming(harm, at);
  const auto load = make_tcp_bulk(middle.take_pairs(), 0, options);
  return drive(*load, delivered_bytes(kEnough), middle.pumping());
}

TEST_CASE("nobody is accused where the middle only passes on") {
  Middle middle = Middle::of_tcp(2);
  const auto load =
      make_tcp_bulk(middle.take_pairs(), 0, {.direction = Direction::both, .verify = Verify::full});
  check_intact(drive(*load, delivered_bytes(kEnough), middle.pumping()));
}

TEST_CASE("one byte that was altered in the middle is seen") {
  for (const auto direction : {Direction::forward, Direction::reverse}) {
    CHECK(harmed(Harm::altered, 3 * kBlock + 2, {.direction = direction}).damaged == 1);
    const Tally tally =
        harmed(Harm::altered, 3 * kBlock + 99, {.direction = direction, .verify = Verify::full});
    CHECK(tally.damaged == 1);
    CHECK(tally.delivered_bytes == tally.sent_bytes);
  }
}

TEST_CASE("a byte that was lost or doubled in the middle is seen twice over") {
  const Tally lost = harmed(Harm::lost, 100, {});
  CHECK(lost.damaged > 0);
  CHECK(lost.delivered_bytes == lost.sent_bytes - 1);
  const Tally doubled = harmed(Harm::doubled, 100, {});
  CHECK(doubled.damaged > 0);
  CHECK(doubled.delivered_bytes == doubled.sent_bytes + 1);
}

// Passes `bytes` of a stream and no more; the end comes after it as if that were all.
Tamper ending_after(std::uint64_t bytes) {
  return [left = bytes](Bytes passing, const auto& send) mutable {
    passing.resize(std::min<std::uint64_t>(passing.size(), left));
    left -= passing.size();
    send(passing);
  };
}

TEST_CASE("a stream that ends before all of it has come is damaged, not under way") {
  Middle middle = Middle::of_tcp(2);
  middle.forward(0).tamper = ending_after(10 * kBlock);
  const auto load = make_tcp_bulk(middle.take_pairs(), 0, {});
  const Tally tally = drive(*load, delivered_bytes(kEnough), middle.pumping());
  CHECK(tally.damaged == 1);
  CHECK(tally.unfinished == 0);
  CHECK(tally.delivered_bytes < tally.sent_bytes);
}

TEST_CASE(
    "a stream that goes on coming after the stop is unfinished, one that stands still is not") {
  Middle middle = Middle::of_tcp(2);
  const auto load = make_tcp_bulk(middle.take_pairs(), 0, {});
  send_until(
      *load, [](const Tally& tally) { return tally.sent_bytes > kEnough; }, [] {});
  CHECK(load->tally().unfinished == 0);  // it is sending
  load->stop();
  CHECK(load->tally().unfinished == 0);
  const auto before = load->tally().delivered_bytes;
  middle.forward(1).tamper = ending_after(kBlock);
  middle.forward(1).pump();
  while (load->tally().delivered_bytes < before + kBlock) {
    (void)load->turn(Clock::now(), Sending::off);
  }
  CHECK(load->tally().unfinished == 1);
  CHECK(load->tally().damaged == 0);
}

TEST_CASE("a pair that is reset under load ends the run with its reason") {
  Middle middle = Middle::of_tcp(2);
  const auto load = make_tcp_bulk(middle.take_pairs(), 0, {});
  CHECK_THROWS_AS((void)drive(*load, delivered_bytes(1 << 30),
                              [&, turns = 0]() mutable {
                                if (++turns < 20) middle.pump();
                                if (turns == 20) middle.cut(0);
                              }),
                  std::runtime_error);
}

}  // namespace
}  // namespace tandem::bench
