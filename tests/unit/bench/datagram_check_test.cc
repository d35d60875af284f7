#include "bench/load/datagram_check.h"

#include <doctest/doctest.h>

#include "bench/load/quantities.h"

namespace tandem::bench {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Outcome = DatagramCheck::Outcome;

constexpr std::size_t kSize = 200;

Bytes datagram(std::uint32_t flow, std::uint32_t number, std::size_t size = kSize) {
  Bytes bytes(size);
  fill_payload(bytes);
  stamp_payload(bytes, flow, number);
  return bytes;
}

// Two flows of the run: those from `first_flow` on.
struct Feed {
  explicit Feed(Verify verify = Verify::sampled, std::size_t first_flow = 0,
                DatagramShape shape = {.sizes = {kSize}})
      : check(2, first_flow, std::move(shape), verify) {}
  void all(std::initializer_list<std::uint32_t> numbers) {
    for (const std::uint32_t number : numbers) check.feed(1, datagram(1, number));
  }
  [[nodiscard]] Tally tally() const { return check.tally({}); }
  DatagramCheck check;
};

TEST_CASE("each number is delivered once, and flows count apart") {
  Feed f;
  f.all({0, 1, 2});
  CHECK(f.check.feed(0, datagram(0, 0)) == Outcome::delivered);
  CHECK(f.check.delivered() == 4);
  CHECK(f.tally() == Tally{.delivered = 4, .delivered_bytes = 4 * kSize});
  CHECK(f.check.delivered_bytes_of(0) == kSize);
  CHECK(f.check.delivered_bytes_of(1) == 3 * kSize);
}

TEST_CASE("the account is beside what the sending side says") {
  Feed f;
  f.all({0});
  const Tally both = f.check.tally({.sent = 7, .sent_bytes = 70, .unsent = 3, .late = 2});
  CHECK(both == Tally{.sent = 7,
                      .sent_bytes = 70,
                      .delivered = 1,
                      .delivered_bytes = kSize,
                      .unsent = 3,
                      .late = 2});
}

TEST_CASE("loss is a gap, neither delivered nor damage") {
  Feed f;
  f.all({0, 3, 500});
  CHECK(f.tally() == Tally{.delivered = 3, .delivered_bytes = 3 * kSize, .gaps = 498});
}

TEST_CASE("a gap closes when what was missing comes late") {
  Feed f;
  f.all({0, 3});
  CHECK(f.tally().gaps == 2);
  f.all({1});
  CHECK(f.tally().gaps == 1);
  f.all({2});
  CHECK(f.tally().gaps == 0);
  CHECK(f.tally().reordered == 2);
}

TEST_CASE("a flow that begins late has a gap before it") {
  Feed f;
  f.all({5});
  CHECK(f.tally().gaps == 5);
}

TEST_CASE("a doubled datagram is seen, also behind others") {
  Feed f;
  f.all({0, 1, 1, 2, 3, 0});
  CHECK(f.check.feed(1, datagram(1, 3)) == Outcome::duplicated);
  CHECK(f.tally() == Tally{.delivered = 4, .delivered_bytes = 4 * kSize, .duplicated = 3});
}

TEST_CASE("swapped datagrams are delivered out of order, and then doubled at most") {
  Feed f;
  f.all({1, 0, 2, 70, 7, 7});
  CHECK(f.check.delivered() == 5);
  CHECK(f.tally().reordered == 2);
  CHECK(f.tally().duplicated == 1);
  CHECK(f.tally().damaged == 0);
}

TEST_CASE("later than the window remembers is late, not doubled") {
  Feed f;
  f.all({0, 64, 0});
  CHECK(f.tally().reordered == 1);
  CHECK(f.tally().duplicated == 0);
}

TEST_CASE("another flow's datagram is damage, also where the first flow is not the run's") {
  for (const std::uint32_t first_flow : {0u, 100u}) {
    Feed f(Verify::sampled, first_flow);
    CHECK(f.check.feed(1, datagram(first_flow, 5)) == Outcome::damaged);
    CHECK(f.check.feed(0, datagram(first_flow + 1, 5)) == Outcome::damaged);
    CHECK(f.check.feed(1, datagram(first_flow + 2, 5)) == Outcome::damaged);
    CHECK(f.check.feed(1, datagram(first_flow + 1, 0)) == Outcome::delivered);
    CHECK(f.tally().damaged == 3);
    CHECK(f.check.delivered() == 1);
  }
}

TEST_CASE("flows that begin elsewhere do not take those of the run's beginning") {
  Feed f(Verify::sampled, 100);
  CHECK(f.check.feed(0, datagram(0, 0)) == Outcome::damaged);
  CHECK(f.check.feed(0, datagram(100, 0)) == Outcome::delivered);
}

TEST_CASE("a hello that comes late is none of the load's") {
  Feed f;
  const std::string_view hello = "tandem-bench 17";
  CHECK(f.check.feed(1, Bytes(hello.begin(), hello.end())) == Outcome::hello);
  CHECK(f.check.feed(1, Bytes(hello.begin(), hello.begin() + 5)) == Outcome::damaged);
  CHECK(f.tally() == Tally{.damaged = 1});
}

TEST_CASE("a length that was not sent is damage") {
  Feed f;
  for (const std::size_t size : {kStampSize, kSize - 1, kSize + 1}) {
    f.check.feed(1, datagram(1, 0, size));
  }
  f.check.feed(1, {});
  CHECK(f.tally().damaged == 4);
  CHECK(f.check.delivered() == 0);
}

TEST_CASE("any altered bit of the stamp is damage, not loss or disorder") {
  Feed f;
  for (std::size_t bit = 0; bit < 8 * kStampSize; ++bit) {
    Bytes bytes = datagram(1, 17);
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ (1u << bit % 8));
    f.check.feed(1, bytes);
    CHECK(f.tally().damaged == bit + 1);
  }
  CHECK(f.check.delivered() == 0);
}

