#include "bench/load/pattern.h"

#include <algorithm>
#include <cstring>

namespace tandem::bench {
namespace {

constexpr std::uint64_t kWholeBlockEvery = 16;

// SplitMix64's finalizer: neighbouring words share no run of bytes that a shift could hide behind.
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

constexpr std::uint64_t stamp(std::uint32_t flow, std::uint64_t block) {
  return (std::uint64_t{flow} << 40) ^ block;
}

}  // namespace

PatternSource::PatternSource(std::size_t chunk_max)
    : chunk_max_(chunk_max), blocks_((chunk_max / kBlock + 2) * kBlock) {
  for (std::size_t at = 0; at < blocks_.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = mix(at % kBlock);
    std::memcpy(&blocks_[at], &word, sizeof word);
  }
}

std::span<const std::uint8_t> PatternSource::at(std::uint32_t flow, std::uint64_t offset,
                                                std::size_t size) {
  size = std::min(size, chunk_max_);
  const std::size_t start = offset % kBlock;
  for (std::size_t at = 0; at < start + size; at += kBlock) {
    const std::uint64_t word = stamp(flow, offset / kBlock + at / kBlock);
    std::memcpy(&blocks_[at], &word, sizeof word);
  }
  return std::span<const std::uint8_t>(blocks_).subspan(start, size);
}

void PatternCheck::feed(std::span<const std::uint8_t> bytes, PatternSource& expected) {
  switch (verify_) {
    case Verify::sampled:
      feed_sampled(bytes, expected);
      break;
    case Verify::full:
      compare(bytes, offset_, expected);
      break;
  }
  offset_ += bytes.size();
}

void PatternCheck::compare(std::span<const std::uint8_t> bytes, std::uint64_t offset,
                           PatternSource& expected) {
  const auto right = expected.at(flow_, offset, bytes.size());
  if (std::memcmp(right.data(), bytes.data(), bytes.size()) != 0) ++mismatches_;
  compared_ += bytes.size();
}

// A read ends anywhere: what of a stamp or of a whole block is left for the next one is compared
// then.
void PatternCheck::feed_sampled(std::span<const std::uint8_t> bytes, PatternSource& expected) {
  const std::uint64_t end = offset_ + bytes.size();
  for (std::uint64_t at = offset_; at < end;) {
    const std::uint64_t block = at / kBlock;
    const std::uint64_t looked_at = block % kWholeBlockEvery == 0 ? kBlock : sizeof(std::uint64_t);
    const std::uint64_t until = std::min(block * kBlock + looked_at, end);
    if (at < until) compare(bytes.subspan(at - offset_, until - at), at, expected);
    at = (block + 1) * kBlock;
  }
}

}  // namespace tandem::bench
