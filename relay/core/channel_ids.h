// Draws channel ids: unguessable, never 0, and none twice before all 2^32 - 1 have been used, so
// that one is not met again while datagrams of its last owner may still be on their way.
//
// A counter under a keyed permutation (four Feistel rounds of SipHash-2-4 over 16-bit halves, Luby
// and Rackoff 1988) rather than random draws: those would need a table of the ids that are resting.
#pragma once

#include <array>
#include <cstdint>

#include "common/siphash.h"

namespace tandem {

class ChannelIds {
 public:
  // `secret` is random for each start; `first` too, so that shards differ in what they reach when.
  ChannelIds(SipKey secret, uint32_t first) : secret_(secret), counter_(first) {}

  [[nodiscard]] uint32_t next() {
    uint32_t id = permute(counter_++);
    if (id == 0) id = permute(counter_++);
    return id;
  }

 private:
  [[nodiscard]] uint32_t permute(uint32_t value) const {
    uint16_t left = static_cast<uint16_t>(value >> 16);
    uint16_t right = static_cast<uint16_t>(value);
    for (uint8_t round = 0; round < 4; ++round) {
      const std::array<uint8_t, 3> input{round, static_cast<uint8_t>(right >> 8),
                                         static_cast<uint8_t>(right)};
      const uint16_t mixed = static_cast<uint16_t>(left ^ siphash24(secret_, input));
      left = right;
      right = mixed;
    }
    return uint32_t{left} << 16 | right;
  }

  SipKey secret_;
  uint32_t counter_;
};

}  // namespace tandem
