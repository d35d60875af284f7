#include "common/slab.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace tandem {
namespace {

struct Item {
  std::uint64_t value = 5;
};

TEST_CASE("a slot's life") {
  Slab<Item> slab(2);
  CHECK(slab.capacity() == 2);
  const Handle a = slab.acquire().value();
  CHECK(slab.find(a)->value == 5);
  CHECK(slab.live(a.index));
  CHECK(slab.handle_of(a.index) == a);
  slab[a.index].value = 6;
  CHECK(slab.find(a)->value == 6);
  CHECK(slab.size() == 1);
  slab.release(a);
  CHECK(slab.find(a) == nullptr);
  CHECK_FALSE(slab.live(a.index));
  CHECK(slab.size() == 0);
}

TEST_CASE("the default handle and those of nobody find nothing") {
  Slab<Item> slab(4);
  CHECK(slab.find({}) == nullptr);
  CHECK(slab.find({3, 1}) == nullptr);
  CHECK(slab.find({4, 1}) == nullptr);
  CHECK(slab.find({Slab<Item>::kNone, 1}) == nullptr);
  const Handle a = slab.acquire().value();
  CHECK(slab.find({}) == nullptr);
  CHECK(slab.find({a.index, a.generation + 1}) == nullptr);
}

TEST_CASE("a reused slot is new to its tenant and closed to the last one") {
  Slab<Item> slab(4);
  const Handle first = slab.acquire().value();
  slab[first.index].value = 9;
  slab.release(first);
  const Handle second = slab.acquire().value();
  CHECK(second.index == first.index);  // last in, first out
  CHECK(second != first);
  CHECK(slab.find(second)->value == 5);
  CHECK(slab.find(first) == nullptr);
}

TEST_CASE("a full slab says so, and no capacity is always full") {
  Slab<Item> slab(2);
  const Handle a = slab.acquire().value();
  CHECK(slab.acquire().has_value());
  CHECK_FALSE(slab.acquire().has_value());
  slab.release(a);
  CHECK(slab.acquire().has_value());
  Slab<Item> none(0);
  CHECK_FALSE(none.acquire().has_value());
  CHECK(none.next_live(0) == none.kNone);
}

std::size_t resident_pages(void* start, std::size_t bytes) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((bytes + page - 1) / page);
  REQUIRE(::mincore(start, bytes, pages.data()) == 0);
  std::size_t resident = 0;
  for (const unsigned char state : pages) resident += state & 1;
  return resident;
}

TEST_CASE("slots that were never used are not resident") {
  struct Page {
    std::array<std::byte, 4096> bytes;
  };
  constexpr std::uint32_t kSlots = 1 << 18;  // 1 GiB of address space
  Slab<Page> slab(kSlots);
  Page* const first = slab.find(slab.acquire().value());
  // a huge page is the most that one touch may bring
  CHECK(resident_pages(first, std::size_t{kSlots} * sizeof(Page)) <= 512);
}

TEST_CASE("property: a slab is a map from handles, and forgets none and nothing") {
  constexpr std::uint32_t kCapacity = 64;
  std::mt19937 random(1);
  Slab<Item> slab(kCapacity);
  std::map<std::uint32_t, std::pair<Handle, std::uint64_t>> model;
  std::vector<Handle> past;
  for (std::uint64_t step = 0; step < 100'000; ++step) {
    if (random() % 2 == 0) {
      const auto handle = slab.acquire();
      REQUIRE(handle.has_value() == (model.size() < kCapacity));
      if (!handle) continue;
      slab.find(*handle)->value = step;
      REQUIRE(model.emplace(handle->index, std::pair{*handle, step}).second);
    } else if (!model.empty()) {
      auto it = model.lower_bound(static_cast<std::uint32_t>(random() % kCapacity));
      if (it == model.end()) it = model.begin();
      REQUIRE(slab.find(it->second.first)->value == it->second.second);
      slab.release(it->second.first);
      past.push_back(it->second.first);
      model.erase(it);
    }
    if (!past.empty()) REQUIRE(slab.find(past[random() % past.size()]) == nullptr);
    if (step % 1000 != 0) continue;
    REQUIRE(slab.size() == model.size());
    auto expected = model.begin();
    for (auto i = slab.next_live(0); i != slab.kNone; i = slab.next_live(i + 1), ++expected)
      REQUIRE(expected->first == i);
    REQUIRE(expected == model.end());
  }
}

}  // namespace
}  // namespace tandem
