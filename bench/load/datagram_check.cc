#include "bench/load/datagram_check.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "bench/load/schedule.h"

namespace tandem::bench {
namespace {

constexpr std::uint32_t kFillerCheckedEvery = 16;
constexpr std::uint32_t kRecentMax = 64;

struct Stamp {
  std::uint32_t flow_sealed;
  std::uint32_t number;
};
static_assert(sizeof(Stamp) == kStampSize);

// An altered number would pass for loss and disorder, so the flow is no longer right with it.
constexpr std::uint32_t sealed(std::uint32_t flow, std::uint32_t number) {
  return flow ^ (number * 0x9e3779b9u);
}

bool is_hello(std::span<const std::uint8_t> payload) {
  return payload.size() >= kHello.size() &&
         std::ranges::equal(payload.first(kHello.size()), kHello,
                            [](std::uint8_t byte, char letter) { return byte == letter; });
}

}  // namespace

std::size_t DatagramShape::size_max() const {
  return std::ranges::max(sizes);
}

double DatagramShape::size_mean() const {
  return static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0})) /
         static_cast<double>(sizes.size());
}

void fill_payload(std::span<std::uint8_t> payload) {
  std::uint8_t byte = 1;
  for (auto& at : payload) at = byte = static_cast<std::uint8_t>(byte * 167 + 13);
}

void stamp_payload(std::span<std::uint8_t> payload, std::uint32_t flow, std::uint32_t number) {
  const Stamp stamp{sealed(flow, number), number};
  std::memcpy(payload.data(), &stamp, sizeof stamp);
}

std::uint32_t number_of(std::span<const std::uint8_t> payload) {
  Stamp stamp{};
  std::memcpy(&stamp, payload.data(), sizeof stamp);
  return stamp.number;
}

void stamp_due(std::span<std::uint8_t> payload, std::int64_t due_ns) {
  Stamp stamp{};
  std::memcpy(&stamp, payload.data(), sizeof stamp);
  stamp.flow_sealed ^= seal_of(due_ns);
  std::memcpy(payload.data(), &stamp, sizeof stamp);
  std::memcpy(&payload[kStampSize], &due_ns, sizeof due_ns);
}

std::int64_t due_of(std::span<const std::uint8_t> payload) {
  std::int64_t due_ns = 0;
  std::memcpy(&due_ns, &payload[kStampSize], sizeof due_ns);
  return due_ns;
}

DatagramCheck::DatagramCheck(std::size_t flows, std::size_t first_flow, DatagramShape shape,
                             Verify verify)
    : flows_(flows),
      first_flow_(static_cast<std::uint32_t>(first_flow)),
      shape_(std::move(shape)),
      filler_(shape_.size_max()),
      verify_(verify) {
  fill_payload(filler_);
}

DatagramCheck::Outcome DatagramCheck::feed(std::size_t flow,
                                           std::span<const std::uint8_t> payload) {
  Stamp stamp{};
  const auto number = first_flow_ + static_cast<std::uint32_t>(flow);
  const auto head = shape_.stamp_size();
  if (payload.size() >= head) std::memcpy(&stamp, payload.data(), sizeof stamp);
  const bool whole = verify_ == Verify::full || stamp.number % kFillerCheckedEvery == 0;
  const auto seal_of_due = shape_.timed && payload.size() >= head ? seal_of(due_of(payload)) : 0;
  if (payload.size() < head || stamp.flow_sealed != (sealed(number, stamp.number) ^ seal_of_due) ||
      payload.size() != shape_.size_of(number, stamp.number) ||
      (whole &&
       std::memcmp(payload.data() + head, filler_.data() + head, payload.size() - head) != 0)) {
    if (is_hello(payload)) return Outcome::hello;
    ++damaged_;
    return Outcome::damaged;
  }
  return count(flows_[flow], stamp.number, payload.size());
}

DatagramCheck::Outcome DatagramCheck::count(Seen& seen, std::uint32_t number, std::size_t size) {
  if (number >= seen.next) {
    const std::uint32_t ahead = number - seen.next + 1;
    seen.recent = ahead < kRecentMax ? seen.recent << ahead : 0;
    seen.recent |= 1;
    seen.next = number + 1;
    begun_ += ahead;
  } else {
    // Later than the window remembers cannot be told from a repetition and is taken for late.
    const std::uint32_t behind = seen.next - 1 - number;
    const std::uint64_t bit = behind < kRecentMax ? std::uint64_t{1} << behind : 0;
    if ((seen.recent & bit) != 0) {
      ++duplicated_;
      return Outcome::duplicated;
    }
    seen.recent |= bit;
    ++reordered_;
  }
  ++delivered_;
  delivered_bytes_ += size;
  seen.bytes += size;
  return Outcome::delivered;
}

Tally DatagramCheck::tally(const Tally& sent) const {
  Tally tally = sent;
  tally.delivered = delivered_;
  tally.delivered_bytes = delivered_bytes_;
  tally.gaps = begun_ - delivered_;
  tally.duplicated = duplicated_;
  tally.reordered = reordered_;
  tally.damaged = damaged_;
  return tally;
}

}  // namespace tandem::bench
