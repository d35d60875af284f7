#include "room/admission/jwt.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <span>

#include "common/base64url.h"
#include "common/hmac.h"
#include "room/text/json_scan.h"
#include "room/text/visible_text.h"

namespace tandem {
namespace {

// Deeper than any claim goes that is passed over.
constexpr std::size_t kDepthMax = 16;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

struct CompactJws {
  std::string_view header;
  std::string_view payload;
  std::string_view signature;
  std::string_view signed_part;  // header and payload with their dot
};

std::optional<CompactJws> split(std::string_view token) {
  const std::size_t first = token.find('.');
  if (first == token.npos) return std::nullopt;
  const std::size_t second = token.find('.', first + 1);
  if (second == token.npos) return std::nullopt;
  // A third dot is no character of base64url and falls there.
  return CompactJws{.header = token.substr(0, first),
                    .payload = token.substr(first + 1, second - first - 1),
                    .signature = token.substr(second + 1),
                    .signed_part = token.substr(0, second)};
}

std::optional<std::string> decode(std::string_view text) {
  std::string bytes(text.size() / 4 * 3 + (text.size() % 4 == 0 ? 0 : text.size() % 4 - 1), '\0');
  const std::span out(reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size());
  if (!base64url_decode(text, out)) return std::nullopt;
  return bytes;
}

std::string encode(std::string_view bytes) {
  std::string text(base64url_size(bytes.size()), '\0');
  base64url_encode(bytes_of(bytes), text);
  return text;
}

std::optional<JsonSpan> object_of(std::string_view text) {
  const auto span = scan_json(text, kDepthMax);
  return span && span->kind == JsonKind::object ? span : std::nullopt;
}

struct Header {
  std::optional<JsonSpan> algorithm;
  std::optional<JsonSpan> key_id;
  bool critical = false;
};

Header read_header(JsonSpan object) {
  Header header;
  JsonMembers members(object);
  for (JsonSpan name, value; members.next(name, value);) {
    const std::string known = json_text(name);
    if (known == "alg") header.algorithm = value;
    if (known == "kid") header.key_id = value;
    if (known == "crit") header.critical = true;
  }
  return header;
}

bool is_text(const std::optional<JsonSpan>& span, std::string_view text) {
  return span && span->kind == JsonKind::string && json_text(*span) == text;
}

bool is_signed_with(const JwtKeys::Key& key, std::string_view signed_part,
                    const WholeMac& signature) {
  return constant_time_equal(mac32(bytes_of(key.secret), bytes_of(signed_part)), signature);
}

std::optional<JwtFault> check_signature(const CompactJws& jws, const Header& header,
                                        const JwtKeys& keys) {
  if (!is_text(header.algorithm, "HS256") || header.critical) return JwtFault::wrong_algorithm;
  WholeMac signature;
  if (!base64url_decode(jws.signature, signature)) return JwtFault::bad_signature;
  if (header.key_id) {
    if (header.key_id->kind != JsonKind::string) return JwtFault::malformed;
    const std::string id = json_text(*header.key_id);
    // A key without an id is not the one whose id is empty.
    const JwtKeys::Key* const key = id.empty() ? nullptr : keys.find(id);
    if (key == nullptr) return JwtFault::unknown_key;
    if (is_signed_with(*key, jws.signed_part, signature)) return std::nullopt;
    return JwtFault::bad_signature;
  }
  const bool good = std::ranges::any_of(keys.keys(), [&](const JwtKeys::Key& key) {
    return is_signed_with(key, jws.signed_part, signature);
  });
  return good ? std::nullopt : std::optional(JwtFault::bad_signature);
}

struct Payload {
  std::optional<JsonSpan> issuer, audience, subject, expires_at, not_before, issued_at, name,
      user_name;
};

Payload read_payload(JsonSpan object) {
  Payload payload;
  JsonMembers members(object);
  for (JsonSpan name, value; members.next(name, value);) {
    const std::string known = json_text(name);
    if (known == "iss") payload.issuer = value;
    if (known == "aud") payload.audience = value;
    if (known == "sub") payload.subject = value;
    if (known == "exp") payload.expires_at = value;
    if (known == "nbf") payload.not_before = value;
    if (known == "iat") payload.issued_at = value;
    if (known == "name") payload.name = value;
    if (known == "username") payload.user_name = value;
  }
  return payload;
}

// NumericDate (RFC 7519, 2) may have a fraction, which is cut off towards the past. Bounded, so
// that adding to one cannot overflow.
std::optional<UnixSeconds> read_date(const std::optional<JsonSpan>& span) {
  constexpr double kSecondsMax = 9007199254740992.0;  // 2^53
  if (!span || span->kind != JsonKind::number) return std::nullopt;
  const auto seconds = json_double(*span);
  if (!seconds || !(std::abs(*seconds) <= kSecondsMax)) return std::nullopt;
  return static_cast<UnixSeconds>(std::floor(*seconds));
}

bool is_audience(const std::optional<JsonSpan>& span, std::string_view audience) {
  if (!span || span->kind != JsonKind::array) return is_text(span, audience);
  JsonElements elements(*span);
  for (JsonSpan element; elements.next(element);)
    if (is_text(element, audience)) return true;
  return false;
}

// A date that may be left out; false where it is none.
bool read_optional_date(const std::optional<JsonSpan>& span, UnixSeconds& into) {
  const auto date = read_date(span);
  if (date) into = *date;
  return date || !span;
}

bool read_subject(const std::optional<JsonSpan>& span, std::string& into) {
  if (!span || span->kind != JsonKind::string) return false;
  into = json_text(*span);
  return !into.empty() && into.size() <= kSubjectMax &&
         std::ranges::all_of(into, [](char letter) { return letter > ' ' && letter <= '~'; });
}

// Leaves what is in `into` where there is no name.
bool read_name(const std::optional<JsonSpan>& span, std::string& into) {
  if (!span || span->kind == JsonKind::null) return true;
  if (span->kind != JsonKind::string) return false;
  const std::string name = json_text(*span);
  if (!visible_code_points(name)) return false;
  if (!name.empty()) into = cut_to_code_points(name, kUserNameMax);
  return true;
}

Result<JwtClaims, JwtFault> judge(const Payload& payload, const JwtRules& rules, UnixSeconds now) {
  JwtClaims claims;
  UnixSeconds not_before = now;
  UnixSeconds issued_at = now;
  const auto expires_at = read_date(payload.expires_at);
  if (!expires_at || !read_optional_date(payload.not_before, not_before) ||
      !read_optional_date(payload.issued_at, issued_at) ||
      !read_subject(payload.subject, claims.subject) ||
      !read_name(payload.user_name, claims.name) || !read_name(payload.name, claims.name))
    return unexpected(JwtFault::bad_claims);
  claims.expires_at = *expires_at;
  if (!is_text(payload.issuer, rules.issuer)) return unexpected(JwtFault::wrong_issuer);
  if (!is_audience(payload.audience, rules.audience)) return unexpected(JwtFault::wrong_audience);
  if (std::max(not_before, issued_at) > now + kJwtLeeway) return unexpected(JwtFault::not_yet);
  if (now >= claims.expires_at) return unexpected(JwtFault::expired);
  return claims;
}

void append_member(std::string& object, std::string_view name, std::string_view text) {
  fmt::format_to(std::back_inserter(object), "{}\"{}\":", object.empty() ? '{' : ',', name);
  append_json_string(object, text);
}

}  // namespace

std::string_view to_string(JwtFault fault) {
  switch (fault) {
    case JwtFault::malformed:
      return "not a JWT";
    case JwtFault::wrong_algorithm:
      return "not signed with HS256";
    case JwtFault::unknown_key:
      return "unknown key id";
    case JwtFault::bad_signature:
      return "wrong signature";
    case JwtFault::bad_claims:
      return "claims missing or malformed";
    case JwtFault::wrong_issuer:
      return "wrong issuer";
    case JwtFault::wrong_audience:
      return "wrong audience";
    case JwtFault::not_yet:
      return "not valid yet";
    case JwtFault::expired:
      return "expired";
  }
  return "not a JWT";
}

Result<JwtClaims, JwtFault> verify_jwt(std::string_view token, const JwtKeys& keys,
                                       const JwtRules& rules, UnixSeconds now) {
  if (token.size() > kJwtSizeMax) return unexpected(JwtFault::malformed);
  const auto jws = split(token);
  if (!jws) return unexpected(JwtFault::malformed);
  const auto header = decode(jws->header);
  const auto payload = decode(jws->payload);
  if (!header || !payload) return unexpected(JwtFault::malformed);
  const auto header_object = object_of(*header);
  if (!header_object) return unexpected(JwtFault::malformed);
  if (const auto fault = check_signature(*jws, read_header(*header_object), keys))
    return unexpected(*fault);
  const auto payload_object = object_of(*payload);
  if (!payload_object) return unexpected(JwtFault::malformed);
  return judge(read_payload(*payload_object), rules, now);
}

std::string mint_jwt(const JwtKeys& keys, const JwtRules& rules, const JwtClaims& claims,
                     UnixSeconds now) {
  const JwtKeys::Key& key = keys.minting();
  std::string header;
  append_member(header, "alg", "HS256");
  append_member(header, "typ", "JWT");
  if (!key.id.empty()) append_member(header, "kid", key.id);
  header += '}';
  std::string payload;
  append_member(payload, "iss", rules.issuer);
  append_member(payload, "aud", rules.audience);
  append_member(payload, "sub", claims.subject);
  if (!claims.name.empty()) append_member(payload, "name", claims.name);
  fmt::format_to(std::back_inserter(payload), ",\"iat\":{},\"exp\":{}}}", now, claims.expires_at);

  std::string token = encode(header);
  token += '.';
  token += encode(payload);
  const WholeMac mac = mac32(bytes_of(key.secret), bytes_of(token));
  std::string signature(base64url_size(mac.size()), '\0');
  base64url_encode(mac, signature);
  token += '.';
  token += signature;
  return token;
}

}  // namespace tandem
