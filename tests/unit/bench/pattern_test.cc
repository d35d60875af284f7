#include "bench/load/pattern.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

namespace tandem::bench {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint32_t kFlow = 7;
constexpr std::size_t kWhole = 16 * kBlock;  // from one block that is compared whole to the next

Bytes stream(std::size_t size, std::uint32_t flow = kFlow) {
  PatternSource source(size);
  const auto bytes = source.at(flow, 0, size);
  return {bytes.begin(), bytes.end()};
}

std::uint64_t mismatches(const Bytes& bytes, Verify verify, std::size_t read_size) {
  PatternSource expected(read_size);
  PatternCheck check(kFlow, verify);
  for (std::size_t at = 0; at < bytes.size(); at += read_size) {
    check.feed(std::span(bytes).subspan(at, std::min(read_size, bytes.size() - at)), expected);
  }
  CHECK(check.received() == bytes.size());
  if (verify == Verify::full) CHECK(check.compared() == bytes.size());
  return check.mismatches();
}

// By both ways of verifying, and however the stream was cut: none of it may depend on that.
bool seen(const Bytes& bytes) {
  const auto damaged = [&](Verify verify) {
    const bool in_one = mismatches(bytes, verify, bytes.size()) != 0;
    for (const std::size_t read_size : {std::size_t{1}, std::size_t{5}, std::size_t{1460},
                                        kBlock - 1, kBlock, std::size_t{65'536}}) {
      CHECK((mismatches(bytes, verify, read_size) != 0) == in_one);
    }
    return in_one;
  };
  const bool by_sample = damaged(Verify::sampled);
  CHECK(damaged(Verify::full) == by_sample);
  return by_sample;
}

void swap_blocks(Bytes& bytes, std::size_t one, std::size_t other) {
  const auto at = [&](std::size_t block) {
    return bytes.begin() + static_cast<std::ptrdiff_t>(block * kBlock);
  };
  std::swap_ranges(at(one), at(one + 1), at(other));
}

TEST_CASE("what was sent is right") {
  CHECK(!seen(stream(2 * kWhole)));
  CHECK(!seen(stream(2 * kWhole + 123)));
}

TEST_CASE("any part of the stream is the same wherever it is asked for") {
  const Bytes all = stream(4 * kBlock);
  PatternSource source(2 * kBlock);
  for (const std::size_t offset : {std::size_t{1}, std::size_t{7}, kBlock - 1, kBlock + 3}) {
    const auto part = source.at(kFlow, offset, kBlock + 9);
    CHECK(std::ranges::equal(part, std::span(all).subspan(offset, kBlock + 9)));
  }
}

TEST_CASE("an altered byte is seen: in every stamp, and in the blocks that are compared whole") {
  for (const std::size_t at : {std::size_t{0}, std::size_t{9}, kBlock - 1, 3 * kBlock,
                               3 * kBlock + 6, kWhole, kWhole + 2000}) {
    CAPTURE(at);
    Bytes bytes = stream(2 * kWhole);
    bytes[at] ^= 0x40;
    CHECK(seen(bytes));
  }
}

TEST_CASE("an altered byte between the samples is seen where every byte is compared") {
  Bytes bytes = stream(kWhole);
  bytes[3 * kBlock + 8] ^= 1;
  CHECK(mismatches(bytes, Verify::sampled, 1460) == 0);
  CHECK(mismatches(bytes, Verify::full, 1460) == 1);
}

TEST_CASE("a block that is lost, doubled or swapped with another is seen") {
  const auto block = [](Bytes& bytes, std::size_t index) {
    return bytes.begin() + static_cast<std::ptrdiff_t>(index * kBlock);
  };
  Bytes bytes = stream(kWhole);
  SUBCASE("lost") {
    bytes.erase(block(bytes, 3), block(bytes, 4));
  }
  SUBCASE("doubled") {
    const Bytes again(block(bytes, 3), block(bytes, 4));
    bytes.insert(block(bytes, 3), again.begin(), again.end());
  }
  SUBCASE("swapped with its neighbour") {
    swap_blocks(bytes, 3, 4);
  }
  SUBCASE("swapped with one that is compared whole") {
    swap_blocks(bytes, 0, 5);
  }
  CHECK(seen(bytes));
}

TEST_CASE("a byte that is lost or doubled shows in the next stamp") {
  Bytes bytes = stream(kWhole);
  SUBCASE("lost") {
    bytes.erase(bytes.begin() + kBlock + 100);
  }
  SUBCASE("doubled") {
    bytes.insert(bytes.begin() + kBlock + 100, bytes[kBlock + 100]);
  }
  CHECK(seen(bytes));
}

TEST_CASE("another flow's bytes are seen") {
  CHECK(seen(stream(kWhole, kFlow + 1)));
  Bytes bytes = stream(kWhole);
  const Bytes foreign = stream(kWhole, kFlow + 1);
  std::copy_n(foreign.begin() + 5 * kBlock, kBlock, bytes.begin() + 5 * kBlock);
  CHECK(seen(bytes));
}

}  // namespace
}  // namespace tandem::bench
