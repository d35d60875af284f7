#include "room/relays/token_mint.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <limits>

#include "common/assert.h"
#include "common/token.h"

namespace tandem {

Result<MintedTokens, std::string> mint_tokens(const Keyring& keyring, const MintRequest& request,
                                              std::uint64_t session_id, UnixSeconds now,
                                              std::uint32_t max_age_s) {
  if (keyring.empty()) return unexpected(std::string("there is no key to mint with"));
  if (!request.tcp && !request.udp)
    return unexpected(std::string("a token has to allow TCP, UDP or both"));
  if (request.expires_in_s == 0 || request.expires_in_s > max_age_s)
    return unexpected(fmt::format("a token lives from 1 to {} s (sessions.token_max_age_s), not {}",
                                  max_age_s, request.expires_in_s));
  const UnixSeconds expires_at = now + request.expires_in_s;
  if (expires_at > std::numeric_limits<std::uint32_t>::max())
    return unexpected(std::string("a token cannot live past 2106-02-07"));

  TokenClaims claims{.expires_at = static_cast<std::uint32_t>(expires_at),
                     .session_id = session_id,
                     .rate_kbps = request.rate_kbps,
                     .lanes_max = request.lanes_max};
  if (request.tcp) claims.flags |= kTokenTcp;
  if (request.udp) claims.flags |= kTokenUdp;
  if (request.prove) claims.flags |= kTokenProve;
  const auto text_for = [&](std::uint8_t slot) {
    claims.slot = slot;
    return token_text(mint(keyring, claims));
  };

  MintedTokens minted{.session_id = session_id,
                      .expires_at = expires_at,
                      .tcp = request.tcp,
                      .udp = request.udp,
                      .prove = request.prove,
                      .a = {},
                      .b = {}};
  if (request.slots != MintSlots::b) minted.a = text_for(0);
  if (request.slots != MintSlots::a) minted.b = text_for(1);
  return minted;
}

std::uint64_t random_session_id() {
  std::uint64_t id = 0;
  // Up to 256 bytes come whole or, before the pool is seeded, after a wait; there is no other
  // outcome.
  TANDEM_CHECK(::getrandom(&id, sizeof id, 0) == sizeof id);
  return id;
}

}  // namespace tandem
