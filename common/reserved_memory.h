// A range of zeroed memory that costs address space when made and pages when touched: what lets a
// table be sized for its bound and paid for by its use.
#pragma once

#include <cstddef>
#include <utility>

namespace tandem {

// Private, anonymous, MAP_NORESERVE: neither counted against overcommit heuristics nor resident
// before the first write. Page-aligned. Throws std::bad_alloc where the kernel refuses: tables are
// made at start only.
class ReservedMemory {
 public:
  explicit ReservedMemory(std::size_t bytes);
  ReservedMemory(ReservedMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  ReservedMemory& operator=(ReservedMemory&&) = delete;
  ~ReservedMemory();

  [[nodiscard]] void* data() const { return data_; }

 private:
  void* data_;
  std::size_t bytes_;
};

}  // namespace tandem
