#include "relay/core/cookie.h"

#include <algorithm>

#include "common/hmac.h"

namespace tandem {
namespace {

constexpr size_t kTimeSize = 4;
constexpr size_t kMacSize = kCookieSize - kTimeSize;

std::array<uint8_t, kMacSize> mac(const SipKey& secret, const Endpoint& client,
                                  std::span<const uint8_t, kClaimsSize> claims, uint32_t time) {
  std::array<uint8_t, 16 + 2 + kClaimsSize + kTimeSize> message;
  std::ranges::copy(client.address.bytes, &message[0]);
  store_big_endian(&message[16], client.port);
  std::ranges::copy(claims, &message[18]);
  store_big_endian(&message[18 + kClaimsSize], time);
  const auto full = siphash24_128(secret, message);
  std::array<uint8_t, kMacSize> cut;
  std::copy_n(full.begin(), kMacSize, cut.begin());
  return cut;
}

}  // namespace

CookieMint::Cookie CookieMint::make(const Endpoint& client,
                                    std::span<const uint8_t, kClaimsSize> claims,
                                    uint32_t now_s) const {
  Cookie cookie;
  store_big_endian(cookie.data(), now_s);
  std::ranges::copy(mac(secret_, client, claims, now_s), &cookie[kTimeSize]);
  return cookie;
}

CookieVerdict CookieMint::judge(std::span<const uint8_t, kCookieSize> cookie,
                                const Endpoint& client,
                                std::span<const uint8_t, kClaimsSize> claims,
                                uint32_t now_s) const {
  if (std::ranges::all_of(cookie, [](uint8_t byte) { return byte == 0; }))
    return CookieVerdict::zero;
  const uint32_t time = cookie_issue_time(cookie);
  const uint32_t age = now_s - time;  // one from the future is huge
  if (age > kCookieLifetimeS) return CookieVerdict::stale;
  const auto expected = mac(secret_, client, claims, time);
  return constant_time_equal(cookie.subspan<kTimeSize>(), expected) ? CookieVerdict::valid
                                                                    : CookieVerdict::forged;
}

}  // namespace tandem
