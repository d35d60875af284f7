#include "relay/core/expiring_table.h"

#include <doctest/doctest.h>

#include <map>
#include <random>

namespace tandem {
namespace {

struct Slot {
  uint64_t key;
  int64_t until;
};
using Table = ExpiringTable<Slot>;

constexpr SipKey kKey = {3};

TEST_CASE("claiming, finding, erasing") {
  Table table(4, kKey);
  CHECK(table.find(5, 0) == nullptr);
  Slot* slot = table.claim(5);
  REQUIRE(slot != nullptr);
  slot->until = 100;
  CHECK(table.claim(5) == slot);
  CHECK(table.find(5, 99) == slot);
  CHECK(table.find(5, 100) == nullptr);
  CHECK(table.size() == 1);
  CHECK(table.erase(5) == Table::Erasure::erased);
  CHECK(table.erase(5) == Table::Erasure::not_found);
  CHECK(table.size() == 0);
}

TEST_CASE("it takes its capacity and no more") {
  Table table(1000, kKey);
  for (uint64_t key = 0; key < 1000; ++key) REQUIRE(table.claim(key) != nullptr);
  CHECK(table.claim(1000) == nullptr);
  CHECK(table.claim(999) != nullptr);
}

TEST_CASE("it holds what a map holds, through any order of claims, erasures and sweeps") {
  std::mt19937_64 random(2);
  Table table(64, kKey);  // few slots, so that runs grow, wrap and close up
  std::map<uint64_t, int64_t> model;
  int64_t now = 1;
  for (int step = 0; step < 200'000; ++step) {
    const uint64_t key = random() % 100;
    switch (random() % 4) {
      case 0:
      case 1:
        if (Slot* slot = table.claim(key)) {
          slot->until = now + 1 + static_cast<int64_t>(random() % 50);
          model[key] = slot->until;
        } else {
          REQUIRE(model.size() == table.capacity());
        }
        break;
      case 2:
        REQUIRE((table.erase(key) == Table::Erasure::erased) == (model.erase(key) == 1));
        break;
      default:
        ++now;
        table.sweep(now, 16, [&](const Slot& expired) {
          REQUIRE(expired.until <= now);
          REQUIRE(model.erase(expired.key) == 1);
        });
    }
    REQUIRE(table.size() == model.size());
    const auto found = model.find(key);
    const bool holds = found != model.end() && found->second > now;
    REQUIRE((table.find(key, now) != nullptr) == holds);
  }
  for (const auto& [key, until] : model) CHECK(table.find(key, until - 1) != nullptr);
}

TEST_CASE("sweeping once around frees all that has expired") {
  Table table(500, kKey);
  for (uint64_t key = 0; key < 500; ++key) {
    Slot* slot = table.claim(key);
    REQUIRE(slot != nullptr);
    slot->until = key % 3 == 0 ? 10 : 20;
  }
  const auto none = [](const Slot&) {};
  table.sweep(10, static_cast<uint32_t>(table.slots().size()) + 500, none);
  CHECK(table.size() == 500 - 167);
  for (uint64_t key = 0; key < 500; ++key)
    CHECK((table.find(key, 10) != nullptr) == (key % 3 != 0));
}

}  // namespace
}  // namespace tandem
