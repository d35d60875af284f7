// Clients' tokens: JWTs (RFC 7519) as JWS in its compact form (RFC 7515), signed with HS256 (RFC
// 7518, 3.2), which the server fixes: what a token says of its algorithm is only ever compared.
// Verifying and minting; pure, with the wall clock as an argument. Knows no socket and no file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/result.h"
#include "room/admission/jwt_keys.h"
#include "room/lobby/room_types.h"

namespace tandem {

inline constexpr std::size_t kJwtSizeMax = 4096;
inline constexpr std::size_t kSubjectMax = 64;
// How far another host's clock may be ahead of ours, for nbf and iat.
inline constexpr UnixSeconds kJwtLeeway = 30;

struct JwtRules {
  std::string_view issuer;    // iss, exactly
  std::string_view audience;  // aud, or one of it
};

struct JwtClaims {
  std::string subject;  // sub, the client's id: 1 to kSubjectMax visible characters of ASCII
  // The claim `name`, else `username`, cut to kUserNameMax; empty where there is none.
  std::string name;
  UnixSeconds expires_at = 0;  // exp; the first second in which the token is no good

  friend bool operator==(const JwtClaims&, const JwtClaims&) = default;
};

enum class JwtFault : std::uint8_t {
  malformed,        // no JWS of JSON objects, or longer than kJwtSizeMax
  wrong_algorithm,  // none, RS256, ...; or a critical extension (RFC 7515, 4.1.11): we know none
  unknown_key,      // a kid that no key has
  bad_signature,
  bad_claims,  // sub or exp is missing, or a claim is not of its type
  wrong_issuer,
  wrong_audience,
  not_yet,  // nbf or iat
  expired,
};
// Three or four words for a log line and for the client.
[[nodiscard]] std::string_view to_string(JwtFault fault);

// `token` is anything. The signature is compared, in constant time, before any claim is looked at;
// a token that names no key is tried with each. 5 us with one key.
[[nodiscard]] Result<JwtClaims, JwtFault> verify_jwt(std::string_view token, const JwtKeys& keys,
                                                     const JwtRules& rules, UnixSeconds now);

// Signed with the minting key, whose id it names where it has one. The keys are not empty; the
// claims are such as verify_jwt() gives.
[[nodiscard]] std::string mint_jwt(const JwtKeys& keys, const JwtRules& rules,
                                   const JwtClaims& claims, UnixSeconds now);

}  // namespace tandem
