// Fixed slots with generation handles: a table whose entries are named by {index, generation}, so
// that a name that outlived its entry finds nothing rather than the next tenant. Knows nothing of
// what it holds. One thread.
//
// A slot costs sizeof(T) + 4 bytes, and nothing before its first use: memory is reserved, not
// taken, and slots are reused last in, first out, so the resident part is the peak of what was
// live. A free slot's own storage holds the link to the next one.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>

#include "common/assert.h"
#include "common/reserved_memory.h"

namespace tandem {

// The default one names nothing in any slab.
struct Handle {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;

  friend constexpr bool operator==(const Handle&, const Handle&) = default;
};

template <class T>
class Slab {
  static_assert(std::is_trivially_destructible_v<T>, "slots are abandoned, not destroyed");
  static_assert(sizeof(T) >= sizeof(std::uint32_t), "a free slot holds the link to the next");
  static_assert(alignof(T) <= 4096, "slots start at a page");

 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  explicit Slab(std::uint32_t capacity)
      : slots_memory_(std::size_t{capacity} * sizeof(T)),
        generations_memory_(std::size_t{capacity} * sizeof(std::uint32_t)),
        capacity_(capacity) {
    TANDEM_CHECK(capacity < kNone);
  }

  // A value-initialised T; nothing where every slot is live.
  [[nodiscard]] std::optional<Handle> acquire() {
    std::uint32_t index = free_;
    if (index != kNone) {
      std::memcpy(&free_, storage(index), sizeof free_);
    } else if (touched_ < capacity_) {
      index = touched_++;
    } else {
      return std::nullopt;
    }
    TANDEM_CHECK(!live(index));
    std::construct_at(slot(index));
    ++size_;
    return Handle{index, ++generations()[index]};
  }

  // The handle is live.
  void release(Handle handle) {
    TANDEM_CHECK(find(handle) != nullptr);
    ++generations()[handle.index];  // even: 0xffff'ffff wraps to a free 0 as any other odd one
    std::memcpy(storage(handle.index), &free_, sizeof free_);
    free_ = handle.index;
    --size_;
  }

  // nullptr where the handle's tenancy is over or was never one.
  [[nodiscard]] T* find(Handle handle) { return holds(handle) ? slot(handle.index) : nullptr; }
  [[nodiscard]] const T* find(Handle handle) const {
    return holds(handle) ? slot(handle.index) : nullptr;
  }

  // The index is live.
  [[nodiscard]] T& operator[](std::uint32_t index) {
    TANDEM_CHECK(live(index));
    return *slot(index);
  }
  [[nodiscard]] const T& operator[](std::uint32_t index) const {
    TANDEM_CHECK(live(index));
    return *slot(index);
  }
  [[nodiscard]] Handle handle_of(std::uint32_t index) const {
    TANDEM_CHECK(live(index));
    return {index, generations()[index]};
  }

  // Of an entry of this slab.
  [[nodiscard]] std::uint32_t index_of(const T& entry) const {
    return static_cast<std::uint32_t>(&entry - static_cast<const T*>(slots_memory_.data()));
  }

  [[nodiscard]] bool live(std::uint32_t index) const {
    return index < touched_ && (generations()[index] & 1) != 0;
  }
  // The first live index at or after this one, kNone where there is none:
  // for (i = slab.next_live(0); i != slab.kNone; i = slab.next_live(i + 1)).
  [[nodiscard]] std::uint32_t next_live(std::uint32_t index) const {
    for (; index < touched_; ++index)
      if (live(index)) return index;
    return kNone;
  }

  [[nodiscard]] std::uint32_t size() const { return size_; }
  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }

 private:
  bool holds(Handle handle) const {
    return live(handle.index) && generations()[handle.index] == handle.generation;
  }
  std::byte* storage(std::uint32_t index) const {
    return static_cast<std::byte*>(slots_memory_.data()) + std::size_t{index} * sizeof(T);
  }
  T* slot(std::uint32_t index) const { return static_cast<T*>(slots_memory_.data()) + index; }
  std::uint32_t* generations() const {
    return static_cast<std::uint32_t*>(generations_memory_.data());
  }

  ReservedMemory slots_memory_;
  ReservedMemory generations_memory_;  // odd = live; apart from the slots, 16 to a cache line
  std::uint32_t capacity_;
  std::uint32_t touched_ = 0;  // slots that were ever live
  std::uint32_t free_ = kNone;
  std::uint32_t size_ = 0;
};

}  // namespace tandem
