#include "relay/core/fair_share.h"

#include <algorithm>

#include "common/assert.h"

namespace tandem {
namespace {

constexpr uint64_t kOpen = UINT64_MAX;

}  // namespace

void fair_share(uint64_t total, std::span<const uint64_t> demand, std::span<uint64_t> share) {
  TANDEM_CHECK(demand.size() == share.size());
  std::ranges::fill(share, kOpen);
  uint64_t left = total;
  size_t open = share.size();

  // Whoever wants no more than an equal part of what is left gets it; that can only raise the part
  // of the others, so none is met too early.
  for (size_t open_before = open + 1; open != 0 && open != open_before;) {
    open_before = open;
    const uint64_t part = left / open;
    for (size_t i = 0; i < share.size(); ++i) {
      if (share[i] != kOpen || demand[i] > part) continue;
      share[i] = demand[i];
      left -= demand[i];
      --open;
    }
  }

  // The rest goes to those still open; where there are none, it is nobody's demand and goes to all.
  const size_t takers = open != 0 ? open : share.size();
  size_t taken = 0;
  for (uint64_t& of_one : share) {
    if (open != 0 && of_one != kOpen) continue;
    const uint64_t extra = left / takers + (taken++ < left % takers ? 1 : 0);
    of_one = open != 0 ? extra : of_one + extra;
  }
}

}  // namespace tandem
