#include "relay/core/channel_ids.h"

#include <doctest/doctest.h>

#include <bit>
#include <set>

namespace tandem {
namespace {

const SipKey kSecret{1, 2, 3};

TEST_CASE("no id comes twice and none is 0, also where the counter wraps") {
  ChannelIds ids(kSecret, UINT32_MAX - 50'000);
  std::set<uint32_t> seen;
  for (int i = 0; i < 100'000; ++i) {
    const uint32_t id = ids.next();
    REQUIRE(id != 0);
    REQUIRE(seen.insert(id).second);
  }
}

TEST_CASE("neighbours have nothing to do with each other") {
  ChannelIds ids(kSecret, 0);
  uint32_t last = ids.next();
  uint64_t bits = 0;
  constexpr int kDraws = 10'000;
  for (int i = 0; i < kDraws; ++i) {
    const uint32_t next = ids.next();
    bits += static_cast<uint64_t>(std::popcount(last ^ next));
    last = next;
  }
  // Half of 32 bits differ on average; the mean of so many draws is within 0.2 of it.
  const double mean = static_cast<double>(bits) / kDraws;
  CHECK(mean > 15.8);
  CHECK(mean < 16.2);
}

TEST_CASE("another secret and another start give others") {
  ChannelIds one(kSecret, 0);
  ChannelIds other_secret(SipKey{9}, 0);
  ChannelIds other_start(kSecret, 1'000'000);
  const uint32_t id = one.next();
  CHECK(other_secret.next() != id);
  CHECK(other_start.next() != id);
}

}  // namespace
}  // namespace tandem
