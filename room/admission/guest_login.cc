#include "room/admission/guest_login.h"

#include <fmt/format.h>

#include <iterator>
#include <optional>

#include "room/text/json_scan.h"
#include "room/text/visible_text.h"

namespace tandem {
namespace {

constexpr std::size_t kDepthMax = 16;

// A text of `least` to `most` characters; with `least` 0 it may be left out.
Result<std::string, std::string> read_text(std::string_view name,
                                           const std::optional<JsonSpan>& value, std::size_t least,
                                           std::size_t most) {
  const bool absent = !value || value->kind == JsonKind::null;
  if (absent && least == 0) return std::string();
  if (absent) return unexpected(fmt::format("\"{}\" is missing", name));
  if (value->kind == JsonKind::string) {
    std::string text = json_text(*value);
    const auto length = visible_code_points(text);
    if (length && *length >= least && *length <= most) return text;
  }
  return unexpected(fmt::format(
      "\"{}\" has to be a string of {} to {} characters, none of them a control character", name,
      least, most));
}

}  // namespace

Result<GuestRequest, std::string> parse_guest_request(std::string_view body) {
  const auto object = scan_json(body, kDepthMax);
  if (!object || object->kind != JsonKind::object)
    return unexpected(std::string("the body has to be one JSON object"));
  std::optional<JsonSpan> username, platform, version;
  JsonMembers members(*object);
  for (JsonSpan name, value; members.next(name, value);) {
    const std::string known = json_text(name);
    if (known == "username") username = value;
    if (known == "platform") platform = value;
    if (known == "version") version = value;
  }
  auto user = read_text("username", username, 1, kUserNameMax);
  if (!user) return unexpected(std::move(user.error()));
  auto on = read_text("platform", platform, 0, kPlatformMax);
  if (!on) return unexpected(std::move(on.error()));
  auto of = read_text("version", version, 0, kPlatformMax);
  if (!of) return unexpected(std::move(of.error()));
  return GuestRequest{*std::move(user), *std::move(on), *std::move(of)};
}

std::string grant_guest(const GuestRequest& request, std::string_view client_id,
                        const JwtKeys& keys, const GuestRules& rules, UnixSeconds now) {
  const JwtClaims claims{.subject = std::string(client_id),
                         .name = request.username,
                         .expires_at = now + rules.lifetime_s};
  std::string answer = R"({"token":)";
  append_json_string(answer, mint_jwt(keys, rules.jwt, claims, now));
  answer += R"(,"clientId":)";
  append_json_string(answer, client_id);
  fmt::format_to(std::back_inserter(answer), ",\"expiresIn\":{}}}", rules.lifetime_s);
  return answer;
}

}  // namespace tandem
