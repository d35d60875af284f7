// A datagram, or a train of datagrams of one flow, on its way between a back end and the core.
// Knows neither sockets nor sessions: bytes, endpoints and the id of the buffer they lie in.
#pragma once

#include <cstdint>
#include <span>

#include "common/endpoint.h"

namespace tandem {

// A receive buffer of the back end. Whoever holds the id owns the buffer until release() or until
// the last send that names it has completed.
using BufferId = uint32_t;
inline constexpr BufferId kNoBuffer = UINT32_MAX;

// Where a datagram arrived and from where its reply must leave: the address that the client spoke
// to, and the shard's listening socket (an index into [listen] address).
struct LocalAddress {
  IpAddress address;
  uint16_t socket = 0;
  friend bool operator==(const LocalAddress&, const LocalAddress&) = default;
};

// What came in. `length` bytes at `data`, in segments of `segment_size` bytes (the last may be
// shorter) where the kernel joined them (UDP_GRO); segment_size == length for a single datagram.
struct Datagram {
  Endpoint source;
  LocalAddress local;
  uint8_t* data = nullptr;
  uint32_t length = 0;
  uint16_t segment_size = 0;
  bool truncated = false;  // larger than a buffer: the rest is lost
  BufferId buffer = kNoBuffer;

  [[nodiscard]] uint32_t segments() const {
    return segment_size == 0 || length <= segment_size
               ? 1
               : (length + segment_size - 1u) / segment_size;
  }
};

// What goes out: a part of a received buffer, sent from where it lies, as datagrams of
// `segment_size` bytes each.
struct OutgoingDatagram {
  Endpoint destination;
  LocalAddress source;
  uint8_t* data = nullptr;
  uint32_t length = 0;
  uint16_t segment_size = 0;
  uint16_t packets = 1;
  BufferId buffer = kNoBuffer;
};

// What the relay itself says (CHALLENGE, BOUND, CLOSE, ERROR, STUN): small, so the back end copies
// it into a slot of its own.
inline constexpr uint32_t kReplyMax = 128;
struct Reply {
  Endpoint destination;
  LocalAddress source;
  uint8_t length = 0;
  uint8_t bytes[kReplyMax];
};

}  // namespace tandem
