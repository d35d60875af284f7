// Owns the bytes that a measured stream carries and the check of what arrives. Each 4 KiB block
// begins with a word that names its flow and its place, so loss, repetition, disorder and another
// flow's bytes all show; what follows is the same in every block. The bytes are known at both ends,
// so they are compared, which says more than a hash would and costs less. Knows no sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tandem::bench {

enum class Verify {
  sampled,  // every block's stamp, and each 16th block whole
  full,     // every byte
};

inline constexpr std::size_t kBlock = 4096;

// One buffer serves all flows: only the stamps differ, and they are written just before use. That
// keeps the sender's footprint at one chunk however many flows there are.
class PatternSource {
 public:
  explicit PatternSource(std::size_t chunk_max);

  // Bytes [offset, offset + size) of the flow's stream, size ≤ chunk_max; valid until the next
  // call.
  [[nodiscard]] std::span<const std::uint8_t> at(std::uint32_t flow, std::uint64_t offset,
                                                 std::size_t size);

 private:
  std::size_t chunk_max_;
  std::vector<std::uint8_t> blocks_;
};

class PatternCheck {
 public:
  PatternCheck(std::uint32_t flow, Verify verify) : flow_(flow), verify_(verify) {}

  // The next bytes of the stream. `expected` is scratch space that checks may share; its chunk_max
  // bounds the size of `bytes`.
  void feed(std::span<const std::uint8_t> bytes, PatternSource& expected);

  [[nodiscard]] std::uint64_t received() const { return offset_; }
  [[nodiscard]] std::uint64_t compared() const { return compared_; }
  [[nodiscard]] std::uint64_t mismatches() const { return mismatches_; }

 private:
  void compare(std::span<const std::uint8_t> bytes, std::uint64_t offset, PatternSource& expected);
  void feed_sampled(std::span<const std::uint8_t> bytes, PatternSource& expected);

  std::uint32_t flow_;
  Verify verify_;
  std::uint64_t offset_ = 0;
  std::uint64_t compared_ = 0;
  std::uint64_t mismatches_ = 0;
};

}  // namespace tandem::bench
