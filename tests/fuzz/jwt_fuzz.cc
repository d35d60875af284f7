// Clients' tokens, as they come and behind a signature that holds: whatever a token says, it is
// sound claims or a fault, it never verifies with another key, and what was minted from its claims
// says the same. And the text of the keys' file.
#include <span>
#include <string>
#include <string_view>

#include "common/assert.h"
#include "common/base64url.h"
#include "common/hmac.h"
#include "room/admission/jwt.h"
#include "room/text/visible_text.h"

namespace tandem {
namespace {

constexpr UnixSeconds kNow = 1'700'000'000;
constexpr JwtRules kRules{.issuer = "us", .audience = "them"};
constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";

const JwtKeys& keys_of(std::string_view id, std::string_view secret) {
  static JwtKeys keys;
  keys = JwtKeys();
  TANDEM_CHECK(keys.add(id, secret) == JwtKeys::AddOutcome::added);
  return keys;
}

std::string encode(std::span<const std::uint8_t> bytes) {
  std::string text(base64url_size(bytes.size()), '\0');
  base64url_encode(bytes, text);
  return text;
}

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

void check_claims(const JwtClaims& claims) {
  TANDEM_CHECK(!claims.subject.empty() && claims.subject.size() <= kSubjectMax);
  TANDEM_CHECK(visible_code_points(claims.subject) == claims.subject.size());
  const auto name = visible_code_points(claims.name);
  TANDEM_CHECK(name && *name <= kUserNameMax);
  TANDEM_CHECK(claims.expires_at > kNow);
  const JwtKeys& keys = keys_of("k1", kSecret);
  TANDEM_CHECK(verify_jwt(mint_jwt(keys, kRules, claims, kNow), keys, kRules, kNow) == claims);
}

void check_token(std::string_view token) {
  const auto claims = verify_jwt(token, keys_of("", kSecret), kRules, kNow);
  if (claims) check_claims(*claims);
  const auto with_other =
      verify_jwt(token, keys_of("", "another secret, which signed none of it"), kRules, kNow);
  TANDEM_CHECK(!with_other);
}

// The first line is the header, the rest the payload.
void check_signed(std::string_view text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view payload = text.substr(std::min(end + 1, text.size()));
  std::string token = encode(bytes_of(text.substr(0, end)));
  token += '.';
  token += encode(bytes_of(payload));
  const std::string signature = encode(mac32(bytes_of(kSecret), bytes_of(token)));
  token += '.';
  token += signature;
  check_token(token);
}

void check_keys(std::string_view text) {
  const auto keys = parse_jwt_keys(text);
  if (!keys) {
    TANDEM_CHECK(!keys.error().empty());
    return;
  }
  TANDEM_CHECK(!keys->empty() && keys->keys().size() <= JwtKeys::kKeysMax);
  for (const JwtKeys::Key& key : keys->keys())
    TANDEM_CHECK(key.secret.size() >= JwtKeys::kSecretBytesMin &&
                 keys->find(key.id)->secret == key.secret);
  TANDEM_CHECK(keys->find(keys->minting().id) != nullptr);
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  tandem::check_token(text);
  tandem::check_signed(text);
  tandem::check_keys(text);
  return 0;
}
