#include "bench/load/load.h"

#include <doctest/doctest.h>

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

constexpr Tally kOne{.sent = 1,
                     .sent_bytes = 2,
                     .delivered = 3,
                     .delivered_bytes = 4,
                     .gaps = 5,
                     .duplicated = 6,
                     .reordered = 7,
                     .damaged = 8,
                     .unsent = 9,
                     .late = 10,
                     .compared_bytes = 11,
                     .unfinished = 12,
                     .full_ns = 13};
constexpr Tally kTens{.sent = 10,
                      .sent_bytes = 20,
                      .delivered = 30,
                      .delivered_bytes = 40,
                      .gaps = 50,
                      .duplicated = 60,
                      .reordered = 70,
                      .damaged = 80,
                      .unsent = 90,
                      .late = 100,
                      .compared_bytes = 110,
                      .unfinished = 120,
                      .full_ns = 130};

TEST_CASE("tallies add up field by field") {
  const Tally sum = kOne + kTens;
  CHECK(sum == Tally{.sent = 11,
                     .sent_bytes = 22,
                     .delivered = 33,
                     .delivered_bytes = 44,
                     .gaps = 55,
                     .duplicated = 66,
                     .reordered = 77,
                     .damaged = 88,
                     .unsent = 99,
                     .late = 110,
                     .compared_bytes = 121,
                     .unfinished = 132,
                     .full_ns = 143});
  CHECK(kOne + Tally{} == kOne);
}

TEST_CASE("what was counted between two moments is their difference") {
  CHECK((kOne + kTens) - kOne == kTens);
  CHECK(kTens - kTens == Tally{});
}

TEST_CASE("what has become less is negative, in the two's complement") {
  CHECK(static_cast<std::int64_t>((Tally{.gaps = 2} - Tally{.gaps = 5}).gaps) == -3);
  CHECK(Tally{.gaps = 5} + (Tally{.gaps = 2} - Tally{.gaps = 5}) == Tally{.gaps = 2});
}

TEST_CASE("the words are the fields in their order, and give the tally back") {
  CHECK(kOne.words() == Tally::Words{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13});
  CHECK(Tally::from(kOne.words()) == kOne);
}

TEST_CASE("seconds as a person gives them") {
  CHECK(to_duration(0) == 0ns);
  CHECK(to_duration(0.5) == 500ms);
  CHECK(to_duration(2) == 2s);
}

}  // namespace
}  // namespace tandem::bench
