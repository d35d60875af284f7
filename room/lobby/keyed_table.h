// Things of any size behind a slab's generation handles: each lies on the heap, is named by a
// {index, generation}, and a name that outlived it finds nothing. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "common/slab.h"

namespace tandem {

template <class T>
class KeyedTable {
 public:
  explicit KeyedTable(std::uint32_t capacity) : slots_(capacity) {}
  KeyedTable(const KeyedTable&) = delete;
  KeyedTable& operator=(const KeyedTable&) = delete;
  ~KeyedTable() {
    for (std::uint32_t at = next(0); at != kNone; at = next(at + 1)) delete slots_[at];
  }

  static constexpr std::uint32_t kNone = Slab<T*>::kNone;

  // Nothing where every slot is taken.
  [[nodiscard]] std::optional<Handle> add(std::unique_ptr<T> value) {
    const auto handle = slots_.acquire();
    if (handle) slots_[handle->index] = value.release();
    return handle;
  }
  // The handle is live.
  void remove(Handle handle) {
    T** slot = slots_.find(handle);
    TANDEM_CHECK(slot != nullptr);
    delete *slot;
    slots_.release(handle);
  }
  [[nodiscard]] T* find(Handle handle) const {
    T* const* slot = slots_.find(handle);
    return slot == nullptr ? nullptr : *slot;
  }
  // for (at = next(0); at != kNone; at = next(at + 1)) ... handle_of(at)
  [[nodiscard]] std::uint32_t next(std::uint32_t index) const { return slots_.next_live(index); }
  [[nodiscard]] Handle handle_of(std::uint32_t index) const { return slots_.handle_of(index); }
  [[nodiscard]] std::uint32_t size() const { return slots_.size(); }
  [[nodiscard]] std::uint32_t capacity() const { return slots_.capacity(); }

 private:
  Slab<T*> slots_;
};

}  // namespace tandem
