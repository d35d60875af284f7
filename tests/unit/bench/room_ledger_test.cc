#include "bench/load/rooms/room_ledger.h"

#include <doctest/doctest.h>

namespace tandem::bench {
namespace {

using Verdict = RoomLedger::Verdict;

constexpr std::uint64_t kThree = 0b111;

TEST_CASE("every member's copy is delivered once, with the time when it was due") {
  RoomLedger ledger;
  const auto number = ledger.send(500, kThree);
  CHECK(number == 1);
  CHECK(ledger.missing() == 3);
  for (const std::size_t member : {2, 0, 1}) {
    const auto delivery = ledger.deliver(member, number, 1);
    CHECK(delivery.verdict == Verdict::delivered);
    CHECK(delivery.due_ns == 500);
  }
  CHECK(ledger.missing() == 0);
  CHECK(ledger.quiet());
}

TEST_CASE("a copy that comes twice, while others are missing and after all have come") {
  RoomLedger ledger;
  const auto number = ledger.send(0, 0b11);
  CHECK(ledger.deliver(0, number, 1).verdict == Verdict::delivered);
  CHECK(ledger.deliver(0, number, 2).verdict == Verdict::duplicated);
  CHECK(ledger.missing() == 1);
  CHECK(ledger.deliver(1, number, 1).verdict == Verdict::delivered);
  CHECK(ledger.deliver(1, number, 2).verdict == Verdict::duplicated);
}

TEST_CASE("a copy to someone who was not in the room") {
  RoomLedger ledger;
  const auto number = ledger.send(0, 0b01);
  CHECK(ledger.deliver(1, number, 1).verdict == Verdict::duplicated);
  CHECK(ledger.missing() == 1);
}

TEST_CASE("a message that was never sent") {
  RoomLedger ledger;
  CHECK(ledger.deliver(0, 0, 1).verdict == Verdict::unknown);
  CHECK(ledger.deliver(0, 1, 1).verdict == Verdict::unknown);
  (void)ledger.send(0, 1);
  CHECK(ledger.deliver(0, 2, 1).verdict == Verdict::unknown);
}

TEST_CASE("the server's order is not that of sending, but one for all") {
  RoomLedger ledger;
  const auto first = ledger.send(0, kThree);
  const auto second = ledger.send(0, kThree);
  for (const std::size_t member : {0, 1, 2}) {
    CHECK(ledger.deliver(member, second, 1).verdict == Verdict::delivered);
    CHECK(ledger.deliver(member, first, 2).verdict == Verdict::delivered);
  }
  CHECK(ledger.quiet());
}

TEST_CASE("two members that see two orders") {
  RoomLedger ledger;
  const auto first = ledger.send(0, 0b11);
  const auto second = ledger.send(0, 0b11);
  CHECK(ledger.deliver(0, first, 1).verdict == Verdict::delivered);
  CHECK(ledger.deliver(0, second, 2).verdict == Verdict::delivered);
  CHECK(ledger.deliver(1, second, 1).verdict == Verdict::reordered);
  CHECK(ledger.deliver(1, first, 2).verdict == Verdict::reordered);
  CHECK(ledger.quiet());  // they were delivered all the same
}

TEST_CASE("a sequence that falls, stands still or is missing") {
  RoomLedger ledger;
  std::uint64_t numbers[4];
  for (auto& number : numbers) number = ledger.send(0, 1);
  CHECK(ledger.deliver(0, numbers[0], 5).verdict == Verdict::delivered);
  CHECK(ledger.deliver(0, numbers[1], 4).verdict == Verdict::reordered);
  CHECK(ledger.deliver(0, numbers[2], 5).verdict == Verdict::reordered);
  CHECK(ledger.deliver(0, numbers[3], 0).verdict == Verdict::reordered);
}

TEST_CASE("a gap in the sequence is the server's own affair") {
  RoomLedger ledger;
  const auto first = ledger.send(0, 1);
  const auto second = ledger.send(0, 1);
  CHECK(ledger.deliver(0, first, 10).verdict == Verdict::delivered);
  CHECK(ledger.deliver(0, second, 20).verdict == Verdict::delivered);
}

TEST_CASE("a new room begins its sequence anew, and goes on with the numbers") {
  RoomLedger ledger;
  const auto first = ledger.send(0, 1);
  CHECK(ledger.deliver(0, first, 9).verdict == Verdict::delivered);
  ledger.restart();
  const auto second = ledger.send(0, 1);
  CHECK(second == first + 1);
  CHECK(ledger.deliver(0, second, 1).verdict == Verdict::delivered);
}

TEST_CASE("what is given up is told, and late copies of it count as doubled") {
  RoomLedger ledger;
  const auto first = ledger.send(0, kThree);
  (void)ledger.send(0, kThree);
  CHECK(ledger.deliver(0, first, 1).verdict == Verdict::delivered);
  CHECK(ledger.give_up() == 5);
  CHECK(ledger.quiet());
  CHECK(ledger.deliver(1, first, 1).verdict == Verdict::duplicated);
}

TEST_CASE("the last of 64 members") {
  RoomLedger ledger;
  const auto number = ledger.send(0, ~std::uint64_t{0});
  CHECK(ledger.missing() == 64);
  CHECK(ledger.deliver(63, number, 1).verdict == Verdict::delivered);
  CHECK(ledger.missing() == 63);
}

}  // namespace
}  // namespace tandem::bench
