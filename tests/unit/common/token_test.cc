#include "common/token.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "common/base64url.h"
#include "common/hex.h"

namespace tandem {
namespace {

constexpr std::uint32_t kExpiry = 1893456000;
constexpr std::uint32_t kDay = 86400;

std::vector<std::uint8_t> counting(std::size_t size, std::uint8_t first = 0) {
  std::vector<std::uint8_t> bytes(size);
  std::iota(bytes.begin(), bytes.end(), first);
  return bytes;
}

// The published vectors' key under both of their ids; the last one mints.
Keyring keyring_minting(std::uint8_t id) {
  Keyring keyring;
  REQUIRE(keyring.add(static_cast<std::uint8_t>(3 - id), counting(32)) ==
          Keyring::AddOutcome::added);
  REQUIRE(keyring.add(id, counting(32)) == Keyring::AddOutcome::added);
  return keyring;
}

struct Published {
  TokenClaims claims;
  std::string_view text;
};
const Published kPublished[] = {
    {{1, 0, 3, kExpiry, 0x0123456789abcdef, 0, 0},
     "AQEAA3Db2IABI0VniavN7wAAAAAAAAAAqRKgsjVY4T58CiMJ_oxbGg"},
    {{1, 1, 3, kExpiry, 0x0123456789abcdef, 0, 0},
     "AQEBA3Db2IABI0VniavN7wAAAAAAAAAAFK2XnLPthJN1VNqwbJdJdQ"},
    {{2, 0, 1, kExpiry, 0xfedcba9876543210, 10000, 8},
     "AQIAAXDb2ID-3LqYdlQyEAAAJxAACAAARRU16c9ce4jao4VwCsZZfg"},
};

TokenBytes token_of(std::string_view text) {
  const auto token = parse_token_text(text);
  REQUIRE(token.has_value());
  return *token;
}

TokenVerdict judge(TokenVerifier& verifier, const TokenBytes& token, UnixSeconds now,
                   TokenClaims& out) {
  return verifier.judge(claims_of(token), secret_of(token), now, kDay, out);
}

template <std::size_t N>
std::string hex_of(const std::array<std::uint8_t, N>& bytes) {
  std::string text(2 * N, '\0');
  hex_encode(bytes, text);
  return text;
}

TEST_CASE("the published tokens are minted and verified") {
  for (const Published& published : kPublished) {
    const Keyring keyring = keyring_minting(published.claims.key_id);
    CHECK(token_text(mint(keyring, published.claims)) == published.text);

    TokenVerifier verifier(keyring);
    TokenClaims claims;
    CHECK(judge(verifier, token_of(published.text), kExpiry, claims) == TokenVerdict::ok);
    CHECK(claims == published.claims);
  }
}

TEST_CASE("the published proofs: BIND and PROVE") {
  const TokenBytes token = token_of(kPublished[0].text);
  const ClaimsBytes claims = claims_of(token);
  TokenVerifier verifier(keyring_minting(1));
  const Secret secret = verifier.secret_of(claims).value();
  CHECK(secret == secret_of(token));

  // BIND bytes 0 to 51: type, shard key, features, nonce, claims, cookie
  std::vector<std::uint8_t> bind{0x05, 0xef, 0, 0};
  const auto append = [](std::vector<std::uint8_t>& to, const auto& bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
  };
  append(bind, counting(8));
  append(bind, claims);
  append(bind, counting(16, 0x10));
  REQUIRE(bind.size() == 52);
  CHECK(hex_of(mac16(secret, bind)) == "9688537303d4e2a812c85ff973f0c54a");

  std::vector<std::uint8_t> proof = counting(16);
  append(proof, claims);
  proof.push_back(2);  // lane
  proof.push_back(0);  // takeover
  CHECK(hex_of(mac16(secret, proof)) == "2479c3f82700b26241cf6cc1f4b127b3");
}

TEST_CASE("minting signs with the ring's key, whatever the claims say") {
  TokenClaims claims = kPublished[0].claims;
  claims.key_id = 77;
  const TokenBytes token = mint(keyring_minting(2), claims);
  CHECK(token[1] == 2);
  TokenVerifier verifier(keyring_minting(1));
  CHECK(judge(verifier, token, kExpiry, claims) == TokenVerdict::ok);
}

TEST_CASE("a token is what its key says and nothing else: every bit counts") {
  TokenVerifier verifier(keyring_minting(1));
  for (std::size_t bit = 0; bit < 8 * TokenBytes{}.size(); ++bit) {
    TokenBytes token = token_of(kPublished[0].text);
    token[bit / 8] = static_cast<std::uint8_t>(token[bit / 8] ^ 1u << bit % 8);
    TokenClaims out{.key_id = 99};
    CAPTURE(bit);
    CHECK(judge(verifier, token, kExpiry, out) == TokenVerdict::bad_token);
    CHECK(out == TokenClaims{.key_id = 99});
  }
}

TEST_CASE("an unknown key id and another ring's key") {
  Keyring stranger;
  REQUIRE(stranger.add(1, counting(32, 1)) == Keyring::AddOutcome::added);
  TokenVerifier verifier(stranger);
  TokenClaims out;
  CHECK(judge(verifier, token_of(kPublished[0].text), kExpiry, out) == TokenVerdict::bad_token);
  CHECK(judge(verifier, token_of(kPublished[2].text), kExpiry, out) == TokenVerdict::bad_token);
  CHECK_FALSE(verifier.secret_of(claims_of(token_of(kPublished[2].text))).has_value());
  TokenVerifier keyless{Keyring{}};
  CHECK_FALSE(keyless.secret_of(claims_of(token_of(kPublished[0].text))).has_value());
}

TEST_CASE("the last second, and the first that is near enough") {
  TokenVerifier verifier(keyring_minting(1));
  const TokenBytes token = token_of(kPublished[0].text);
  TokenClaims out;
  CHECK(judge(verifier, token, kExpiry, out) == TokenVerdict::ok);
  CHECK(judge(verifier, token, kExpiry + 1, out) == TokenVerdict::expired);
  CHECK(judge(verifier, token, kExpiry - kDay, out) == TokenVerdict::ok);
  CHECK(judge(verifier, token, kExpiry - kDay - 1, out) == TokenVerdict::bad_token);
}

TEST_CASE("an expired token with a wrong MAC is bad, not expired") {
  TokenVerifier verifier(keyring_minting(1));
  TokenBytes token = token_of(kPublished[0].text);
  token.back() ^= 1;
  TokenClaims out;
  CHECK(judge(verifier, token, kExpiry + 1, out) == TokenVerdict::bad_token);
}

TEST_CASE("rightly signed nonsense is refused all the same") {
  struct Change {
    std::size_t offset;
    std::uint8_t value;
    ClaimsError error;
  };
  for (const Change& change :
       {Change{0, 0, ClaimsError::unknown_version}, Change{0, 2, ClaimsError::unknown_version},
        Change{2, 2, ClaimsError::bad_slot}, Change{2, 255, ClaimsError::bad_slot},
        Change{3, 8, ClaimsError::unknown_flags}, Change{3, 0x83, ClaimsError::unknown_flags},
        Change{22, 1, ClaimsError::reserved_not_zero},
        Change{23, 1, ClaimsError::reserved_not_zero}}) {
    ClaimsBytes bytes = encode_claims(kPublished[0].claims);
    bytes[change.offset] = change.value;
    CAPTURE(change.offset);
    CHECK(decode_claims(bytes).error() == change.error);
    TokenVerifier verifier(keyring_minting(1));
    TokenClaims out;
    CHECK(verifier.judge(bytes, mac16(counting(32), bytes), kExpiry, kDay, out) ==
          TokenVerdict::bad_token);
    CHECK(judge_claims(bytes, kExpiry, kDay, out) == TokenVerdict::bad_token);
  }
}

TEST_CASE("claims whose proof the caller has checked") {
  const ClaimsBytes bytes = encode_claims(kPublished[2].claims);
  TokenClaims out;
  CHECK(judge_claims(bytes, kExpiry, kDay, out) == TokenVerdict::ok);
  CHECK(out == kPublished[2].claims);
  CHECK(judge_claims(bytes, kExpiry + 1, kDay, out) == TokenVerdict::expired);
  CHECK(judge_claims(bytes, 0, kDay, out) == TokenVerdict::bad_token);
}

TEST_CASE("property: claims come back from their bytes") {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const TokenClaims claims{
        .key_id = static_cast<std::uint8_t>(random()),
        .slot = static_cast<std::uint8_t>(random() % 2),
        .flags = static_cast<std::uint8_t>(random() % 8),
        .expires_at = static_cast<std::uint32_t>(random()),
        .session_id = random(),
        .rate_kbps = static_cast<std::uint32_t>(random()),
        .lanes_max = static_cast<std::uint16_t>(random()),
    };
    REQUIRE(decode_claims(encode_claims(claims)) == claims);
  }
}

TEST_CASE("token text is strict") {
  const std::string good(kPublished[0].text);
  CHECK(good.size() == kTokenTextSize);
  CHECK_FALSE(parse_token_text("").has_value());
  CHECK_FALSE(parse_token_text(good.substr(1)).has_value());
  CHECK_FALSE(parse_token_text(good + "A").has_value());
  CHECK_FALSE(parse_token_text(good + "==").has_value());
  CHECK_FALSE(parse_token_text(good.substr(0, 53) + "h").has_value());  // unused bits
  CHECK_FALSE(parse_token_text(good.substr(0, 53) + "\n").has_value());
}

TEST_CASE("a session's id in text") {
  CHECK(format_session_id(0x0123456789abcdef) == "0123456789abcdef");
  CHECK(format_session_id(0) == "0000000000000000");
  CHECK(parse_session_id("0123456789ABCdef") == 0x0123456789abcdef);
  CHECK(parse_session_id("ffffffffffffffff") == ~std::uint64_t{0});
  for (std::string_view wrong :
       {"", "0", "123456789abcdef", "00123456789abcdef", "0x23456789abcdef", " 123456789abcdef",
        "-123456789abcdef", "0123456789abcdeg"})
    CHECK_FALSE(parse_session_id(wrong).has_value());
}

}  // namespace
}  // namespace tandem
