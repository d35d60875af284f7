#include "relay/core/blocklist.h"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace tandem {
namespace {

constexpr SipKey kKey = {5};
constexpr Nanos kSecond = kNanosPerSecond;

IpAddress address(std::string_view text) {
  return *IpAddress::parse(text);
}
Network network(std::string_view text) {
  return *Network::parse(text);
}
IpAddress numbered(uint32_t number) {
  return IpAddress::from_v4(0x0a000000 + number);
}

TEST_CASE("a block holds until its end, or until it is removed") {
  Blocklist list(kKey);
  const IpAddress guest = address("192.0.2.1");
  CHECK(list.judge(guest, 0) == BlockVerdict::clear);
  CHECK(list.block(block_scope(guest), BlockOrigin::automatic, 10 * kSecond) ==
        BlockOutcome::blocked);
  CHECK(list.judge(guest, 10 * kSecond - 1) == BlockVerdict::blocked);
  CHECK(list.judge(guest, 10 * kSecond) == BlockVerdict::clear);

  CHECK(list.block(network("192.0.2.1"), BlockOrigin::manual, kForever) == BlockOutcome::prolonged);
  CHECK(list.judge(guest, INT64_MAX - 1) == BlockVerdict::blocked);
  CHECK(list.block(network("192.0.2.1"), BlockOrigin::automatic, 20 * kSecond) ==
        BlockOutcome::prolonged);
  CHECK(list.judge(guest, 30 * kSecond) == BlockVerdict::blocked);
  CHECK(list.unblock(network("192.0.2.1"), 0) == UnblockOutcome::unblocked);
  CHECK(list.unblock(network("192.0.2.1"), 0) == UnblockOutcome::not_found);
  CHECK(list.judge(guest, 0) == BlockVerdict::clear);
}

TEST_CASE("addresses, /64s and other networks of both families") {
  Blocklist list(kKey);
  for (const char* text :
       {"198.51.100.0/24", "2001:db8:1::/48", "2001:db8:2:3::/64", "2001:db8::9"})
    CHECK(list.block(network(text), BlockOrigin::manual, kForever) == BlockOutcome::blocked);
  for (const char* text :
       {"198.51.100.77", "2001:db8:1:ffff::1", "2001:db8:2:3:4::", "2001:db8::9"})
    CHECK(list.judge(address(text), 0) == BlockVerdict::blocked);
  for (const char* text : {"198.51.101.77", "2001:db8:3::1", "2001:db8:2:4::", "2001:db8::8"})
    CHECK(list.judge(address(text), 0) == BlockVerdict::clear);
  CHECK(list.unblock(network("198.51.100.0/24"), 0) == UnblockOutcome::unblocked);
  CHECK(list.judge(address("198.51.100.77"), 0) == BlockVerdict::clear);
}

TEST_CASE("the whole of IPv6 is not IPv4, and the other way round") {
  Blocklist list(kKey);
  CHECK(list.block(network("::/0"), BlockOrigin::manual, kForever) == BlockOutcome::blocked);
  CHECK(list.judge(address("192.0.2.1"), 0) == BlockVerdict::clear);
  CHECK(list.judge(address("2001:db8::1"), 0) == BlockVerdict::blocked);
  CHECK(list.block(network("0.0.0.0/0"), BlockOrigin::manual, kForever) == BlockOutcome::blocked);
  CHECK(list.judge(address("192.0.2.1"), 0) == BlockVerdict::blocked);
  CHECK(list.block(network("::/64"), BlockOrigin::manual, kForever) == BlockOutcome::blocked);
}

TEST_CASE("who is exempt is not blocked, by whatever came first") {
  Blocklist list(kKey);
  CHECK(list.block(network("192.0.2.0/24"), BlockOrigin::manual, kForever) ==
        BlockOutcome::blocked);
  const Network exempt[] = {network("192.0.2.8/29"), network("2001:db8::/32")};
  CHECK(list.set_exempt(exempt) == ExemptOutcome::applied);
  CHECK(list.is_exempt(address("192.0.2.9")));
  CHECK(!list.is_exempt(address("192.0.2.16")));
  CHECK(list.judge(address("192.0.2.9"), 0) == BlockVerdict::clear);
  CHECK(list.judge(address("192.0.2.16"), 0) == BlockVerdict::blocked);
  CHECK(list.block(network("192.0.2.9"), BlockOrigin::manual, kForever) == BlockOutcome::exempt);
  CHECK(list.block(network("2001:db8:1::/64"), BlockOrigin::automatic, kForever) ==
        BlockOutcome::exempt);
  CHECK(list.block(network("192.0.2.0/25"), BlockOrigin::manual, kForever) ==
        BlockOutcome::blocked);  // only a part of it is exempt

  CHECK(list.set_exempt({}) == ExemptOutcome::applied);
  CHECK(list.judge(address("192.0.2.9"), 0) == BlockVerdict::blocked);
  const std::vector<Network> many(kExemptNetworksMax + 1, network("10.0.0.0/8"));
  CHECK(list.set_exempt(many) == ExemptOutcome::too_many);
  CHECK(!list.is_exempt(address("10.0.0.1")));
}

TEST_CASE("automatic blocks leave room for an operator's, and expire") {
  Blocklist list(kKey);
  const auto block = [&](uint32_t number, BlockOrigin origin) {
    return list.block(block_scope(numbered(number)), origin, 10 * kSecond);
  };
  uint32_t number = 0;
  while (number < kAutomaticBlocksMax)
    REQUIRE(block(number++, BlockOrigin::automatic) == BlockOutcome::blocked);
  CHECK(block(number, BlockOrigin::automatic) == BlockOutcome::table_full);
  CHECK(block(0, BlockOrigin::automatic) == BlockOutcome::prolonged);
  while (number < kBlocksMax)
    REQUIRE(block(number++, BlockOrigin::manual) == BlockOutcome::blocked);
  CHECK(block(number, BlockOrigin::manual) == BlockOutcome::table_full);

  // A manual block of what was blocked automatically gives the automatic ones room.
  CHECK(list.unblock(block_scope(numbered(number - 1)), 0) == UnblockOutcome::unblocked);
  CHECK(block(number, BlockOrigin::automatic) == BlockOutcome::table_full);
  CHECK(block(0, BlockOrigin::manual) == BlockOutcome::prolonged);
  CHECK(block(number, BlockOrigin::automatic) == BlockOutcome::blocked);

  for (int turn = 0; turn < 64; ++turn) list.sweep(10 * kSecond, 1024);
  for (uint32_t again = 0; again < kAutomaticBlocksMax; ++again)
    REQUIRE(block(again, BlockOrigin::automatic) == BlockOutcome::blocked);
}

TEST_CASE("networks are bounded too") {
  Blocklist list(kKey);
  for (uint32_t i = 0; i < kBlockedNetworksMax; ++i)
    REQUIRE(list.block({IpAddress::from_v4(i << 8), 120}, BlockOrigin::manual,
                       i % 2 == 0 ? kSecond : kForever) == BlockOutcome::blocked);
  const Network one_more{IpAddress::from_v4(0xff000000), 120};
  CHECK(list.block(one_more, BlockOrigin::manual, kForever) == BlockOutcome::table_full);
  list.sweep(kSecond, 1);
  CHECK(list.judge(IpAddress::from_v4(3 << 8), kSecond) == BlockVerdict::blocked);
  CHECK(list.judge(IpAddress::from_v4(2 << 8), 0) == BlockVerdict::clear);
  CHECK(list.block(one_more, BlockOrigin::manual, kForever) == BlockOutcome::blocked);
}

TEST_CASE("the list gives each live block once, in pages of any size") {
  Blocklist list(kKey);
  std::set<std::string> expected;
  for (uint32_t i = 0; i < 100; ++i) {
    const Network one = i % 10 == 0 ? Network{numbered(i << 8), 120} : block_scope(numbered(i));
    const bool live = i % 3 != 0;
    REQUIRE(list.block(one, BlockOrigin::manual, live ? kForever : kSecond) ==
            BlockOutcome::blocked);
    if (live) expected.insert(to_string(one));
  }
  for (const size_t page : {1u, 7u, 1000u}) {
    std::set<std::string> seen;
    std::vector<Block> out(page);
    uint32_t cursor = 0;
    for (size_t got = page; got == page;) {
      got = list.list(cursor, kSecond, out);
      for (size_t i = 0; i < got; ++i) CHECK(seen.insert(to_string(out[i].network)).second);
    }
    CHECK(seen == expected);
  }
}

TEST_CASE("the threshold is reached by that many offences within a minute") {
  OffenceCounter offences(kKey);
  const IpAddress guest = address("192.0.2.1");
  const auto offend = [&](Nanos now) { return offences.count(guest, now, 100); };
  for (int round = 0; round < 3; ++round) {
    const Nanos start = round * 200 * kSecond;
    for (int i = 0; i < 99; ++i)
      REQUIRE(offend(start + i * 60 * kSecond / 100) == OffenceVerdict::counted);
    CHECK(offend(start + 59 * kSecond) == OffenceVerdict::threshold_reached);
    CHECK(offend(start + 59 * kSecond) == OffenceVerdict::counted);  // it begins anew
  }
}

TEST_CASE("an offence is forgotten a minute and a tenth later at the latest") {
  OffenceCounter offences(kKey);
  const IpAddress guest = address("192.0.2.1");
  Nanos now = 5 * kSecond;
  for (int i = 0; i < 99; ++i) REQUIRE(offences.count(guest, now, 100) == OffenceVerdict::counted);
  now += 66 * kSecond;
  for (int i = 0; i < 99; ++i) REQUIRE(offences.count(guest, now, 100) == OffenceVerdict::counted);
  CHECK(offences.count(guest, now, 100) == OffenceVerdict::threshold_reached);
}

TEST_CASE("one offence a second never makes a hundred a minute") {
  OffenceCounter offences(kKey);
  for (int second = 0; second < 1000; ++second)
    REQUIRE(offences.count(address("192.0.2.1"), second * kSecond, 100) == OffenceVerdict::counted);
}

TEST_CASE("a threshold of 0 is none, one of 1 the first offence") {
  OffenceCounter offences(kKey);
  const IpAddress guest = address("192.0.2.1");
  for (int i = 0; i < 1000; ++i) REQUIRE(offences.count(guest, 0, 0) == OffenceVerdict::counted);
  CHECK(offences.count(guest, 0, 1) == OffenceVerdict::threshold_reached);
}

TEST_CASE("a v6 source is its /64") {
  OffenceCounter offences(kKey);
  for (uint8_t i = 0; i < 9; ++i) {
    IpAddress guest = address("2001:db8::");
    guest.bytes[15] = i;
    REQUIRE(offences.count(guest, 0, 10) == OffenceVerdict::counted);
  }
  CHECK(offences.count(address("2001:db8::ff"), 0, 10) == OffenceVerdict::threshold_reached);
}

TEST_CASE("ever new addresses do not hide one that keeps offending") {
  OffenceCounter offences(kKey);
  const IpAddress offender = address("192.0.2.1");
  uint32_t stranger = 0;
  for (int i = 0; i < 99; ++i) {
    REQUIRE(offences.count(offender, i * kSecond / 2, 100) == OffenceVerdict::counted);
    for (int j = 0; i > 0 && j < 1000; ++j)
      REQUIRE(offences.count(numbered(stranger++), i * kSecond / 2, 100) ==
              OffenceVerdict::counted);
  }
  CHECK(offences.count(offender, 50 * kSecond, 100) == OffenceVerdict::threshold_reached);
}

TEST_CASE("no source's offences are another's, however many there are") {
  OffenceCounter offences(kKey);
  for (uint32_t round = 0; round < 9; ++round) {
    for (uint32_t i = 0; i < 100'000; ++i)
      REQUIRE(offences.count(numbered(i), round * kSecond, 10) == OffenceVerdict::counted);
  }
}

TEST_CASE("clocks of shards are not read together: one behind the other counts with it") {
  OffenceCounter offences(kKey);
  const IpAddress guest = address("192.0.2.1");
  const Nanos turn = 6 * kSecond;  // where a step begins
  for (int i = 0; i < 99; ++i) {
    REQUIRE(offences.count(guest, i % 2 == 0 ? turn : turn - 1, 100) == OffenceVerdict::counted);
  }
  CHECK(offences.count(guest, turn - 1, 100) == OffenceVerdict::threshold_reached);
}

TEST_CASE(
    "threads count together, and all but one of those who reach the threshold at once begin anew") {
  OffenceCounter offences(kKey);
  constexpr uint32_t kThreads = 2;
  constexpr uint32_t kEach = 20'000;
  constexpr uint32_t kThreshold = 100;
  std::atomic<uint32_t> reached{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&offences, &reached, t] {
      for (uint32_t i = 0; i < kEach; ++i) {
        if (offences.count(address("192.0.2.1"), 0, kThreshold) ==
            OffenceVerdict::threshold_reached)
          ++reached;
        // its neighbours displace each other meanwhile
        static_cast<void>(offences.count(numbered(t * kEach + i), 0, kThreshold));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // What is counted while another thread begins anew may be lost, or tell both.
  CHECK(reached <= kThreads * kEach / kThreshold * 11 / 10);
  CHECK(reached >= kThreads * kEach / kThreshold * 9 / 10);
}

}  // namespace
}  // namespace tandem
