// Buffers of one size in one mapping, each with a count of who holds it. Knows neither sockets nor
// what lies in a buffer. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/config.h"
#include "common/datagram.h"

namespace tandem {

// What a pool's memory consists of, for the status page.
enum class Pages : uint8_t { ordinary, transparent_huge, huge };

// Ordinary memory costs nothing before it is touched, and buffers are taken last in, first out:
// what is resident and what is in the cache is the peak of what was in use.
class BufferPool {
 public:
  // Buffer i starts at i * stride. Throws std::bad_alloc; pools are made at start only.
  BufferPool(uint32_t count, size_t stride, HugePages wish);
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  // A buffer with one holder; kNoBuffer where none is free.
  [[nodiscard]] BufferId take();
  // One holder more of a buffer that is held, and one less: true where it was the last.
  void hold(BufferId buffer);
  bool drop(BufferId buffer);

  [[nodiscard]] uint8_t* data(BufferId buffer) const { return memory_ + size_t{buffer} * stride_; }
  [[nodiscard]] uint32_t count() const { return count_; }
  [[nodiscard]] uint32_t free() const { return free_count_; }
  [[nodiscard]] Pages pages() const { return pages_; }

 private:
  uint8_t* memory_ = nullptr;
  size_t bytes_;
  size_t stride_;
  uint32_t count_;
  uint32_t free_count_;
  Pages pages_ = Pages::ordinary;
  std::unique_ptr<uint16_t[]> holders_;
  std::unique_ptr<BufferId[]> free_;
};

}  // namespace tandem
