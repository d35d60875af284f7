#include "relay/core/cookie.h"

#include <doctest/doctest.h>

#include <numeric>

namespace tandem {
namespace {

SipKey key(uint8_t first) {
  SipKey bytes;
  std::iota(bytes.begin(), bytes.end(), first);
  return bytes;
}

constexpr uint32_t kNow = 1'000'000;
const CookieMint kMint(key(1));
const Endpoint kClient{IpAddress::v4(192, 0, 2, 1), 40000};
const std::array<uint8_t, kClaimsSize> kClaims = {1, 1, 0, 3};

TEST_CASE("a cookie is valid for sixty seconds and not a second before it was made") {
  const auto cookie = kMint.make(kClient, kClaims, kNow);
  CHECK(cookie_issue_time(cookie) == kNow);
  const auto at = [&](uint32_t now) { return kMint.judge(cookie, kClient, kClaims, now); };
  CHECK(at(kNow) == CookieVerdict::valid);
  CHECK(at(kNow + 60) == CookieVerdict::valid);
  CHECK(at(kNow + 61) == CookieVerdict::stale);
  CHECK(at(kNow - 1) == CookieVerdict::stale);
}

TEST_CASE("the clock's 32 bits may wrap") {
  const auto cookie = kMint.make(kClient, kClaims, UINT32_MAX - 5);
  CHECK(kMint.judge(cookie, kClient, kClaims, 10) == CookieVerdict::valid);
  CHECK(kMint.judge(cookie, kClient, kClaims, 60) == CookieVerdict::stale);
}

TEST_CASE("no cookie is not a forged one, whatever the time") {
  const CookieMint::Cookie zero{};
  CHECK(kMint.judge(zero, kClient, kClaims, 0) == CookieVerdict::zero);
  CHECK(kMint.judge(zero, kClient, kClaims, kNow) == CookieVerdict::zero);
}

TEST_CASE("a cookie is for one address, one port, one token and one start of the relay") {
  const auto cookie = kMint.make(kClient, kClaims, kNow);
  auto other_claims = kClaims;
  other_claims[23] ^= 1;
  const Endpoint other_port{kClient.address, 40001};
  const Endpoint other_address{IpAddress::v4(192, 0, 2, 2), kClient.port};
  CHECK(kMint.judge(cookie, kClient, other_claims, kNow) == CookieVerdict::forged);
  CHECK(kMint.judge(cookie, other_port, kClaims, kNow) == CookieVerdict::forged);
  CHECK(kMint.judge(cookie, other_address, kClaims, kNow) == CookieVerdict::forged);
  CHECK(CookieMint(key(2)).judge(cookie, kClient, kClaims, kNow) == CookieVerdict::forged);
}

TEST_CASE("no bit of a cookie can be changed") {
  const auto cookie = kMint.make(kClient, kClaims, kNow);
  for (size_t bit = 0; bit < 8 * cookie.size(); ++bit) {
    auto changed = cookie;
    changed[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    const CookieVerdict verdict = kMint.judge(changed, kClient, kClaims, kNow);
    CHECK((verdict == CookieVerdict::forged || verdict == CookieVerdict::stale));
  }
}

}  // namespace
}  // namespace tandem
