// Both tokens of a session, from what an operator or a back end asks for. Used by the daemon and by
// `tandemctl token mint --key-file`, which needs none. Knows no socket and no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/clock.h"
#include "common/keyring.h"
#include "common/result.h"

namespace tandem {

enum class MintSlots : std::uint8_t { a, b, both };

struct MintRequest {
  std::optional<std::uint64_t> session_id = std::nullopt;  // empty: a new one
  MintSlots slots = MintSlots::both;
  bool tcp = true;
  bool udp = true;
  bool prove = false;  // TCP needs PROVE: JOIN is refused
  std::uint32_t expires_in_s = 3600;
  std::uint32_t rate_kbps = 0;  // 0 = the server's default
  std::uint16_t lanes_max = 0;  // 0 = the server's default

  friend bool operator==(const MintRequest&, const MintRequest&) = default;
};

struct MintedTokens {
  std::uint64_t session_id = 0;
  UnixSeconds expires_at = 0;
  bool tcp = false;
  bool udp = false;
  bool prove = false;
  std::string a;  // 54 characters; empty for a slot that was not asked for
  std::string b;
};

// `session_id` is the request's or a fresh one. A token that lives longer than `max_age_s` would be
// refused by every relay that is configured so, hence here; the error is a sentence.
[[nodiscard]] Result<MintedTokens, std::string> mint_tokens(const Keyring& keyring,
                                                            const MintRequest& request,
                                                            std::uint64_t session_id,
                                                            UnixSeconds now,
                                                            std::uint32_t max_age_s);

// From getrandom(2): nobody may guess a session, and its low byte spreads sessions over shards.
[[nodiscard]] std::uint64_t random_session_id();

}  // namespace tandem
