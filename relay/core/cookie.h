// The cookie of a CHALLENGE: it proves that whoever sends it back receives at the address that it
// was made for, and the relay remembers nothing until then. Owns its layout, issue_time[4] ‖
// MAC[12], and the key, made anew at every start. Must not know tokens, sessions or clocks.
//
// The MAC is the first 12 bytes of SipHash-2-4-128 over address[16] ‖ port[2] ‖ claims[24] ‖
// issue_time[4]: a keyed PRF made for short inputs, some 20 times cheaper than HMAC-SHA-256, and a
// forger has 60 s and the network to find 96 bits.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "common/endpoint.h"
#include "common/siphash.h"
#include "relay/core/wire.h"

namespace tandem {

inline constexpr uint32_t kCookieLifetimeS = 60;

enum class CookieVerdict : uint8_t {
  zero,  // none: a first BIND
  valid,
  stale,  // says that it is older than kCookieLifetimeS or from the future; the MAC was not looked
          // at, since the answer is that to a zero cookie either way
  forged,
};

class CookieMint {
 public:
  using Cookie = std::array<uint8_t, kCookieSize>;

  explicit CookieMint(SipKey secret) : secret_(secret) {}

  // `now_s` counts seconds of a clock that is never set back: monotonic ones, since a cookie lives
  // no longer than the secret.
  [[nodiscard]] Cookie make(const Endpoint& client, std::span<const uint8_t, kClaimsSize> claims,
                            uint32_t now_s) const;
  [[nodiscard]] CookieVerdict judge(std::span<const uint8_t, kCookieSize> cookie,
                                    const Endpoint& client,
                                    std::span<const uint8_t, kClaimsSize> claims,
                                    uint32_t now_s) const;

 private:
  SipKey secret_;
};

// When a valid cookie was made, on the clock that make() was given.
[[nodiscard]] inline uint32_t cookie_issue_time(std::span<const uint8_t, kCookieSize> cookie) {
  return load_big_endian<uint32_t>(cookie.data());
}

}  // namespace tandem
