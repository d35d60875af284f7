// Tokens: there is one text for each token and one token for each text, claims that decode encode
// to the same bytes, and no token is ok that was not minted.
#include <algorithm>
#include <array>
#include <string_view>

#include "common/assert.h"
#include "common/token.h"
#include "tests/fuzz/fuzz_input.h"

namespace tandem {
namespace {

constexpr UnixSeconds kNow = 1'893'450'000;

TokenVerifier make_verifier() {
  Keyring keys;
  const std::array<uint8_t, Keyring::kKeyBytesMin> key = {0x74, 0x61, 0x6e, 0x64, 0x65, 0x6d};
  TANDEM_CHECK(keys.add(1, key) == Keyring::AddOutcome::added);
  return TokenVerifier(keys);
}

void check_text(std::string_view text) {
  const auto token = parse_token_text(text);
  TANDEM_CHECK(!token || token_text(*token) == text);
}

void check_claims(const ClaimsBytes& bytes) {
  const auto claims = decode_claims(bytes);
  TANDEM_CHECK(!claims || encode_claims(*claims) == bytes);
}

// What the holder of the key would have signed is judged by its claims alone; a changed one is not.
void check_verdict(const ClaimsBytes& bytes, uint8_t changed_bit) {
  static TokenVerifier verifier = make_verifier();
  const auto secret = verifier.secret_of(bytes);
  TokenClaims claims;
  if (!secret) {
    TANDEM_CHECK(verifier.judge(bytes, {}, kNow, 86'400, claims) == TokenVerdict::bad_token);
    return;
  }
  const TokenVerdict verdict = verifier.judge(bytes, *secret, kNow, 86'400, claims);
  TokenClaims proven;
  TANDEM_CHECK(verdict == judge_claims(bytes, kNow, 86'400, proven));
  TANDEM_CHECK(verdict != TokenVerdict::ok || claims == proven);
  TANDEM_CHECK(verdict != TokenVerdict::ok || encode_claims(claims) == bytes);
  auto wrong = *secret;
  wrong[changed_bit / 8 % wrong.size()] ^= static_cast<uint8_t>(1 << changed_bit % 8);
  TANDEM_CHECK(verifier.judge(bytes, wrong, kNow, 86'400, claims) == TokenVerdict::bad_token);
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tandem::check_text({reinterpret_cast<const char*>(data), size});
  tandem::fuzz::Input input(data, size);
  const auto changed_bit = input.take<uint8_t>();
  const auto bytes = input.take<tandem::ClaimsBytes>();
  tandem::check_claims(bytes);
  tandem::check_verdict(bytes, changed_bit);
  return 0;
}
