#include "relay/buffer_pool.h"

#include <doctest/doctest.h>

#include <cstring>
#include <set>

using namespace tandem;

TEST_CASE("each buffer is handed out once and has its own memory") {
  BufferPool pool(16, 4096, HugePages::off);
  std::set<uint8_t*> seen;
  for (int i = 0; i < 16; ++i) {
    const BufferId buffer = pool.take();
    REQUIRE(buffer != kNoBuffer);
    std::memset(pool.data(buffer), i, 4096);
    CHECK(seen.insert(pool.data(buffer)).second);
  }
  CHECK(pool.free() == 0);
  CHECK(pool.take() == kNoBuffer);
  CHECK(*seen.rbegin() - *seen.begin() == 15 * 4096);
}

TEST_CASE("a buffer is free when its last holder has dropped it") {
  BufferPool pool(2, 64, HugePages::off);
  const BufferId buffer = pool.take();
  pool.hold(buffer);
  pool.hold(buffer);
  CHECK_FALSE(pool.drop(buffer));
  CHECK_FALSE(pool.drop(buffer));
  CHECK(pool.free() == 1);
  CHECK(pool.drop(buffer));
  CHECK(pool.free() == 2);
}

TEST_CASE("the buffer that came back last goes out first") {
  BufferPool pool(8, 64, HugePages::off);
  const BufferId first = pool.take();
  const BufferId second = pool.take();
  pool.drop(first);
  pool.drop(second);
  CHECK(pool.take() == second);
  CHECK(pool.take() == first);
}

TEST_CASE("huge pages are a wish, never a condition") {
  for (const HugePages wish : {HugePages::off, HugePages::automatic, HugePages::on}) {
    BufferPool pool(64, 65728, wish);
    const BufferId buffer = pool.take();
    std::memset(pool.data(buffer), 1, 65728);
    CHECK(pool.data(buffer)[65727] == 1);
    if (wish == HugePages::off) CHECK(pool.pages() == Pages::ordinary);
  }
}
