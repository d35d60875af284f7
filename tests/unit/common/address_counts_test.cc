#include "common/address_counts.h"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <thread>
#include <vector>

namespace tandem {
namespace {

SipKey key_of(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  SipKey key;
  for (auto& byte : key) byte = static_cast<std::uint8_t>(random());
  return key;
}

TEST_CASE("adding and taking back") {
  AddressCounts counts(key_of(1));
  const auto a = IpAddress::v4(192, 0, 2, 1);
  CHECK(counts.estimate(a) == 0);
  CHECK(counts.add(a) == 1);
  CHECK(counts.add(a) == 2);
  CHECK(counts.estimate(a) == 2);
  CHECK(counts.estimate(IpAddress::v4(192, 0, 2, 2)) == 0);
  counts.remove(a);
  counts.remove(a);
  CHECK(counts.estimate(a) == 0);
}

TEST_CASE("a v6 /64 is one source") {
  AddressCounts counts(key_of(1));
  CHECK(counts.add(*IpAddress::parse("2001:db8::1")) == 1);
  CHECK(counts.add(*IpAddress::parse("2001:db8::2")) == 2);
  CHECK(counts.add(*IpAddress::parse("2001:db8:0:1::1")) == 1);
  counts.remove(*IpAddress::parse("2001:db8::3"));
  CHECK(counts.estimate(*IpAddress::parse("2001:db8::")) == 1);
}

TEST_CASE("property: never too low, seldom too high, and zero when all have left") {
  AddressCounts counts(key_of(1));
  std::mt19937 random(1);
  std::map<IpAddress, std::uint32_t> truth;
  std::vector<IpAddress> live;
  for (int i = 0; i < 20'000; ++i) {
    const auto address = IpAddress::from_v4(static_cast<std::uint32_t>(random() % 8000));
    REQUIRE(counts.add(address) >= ++truth[address]);
    live.push_back(address);
  }
  std::size_t wrong = 0;
  for (const auto& [address, count] : truth) {
    REQUIRE(counts.estimate(address) >= count);
    wrong += counts.estimate(address) != count;
  }
  // 8,000 sources in 65,536 columns: one shares a cell in both rows with 1.4 %
  CHECK(wrong < truth.size() / 20);

  for (const IpAddress& address : live) counts.remove(address);
  for (const auto& [address, count] : truth) REQUIRE(counts.estimate(address) == 0);
}

TEST_CASE("which sources collide is the key's secret") {
  // whoever collides under one key does not under the next
  const auto victim = IpAddress::v4(192, 0, 2, 1);
  AddressCounts first(key_of(1));
  AddressCounts second(key_of(2));
  for (std::uint32_t i = 0; i < 200'000; ++i) {
    first.add(IpAddress::from_v4(i));
    second.add(IpAddress::from_v4(i));
  }
  CHECK(first.estimate(victim) > 0);
  CHECK(second.estimate(victim) > 0);
  std::uint32_t differ = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const auto address = IpAddress::from_v4(0xc000'0000 + i);
    differ += first.estimate(address) != second.estimate(address);
  }
  CHECK(differ > 500);
}

TEST_CASE("threads: no count is lost") {
  AddressCounts counts(key_of(1));
  const auto shared = IpAddress::v4(192, 0, 2, 1);
  constexpr std::uint32_t kThreads = 4;
  constexpr std::uint32_t kRounds = 20'000;
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t)
    threads.emplace_back([&counts, shared, t] {
      const auto own = IpAddress::from_v4(t);
      for (std::uint32_t i = 0; i < kRounds; ++i) {
        counts.add(shared);
        counts.add(own);
        if (i % 2 == 0) counts.remove(shared);
        counts.remove(own);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(counts.estimate(shared) == kThreads * kRounds / 2);
  for (std::uint32_t t = 0; t < kThreads; ++t) CHECK(counts.estimate(IpAddress::from_v4(t)) == 0);
}

}  // namespace
}  // namespace tandem
