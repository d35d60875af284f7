// HMAC-SHA-256 (RFC 2104), cut to the first 16 bytes as every MAC of the relay's protocol is, or
// whole as JWTs have it. Stands on OpenSSL's EVP_MAC; knows neither tokens nor keys' ids.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>

namespace tandem {

using Secret = std::array<std::uint8_t, 16>;
using WholeMac = std::array<std::uint8_t, 32>;

struct EvpMacFree {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};
using EvpMacContext = std::unique_ptr<EVP_MAC_CTX, EvpMacFree>;

// A context with its key prepared. Not to be shared between threads: computing uses the context.
// 24 bytes take 0.5 us and two allocations inside OpenSSL 3.0, which copies the prepared digests.
// The SHA256_* calls would allocate nothing but are deprecated since 3.0, and no packet of a bound
// client comes this way: only joining does.
class Hmac {
 public:
  explicit Hmac(std::span<const std::uint8_t> key);

  [[nodiscard]] Secret mac16(std::span<const std::uint8_t> data);

 private:
  EvpMacContext context_;
};

// The same with a key that is used once: a proof made with a token's secret, or minting. 1 us.
[[nodiscard]] Secret mac16(std::span<const std::uint8_t> key, std::span<const std::uint8_t> data);

// Not cut.
[[nodiscard]] WholeMac mac32(std::span<const std::uint8_t> key, std::span<const std::uint8_t> data);

// In time that depends on the lengths alone; different lengths are not equal.
[[nodiscard]] bool constant_time_equal(std::span<const std::uint8_t> a,
                                       std::span<const std::uint8_t> b);

}  // namespace tandem