TEST_CASE("an altered byte behind the stamp is damage: everywhere, or in every 16th") {
  Feed full(Verify::full);
  Feed sampled(Verify::sampled);
  for (std::uint32_t number = 0; number < 32; ++number) {
    Bytes bytes = datagram(1, number);
    bytes[kStampSize + number * 5] ^= 1;
    full.check.feed(1, bytes);
    sampled.check.feed(1, bytes);
  }
  CHECK(full.tally().damaged == 32);
  CHECK(sampled.tally().damaged == 2);
}

TEST_CASE("a flow's datagrams go round the sizes, from a place of its own") {
  const DatagramShape shape{.sizes = {64, 512, 1200}};
  CHECK(shape.size_of(0, 0) == 64);
  CHECK(shape.size_of(0, 1) == 512);
  CHECK(shape.size_of(0, 3) == 64);
  CHECK(shape.size_of(1, 0) == 512);
  CHECK(shape.size_of(2, 1) == 64);
  CHECK(shape.size_max() == 1200);
  CHECK(shape.size_mean() == 592);
}

TEST_CASE("a datagram has the size of its number and no other of the mix") {
  const DatagramShape shape{.sizes = parse_sizes("imix")};
  Feed f(Verify::full, 7, shape);
  std::uint64_t bytes = 0;
  for (std::uint32_t number = 0; number < 24; ++number) {
    const auto size = shape.size_of(8, number);
    CHECK(f.check.feed(1, datagram(8, number, size)) == Outcome::delivered);
    const std::size_t other = size == 64 ? 512 : 64;
    CHECK(f.check.feed(1, datagram(8, number, other)) == Outcome::damaged);
    bytes += size;
  }
  CHECK(bytes == 2 * (7 * 64 + 4 * 512 + 1200));
  CHECK(f.tally() == Tally{.delivered = 24, .delivered_bytes = bytes, .damaged = 24});
}

TEST_CASE("a timed stamp has the moment beside flow and number, and it is no part of the filler") {
  Feed f(Verify::full, 0, {.sizes = {kSize}, .timed = true});
  for (const std::int64_t due_ns : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 62}) {
    Bytes bytes = datagram(1, 3);
    stamp_due(bytes, due_ns);
    CHECK(due_of(bytes) == due_ns);
    CHECK(f.check.feed(1, bytes) != Outcome::damaged);
  }
  Bytes altered = datagram(1, 4);
  stamp_due(altered, 5);
  altered[kTimedStampSize] ^= 1;
  CHECK(f.check.feed(1, altered) == Outcome::damaged);
}

TEST_CASE("any altered bit of the moment is damage") {
  Feed f(Verify::sampled, 0, {.sizes = {kSize}, .timed = true});
  for (std::size_t bit = 8 * kStampSize; bit < 8 * kTimedStampSize; ++bit) {
    Bytes bytes = datagram(1, 17);
    stamp_due(bytes, 1'234'567'890'123);
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ (1u << bit % 8));
    CHECK(f.check.feed(1, bytes) == Outcome::damaged);
  }
}

TEST_CASE("a timed datagram without room for its moment is damage") {
  Feed f(Verify::full, 0, {.sizes = {kTimedStampSize}, .timed = true});
  CHECK(f.check.feed(1, datagram(1, 0, kTimedStampSize - 1)) == Outcome::damaged);
  CHECK(f.check.feed(1, datagram(1, 0, kStampSize)) == Outcome::damaged);
  Bytes least = datagram(1, 0, kTimedStampSize);
  stamp_due(least, 5);
  CHECK(f.check.feed(1, least) == Outcome::delivered);
}

}  // namespace
}  // namespace tandem::bench
