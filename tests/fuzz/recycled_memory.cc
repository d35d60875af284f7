// ReservedMemory for a target that makes a whole core for each input: pieces of one mapping instead
// of a mapping each, which would cost more than all that is tried with them. Linked instead of
// common/reserved_memory.cc.
#include <sys/mman.h>

#include "common/assert.h"
#include "common/reserved_memory.h"

namespace tandem {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kAll = size_t{256} << 20;

struct Arena {
  std::byte* const start = static_cast<std::byte*>(::mmap(
      nullptr, kAll, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  size_t used = 0;
  size_t pieces = 0;
};

Arena& arena() {
  static Arena arena;
  return arena;
}

}  // namespace

// A page that is never given lies behind each piece: with a sanitizer's shadow or not, reading on
// from one table does not end in the next.
ReservedMemory::ReservedMemory(size_t bytes) : bytes_(bytes) {
  Arena& from = arena();
  TANDEM_CHECK(from.start != MAP_FAILED);
  data_ = from.start + from.used;
  from.used += (bytes + 2 * kPage - 1) / kPage * kPage;
  ++from.pieces;
  TANDEM_CHECK(from.used <= kAll);
}

ReservedMemory::~ReservedMemory() {
  if (data_ == nullptr) return;
  Arena& from = arena();
  if (--from.pieces != 0) return;
  // The last of an input's: what was touched reads as zeros again.
  TANDEM_CHECK(::madvise(from.start, from.used, MADV_DONTNEED) == 0);
  from.used = 0;
}

}  // namespace tandem
