// A bounded queue from one thread to one other. Full and empty are outcomes: it never waits and
// never allocates after construction. Waking the consumer is the caller's business.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include "common/assert.h"

namespace tandem {

template <class T>
class SpscRing {
 public:
  // A power of two.
  explicit SpscRing(std::size_t capacity)
      : slots_(std::make_unique<T[]>(capacity)), mask_(capacity - 1) {
    TANDEM_CHECK(std::has_single_bit(capacity));
  }
  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  // Producer only. False where it is full; then `value` is left as it was.
  template <class U = T>
  requires std::is_assignable_v<T&, U&&>
  [[nodiscard]] bool try_push(U&& value) {
    const std::size_t tail = producer_.tail.load(std::memory_order_relaxed);
    if (tail - producer_.head_seen > mask_) {
      producer_.head_seen = consumer_.head.load(std::memory_order_acquire);
      if (tail - producer_.head_seen > mask_) return false;
    }
    slots_[tail & mask_] = std::forward<U>(value);
    producer_.tail.store(tail + 1, std::memory_order_release);
    return true;
  }

  // Consumer only. False where it is empty; then `out` is left as it was.
  [[nodiscard]] bool try_pop(T& out) {
    const std::size_t head = consumer_.head.load(std::memory_order_relaxed);
    if (head == consumer_.tail_seen) {
      consumer_.tail_seen = producer_.tail.load(std::memory_order_acquire);
      if (head == consumer_.tail_seen) return false;
    }
    out = std::move(slots_[head & mask_]);
    consumer_.head.store(head + 1, std::memory_order_release);
    return true;
  }

  // Exact where the other side rests, else as it was a moment ago.
  [[nodiscard]] std::size_t size() const {
    // head first: it only grows towards tail, so the difference cannot be negative
    const std::size_t head = consumer_.head.load(std::memory_order_acquire);
    const std::size_t held = producer_.tail.load(std::memory_order_acquire) - head;
    return held <= capacity() ? held : capacity();
  }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] std::size_t capacity() const { return mask_ + 1; }

 private:
  // Indices count up for ever; a slot is an index's low bits. Each side writes a cache line of its
  // own and keeps there the last it saw of the other's, so the lines travel only when the ring
  // looks full or empty. Two lines apart, since the prefetcher fetches them in pairs.
  struct alignas(128) Producer {
    std::atomic<std::size_t> tail{0};
    std::size_t head_seen = 0;
  };
  struct alignas(128) Consumer {
    std::atomic<std::size_t> head{0};
    std::size_t tail_seen = 0;
  };

  std::unique_ptr<T[]> slots_;
  std::size_t mask_;
  Producer producer_;
  Consumer consumer_;
};

}  // namespace tandem
