// Judging a token as JOIN does, and as BIND does, where its secret does not travel.
#include <array>
#include <string>
#include <vector>

#include "bench/micro/micro.h"
#include "common/token.h"

namespace tandem::bench {
namespace {

constexpr UnixSeconds kNow = 1'700'000'000;
constexpr uint32_t kMaxAgeS = 86'400;
constexpr uint32_t kTokens = 1024;
constexpr uint8_t kKeyId = 1;
constexpr uint8_t kUnknownKeyId = 9;

enum class Kind { right, bad_mac, unknown_key };

struct Presented {
  ClaimsBytes claims;
  Secret secret;
};

struct Tokens {
  explicit Tokens(Kind kind) {
    std::array<uint8_t, 32> key;
    key.fill(7);
    TANDEM_CHECK(keys.add(kKeyId, key) == Keyring::AddOutcome::added);
    Random random(1);
    for (uint32_t i = 0; i < kTokens; ++i) {
      const TokenBytes token = mint(keys, {.slot = static_cast<uint8_t>(i & 1),
                                           .flags = kTokenTcp | kTokenUdp,
                                           .expires_at = static_cast<uint32_t>(kNow + 3600),
                                           .session_id = random.next()});
      texts.push_back(token_text(token));
      Presented shown{claims_of(token), secret_of(token)};
      if (kind == Kind::bad_mac) shown.secret[random.below(16)] ^= 1;
      if (kind == Kind::unknown_key) shown.claims[1] = kUnknownKeyId;
      presented.push_back(shown);
    }
  }

  Keyring keys;
  std::vector<Presented> presented;
  std::vector<std::string> texts;
};

void judge(benchmark::State& state, Kind kind) {
  const Tokens tokens(kind);
  TokenVerifier verifier(tokens.keys);
  const TokenVerdict expected = kind == Kind::right ? TokenVerdict::ok : TokenVerdict::bad_token;
  const auto judge_one = [&](size_t number) {
    const Presented& shown = tokens.presented[number % kTokens];
    TokenClaims claims;
    const TokenVerdict verdict = verifier.judge(shown.claims, shown.secret, kNow, kMaxAgeS, claims);
    benchmark::DoNotOptimize(claims);
    return verdict;
  };
  for (size_t i = 0; i < kTokens; ++i) TANDEM_CHECK(judge_one(i) == expected);
  size_t at = 0;
  uint64_t wrong = 0;
  for (auto _ : state) wrong += judge_one(at++) != expected;
  TANDEM_CHECK(wrong == 0);
  count_operations(state);
}
TANDEM_MICRO_CASE(judge, "token/judge/right", Kind::right);
TANDEM_MICRO_CASE(judge, "token/judge/bad_mac", Kind::bad_mac);
TANDEM_MICRO_CASE(judge, "token/judge/unknown_key", Kind::unknown_key);

// The secret recomputed from the claims, and with it the proof over a BIND's 52 bytes.
void prove(benchmark::State& state) {
  const Tokens tokens(Kind::right);
  TokenVerifier verifier(tokens.keys);
  const std::array<uint8_t, 52> proven{};
  std::vector<Secret> proofs;
  for (const Presented& shown : tokens.presented) proofs.push_back(mac16(shown.secret, proven));
  const auto prove_one = [&](size_t number) {
    const Presented& shown = tokens.presented[number % kTokens];
    const auto secret = verifier.secret_of(shown.claims);
    TokenClaims claims;
    return secret && constant_time_equal(mac16(*secret, proven), proofs[number % kTokens]) &&
           judge_claims(shown.claims, kNow, kMaxAgeS, claims) == TokenVerdict::ok;
  };
  for (size_t i = 0; i < kTokens; ++i) TANDEM_CHECK(prove_one(i));
  size_t at = 0;
  uint64_t wrong = 0;
  for (auto _ : state) wrong += !prove_one(at++);
  TANDEM_CHECK(wrong == 0);
  count_operations(state);
}
TANDEM_MICRO(prove, "token/prove");

void parse_text(benchmark::State& state) {
  const Tokens tokens(Kind::right);
  size_t at = 0;
  uint64_t wrong = 0;
  for (auto _ : state) {
    auto token = parse_token_text(tokens.texts[at++ % kTokens]);
    benchmark::DoNotOptimize(token);
    wrong += !token;
  }
  TANDEM_CHECK(wrong == 0);
  count_operations(state);
}
TANDEM_MICRO(parse_text, "token/parse_text");

void mint_token(benchmark::State& state) {
  const Tokens tokens(Kind::right);
  uint64_t session = 0;
  for (auto _ : state) {
    auto token = mint(tokens.keys, {.flags = kTokenTcp,
                                    .expires_at = static_cast<uint32_t>(kNow + 3600),
                                    .session_id = ++session});
    benchmark::DoNotOptimize(token);
  }
  count_operations(state);
}
TANDEM_MICRO(mint_token, "token/mint");

}  // namespace
}  // namespace tandem::bench
