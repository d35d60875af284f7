#include "common/token.h"

#include <algorithm>

#include "common/base64url.h"
#include "common/hex.h"

namespace tandem {
namespace {

constexpr std::uint8_t kFlagsKnown = kTokenTcp | kTokenUdp | kTokenProve;

template <class Integer>
void store_be(std::uint8_t* out, Integer value) {
  for (std::size_t i = sizeof value; i-- > 0; value = static_cast<Integer>(value >> 8))
    out[i] = static_cast<std::uint8_t>(value);
}

template <class Integer>
Integer load_be(const std::uint8_t* bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) value = value << 8 | bytes[i];
  return static_cast<Integer>(value);
}

}  // namespace

ClaimsBytes encode_claims(const TokenClaims& claims) {
  ClaimsBytes bytes{};
  bytes[0] = kTokenVersion;
  bytes[1] = claims.key_id;
  bytes[2] = claims.slot;
  bytes[3] = claims.flags;
  store_be(&bytes[4], claims.expires_at);
  store_be(&bytes[8], claims.session_id);
  store_be(&bytes[16], claims.rate_kbps);
  store_be(&bytes[20], claims.lanes_max);
  return bytes;
}

Result<TokenClaims, ClaimsError> decode_claims(const ClaimsBytes& bytes) {
  if (bytes[0] != kTokenVersion) return unexpected(ClaimsError::unknown_version);
  if (bytes[2] > 1) return unexpected(ClaimsError::bad_slot);
  if ((bytes[3] & ~kFlagsKnown) != 0) return unexpected(ClaimsError::unknown_flags);
  if (load_be<std::uint16_t>(&bytes[22]) != 0) return unexpected(ClaimsError::reserved_not_zero);
  return TokenClaims{
      .key_id = bytes[1],
      .slot = bytes[2],
      .flags = bytes[3],
      .expires_at = load_be<std::uint32_t>(&bytes[4]),
      .session_id = load_be<std::uint64_t>(&bytes[8]),
      .rate_kbps = load_be<std::uint32_t>(&bytes[16]),
      .lanes_max = load_be<std::uint16_t>(&bytes[20]),
  };
}

ClaimsBytes claims_of(const TokenBytes& token) {
  ClaimsBytes claims;
  std::copy_n(token.begin(), claims.size(), claims.begin());
  return claims;
}

Secret secret_of(const TokenBytes& token) {
  Secret secret;
  std::copy_n(token.begin() + ClaimsBytes{}.size(), secret.size(), secret.begin());
  return secret;
}

TokenBytes mint(const Keyring& keyring, TokenClaims claims) {
  const Keyring::Key& key = keyring.minting();
  claims.key_id = key.id;
  const ClaimsBytes bytes = encode_claims(claims);
  TokenBytes token;
  std::ranges::copy(mac16(key.bytes, bytes), std::ranges::copy(bytes, token.begin()).out);
  return token;
}

std::string token_text(const TokenBytes& token) {
  std::string text(kTokenTextSize, '\0');
  base64url_encode(token, text);
  return text;
}

std::optional<TokenBytes> parse_token_text(std::string_view text) {
  TokenBytes token;
  if (!base64url_decode(text, token)) return std::nullopt;
  return token;
}

std::string format_session_id(std::uint64_t session_id) {
  std::array<std::uint8_t, 8> bytes;
  store_be(bytes.data(), session_id);
  std::string text(2 * bytes.size(), '\0');
  hex_encode(bytes, text);
  return text;
}

std::optional<std::uint64_t> parse_session_id(std::string_view text) {
  std::array<std::uint8_t, 8> bytes;
  if (!hex_decode(text, bytes)) return std::nullopt;
  return load_be<std::uint64_t>(bytes.data());
}

TokenVerifier::TokenVerifier(const Keyring& keyring) {
  position_by_id_.fill(kNoKey);
  for (const Keyring::Key& key : keyring.keys()) {
    position_by_id_[key.id] = static_cast<std::uint16_t>(macs_.size());
    macs_.emplace_back(key.bytes);
  }
}

std::optional<Secret> TokenVerifier::secret_of(const ClaimsBytes& claims) {
  const std::uint16_t position = position_by_id_[claims[1]];
  if (position == kNoKey) return std::nullopt;
  return macs_[position].mac16(claims);
}

TokenVerdict TokenVerifier::judge(const ClaimsBytes& claims, const Secret& presented,
                                  UnixSeconds now, std::uint32_t token_max_age_s,
                                  TokenClaims& out) {
  const auto secret = secret_of(claims);
  if (!secret || !constant_time_equal(*secret, presented)) return TokenVerdict::bad_token;
  return judge_claims(claims, now, token_max_age_s, out);
}

TokenVerdict judge_claims(const ClaimsBytes& claims, UnixSeconds now, std::uint32_t token_max_age_s,
                          TokenClaims& out) {
  const auto decoded = decode_claims(claims);
  if (!decoded || decoded->expires_at > now + token_max_age_s) return TokenVerdict::bad_token;
  if (decoded->expires_at < now) return TokenVerdict::expired;
  out = *decoded;
  return TokenVerdict::ok;
}

}  // namespace tandem
