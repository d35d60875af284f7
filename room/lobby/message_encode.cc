#include <array>
#include <charconv>

#include "common/token.h"
#include "room/lobby/message.h"
#include "room/text/json_write.h"

namespace tandem {
namespace {

void put_grant(JsonObject& object, const RelayGrant& grant) {
  std::string_view transports = "[]";
  if (grant.tcp && grant.udp) {
    transports = R"(["tcp","udp"])";
  } else if (grant.tcp || grant.udp) {
    transports = grant.tcp ? R"(["tcp"])" : R"(["udp"])";
  }
  object.text("roomId", grant.room_id)
      .text("peerClientId", grant.peer_client_id)
      .text("server", grant.server)
      .number("port", grant.port)
      .text("token", grant.token)
      .text("sessionId", format_session_id(grant.session_id))
      .number("slot", static_cast<unsigned>(grant.slot))
      .json("transports", transports)
      .number("expiresAt", grant.expires_at)
      .text("region", grant.region);
  if (!grant.e2e_key.empty()) object.text("e2eKey", grant.e2e_key);
  object.end();
}

}  // namespace

void append_error(std::string& into, const ApiError& error) {
  JsonObject object(into);
  object.text("code", error_code_name(error.code)).text("message", error.message);
  if (error.retry_after_s) object.number("retryAfter", *error.retry_after_s);
  object.end();
}

void append_failure(std::string& into, const ApiError& error) {
  JsonObject object(into);
  object.flag("success", false).name("error");
  append_error(into, error);
  object.end();
}

void append_connected(std::string& into, const ConnectedGreeting& greeting) {
  JsonObject object(into);
  object.text("clientId", greeting.client_id)
      .number("serverTime", greeting.server_time)
      .text("serverVersion", greeting.server_version)
      .text("node", greeting.node)
      .text("region", greeting.region);
  object.end();
}

void append_use_relay(std::string& into, const RelayGrant& grant) {
  JsonObject object(into);
  put_grant(object, grant);
}

void append_use_relay_acknowledgement(std::string& into, const RelayGrant& grant) {
  JsonObject object(into);
  object.flag("success", true);
  put_grant(object, grant);
}

void append_missed(std::string& resumed, std::span<const MissedEvent> missed, bool all) {
  resumed.pop_back();  // the brace that ends it
  resumed += R"(,"missed":[)";
  for (std::size_t at = 0; at < missed.size(); ++at) {
    if (at > 0) resumed += ',';
    JsonObject object(resumed);
    object.text("event", missed[at].name).name("args");
    resumed += '[';
    resumed += missed[at].arguments;
    resumed += ']';
    object.end();
  }
  resumed += R"(],"complete":)";
  resumed += all ? "true}" : "false}";
}

std::string encode_cursor(std::uint64_t order) {
  std::array<char, 16> digits{};
  const auto [end, fault] = std::to_chars(digits.data(), digits.data() + digits.size(), order, 36);
  return {digits.data(), end};
}

std::optional<std::uint64_t> decode_cursor(std::string_view text) {
  std::uint64_t order = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), order, 36);
  if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return order;
}

}  // namespace tandem
