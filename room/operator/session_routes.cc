#include "room/operator/session_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "common/hmac.h"
#include "common/token.h"
#include "room/admission/bearer_token.h"

namespace tandem {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kMembers =
    "sessionId, transports, expiresInS, rateKbps, lanesMax and prove";
// Of a member's name that is not ours: it comes back in an error.
constexpr std::size_t kNameShown = 64;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Each of these reads a member's value; what would have been right, where it was wrong.
using Expected = std::optional<std::string>;

Expected read_session_id(const Json& value, MintRequest& request) {
  if (value.is_string()) request.session_id = parse_session_id(value.get_ref<const std::string&>());
  return request.session_id ? std::nullopt : Expected("16 hex digits");
}

Expected read_transports(const Json& value, const SessionOffer& offer, MintRequest& request) {
  request.tcp = request.udp = false;
  bool sound = value.is_array() && !value.empty();
  for (const Json& transport : sound ? value : Json::array()) {
    const bool tcp = transport == "tcp" && offer.tcp;
    const bool udp = transport == "udp" && offer.udp;
    request.tcp = request.tcp || tcp;
    request.udp = request.udp || udp;
    sound = sound && (tcp || udp);
  }
  if (sound) return std::nullopt;
  return offer.tcp && offer.udp ? R"(["tcp"], ["udp"] or ["tcp","udp"])"
         : offer.tcp            ? R"(["tcp"]: this relay serves no UDP)"
                                : R"(["udp"]: this relay serves no TCP)";
}

template <class Integer>
Expected read_number(const Json& value, Integer least, Integer most, Integer& into) {
  if (value.is_number_unsigned()) {
    const auto given = value.get<std::uint64_t>();
    if (given >= least && given <= most) {
      into = static_cast<Integer>(given);
      return std::nullopt;
    }
  }
  return fmt::format("an integer from {} to {}", least, most);
}

Expected read_flag(const Json& value, bool& into) {
  if (!value.is_boolean()) return "true or false";
  into = value.get<bool>();
  return std::nullopt;
}

Result<void, std::string> read_member(const std::string& name, const Json& value,
                                      const SessionOffer& offer, MintRequest& request) {
  Expected expected;
  if (name == "sessionId") {
    expected = read_session_id(value, request);
  } else if (name == "transports") {
    expected = read_transports(value, offer, request);
  } else if (name == "expiresInS") {
    expected = read_number(value, 1u, offer.expires_max_s, request.expires_in_s);
  } else if (name == "rateKbps") {
    expected = read_number(value, 0u, std::numeric_limits<std::uint32_t>::max(), request.rate_kbps);
  } else if (name == "lanesMax") {
    expected = read_number(value, std::uint16_t{0}, std::numeric_limits<std::uint16_t>::max(),
                           request.lanes_max);
  } else if (name == "prove") {
    expected = read_flag(value, request.prove);
  } else {
    return unexpected(fmt::format("\"{}\" is not known here: there are {}",
                                  name.substr(0, kNameShown), kMembers));
  }
  if (expected) return unexpected(fmt::format("\"{}\" has to be {}", name, *expected));
  return {};
}

}  // namespace

OperatorVerdict judge_operator(std::string_view authorization, std::string_view token) {
  const std::string_view shown = bearer_token(authorization);
  if (shown.empty()) return OperatorVerdict::no_token;
  return constant_time_equal(bytes_of(shown), bytes_of(token)) ? OperatorVerdict::admitted
                                                               : OperatorVerdict::wrong_token;
}

Result<MintRequest, std::string> parse_session_request(std::string_view body,
                                                       const SessionOffer& offer) {
  if (!offer.tcp && !offer.udp)
    return unexpected(std::string("this node relays neither TCP nor UDP"));
  MintRequest request;
  request.tcp = offer.tcp;
  request.udp = offer.udp;
  request.expires_in_s = std::min(request.expires_in_s, offer.expires_max_s);
  if (body.empty()) return request;
  const Json object = Json::parse(body, nullptr, false);
  if (!object.is_object())
    return unexpected(std::string("the body has to be one JSON object, or empty"));
  for (const auto& [name, value] : object.items())
    if (auto read = read_member(name, value, offer, request); !read)
      return unexpected(std::move(read.error()));
  return request;
}

std::string session_json(const MintedTokens& minted, const SessionOffer& offer) {
  nlohmann::ordered_json reply = {{"sessionId", format_session_id(minted.session_id)}};
  if (!offer.host.empty()) reply["server"] = offer.host;
  reply["port"] = offer.port;
  reply["transports"] = Json::array();
  if (minted.tcp) reply["transports"].push_back("tcp");
  if (minted.udp) reply["transports"].push_back("udp");
  reply["expiresAt"] = minted.expires_at;
  reply["tokens"] = {{"a", minted.a}, {"b", minted.b}};
  return reply.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tandem
