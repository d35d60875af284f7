// Key to slot index: open addressing with linear probing over a reserved mapping. The keys stay in
// the slots and are compared there by the caller, so an entry is 4 bytes. Knows nothing of what it
// points at.
//
// Hashes come from the caller: keyed ones for what a stranger can choose.
#pragma once

#include <cstdint>

#include "common/assert.h"
#include "common/reserved_memory.h"

namespace tandem {

class IndexMap {
 public:
  static constexpr uint32_t kNotFound = UINT32_MAX;

  // At most two thirds full with `entries_max` entries: a probe looks at 2 cells where it finds, at
  // 5 where it does not.
  explicit IndexMap(uint32_t entries_max)
      : cells_count_(uint64_t{entries_max} + entries_max / 2 + 2),
        entries_max_(entries_max),
        memory_(cells_count_ * sizeof(uint32_t)) {}

  void prefetch(uint64_t hash) const { __builtin_prefetch(&cells()[home_of(hash)]); }

  // `is_it(index)` tells whether the slot holds the key.
  template <class IsIt>
  [[nodiscard]] uint32_t find(uint64_t hash, IsIt&& is_it) const {
    for (uint64_t at = home_of(hash);; at = after(at)) {
      const uint32_t cell = cells()[at];
      if (cell == 0) return kNotFound;
      if (is_it(cell - 1)) return cell - 1;
    }
  }

  // The key is not in the map.
  void insert(uint64_t hash, uint32_t index) {
    TANDEM_CHECK(size_ < entries_max_);
    uint64_t at = home_of(hash);
    while (cells()[at] != 0) at = after(at);
    cells()[at] = index + 1;
    ++size_;
  }

  // The entry is in the map. Those behind it move up, so there are no tombstones; `hash_of(index)`
  // gives another entry's hash.
  template <class HashOf>
  void erase(uint64_t hash, uint32_t index, HashOf&& hash_of) {
    uint64_t hole = home_of(hash);
    while (cells()[hole] != index + 1) {
      TANDEM_CHECK(cells()[hole] != 0);
      hole = after(hole);
    }
    for (uint64_t at = after(hole); cells()[at] != 0; at = after(at)) {
      const uint64_t home = home_of(hash_of(cells()[at] - 1));
      // It may move into the hole unless its home lies between the hole and itself.
      if (distance(home, at) < distance(hole, at)) continue;
      cells()[hole] = cells()[at];
      hole = at;
    }
    cells()[hole] = 0;
    --size_;
  }

  [[nodiscard]] uint32_t size() const { return size_; }

 private:
  uint32_t* cells() const { return static_cast<uint32_t*>(memory_.data()); }
  // The low 32 bits of the hash, scaled (Lemire 2016): no power of two, so no cells to spare.
  [[nodiscard]] uint64_t home_of(uint64_t hash) const {
    return (uint64_t{static_cast<uint32_t>(hash)} * cells_count_) >> 32;
  }
  [[nodiscard]] uint64_t after(uint64_t at) const { return at + 1 == cells_count_ ? 0 : at + 1; }
  // How many steps lead from one cell to another.
  [[nodiscard]] uint64_t distance(uint64_t from, uint64_t to) const {
    return to >= from ? to - from : to + cells_count_ - from;
  }

  uint64_t cells_count_;
  uint32_t entries_max_;
  ReservedMemory memory_;
  uint32_t size_ = 0;
};

}  // namespace tandem
