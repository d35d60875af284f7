// Owns what a measured datagram carries (its pair, its number, filler) and the account of what
// arrived: delivered, twice, late, damaged. Knows no sockets; the relay's header is cut off before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "bench/load/pattern.h"

namespace tandem::bench {

inline constexpr std::size_t kStampSize = 8;  // the least payload

// The bytes after the stamp, the same in all datagrams.
void fill_payload(std::span<std::uint8_t> payload);
// Only the stamp is written: a prefilled buffer serves datagram after datagram.
void stamp_payload(std::span<std::uint8_t> payload, std::uint32_t pair, std::uint32_t number);

class DatagramCheck {
 public:
  DatagramCheck(std::size_t pairs, std::size_t payload_size, Verify verify);

  // `pair` is that of the socket it arrived on: another's is damage.
  void feed(std::uint32_t pair, std::span<const std::uint8_t> payload);

  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }  // each number once
  [[nodiscard]] std::uint64_t duplicated() const { return duplicated_; }
  [[nodiscard]] std::uint64_t reordered() const { return reordered_; }  // among the delivered
  [[nodiscard]] std::uint64_t damaged() const { return damaged_; }

 private:
  // The numbers before next_ that have come, the latest in bit 0.
  struct Seen {
    std::uint32_t next = 0;
    std::uint64_t recent = 0;
  };
  void count(Seen& seen, std::uint32_t number);

  std::vector<Seen> pairs_;
  std::vector<std::uint8_t> filler_;
  Verify verify_;
  std::uint64_t delivered_ = 0;
  std::uint64_t duplicated_ = 0;
  std::uint64_t reordered_ = 0;
  std::uint64_t damaged_ = 0;
};

}  // namespace tandem::bench
