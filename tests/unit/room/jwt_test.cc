#include "room/admission/jwt.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <span>

#include "common/base64url.h"
#include "common/hmac.h"

namespace tandem {
namespace {

constexpr std::string_view kSecret =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
constexpr std::string_view kOther = "another secret of 32 bytes or more";
constexpr JwtRules kRules{.issuer = "sudachi-rooms", .audience = "sudachi-multiplayer"};
constexpr UnixSeconds kNow = 1'700'000'100;
constexpr std::string_view kHeader = R"({"alg":"HS256","typ":"JWT"})";

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string encode(std::span<const std::uint8_t> bytes) {
  std::string text(base64url_size(bytes.size()), '\0');
  base64url_encode(bytes, text);
  return text;
}

std::string sign(std::string_view header, std::string_view payload,
                 std::string_view secret = kSecret) {
  const std::string text = encode(bytes_of(header)) + '.' + encode(bytes_of(payload));
  return text + '.' + encode(mac32(bytes_of(secret), bytes_of(text)));
}

JwtKeys one_key() {
  JwtKeys keys;
  REQUIRE(keys.add("", kSecret) == JwtKeys::AddOutcome::added);
  return keys;
}

JwtKeys two_keys() {
  JwtKeys keys;
  REQUIRE(keys.add("2026-a", kSecret) == JwtKeys::AddOutcome::added);
  REQUIRE(keys.add("2026-b", kOther) == JwtKeys::AddOutcome::added);
  return keys;
}

// What is wrong with a token; a good one fails the test.
JwtFault fault_of(std::string_view token, const JwtKeys& keys = one_key(), UnixSeconds now = kNow) {
  const auto claims = verify_jwt(token, keys, kRules, now);
  REQUIRE(!claims);
  return claims.error();
}

// Sound claims with a change: `members` begins with a comma, and the last of a name counts.
std::string payload(std::string_view members = "") {
  return fmt::format(R"({{"iss":"sudachi-rooms","aud":"sudachi-multiplayer","sub":"ada",)"
                     R"("iat":1700000000,"exp":1700003600{}}})",
                     members);
}
Result<JwtClaims, JwtFault> verify_with(std::string_view members) {
  return verify_jwt(sign(kHeader, payload(members)), one_key(), kRules, kNow);
}

// RFC 7515, A.1: the key's bytes and a token with line ends in its JSON, without aud and sub.
constexpr std::string_view kRfcKey =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
constexpr std::string_view kRfcToken =
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0"
    "dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

TEST_CASE("the signature of RFC 7515, A.1") {
  std::string secret(64, '\0');
  REQUIRE(base64url_decode(kRfcKey, {reinterpret_cast<std::uint8_t*>(secret.data()), 64}));
  JwtKeys keys;
  REQUIRE(keys.add("", secret) == JwtKeys::AddOutcome::added);
  CHECK(fault_of(kRfcToken, keys) == JwtFault::bad_claims);
  secret[63] ^= 1;
  JwtKeys wrong;
  REQUIRE(wrong.add("", secret) == JwtKeys::AddOutcome::added);
  CHECK(fault_of(kRfcToken, wrong) == JwtFault::bad_signature);
}

// Made by npm jsonwebtoken 9.0.3 with the secret above.
constexpr std::string_view kPlain =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI2YmE3YjgxMC05ZGFkLTQxZDEtODBiNC0wMGMwNGZkNDMw"
    "YzgiLCJ1c2VybmFtZSI6IkFkYSIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwLCJhdWQiOiJzdWRhY2hpL"
    "W11bHRpcGxheWVyIiwiaXNzIjoic3VkYWNoaS1yb29tcyJ9.yYecrGudAILDnO82Hz2-98y6v5QL-RtS4JLGihFpzI4";
// keyid 2026-a, an audience of two, nbf, and a name beside the username
constexpr std::string_view kWithKeyId =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjIwMjYtYSJ9.eyJzdWIiOiI2YmE3YjgxMC05ZGFkLTQxZDEt"
    "ODBiNC0wMGMwNGZkNDMwYzgiLCJ1c2VybmFtZSI6IkFkYSIsImlhdCI6MTcwMDAwMDAwMCwibmFtZSI6Ikdyw7zDn2Ug8J"
    "-OriIsIm5iZiI6MTcwMDAwMDAxMCwiZXhwIjoxNzAwMDAzNjAwLCJhdWQiOlsieCIsInN1ZGFjaGktbXVsdGlwbGF5ZXIi"
    "XSwiaXNzIjoic3VkYWNoaS1yb29tcyJ9.gAQRZAk-odRIiivVxXBakcqGblHPuAk4NGmofb630hs";
constexpr std::string_view kHs512 =
    "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI2YmE3YjgxMC05ZGFkLTQxZDEtODBiNC0wMGMwNGZkNDMw"
    "YzgiLCJ1c2VybmFtZSI6IkFkYSIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwLCJhdWQiOiJzdWRhY2hpL"
    "W11bHRpcGxheWVyIiwiaXNzIjoic3VkYWNoaS1yb29tcyJ9.2FsHfUhbE5pYP1b_qoF5onlIuBlbGWRVa0vPH22ujwWOG-"
    "ODBBZZkNJ9SjBAfimV7c3heI4_2XVSZ5XLFAy9wg";
constexpr std::string_view kNone =
    "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiI2YmE3YjgxMC05ZGFkLTQxZDEtODBiNC0wMGMwNGZkNDMwY"
    "zgiLCJ1c2VybmFtZSI6IkFkYSIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwLCJhdWQiOiJzdWRhY2hpLW1"
    "1bHRpcGxheWVyIiwiaXNzIjoic3VkYWNoaS1yb29tcyJ9.";

TEST_CASE("another implementation's tokens") {
  const JwtClaims plain{.subject = "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
                        .name = "Ada",
                        .expires_at = 1'700'003'600};
  CHECK(verify_jwt(kPlain, one_key(), kRules, kNow) == plain);
  JwtClaims named = plain;
  named.name = "Gr\u00fc\u00dfe \U0001f3ae";
  CHECK(verify_jwt(kWithKeyId, two_keys(), kRules, kNow) == named);
  CHECK(fault_of(kHs512) == JwtFault::wrong_algorithm);
  CHECK(fault_of(kNone) == JwtFault::wrong_algorithm);
}

TEST_CASE("which key") {
  // No kid: each is tried.
  CHECK(verify_jwt(kPlain, two_keys(), kRules, kNow).has_value());
  CHECK(verify_jwt(sign(kHeader, payload(), kOther), two_keys(), kRules, kNow).has_value());
  CHECK(fault_of(sign(kHeader, payload(), "yet another secret, also with 32 bytes")) ==
        JwtFault::bad_signature);
  // A kid: that one alone.
  const auto with_kid = [](std::string_view kid, std::string_view secret) {
    return sign(fmt::format(R"({{"alg":"HS256","kid":{}}})", kid), payload(), secret);
  };
  CHECK(verify_jwt(with_kid("\"2026-b\"", kOther), two_keys(), kRules, kNow).has_value());
  CHECK(fault_of(with_kid("\"2026-a\"", kOther), two_keys()) == JwtFault::bad_signature);
  CHECK(fault_of(with_kid("\"2026-c\"", kSecret), two_keys()) == JwtFault::unknown_key);
  CHECK(fault_of(with_kid("\"\"", kSecret)) == JwtFault::unknown_key);
  CHECK(fault_of(with_kid("\"x\"", kSecret)) == JwtFault::unknown_key);
  for (const char* kid : {"null", "1", "[]"})
    CHECK(fault_of(with_kid(kid, kSecret), two_keys()) == JwtFault::malformed);
}

TEST_CASE("the algorithm is the server's choice") {
  for (const char* header :
       {R"({})", R"({"alg":"none"})", R"({"alg":"None"})", R"({"alg":"RS256"})",
        R"({"alg":"HS384"})", R"({"alg":"hs256"})", R"({"alg":"HS256 "})", R"({"alg":null})",
        R"({"alg":["HS256"]})", R"({"alg":256})", R"({"alg":"HS256","alg":"none"})",
        R"({"alg":"HS256","crit":["b64"],"b64":false})", R"({"alg":"HS256","crit":[]})"})
    CHECK(fault_of(sign(header, payload())) == JwtFault::wrong_algorithm);
  // Escapes are no difference, and what is not known is passed over.
  CHECK(verify_jwt(sign(R"( {"\u0061lg":"\u0048S256","typ":7,"x5c":[{}]} )", payload()), one_key(),
                   kRules, kNow)
            .has_value());
}

TEST_CASE("every bit of the signature counts, and its form") {
  const std::string good = sign(kHeader, payload());
  const std::size_t at = good.rfind('.') + 1;
  const auto with_signature = [&](std::string_view text) {
    return good.substr(0, at).append(text);
  };
  for (std::size_t i = at; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == 'A' ? 'E' : 'A';
    CHECK(fault_of(bad) == JwtFault::bad_signature);
  }
  const std::string signature = good.substr(at);
  CHECK(fault_of(with_signature("")) == JwtFault::bad_signature);
  CHECK(fault_of(with_signature(signature.substr(1))) == JwtFault::bad_signature);
  CHECK(fault_of(with_signature(signature + "=")) == JwtFault::bad_signature);
  CHECK(fault_of(with_signature(signature + "A")) == JwtFault::bad_signature);
  CHECK(fault_of(with_signature(signature + ".")) == JwtFault::bad_signature);
  CHECK(fault_of(good + ".e30") == JwtFault::bad_signature);
  // 43 characters are 258 bits: the last two have to be zero.
  std::string loose = good;
  const std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  loose.back() = alphabet[alphabet.find(loose.back()) + 1];
  CHECK(fault_of(loose) == JwtFault::bad_signature);
}

TEST_CASE("what is no token") {
  using enum JwtFault;
  const std::string good = sign(kHeader, payload());
  for (const std::string_view text :
       {std::string_view(), std::string_view("."), std::string_view(".."), std::string_view("a.b"),
        std::string_view("null"), std::string_view("e30.e30"),
        std::string_view(good).substr(0, good.rfind('.'))})
    CHECK(fault_of(text) == malformed);
  CHECK(fault_of(" " + good) == malformed);
  CHECK(fault_of(sign("", payload())) == malformed);
  CHECK(fault_of(sign("[]", payload())) == malformed);
  CHECK(fault_of(sign("{\"alg\":\"HS256\"", payload())) == malformed);
  CHECK(fault_of(sign(kHeader, "")) == malformed);
  CHECK(fault_of(sign(kHeader, "[]")) == malformed);
  CHECK(fault_of(sign(kHeader, payload() + "x")) == malformed);
  const std::string deep = payload(",\"x\":" + std::string(20, '[') + std::string(20, ']'));
  CHECK(fault_of(sign(kHeader, deep)) == malformed);
}

TEST_CASE("4 KiB and no more") {
  const auto of_size = [](std::size_t size) {
    for (std::size_t pad = size / 2;; ++pad) {
      std::string token = sign(kHeader, payload(",\"x\":\"" + std::string(pad, 'x') + "\""));
      if (token.size() >= size) return token;
    }
  };
  const std::string largest = of_size(kJwtSizeMax);
  REQUIRE(largest.size() == kJwtSizeMax);
  CHECK(verify_jwt(largest, one_key(), kRules, kNow).has_value());
  CHECK(fault_of(of_size(kJwtSizeMax + 1)) == JwtFault::malformed);
}

TEST_CASE("issuer and audience") {
  using enum JwtFault;
  for (const char* issuer :
       {"null", "\"\"", "\"sudachi-room\"", "\"sudachi-rooms \"", "1", "[\"sudachi-rooms\"]"})
    CHECK(verify_with(fmt::format(",\"iss\":{}", issuer)).error() == wrong_issuer);
  for (const char* audience :
       {"null", "\"\"", "\"sudachi\"", "[]", "[\"sudachi\"]", "[[\"sudachi-multiplayer\"]]",
        "{\"sudachi-multiplayer\":1}", "[null,1]"})
    CHECK(verify_with(fmt::format(",\"aud\":{}", audience)).error() == wrong_audience);
  CHECK(verify_with(R"(,"aud":["a",1,"sudachi-multiplayer"])").has_value());
  CHECK(verify_with(R"(,"aud":["sudachi-multiplayer"])").has_value());
  CHECK(fault_of(sign(kHeader, R"({"sub":"ada","exp":1700003600,"iss":"sudachi-rooms"})")) ==
        wrong_audience);
  CHECK(fault_of(sign(kHeader, R"({"sub":"ada","exp":1700003600,"aud":"sudachi-multiplayer"})")) ==
        wrong_issuer);
}

TEST_CASE("the subject is 1 to 64 visible characters") {
  const std::string longest(kSubjectMax, 'x');
  CHECK(verify_with(fmt::format(",\"sub\":\"{}\"", longest))->subject == longest);
  for (const std::string& subject :
       {std::string("null"), std::string("1"), std::string("\"\""), std::string("\"a b\""),
        std::string("\"a\\n\""), std::string("\"\\u0000\""), std::string("\"\u00e9\""),
        fmt::format("\"{}x\"", longest)})
    CHECK(verify_with(fmt::format(",\"sub\":{}", subject)).error() == JwtFault::bad_claims);
  CHECK(fault_of(sign(kHeader, R"({"exp":1700003600})")) == JwtFault::bad_claims);
}

TEST_CASE("the name is optional and bounded") {
  CHECK(verify_with("")->name == "");
  CHECK(verify_with(",\"name\":null,\"username\":\"Bob\"")->name == "Bob");
  CHECK(verify_with(",\"name\":\"\",\"username\":\"Bob\"")->name == "Bob");
  CHECK(verify_with(",\"username\":\"Bob\",\"name\":\"Ada\"")->name == "Ada");
  CHECK(verify_with(",\"name\":\"Ada\",\"username\":\"Bob\"")->name == "Ada");
  std::string longer;
  for (int i = 0; i < 33; ++i) longer += "\u00fc";
  CHECK(verify_with(fmt::format(",\"name\":\"{}\"", longer))->name == longer.substr(0, 64));
  for (const char* name : {"1", "[]", "\"a\\nb\"", "\"\\u202eb\"", "\"\xff\"", "\"\\u0000\""})
    CHECK(verify_with(fmt::format(",\"name\":{}", name)).error() == JwtFault::bad_claims);
}

TEST_CASE("exp is the first second in which it is no good") {
  const std::string token = sign(kHeader, payload());
  CHECK(verify_jwt(token, one_key(), kRules, 1'700'003'599).has_value());
  CHECK(fault_of(token, one_key(), 1'700'003'600) == JwtFault::expired);
  CHECK(fault_of(token, one_key(), 1'900'000'000) == JwtFault::expired);
  CHECK(verify_with(",\"exp\":1700003600.9")->expires_at == 1'700'003'600);
  CHECK(verify_with(",\"exp\":1.7000036e9")->expires_at == 1'700'003'600);
  CHECK(verify_with(",\"exp\":-1").error() == JwtFault::expired);
  for (const char* date : {"null", "\"1700003600\"", "1e300", "true", "99999999999999999999"})
    CHECK(verify_with(fmt::format(",\"exp\":{}", date)).error() == JwtFault::bad_claims);
  const std::string never =
      R"({"iss":"sudachi-rooms","aud":"sudachi-multiplayer","sub":"ada","iat":1700000000})";
  CHECK(fault_of(sign(kHeader, never)) == JwtFault::bad_claims);
}

TEST_CASE("nbf and iat may be 30 s ahead of this host's clock") {
  for (const char* claim : {"nbf", "iat"}) {
    CHECK(verify_with(fmt::format(",\"{}\":{}", claim, kNow + 30)).has_value());
    CHECK(verify_with(fmt::format(",\"{}\":{}", claim, kNow + 31)).error() == JwtFault::not_yet);
    CHECK(verify_with(fmt::format(",\"{}\":\"{}\"", claim, kNow)).error() == JwtFault::bad_claims);
  }
}

TEST_CASE("what is minted verifies") {
  const JwtClaims claims{
      .subject = "c1", .name = "\u00c5sa \"the\\ first\"", .expires_at = kNow + 60};
  for (const JwtKeys& keys : {one_key(), two_keys()}) {
    const std::string token = mint_jwt(keys, kRules, claims, kNow);
    CHECK(verify_jwt(token, keys, kRules, kNow) == claims);
    CHECK(fault_of(token, keys, kNow + 60) == JwtFault::expired);
    CHECK(fault_of(token, keys, kNow - 31) == JwtFault::not_yet);
  }
  // The minting key's id is in it.
  const std::string token =
      mint_jwt(two_keys(), kRules, {.subject = "c1", .name = "", .expires_at = 1}, 0);
  CHECK(token.starts_with(encode(bytes_of(R"({"alg":"HS256","typ":"JWT","kid":"2026-b"})"))));
  CHECK(fault_of(token) == JwtFault::unknown_key);
}

TEST_CASE("faults have words") {
  for (const JwtFault fault : {JwtFault::malformed, JwtFault::wrong_algorithm, JwtFault::expired})
    CHECK(!to_string(fault).empty());
  CHECK(to_string(JwtFault::expired) == "expired");
}

}  // namespace
}  // namespace tandem
