// What an operation is known by when it completes: its kind, the slot that it belongs to and the
// slot's generation, in the 64 bits of user_data. Knows nothing of what the kinds do.
#pragma once

#include <cstdint>

#include "common/slab.h"

namespace tandem::uring {

enum class OpKind : uint8_t {
  ignored,           // whose completion says nothing: cancels, updates
  wake,              // the eventfd's read
  accept,            // index: listener
  datagram_receive,  // index: socket
  datagram_send,     // index: buffer
  train_send,        // index: train slot
  reply_send,        // index: reply slot
  stream_line,       // from here to stream_room, index and generation: stream
  stream_read,
  stream_discard,
  stream_send,
  stream_watch,
  transfer_in,     // the source of a transfer is readable
  stream_room,     // there is room to send again
  stream_send_zc,  // index: zero-copy send
};

// Bits 63-56 kind, 55-32 generation, 31-0 index. 24 bits of generation are enough: a slot is only
// given away once nothing of it is in flight, so the check is for our own bugs.
struct Op {
  OpKind kind = OpKind::ignored;
  uint32_t index = 0;
  uint32_t generation = 0;

  static constexpr uint32_t kGenerationMask = 0xff'ffff;

  [[nodiscard]] static constexpr uint64_t pack(OpKind kind, uint32_t index,
                                               uint32_t generation = 0) {
    return uint64_t{static_cast<uint8_t>(kind)} << 56 |
           uint64_t{generation & kGenerationMask} << 32 | index;
  }
  [[nodiscard]] static constexpr uint64_t pack(OpKind kind, Handle handle) {
    return pack(kind, handle.index, handle.generation);
  }
  [[nodiscard]] static constexpr Op unpack(uint64_t user_data) {
    return {static_cast<OpKind>(user_data >> 56), static_cast<uint32_t>(user_data),
            static_cast<uint32_t>(user_data >> 32) & kGenerationMask};
  }
};

static_assert(Op::unpack(Op::pack(OpKind::stream_room, 0xdead'beef, 0xff12'3456)).index ==
              0xdead'beef);
static_assert(Op::unpack(Op::pack(OpKind::stream_room, 0xdead'beef, 0xff12'3456)).generation ==
              0x12'3456);
static_assert(Op::unpack(Op::pack(OpKind::stream_room, ~0u, ~0u)).kind == OpKind::stream_room);

}  // namespace tandem::uring
