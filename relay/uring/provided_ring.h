// The buffers that the kernel may receive into: a provided buffer ring (5.19) that is refilled from
// a pool. Owns the ring and knows which of its slots the kernel has used; knows nothing of sockets.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "common/assert.h"
#include "common/reserved_memory.h"
#include "relay/buffer_pool.h"
#include "relay/uring/ring.h"

namespace tandem::uring {

// What is offered goes round in a circle, and the smaller that is the more of it stays in the
// cache: fewer entries than the pool has buffers, and of those no more than receives of the present
// size fill `kCircleBytes` with. Bulk streams thus get a few buffers a turn, small messages all of
// them, and so do datagrams, which are taken without their bytes.
class ProvidedRing {
 public:
  // Throws std::runtime_error where the kernel refuses. `entries` is a power of two up to 32,768.
  ProvidedRing(Ring& ring, uint16_t group, uint32_t entries, BufferPool& pool, uint32_t size);
  ProvidedRing(const ProvidedRing&) = delete;
  ProvidedRing& operator=(const ProvidedRing&) = delete;

  // Offers what the pool has; the kernel sees all of it at once.
  void refill();
  [[nodiscard]] uint16_t group() const { return group_; }
  [[nodiscard]] uint32_t entries() const { return mask_ + 1u; }
  [[nodiscard]] uint32_t offered() const { return static_cast<uint16_t>(tail_ - head_) - gaps_; }
  // Whether it is worth another try after ENOBUFS.
  [[nodiscard]] bool half_full() const { return offered() >= most_ / 2; }

  // A completion of `bytes` bytes that starts in `first` and goes on through the slots behind it
  // (a bundle): each buffer goes to `each(buffer, bytes)` and is the caller's. A receive without
  // bytes that names a buffer uses that one up.
  template <class Each>
  void take(BufferId first, uint32_t bytes, Each&& each) {
    uint16_t slot = slots_[first];
    do {
      const io_uring_buf entry = consume(slot++);
      // The kernel shortens an entry where a limit ends within it: what stands there counts.
      const uint32_t part = bytes < entry.len ? bytes : entry.len;
      bytes -= part;
      typical_ += (static_cast<int32_t>(part) - typical_) / 16;
      each(BufferId{entry.bid}, part);
    } while (bytes != 0);
  }

 private:
  io_uring_buf consume(uint16_t slot);
  io_uring_buf& entry(uint16_t slot) { return entries_[slot & mask_]; }

  static constexpr uint32_t kCircleBytes = 1u << 20;  // a core's second-level cache, about
  static constexpr uint32_t kOfferedMin = 16;

  uint16_t group_;
  uint16_t mask_;
  uint16_t tail_ = 0;    // next slot to fill
  uint16_t head_ = 0;    // oldest slot whose use we have not seen: completions of different
  uint16_t gaps_ = 0;    // operations may come out of order, and leave gaps behind it
  uint16_t most_ = 0;    // slots in the circle, for now
  int32_t typical_ = 0;  // bytes in a buffer, a moving average
  uint32_t size_;
  BufferPool& pool_;
  ReservedMemory memory_;
  io_uring_buf* entries_;
  std::unique_ptr<uint16_t[]> slots_;  // by buffer
  std::unique_ptr<bool[]> used_;       // by slot
};

}  // namespace tandem::uring
