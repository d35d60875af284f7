// What the relay remembers of a session: its caps, its streams and, once one came, its UDP path.
// Plain state; the rules stand in lifecycle, binding, joining and the two paths.
#pragma once

#include <array>
#include <cstdint>

#include "common/clock.h"
#include "common/endpoint.h"
#include "common/slab.h"
#include "relay/core/rate_limiter.h"
#include "relay/core/wire.h"

namespace tandem {

inline constexpr uint32_t kNone = UINT32_MAX;  // an index that names nothing
inline constexpr uint8_t kSlots[] = {0, 1};

// Milliseconds since the shard started: 49 days in 32 bits, compared by their difference.
using Millis = uint32_t;
[[nodiscard]] constexpr Nanos to_nanos(Millis since) {
  return Nanos{since} * 1'000'000;
}

// One side's UDP binding. A relay holds a million of these: ordered so that nothing is padding.
struct UdpEnd {
  Endpoint remote;     // port 0 = not bound
  uint16_t local = 0;  // in LocalAddresses: where its BIND arrived
  uint16_t max_payload = 0;
  bool exempt : 1 = false;
  bool ever_bound : 1 = false;
  uint8_t over_rate_at : 6 = 0;  // 1 + the tenth of a second, modulo 63, of its last offence
  uint32_t cookie_time = 0;      // of the BIND that bound it; only a newer cookie moves it
  Millis last_seen = 0;
  std::array<uint8_t, kClientNonceSize> nonce{};

  [[nodiscard]] bool bound() const { return remote.port != 0; }
};

struct UdpPath {
  RateBucket packets[2];  // by end
  UdpEnd ends[2];
  uint32_t channel_id = 0;
  uint32_t session = kNone;
  Millis alone_since = 0;  // since when exactly one end is bound

  [[nodiscard]] bool paired() const { return ends[0].bound() && ends[1].bound(); }
  [[nodiscard]] bool any_bound() const { return ends[0].bound() || ends[1].bound(); }
};

struct Session {
  uint64_t id = 0;
  RateBucket bandwidth;
  uint64_t bytes[2] = {};  // payload forwarded, by the slot that sent it
  uint64_t packets[2] = {};
  uint32_t opened_s = 0;  // seconds since the shard started
  uint32_t dropped_packets = 0;
  uint32_t streams = kNone;  // the first of its streams
  Millis last_live = 0;      // when its last connection ended, or something last came
  uint16_t rate = 0;         // in SessionRates: the smallest that a token named
  uint16_t lanes_max = 0;    // likewise; 0 = the server's
  uint8_t stream_count[2] = {};
  bool counted_paired = false;
};
static_assert(sizeof(UdpEnd) == 40 && sizeof(UdpPath) == 112 && sizeof(Session) == 72);

}  // namespace tandem
