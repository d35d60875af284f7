#include "bench/load/rooms/jwt.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <span>
#include <stdexcept>
#include <vector>

#include "common/assert.h"
#include "common/base64url.h"
#include "room/text/json_scan.h"

namespace tandem::bench {
namespace {

constexpr std::string_view kSpace = " \t\r";

std::string encoded(std::span<const std::uint8_t> bytes) {
  std::string text(base64url_size(bytes.size()), '\0');
  base64url_encode(bytes, text);
  return text;
}

std::string encoded(std::string_view text) {
  return encoded(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

std::string quoted(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  return json;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0;;) {
    at = line.find_first_not_of(kSpace, at);
    if (at == std::string_view::npos) return words;
    const auto end = std::min(line.find_first_of(kSpace, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
}

}  // namespace

JwtSecret parse_jwt_secret(std::string_view text) {
  JwtSecret found;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto words = words_of(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (words.empty() || words.front().starts_with('#')) continue;
    if (words.size() == 1) {
      found = {.key_id = {}, .secret = std::string(words[0])};
    } else {
      found = {.key_id = std::string(words[0]), .secret = std::string(words[1])};
    }
    if (words.size() > 2 && words[2] == "mint") break;
  }
  if (found.secret.empty()) throw std::invalid_argument("no secret in the JWT secret file");
  return found;
}

std::string mint_jwt(const JwtSecret& secret, const JwtClaims& claims, std::string_view subject) {
  const std::string header =
      secret.key_id.empty()
          ? R"({"alg":"HS256","typ":"JWT"})"
          : fmt::format(R"({{"alg":"HS256","typ":"JWT","kid":{}}})", quoted(secret.key_id));
  const auto payload = fmt::format(R"({{"sub":{},"iss":{},"aud":{},"iat":{},"exp":{}}})",
                                   quoted(subject), quoted(claims.issuer), quoted(claims.audience),
                                   claims.issued_at_s, claims.expires_at_s);
  std::string token = encoded(header);
  token.append(".").append(encoded(payload));
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  // It fails only where there is no memory.
  TANDEM_CHECK(::HMAC(EVP_sha256(), secret.secret.data(), static_cast<int>(secret.secret.size()),
                      reinterpret_cast<const std::uint8_t*>(token.data()), token.size(), mac.data(),
                      &size) != nullptr);
  return token.append(".").append(encoded(std::span(mac.data(), size)));
}

}  // namespace tandem::bench
