#include "relay/core/index_map.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <vector>

namespace tandem {
namespace {

// Slots hold their keys; the map holds the slots' indices.
struct Keys {
  std::vector<uint64_t> of;
  [[nodiscard]] auto is(uint64_t key) const {
    return [this, key](uint32_t index) { return of[index] == key; };
  }
  [[nodiscard]] auto hash() const {
    return [this](uint32_t index) { return of[index]; };
  }
};

TEST_CASE("what was inserted is found, and nothing else") {
  const Keys keys{{10, 20, 30}};
  IndexMap map(8);
  for (uint32_t i = 0; i < 3; ++i) map.insert(keys.of[i], i);
  CHECK(map.size() == 3);
  for (uint32_t i = 0; i < 3; ++i) CHECK(map.find(keys.of[i], keys.is(keys.of[i])) == i);
  CHECK(map.find(40, keys.is(40)) == IndexMap::kNotFound);
}

TEST_CASE("index 0 is an index") {
  const Keys keys{{0}};
  IndexMap map(1);
  CHECK(map.find(0, keys.is(0)) == IndexMap::kNotFound);
  map.insert(0, 0);
  CHECK(map.find(0, keys.is(0)) == 0);
  map.erase(0, 0, keys.hash());
  CHECK(map.find(0, keys.is(0)) == IndexMap::kNotFound);
}

TEST_CASE("erasing leaves those behind it to be found, also around the end") {
  // A table for 3 entries has 8 cells: all of these begin at the last one.
  const Keys keys{{7, 15, 23}};
  for (uint32_t gone = 0; gone < 3; ++gone) {
    IndexMap map(3);
    for (uint32_t i = 0; i < 3; ++i) map.insert(keys.of[i], i);
    map.erase(keys.of[gone], gone, keys.hash());
    for (uint32_t i = 0; i < 3; ++i) {
      CHECK(map.find(keys.of[i], keys.is(keys.of[i])) == (i == gone ? IndexMap::kNotFound : i));
    }
  }
}

TEST_CASE("one that lies at its home stays there when its neighbour goes") {
  const Keys keys{{1, 9, 3}};  // cells 1, 2 and 3
  IndexMap map(3);
  for (uint32_t i = 0; i < 3; ++i) map.insert(keys.of[i], i);
  map.erase(1, 0, keys.hash());
  CHECK(map.find(9, keys.is(9)) == 1);
  CHECK(map.find(3, keys.is(3)) == 2);
}

TEST_CASE("agrees with a map through a long random life") {
  constexpr uint32_t kEntries = 200;
  Keys keys{std::vector<uint64_t>(kEntries)};
  IndexMap map(kEntries);
  std::map<uint64_t, uint32_t> model;
  std::vector<uint32_t> free(kEntries);
  for (uint32_t i = 0; i < kEntries; ++i) free[i] = i;
  std::mt19937 random(1);
  for (int step = 0; step < 20'000; ++step) {
    const uint64_t key = random() % 400;  // their own hashes: dense, so runs are long
    const auto found = model.find(key);
    CHECK(map.find(key, keys.is(key)) ==
          (found == model.end() ? IndexMap::kNotFound : found->second));
    if (found != model.end()) {
      map.erase(key, found->second, keys.hash());
      free.push_back(found->second);
      model.erase(found);
    } else if (!free.empty()) {
      keys.of[free.back()] = key;
      map.insert(key, free.back());
      model[key] = free.back();
      free.pop_back();
    }
    REQUIRE(map.size() == model.size());
  }
}

}  // namespace
}  // namespace tandem
