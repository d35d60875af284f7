#include "common/reserved_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace tandem {

// A mapping of no bytes is EINVAL, and an empty table is still a table.
ReservedMemory::ReservedMemory(std::size_t bytes) : bytes_(std::max<std::size_t>(bytes, 1)) {
  data_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data_ == MAP_FAILED) throw std::bad_alloc();
}

ReservedMemory::~ReservedMemory() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

}  // namespace tandem
