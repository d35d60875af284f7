#include "bench/load/datagram_check.h"

#include <doctest/doctest.h>

namespace tandem::bench {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kSize = 200;

Bytes datagram(std::uint32_t pair, std::uint32_t number, std::size_t size = kSize) {
  Bytes bytes(size);
  fill_payload(bytes);
  stamp_payload(bytes, pair, number);
  return bytes;
}

struct Feed {
  explicit Feed(Verify verify = Verify::sampled) : check(2, kSize, verify) {}
  void all(std::initializer_list<std::uint32_t> numbers) {
    for (const std::uint32_t number : numbers) check.feed(1, datagram(1, number));
  }
  DatagramCheck check;
};

TEST_CASE("each number is delivered once, and pairs count apart") {
  Feed f;
  f.all({0, 1, 2});
  f.check.feed(0, datagram(0, 0));
  CHECK(f.check.delivered() == 4);
  CHECK(f.check.duplicated() + f.check.reordered() + f.check.damaged() == 0);
}

TEST_CASE("loss is neither delivered nor damage") {
  Feed f;
  f.all({0, 3, 500});
  CHECK(f.check.delivered() == 3);
  CHECK(f.check.duplicated() + f.check.reordered() + f.check.damaged() == 0);
}

TEST_CASE("a doubled datagram is seen, also behind others") {
  Feed f;
  f.all({0, 1, 1, 2, 3, 0, 3});
  CHECK(f.check.delivered() == 4);
  CHECK(f.check.duplicated() == 3);
  CHECK(f.check.reordered() == 0);
}

TEST_CASE("swapped datagrams are delivered out of order, and then doubled at most") {
  Feed f;
  f.all({1, 0, 2, 70, 7, 7});
  CHECK(f.check.delivered() == 5);
  CHECK(f.check.reordered() == 2);
  CHECK(f.check.duplicated() == 1);
  CHECK(f.check.damaged() == 0);
}

TEST_CASE("later than the window remembers is late, not doubled") {
  Feed f;
  f.all({0, 64, 0});
  CHECK(f.check.reordered() == 1);
  CHECK(f.check.duplicated() == 0);
}

TEST_CASE("another pair's datagram is damage") {
  Feed f;
  f.check.feed(1, datagram(0, 5));
  CHECK(f.check.damaged() == 1);
  CHECK(f.check.delivered() == 0);
}

TEST_CASE("a length that was not sent is damage") {
  Feed f;
  for (const std::size_t size : {kStampSize, kSize - 1, kSize + 1}) {
    f.check.feed(1, datagram(1, 0, size));
  }
  f.check.feed(1, {});
  CHECK(f.check.damaged() == 4);
  CHECK(f.check.delivered() == 0);
}

TEST_CASE("any altered bit of the stamp is damage, not loss or disorder") {
  Feed f;
  for (std::size_t bit = 0; bit < 8 * kStampSize; ++bit) {
    Bytes bytes = datagram(1, 17);
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ (1u << bit % 8));
    f.check.feed(1, bytes);
    CHECK(f.check.damaged() == bit + 1);
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
  CHECK(full.check.damaged() == 32);
  CHECK(sampled.check.damaged() == 2);
}

}  // namespace
}  // namespace tandem::bench
