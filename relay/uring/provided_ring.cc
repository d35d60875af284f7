#include "relay/uring/provided_ring.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>

namespace tandem::uring {

ProvidedRing::ProvidedRing(Ring& ring, uint16_t group, uint32_t entries, BufferPool& pool,
                           uint32_t size)
    : group_(group),
      mask_(static_cast<uint16_t>(entries - 1)),
      size_(size),
      pool_(pool),
      memory_(entries * sizeof(io_uring_buf)),
      entries_(static_cast<io_uring_buf*>(memory_.data())),
      slots_(std::make_unique<uint16_t[]>(pool.count())),
      used_(std::make_unique<bool[]>(entries)) {
  TANDEM_CHECK(entries >= 2 && entries <= 32768 && (entries & (entries - 1)) == 0);
  TANDEM_CHECK(pool.count() <= UINT16_MAX);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uint64_t>(entries_);
  registration.ring_entries = entries;
  registration.bgid = group;
  const int result = ring.apply(IORING_REGISTER_PBUF_RING, &registration, 1);
  if (result < 0)
    throw std::runtime_error(fmt::format("io_uring buffer ring: {}", std::strerror(-result)));
  refill();
}

void ProvidedRing::refill() {
  const uint32_t fitting = kCircleBytes / (static_cast<uint32_t>(typical_) + 1);
  most_ = static_cast<uint16_t>(std::clamp(fitting, std::min(kOfferedMin, entries()), entries()));
  const uint16_t before = tail_;
  while (static_cast<uint16_t>(tail_ - head_) < most_) {
    const BufferId buffer = pool_.take();
    if (buffer == kNoBuffer) break;
    // Member by member: the first entry's last two bytes are the ring's tail.
    io_uring_buf& slot = entry(tail_);
    slot.addr = reinterpret_cast<uint64_t>(pool_.data(buffer));
    slot.len = size_;
    slot.bid = static_cast<uint16_t>(buffer);
    slots_[buffer] = tail_;
    used_[tail_ & mask_] = false;
    ++tail_;
  }
  if (tail_ == before) return;
  std::atomic_ref(static_cast<io_uring_buf_ring*>(memory_.data())->tail)
      .store(tail_, std::memory_order_release);
}

io_uring_buf ProvidedRing::consume(uint16_t slot) {
  TANDEM_CHECK(static_cast<uint16_t>(slot - head_) < static_cast<uint16_t>(tail_ - head_));
  bool& used = used_[slot & mask_];
  TANDEM_CHECK(!used);
  used = true;
  ++gaps_;
  while (head_ != tail_ && used_[head_ & mask_]) {
    ++head_;
    --gaps_;
  }
  return entry(slot);
}

}  // namespace tandem::uring
