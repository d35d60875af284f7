#include "relay/core/fair_share.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

namespace tandem {
namespace {

using Shares = std::vector<uint64_t>;

Shares divide(uint64_t total, const Shares& demand) {
  Shares share(demand.size());
  fair_share(total, demand, share);
  return share;
}

TEST_CASE("small demands are met and the others are equal") {
  CHECK(divide(100, {10, 80, 90}) == Shares{10, 45, 45});
  CHECK(divide(90, {50, 50, 50}) == Shares{30, 30, 30});
  CHECK(divide(91, {50, 50, 50}) == Shares{31, 30, 30});
  CHECK(divide(100, {10, 20, 1000}) == Shares{10, 20, 70});
}

TEST_CASE("what nobody demands is spread, so that an idle one can start") {
  CHECK(divide(100, {0, 0}) == Shares{50, 50});
  CHECK(divide(100, {0, 40, 0}) == Shares{20, 60, 20});
  CHECK(divide(101, {0, 40, 0}) == Shares{21, 60, 20});
}

TEST_CASE("the edges") {
  CHECK(divide(100, {}).empty());
  CHECK(divide(0, {5, 5}) == Shares{0, 0});
  CHECK(divide(UINT64_MAX, {UINT64_MAX}) == Shares{UINT64_MAX});
  CHECK(divide(UINT64_MAX, {UINT64_MAX, 1}) == Shares{UINT64_MAX - 1, 1});
  CHECK(divide(2, {UINT64_MAX, UINT64_MAX, UINT64_MAX}) == Shares{1, 1, 0});
}

TEST_CASE("max-min: whoever is short has as much as anybody, give or take one") {
  std::mt19937_64 random(1);
  for (int round = 0; round < 20'000; ++round) {
    const uint64_t scale = uint64_t{1} << random() % 40;
    Shares demand(1 + random() % 64);
    for (uint64_t& one : demand) one = random() % 3 == 0 ? 0 : random() % scale;
    const uint64_t total = random() % (scale * demand.size());
    const Shares share = divide(total, demand);

    REQUIRE(std::accumulate(share.begin(), share.end(), uint64_t{0}) == total);
    const uint64_t wanted = std::accumulate(demand.begin(), demand.end(), uint64_t{0});
    for (size_t i = 0; i < demand.size(); ++i) {
      if (wanted <= total) {  // all are met, with an equal part of the rest on top
        const uint64_t extra = share[i] - demand[i];
        REQUIRE(share[i] >= demand[i]);
        REQUIRE(extra - (total - wanted) / demand.size() <= 1);
      } else if (share[i] < demand[i]) {
        for (const uint64_t other : share) REQUIRE(other <= share[i] + 1);
      } else {
        REQUIRE(share[i] == demand[i]);
      }
    }
  }
}

}  // namespace
}  // namespace tandem
