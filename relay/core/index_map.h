// Key to slot index: open addressing with linear probing over a reserved mapping. The keys stay in
// the slots and are compared there by the caller, so an entry is 4 bytes. Knows nothing of what it
// points at.
//
// Hashes come from the caller: keyed ones for what a stranger can choose.
#pragma once

#include <bit>
#include <cstdint>

#include "common/assert.h"
#include "common/reserved_memory.h"

namespace tandem {

class IndexMap {
 public:
  static constexpr uint32_t kNotFound = UINT32_MAX;

  // At most half full with `entries_max` entries, so a probe is short.
  explicit IndexMap(uint32_t entries_max)
      : mask_(std::bit_ceil(uint64_t{entries_max} * 2 + 2) - 1),
        memory_((mask_ + 1) * sizeof(uint32_t)) {}

  void prefetch(uint64_t hash) const { __builtin_prefetch(&cells()[hash & mask_]); }

  // `is_it(index)` tells whether the slot holds the key.
  template <class IsIt>
  [[nodiscard]] uint32_t find(uint64_t hash, IsIt&& is_it) const {
    for (uint64_t at = hash & mask_;; at = (at + 1) & mask_) {
      const uint32_t cell = cells()[at];
      if (cell == 0) return kNotFound;
      if (is_it(cell - 1)) return cell - 1;
    }
  }

  // The key is not in the map.
  void insert(uint64_t hash, uint32_t index) {
    TANDEM_CHECK(size_ * 2 <= mask_);
    uint64_t at = hash & mask_;
    while (cells()[at] != 0) at = (at + 1) & mask_;
    cells()[at] = index + 1;
    ++size_;
  }

  // The entry is in the map. Those behind it move up, so there are no tombstones; `hash_of(index)`
  // gives another entry's hash.
  template <class HashOf>
  void erase(uint64_t hash, uint32_t index, HashOf&& hash_of) {
    uint64_t hole = hash & mask_;
    while (cells()[hole] != index + 1) {
      TANDEM_CHECK(cells()[hole] != 0);
      hole = (hole + 1) & mask_;
    }
    for (uint64_t at = (hole + 1) & mask_; cells()[at] != 0; at = (at + 1) & mask_) {
      const uint64_t home = hash_of(cells()[at] - 1) & mask_;
      // It may move into the hole unless its home lies between the hole and itself.
      if (((at - home) & mask_) < ((at - hole) & mask_)) continue;
      cells()[hole] = cells()[at];
      hole = at;
    }
    cells()[hole] = 0;
    --size_;
  }

  [[nodiscard]] uint32_t size() const { return size_; }

 private:
  uint32_t* cells() const { return static_cast<uint32_t*>(memory_.data()); }

  uint64_t mask_;
  ReservedMemory memory_;
  uint32_t size_ = 0;
};

}  // namespace tandem
