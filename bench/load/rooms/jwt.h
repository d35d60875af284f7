// Client tokens of a room service (JWT, RFC 7519, with HS256), minted here with the server's secret
// so that a run need not ask for each. Time is an argument.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tandem::bench {

struct JwtSecret {
  std::string key_id;  // empty: tokens name no key
  std::string secret;
};
// The text of a server's secret file: lines of `<key_id> <secret> [mint]`, or one bare secret.
// Empty lines and lines that begin with # are passed over; the one marked mint counts, else the
// last. Throws std::invalid_argument where there is none.
[[nodiscard]] JwtSecret parse_jwt_secret(std::string_view text);

struct JwtClaims {
  std::string issuer = "sudachi-rooms";
  std::string audience = "sudachi-multiplayer";
  std::int64_t issued_at_s = 0;  // Unix time
  std::int64_t expires_at_s = 0;
};
[[nodiscard]] std::string mint_jwt(const JwtSecret& secret, const JwtClaims& claims,
                                   std::string_view subject);

}  // namespace tandem::bench
