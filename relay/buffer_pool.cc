#include "relay/buffer_pool.h"

#include <sys/mman.h>

#include <new>

#include "common/assert.h"

namespace tandem {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

void* map(size_t bytes, int flags) {
  return ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

}  // namespace

BufferPool::BufferPool(uint32_t count, size_t stride, HugePages wish)
    : bytes_((count * stride + kHugePage - 1) / kHugePage * kHugePage),
      stride_(stride),
      count_(count),
      free_count_(count),
      holders_(std::make_unique<uint16_t[]>(count)),
      free_(std::make_unique<BufferId[]>(count)) {
  void* memory = MAP_FAILED;
  // No MAP_NORESERVE here: huge pages that were promised and are not there would be a SIGBUS later.
  if (wish != HugePages::off) memory = map(bytes_, MAP_HUGETLB);
  if (memory != MAP_FAILED) {
    pages_ = Pages::huge;
  } else {
    memory = map(bytes_, MAP_NORESERVE);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    if (wish == HugePages::on && ::madvise(memory, bytes_, MADV_HUGEPAGE) == 0)
      pages_ = Pages::transparent_huge;
  }
  memory_ = static_cast<uint8_t*>(memory);
  for (uint32_t i = 0; i < count; ++i) free_[i] = count - 1 - i;
}

BufferPool::~BufferPool() {
  ::munmap(memory_, bytes_);
}

BufferId BufferPool::take() {
  if (free_count_ == 0) return kNoBuffer;
  const BufferId buffer = free_[--free_count_];
  TANDEM_CHECK(holders_[buffer] == 0);
  holders_[buffer] = 1;
  return buffer;
}

void BufferPool::hold(BufferId buffer) {
  TANDEM_CHECK(buffer < count_ && holders_[buffer] != 0 && holders_[buffer] != UINT16_MAX);
  ++holders_[buffer];
}

bool BufferPool::drop(BufferId buffer) {
  TANDEM_CHECK(buffer < count_ && holders_[buffer] != 0);
  if (--holders_[buffer] != 0) return false;
  free_[free_count_++] = buffer;
  return true;
}

}  // namespace tandem
