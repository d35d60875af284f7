// Owns what a measured datagram carries (its flow, its number, filler) and the account of what
// arrived: delivered, twice, late, damaged. Knows no sockets; the relay's header is cut off before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "bench/load/load.h"
#include "bench/load/pattern.h"

namespace tandem::bench {

inline constexpr std::size_t kStampSize = 8;        // the least payload
inline constexpr std::size_t kTimedStampSize = 16;  // with the time when it was due
inline constexpr std::size_t kPayloadMax =
    8952;  // a jumbo frame less IPv6, UDP and the relay's header

// The payloads of a run: a flow's datagrams go round the sizes by their number, each flow from a
// place of its own.
struct DatagramShape {
  std::vector<std::size_t> sizes;  // bytes, each at least a stamp's
  bool timed = false;              // whether the stamp has the time

  [[nodiscard]] std::size_t size_of(std::size_t flow, std::uint32_t number) const {
    return sizes[(flow + number) % sizes.size()];
  }
  [[nodiscard]] std::size_t size_max() const;
  [[nodiscard]] double size_mean() const;
  [[nodiscard]] std::size_t stamp_size() const { return timed ? kTimedStampSize : kStampSize; }
};

// The bytes after the stamp, the same in all datagrams.
void fill_payload(std::span<std::uint8_t> payload);
// Only the stamp is written: a prefilled buffer serves datagram after datagram.
void stamp_payload(std::span<std::uint8_t> payload, std::uint32_t flow, std::uint32_t number);
// Of a payload that has a stamp.
[[nodiscard]] std::uint32_t number_of(std::span<const std::uint8_t> payload);
// For payloads that are timed, after stamp_payload(), whose stamp then covers it. Nanoseconds of a
// clock that both ends have.
void stamp_due(std::span<std::uint8_t> payload, std::int64_t due_ns);
[[nodiscard]] std::int64_t due_of(std::span<const std::uint8_t> payload);

// By this, and its number, a pair's ends find each other (join_udp.cc). One that was repeated may
// come when the load has begun.
inline constexpr std::string_view kHello = "tandem-bench ";

class DatagramCheck {
 public:
  // Of the flows [first_flow, first_flow + flows) of the run; here they count from 0.
  DatagramCheck(std::size_t flows, std::size_t first_flow, DatagramShape shape, Verify verify);

  enum class Outcome { delivered, duplicated, damaged, hello };
  // `flow` is that of the socket it arrived on: another's is damage. A hello is none of the load's.
  Outcome feed(std::size_t flow, std::span<const std::uint8_t> payload);

  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }  // each number once
  // What this check has seen, beside what `sent` says of the sending side.
  [[nodiscard]] Tally tally(const Tally& sent) const;
  [[nodiscard]] std::uint64_t delivered_bytes_of(std::size_t flow) const {
    return flows_[flow].bytes;
  }

 private:
  // The numbers before next that have come, the latest in bit 0.
  struct Seen {
    std::uint32_t next = 0;
    std::uint64_t recent = 0;
    std::uint64_t bytes = 0;
  };
  Outcome count(Seen& seen, std::uint32_t number, std::size_t size);

  std::vector<Seen> flows_;
  std::uint32_t first_flow_;
  DatagramShape shape_;
  std::vector<std::uint8_t> filler_;
  Verify verify_;
  std::uint64_t begun_ = 0;  // sum of all next
  std::uint64_t delivered_ = 0;
  std::uint64_t delivered_bytes_ = 0;
  std::uint64_t duplicated_ = 0;
  std::uint64_t reordered_ = 0;
  std::uint64_t damaged_ = 0;
};

}  // namespace tandem::bench
