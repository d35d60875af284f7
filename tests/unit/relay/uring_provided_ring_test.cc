// What is offered to the kernel, as receives come in; nothing is received here.
#include "relay/uring/provided_ring.h"

#include <doctest/doctest.h>

using namespace tandem;
using namespace tandem::uring;

TEST_CASE("receives that fill their buffers shrink the circle, and small ones widen it again") {
  constexpr uint32_t kEntries = 64;
  constexpr uint32_t kBytes = 64 * 1024;
  auto ring = Ring::open({.sq_entries = 64, .cq_entries = 64});
  REQUIRE(ring.has_value());
  BufferPool pool(16 * kEntries, kBytes, HugePages::off);  // none comes back
  ProvidedRing provided(*ring, 1, kEntries, pool, kBytes);
  CHECK(provided.offered() == kEntries);

  // As the kernel does, in the order in which they were offered: that of a new pool's buffers.
  BufferId next = 0;
  const auto round = [&](uint32_t bytes) {
    for (uint32_t offered = provided.offered(); offered != 0; --offered)
      provided.take(next++, bytes, [&](BufferId, uint32_t part) { CHECK(part == bytes); });
    provided.refill();
    return provided.offered();
  };
  CHECK(round(kBytes) == 16);
  for (int i = 0; i < 10; ++i) round(100);
  CHECK(round(100) == kEntries);
}
