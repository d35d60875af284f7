// The token (docs: "Token"): its claims, its bytes and text, minting and judging. Knows no session
// and no clock; which codes a client is told is the handshake's business.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/hmac.h"
#include "common/keyring.h"
#include "common/result.h"

namespace tandem {

inline constexpr std::uint8_t kTokenVersion = 1;
inline constexpr std::uint8_t kTokenTcp = 1;
inline constexpr std::uint8_t kTokenUdp = 2;
inline constexpr std::uint8_t kTokenProve = 4;
inline constexpr std::size_t kTokenTextSize = 54;

using ClaimsBytes = std::array<std::uint8_t, 24>;
using TokenBytes = std::array<std::uint8_t, 40>;

struct TokenClaims {
  std::uint8_t key_id = 0;
  std::uint8_t slot = 0;   // 0 = A, 1 = B
  std::uint8_t flags = 0;  // kTokenTcp | kTokenUdp | kTokenProve
  std::uint32_t expires_at = 0;
  std::uint64_t session_id = 0;
  std::uint32_t rate_kbps = 0;  // 0 = the server's default
  std::uint16_t lanes_max = 0;  // 0 = the server's default

  friend bool operator==(const TokenClaims&, const TokenClaims&) = default;
};

enum class ClaimsError : std::uint8_t {
  unknown_version,
  bad_slot,
  unknown_flags,
  reserved_not_zero
};

[[nodiscard]] ClaimsBytes encode_claims(const TokenClaims& claims);
// Believe the outcome only of claims whose MAC or proof has held.
[[nodiscard]] Result<TokenClaims, ClaimsError> decode_claims(const ClaimsBytes& bytes);

[[nodiscard]] ClaimsBytes claims_of(const TokenBytes& token);
[[nodiscard]] Secret secret_of(const TokenBytes& token);

// Signs with the ring's minting key and writes that key's id into the token, whatever the claims
// say. The ring is not empty.
[[nodiscard]] TokenBytes mint(const Keyring& keyring, TokenClaims claims);

// base64url, 54 characters; parsing is strict.
[[nodiscard]] std::string token_text(const TokenBytes& token);
[[nodiscard]] std::optional<TokenBytes> parse_token_text(std::string_view text);

// 16 hex digits: lower case out, either case in.
[[nodiscard]] std::string format_session_id(std::uint64_t session_id);
[[nodiscard]] std::optional<std::uint64_t> parse_session_id(std::string_view text);

enum class TokenVerdict : std::uint8_t { ok, bad_token, expired };

// Judges tokens with the keys that the ring held at construction. One for each thread: the prepared
// MAC contexts are used by every call.
class TokenVerifier {
 public:
  explicit TokenVerifier(const Keyring& keyring);

  // The secret that the minter of these claims got: their MAC, recomputed. Nothing for an unknown
  // key id.
  [[nodiscard]] std::optional<Secret> secret_of(const ClaimsBytes& claims);

  // For a token that was shown whole (JOIN). The MAC is compared, in constant time, before anything
  // else is believed. expires_at is the last second accepted; one further away than now +
  // token_max_age_s is bad_token. `out` is written only with ok.
  [[nodiscard]] TokenVerdict judge(const ClaimsBytes& claims, const Secret& presented,
                                   UnixSeconds now, std::uint32_t token_max_age_s,
                                   TokenClaims& out);

 private:
  static constexpr std::uint16_t kNoKey = 256;
  std::array<std::uint16_t, 256> position_by_id_;
  std::vector<Hmac> macs_;
};

// For PROVE and BIND, where the secret does not travel: take secret_of(), check the client's proof
// with mac16() and constant_time_equal(), and only when that has held call this. The rest is as in
// judge().
[[nodiscard]] TokenVerdict judge_claims(const ClaimsBytes& claims, UnixSeconds now,
                                        std::uint32_t token_max_age_s, TokenClaims& out);

}  // namespace tandem
