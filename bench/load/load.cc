#include "bench/load/load.h"

#include <algorithm>
#include <functional>

#include "common/assert.h"

namespace tandem::bench {
namespace {

template <typename Operation>
Tally combine(const Tally& a, const Tally& b, Operation operation) {
  auto words = a.words();
  std::ranges::transform(words, b.words(), words.begin(), operation);
  return Tally::from(words);
}

}  // namespace

Tally operator+(const Tally& a, const Tally& b) {
  return combine(a, b, std::plus<>());
}
Tally operator-(const Tally& a, const Tally& b) {
  return combine(a, b, std::minus<>());
}

void Load::pace(double) {
  TANDEM_CHECK(false);  // asked of a load that has no rate
}

void Load::forget_latencies() {
  if (auto* meter = latencies()) meter->clear();
}

}  // namespace tandem::bench
