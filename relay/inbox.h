// What other threads leave for a shard: commands from control, connections and stray datagrams from
// its sibling shards. Bounded rings, one producer each. Knows no policy and no back end.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/control.h"
#include "common/limits.h"
#include "common/spsc_ring.h"
#include "relay/io.h"

namespace tandem {

// A connection that belongs to another shard, with what was read of it. 256 bytes of line and as
// many again that came with them: see Greeting.
inline constexpr size_t kHandOverBytesMax = 768;
struct HandOver {
  DetachedStream stream;
  Endpoint client;  // what a trusted proxy said of it
  uint16_t length = 0;
  std::array<uint8_t, kHandOverBytesMax> bytes;
};

// A datagram that the kernel gave to the wrong shard: it lay in a train behind one of another
// session. Copied, since its buffer belongs to the other shard; a client with one socket for each
// session, as the protocol asks, never makes one.
inline constexpr size_t kStrayBytesMax = 2048;
struct StrayDatagram {
  Endpoint source;
  LocalAddress local;
  uint16_t length = 0;
  std::array<uint8_t, kStrayBytesMax> bytes;
};

inline constexpr size_t kCommandRing = 1024;
inline constexpr size_t kMessageRing = 8192;
inline constexpr size_t kSiblingRing = 64;

struct SiblingRings {
  SpscRing<HandOver> connections{kSiblingRing};
  SpscRing<StrayDatagram> strays{kSiblingRing};
};

// One shard's. `from[i]` is filled by shard i.
struct Inbox {
  explicit Inbox(uint32_t shards) {
    for (uint32_t i = 0; i < shards; ++i) from.push_back(std::make_unique<SiblingRings>());
  }
  SpscRing<ToShard> commands{kCommandRing};
  SpscRing<FromShard> messages{kMessageRing};  // to control
  std::vector<std::unique_ptr<SiblingRings>> from;
};

}  // namespace tandem
