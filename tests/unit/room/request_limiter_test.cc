#include "room/admission/request_limiter.h"

#include <doctest/doctest.h>

#include <string>

namespace tandem {
namespace {

using enum LimitOutcome;
constexpr Nanos kSecond = kNanosPerSecond;
constexpr Nanos kStart = 1'000 * kSecond;
constexpr SipKey kKey{1, 2, 3};

IpAddress address(std::uint32_t n) {
  return IpAddress::from_v4(0x0a000000 + n);
}

TEST_CASE("max in a window, and the next one is refused until the block is over") {
  const RateLimit limit{.window_s = 60, .max = 100, .block_s = 300};
  RateWindow window;
  for (int i = 0; i < 100; ++i) CHECK(window.charge(limit, kStart + i).allowed());
  CHECK(window.charge(limit, kStart + 10 * kSecond) == LimitVerdict{exceeded, 300});
  // Asking on neither lengthens the block nor is told as the first was.
  CHECK(window.charge(limit, kStart + 70 * kSecond) == LimitVerdict{blocked, 240});
  CHECK(window.charge(limit, kStart + 310 * kSecond - 1) == LimitVerdict{blocked, 1});
  for (int i = 0; i < 100; ++i) CHECK(window.charge(limit, kStart + 310 * kSecond).allowed());
  CHECK(window.charge(limit, kStart + 310 * kSecond).outcome == exceeded);
}

TEST_CASE("without a block it is refused until the window is over") {
  const RateLimit limit{.window_s = 10, .max = 2, .block_s = 0};
  RateWindow window;
  CHECK(window.charge(limit, kStart).allowed());
  CHECK(window.charge(limit, kStart + 3 * kSecond).allowed());
  CHECK(window.charge(limit, kStart + 4 * kSecond) == LimitVerdict{exceeded, 6});
  CHECK(window.charge(limit, kStart + 9 * kSecond + 1) == LimitVerdict{blocked, 1});
  CHECK(window.charge(limit, kStart + 10 * kSecond).allowed());
  CHECK(window.charge(limit, kStart + 11 * kSecond).allowed());
  CHECK(window.charge(limit, kStart + 12 * kSecond) == LimitVerdict{exceeded, 8});
}

TEST_CASE("who keeps to the limit is never refused") {
  const RateLimit limit{.window_s = 10, .max = 5, .block_s = 300};
  RateWindow window;
  for (int i = 0; i < 500; ++i) CHECK(window.charge(limit, kStart + i * 2 * kSecond).allowed());
}

TEST_CASE("0 is no limit, and a reload counts at once") {
  RateWindow window;
  const RateLimit none{.window_s = 10, .max = 0, .block_s = 300};
  for (int i = 0; i < 1000; ++i) CHECK(window.charge(none, kStart).allowed());
  const RateLimit limit{.window_s = 10, .max = 1, .block_s = 300};
  CHECK(window.charge(limit, kStart).allowed());
  CHECK(window.charge(limit, kStart).outcome == exceeded);
  CHECK(window.charge(none, kStart).allowed());
}

TEST_CASE("peeking counts nothing") {
  const RateLimit limit{.window_s = 10, .max = 1, .block_s = 0};
  RateWindow window;
  for (int i = 0; i < 3; ++i) CHECK(window.peek(limit, kStart).allowed());
  CHECK(window.charge(limit, kStart).allowed());
  for (int i = 0; i < 3; ++i)
    CHECK(window.peek(limit, kStart + kSecond) == LimitVerdict{exceeded, 9});
}

TEST_CASE("each class of a client has its own count") {
  Config::Room room;
  room.rate_limit = {60, 1, 300};
  room.message_rate_limit = {10, 2, 0};
  room.signal_rate_limit = {10, 3, 0};
  ClientLimits client;
  const auto allowed = [&](EventClass of) {
    int count = 0;
    while (client.charge(of, room, kStart).allowed()) ++count;
    return count;
  };
  CHECK(allowed(EventClass::request) == 1);
  CHECK(allowed(EventClass::message) == 2);
  CHECK(allowed(EventClass::signal) == 3);
  CHECK(client.charge(EventClass::request, room, kStart).retry_after_s == 300);
  CHECK(client.charge(EventClass::signal, room, kStart).retry_after_s == 10);
}

TEST_CASE("a client is its id, wherever it asks from and however often it comes back") {
  Config::Room room;
  room.rate_limit = {60, 2, 300};
  room.message_rate_limit = {10, 1, 0};
  ClientLimiter limiter(kKey, 64);
  const auto charge = [&](std::string_view id, EventClass of, Nanos now = kStart) {
    return limiter.charge(id, of, room, now).outcome;
  };
  CHECK(charge("ada", EventClass::request) == allowed);
  CHECK(charge("ada", EventClass::request) == allowed);
  CHECK(charge("ada", EventClass::request) == exceeded);
  CHECK(charge("ada", EventClass::message) == allowed);
  CHECK(charge("adb", EventClass::request) == allowed);
  CHECK(charge("", EventClass::request) == allowed);
  // Whoever comes and goes meanwhile, and though its other window is over.
  for (int i = 0; i < 2'000; ++i)
    CHECK(charge(std::to_string(i), EventClass::request, kStart + 20 * kSecond) == allowed);
  CHECK(charge("ada", EventClass::request, kStart + 299 * kSecond) == blocked);
  CHECK(charge("ada", EventClass::request, kStart + 300 * kSecond) == allowed);
}

TEST_CASE("an address is an IPv4 address or an IPv6 /64") {
  const RateLimit limit{.window_s = 60, .max = 1, .block_s = 0};
  AddressLimiter limiter(kKey, 64);
  const auto charge = [&](const char* text) {
    return limiter.charge(limit, *IpAddress::parse(text), kStart).allowed();
  };
  CHECK(charge("192.0.2.1"));
  CHECK(!charge("192.0.2.1"));
  CHECK(charge("192.0.2.2"));
  CHECK(charge("2001:db8:0:1::1"));
  CHECK(!charge("2001:db8:0:1:ffff::2"));
  CHECK(charge("2001:db8:0:2::1"));
  CHECK(charge("::"));
  CHECK(!charge("::1"));
  CHECK(!limiter.peek(limit, *IpAddress::parse("2001:db8:0:2::7"), kStart).allowed());
  CHECK(limiter.peek(limit, *IpAddress::parse("2001:db8:0:3::7"), kStart).allowed());
}

TEST_CASE("an address stays blocked whoever else comes") {
  const RateLimit limit{.window_s = 60, .max = 2, .block_s = 300};
  AddressLimiter limiter(kKey, 64);
  const IpAddress bad = address(1);
  while (limiter.charge(limit, bad, kStart).allowed()) continue;
  for (std::uint32_t i = 2; i < 5'000; ++i)
    CHECK(limiter.charge(limit, address(i), kStart).allowed());
  CHECK(limiter.evicted() > 4'000);
  CHECK(limiter.charge(limit, bad, kStart).outcome == blocked);
}

TEST_CASE("a full table takes newcomers, and those at rest go first") {
  const RateLimit limit{.window_s = 60, .max = 1, .block_s = 300};
  AddressLimiter limiter(kKey, 8);
  for (std::uint32_t i = 0; i < 8; ++i) {
    const Nanos now = kStart + i * kSecond;
    CHECK(limiter.charge(limit, address(i), now).allowed());
    CHECK(limiter.charge(limit, address(i), now).outcome == exceeded);
  }
  CHECK(limiter.evicted() == 0);
  // All are blocked: the one whose block ends first makes room.
  CHECK(limiter.charge(limit, address(100), kStart + 10 * kSecond).allowed());
  CHECK(limiter.evicted() == 1);
  for (std::uint32_t i = 1; i < 8; ++i)
    CHECK(!limiter.peek(limit, address(i), kStart + 10 * kSecond).allowed());
  CHECK(limiter.peek(limit, address(0), kStart + 10 * kSecond).allowed());
  // Once blocks are over they are at rest, and nobody is pushed out.
  for (std::uint32_t i = 200; i < 208; ++i)
    CHECK(limiter.charge(limit, address(i), kStart + 400 * kSecond).allowed());
  CHECK(limiter.evicted() == 1);
}

TEST_CASE("failures to log in are counted, logins are not") {
  AddressLimits limits(kKey);
  const IpAddress house = address(1);
  for (int i = 0; i < 1'000; ++i) CHECK(limits.may_log_in(house, kStart).allowed());
  for (std::uint32_t i = 0; i < kFailedLoginLimit.max; ++i) {
    CHECK(limits.may_log_in(house, kStart).allowed());
    CHECK(limits.record_failed_login(house, kStart).allowed());
  }
  CHECK(limits.record_failed_login(house, kStart).outcome == exceeded);
  CHECK(limits.may_log_in(house, kStart) == LimitVerdict{blocked, kFailedLoginLimit.block_s});
  CHECK(limits.may_log_in(address(2), kStart).allowed());
  CHECK(limits.may_log_in(house, kStart + 300 * kSecond).allowed());
}

TEST_CASE("each of an address's counts is its own") {
  AddressLimits limits(kKey);
  const RateLimit limit{.window_s = 60, .max = 5, .block_s = 60};
  const auto count = [](auto charge) {
    std::uint32_t allowed = 0;
    while (charge().allowed()) ++allowed;
    return allowed;
  };
  CHECK(count([&] { return limits.charge_request(limit, address(1), kStart); }) == 5);
  CHECK(count([&] { return limits.charge_guest_login(address(1), kStart); }) ==
        kGuestLoginLimit.max);
  CHECK(count([&] { return limits.charge_code_lookup(address(1), kStart); }) ==
        kCodeLookupLimit.max);
  CHECK(limits.may_log_in(address(1), kStart).allowed());
  CHECK(limits.evicted() == 0);
}

}  // namespace
}  // namespace tandem
