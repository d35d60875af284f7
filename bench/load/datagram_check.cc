#include "bench/load/datagram_check.h"

#include <algorithm>
#include <cstring>

namespace tandem::bench {
namespace {

constexpr std::uint32_t kFillerCheckedEvery = 16;
constexpr std::uint32_t kRecentMax = 64;

struct Stamp {
  std::uint32_t pair_sealed;
  std::uint32_t number;
};
static_assert(sizeof(Stamp) == kStampSize);

// An altered number would pass for loss and disorder, so the pair is no longer right with it.
constexpr std::uint32_t sealed(std::uint32_t pair, std::uint32_t number) {
  return pair ^ (number * 0x9e3779b9u);
}

}  // namespace

void fill_payload(std::span<std::uint8_t> payload) {
  std::uint8_t byte = 1;
  for (auto& at : payload) at = byte = static_cast<std::uint8_t>(byte * 167 + 13);
}

void stamp_payload(std::span<std::uint8_t> payload, std::uint32_t pair, std::uint32_t number) {
  const Stamp stamp{sealed(pair, number), number};
  std::memcpy(payload.data(), &stamp, sizeof stamp);
}

DatagramCheck::DatagramCheck(std::size_t pairs, std::size_t payload_size, Verify verify)
    : pairs_(pairs), filler_(payload_size), verify_(verify) {
  fill_payload(filler_);
}

void DatagramCheck::feed(std::uint32_t pair, std::span<const std::uint8_t> payload) {
  if (payload.size() != filler_.size()) {
    ++damaged_;
    return;
  }
  Stamp stamp{};
  std::memcpy(&stamp, payload.data(), sizeof stamp);
  const bool whole = verify_ == Verify::full || stamp.number % kFillerCheckedEvery == 0;
  if (stamp.pair_sealed != sealed(pair, stamp.number) ||
      (whole &&
       !std::ranges::equal(payload.subspan(kStampSize), std::span(filler_).subspan(kStampSize)))) {
    ++damaged_;
    return;
  }
  count(pairs_[pair], stamp.number);
}

void DatagramCheck::count(Seen& seen, std::uint32_t number) {
  if (number >= seen.next) {
    const std::uint32_t ahead = number - seen.next + 1;
    seen.recent = ahead < kRecentMax ? seen.recent << ahead : 0;
    seen.recent |= 1;
    seen.next = number + 1;
    ++delivered_;
    return;
  }
  // Later than the window remembers cannot be told from a repetition and is taken for late.
  const std::uint32_t behind = seen.next - 1 - number;
  const std::uint64_t bit = behind < kRecentMax ? std::uint64_t{1} << behind : 0;
  if ((seen.recent & bit) != 0) {
    ++duplicated_;
    return;
  }
  seen.recent |= bit;
  ++reordered_;
  ++delivered_;
}

}  // namespace tandem::bench
