// A set of keys that each hold until some instant, in memory of fixed size: open addressing with
// linear probing, at most half full. Owns placement and expiry. Must not know what a key means or
// what clock the instants are of.
//
// The hash is keyed, since what lies here is picked by strangers. Erasing shifts back what follows,
// so there are no tombstones and a look-up is as short after a year as on the first day.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "common/assert.h"
#include "common/reserved_memory.h"
#include "common/siphash.h"

namespace tandem {

// A Slot is a plain struct with `key` and `int64_t until`; zeroed, it is free. It holds while
// now < until, and until is above 0.
template <class Slot>
class ExpiringTable {
  using Key = decltype(Slot::key);
  static_assert(std::has_unique_object_representations_v<Key>, "keys are hashed as bytes");
  static_assert(std::is_trivially_copyable_v<Slot>);

 public:
  ExpiringTable(uint32_t capacity, const SipKey& hash_key)
      : hash_key_(hash_key),
        capacity_(capacity),
        mask_(std::bit_ceil(capacity * size_t{2}) - 1),
        memory_((mask_ + 1) * sizeof(Slot)),
        slots_(static_cast<Slot*>(memory_.data())) {}

  [[nodiscard]] uint32_t size() const { return size_; }  // with what has expired unswept
  [[nodiscard]] uint32_t capacity() const { return capacity_; }

  // nullptr where the key is not there or holds no longer.
  [[nodiscard]] const Slot* find(const Key& key, int64_t now) const {
    if (size_ == 0) return nullptr;
    const Slot& slot = slots_[position(key)];
    return slot.until > now ? &slot : nullptr;
  }

  // The key's slot, expired or not, else a new one with until = 1 for the caller to set; nullptr
  // where the table is full.
  [[nodiscard]] Slot* claim(const Key& key) {
    Slot& slot = slots_[position(key)];
    if (slot.until != 0) return &slot;
    if (size_ == capacity_) return nullptr;
    ++size_;
    slot = Slot{};
    slot.key = key;
    slot.until = 1;
    return &slot;
  }

  enum class Erasure : uint8_t { erased, not_found };
  Erasure erase(const Key& key) {
    const size_t at = position(key);
    if (slots_[at].until == 0) return Erasure::not_found;
    erase_at(at);
    return Erasure::erased;
  }

  // Looks at `steps` slots, on from where the last call ended, and frees those that hold no longer,
  // each after on_expired(const Slot&).
  template <class OnExpired>
  void sweep(int64_t now, uint32_t steps, OnExpired&& on_expired) {
    for (uint32_t i = 0; i < steps && size_ != 0; ++i) {
      const Slot& slot = slots_[sweep_at_];
      if (slot.until != 0 && slot.until <= now) {
        on_expired(slot);
        erase_at(sweep_at_);  // and look here again: another may have moved in
      } else {
        sweep_at_ = (sweep_at_ + 1) & mask_;
      }
    }
  }

  // All slots, the free ones with until = 0, for whoever shows them.
  [[nodiscard]] std::span<const Slot> slots() const { return {slots_, mask_ + 1}; }

 private:
  [[nodiscard]] size_t home(const Key& key) const {
    return siphash13(hash_key_, {reinterpret_cast<const uint8_t*>(&key), sizeof key}) & mask_;
  }
  // Where the key is, else the free slot where it would be.
  [[nodiscard]] size_t position(const Key& key) const {
    size_t at = home(key);
    while (slots_[at].until != 0 && !(slots_[at].key == key)) at = (at + 1) & mask_;
    return at;
  }
  // Moves back every later one of the run that may lie in the gap: those whose home is not between
  // the gap and where they are.
  void erase_at(size_t gap) {
    for (size_t at = (gap + 1) & mask_; slots_[at].until != 0; at = (at + 1) & mask_) {
      const size_t displaced = (at - home(slots_[at].key)) & mask_;
      if (displaced < ((at - gap) & mask_)) continue;
      slots_[gap] = slots_[at];
      gap = at;
    }
    slots_[gap] = Slot{};
    --size_;
  }

  SipKey hash_key_;
  uint32_t capacity_;
  uint32_t size_ = 0;
  size_t mask_;
  size_t sweep_at_ = 0;
  ReservedMemory memory_;
  Slot* slots_;
};

}  // namespace tandem
