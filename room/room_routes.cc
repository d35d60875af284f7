#include "room/room_routes.h"

#include <fmt/format.h>

#include "common/log.h"
#include "room/admission/bearer_token.h"
#include "room/admission/guest_login.h"
#include "room/lobby/message.h"
#include "room/operator/session_routes.h"
#include "room/text/json_scan.h"

namespace tandem {
namespace {

constexpr std::string_view kRooms = "/api/v1/rooms";
constexpr std::string_view kOneRoom = "/api/v1/rooms/";
constexpr std::string_view kByCode = "/api/v1/rooms/by-code/";
constexpr std::string_view kRelays = "/api/v1/relays";
constexpr std::string_view kGuest = "/api/v1/auth/guest";

HttpReply too_many(std::string_view message, const LimitVerdict& verdict) {
  HttpReply reply = http_error(429, "RATE_LIMITED", message);
  reply.retry_after_s = verdict.retry_after_s;
  return reply;
}

HttpReply wrong_method(std::string_view allowed) {
  HttpReply refusal = http_error(405, fmt::format("this is for {}", allowed));
  refusal.allow = allowed;
  return refusal;
}

HttpReply no_room() {
  return http_error(404, "there is no such room");
}

HttpReply show(const SharedJson& room) {
  if (room == nullptr) return no_room();
  return {.body = *room, .allow = {}};
}

}  // namespace

RoomRoutes::RoomRoutes(const Config& config, RoomRouteParts parts)
    : config_(config), parts_(std::move(parts)) {}

bool RoomRoutes::handles(std::string_view path) {
  return path == kRooms || path == kRelays || path == kGuest || path.starts_with(kOneRoom);
}

HttpReply RoomRoutes::answer(const HttpRequest& request, Moment now) {
  const std::string_view path = path_of(request.target);
  if (const auto verdict = parts_.address_limits.charge_request(config_.room.address_rate_limit,
                                                                request.client, now.mono);
      !verdict.allowed()) {
    parts_.stats.record_limited(LimitScope::address);
    if (verdict.outcome == LimitOutcome::exceeded) log_rate_limit_exceeded("http", request.client);
    return too_many("too many requests from this address", verdict);
  }
  if (path == kGuest) return login(request, now);
  if (request.method != "GET" && request.method != "HEAD") return wrong_method("GET, HEAD");
  const bool operates =
      judge_operator(request.authorization, parts_.operator_token) == OperatorVerdict::admitted;
  if (!operates)
    if (auto refusal = refuse(request, now)) return std::move(*refusal);
  if (path == kRooms) return list(request.target);
  if (path == kRelays) return relays();
  if (path.starts_with(kByCode))
    return room_by_code(url_decode(path.substr(kByCode.size())), request.client, now);
  return room(url_decode(path.substr(kOneRoom.size())));
}

HttpReply RoomRoutes::login(const HttpRequest& request, Moment now) {
  if (request.method != "POST") return wrong_method("POST");
  if (!config_.room.guest_login)
    return http_error(404, "there is no guest login here: get a token from your provider");
  if (draining_) return http_error(503, "DRAINING", "this node takes no new clients: ask another");
  if (const auto verdict = parts_.address_limits.charge_guest_login(request.client, now.mono);
      !verdict.allowed()) {
    parts_.stats.record_limited(LimitScope::guest);
    if (verdict.outcome == LimitOutcome::exceeded) log_rate_limit_exceeded("http", request.client);
    return too_many("too many logins from this address", verdict);
  }
  const auto guest = parse_guest_request(request.body);
  if (!guest) return http_error(400, guest.error());
  const std::string id = make_uuid(parts_.random);
  const GuestRules rules{
      .jwt = {.issuer = config_.room.jwt_issuer, .audience = config_.room.jwt_audience},
      .lifetime_s = config_.room.token_lifetime_s};
  HttpReply reply{.body = grant_guest(*guest, id, parts_.jwt_keys(), rules, now.wall / 1000),
                  .allow = {}};
  ++parts_.stats.guest_tokens;
  parts_.store.post(ClientSeen{.id = id,
                               .username = guest->username,
                               .platform = guest->platform,
                               .version = guest->version,
                               .at = now.wall});
  return reply;
}

// Whoever shows no client's token.
std::optional<HttpReply> RoomRoutes::refuse(const HttpRequest& request, Moment now) {
  if (const auto verdict = parts_.address_limits.may_log_in(request.client, now.mono);
      !verdict.allowed()) {
    parts_.stats.record_limited(LimitScope::login);
    return too_many("too many failed logins from this address", verdict);
  }
  const JwtRules rules{.issuer = config_.room.jwt_issuer, .audience = config_.room.jwt_audience};
  const std::string_view token = bearer_token(request.authorization);
  const auto claims = verify_jwt(token, parts_.jwt_keys(), rules, now.wall / 1000);
  if (claims) {
    const auto verdict =
        parts_.client_limits.charge(claims->subject, EventClass::request, config_.room, now.mono);
    if (verdict.allowed()) return std::nullopt;
    parts_.stats.record_limited(LimitScope::request);
    if (verdict.outcome == LimitOutcome::exceeded) log_rate_limit_exceeded("http", request.client);
    return too_many("too many requests of this client", verdict);
  }
  if (token.empty()) {
    parts_.stats.record_missing_token();
  } else {
    parts_.stats.record_bad_token(claims.error());
  }
  (void)parts_.address_limits.record_failed_login(request.client, now.mono);
  const std::string_view why = token.empty() ? "no token" : to_string(claims.error());
  log_authentication_failed("http", request.client, {{"detail", why}});
  HttpReply refusal =
      http_error(401, fmt::format("this wants a client's token as a Bearer token: {}", why));
  refusal.challenge = "Bearer";
  return refusal;
}

HttpReply RoomRoutes::list(std::string_view target) const {
  ListRooms wanted;
  const std::size_t question = target.find('?');
  std::string_view rest = question == std::string_view::npos ? "" : target.substr(question + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    const std::string value =
        equals == std::string_view::npos ? std::string() : url_decode(pair.substr(equals + 1));
    if (const auto read = read_list_parameter(url_decode(pair.substr(0, equals)), value, wanted);
        !read)
      return http_error(400, read.error().message);
  }
  HttpReply reply{.body = {}, .allow = {}};
  parts_.registry.append_list(reply.body, wanted);
  return reply;
}

HttpReply RoomRoutes::room(std::string_view id) const {
  return show(parts_.registry.look_up(id));
}

HttpReply RoomRoutes::room_by_code(std::string_view code, const IpAddress& client, Moment now) {
  const auto verdict = parts_.address_limits.charge_code_lookup(client, now.mono);
  if (!verdict.allowed()) parts_.stats.record_limited(LimitScope::code);
  if (!verdict.allowed()) return too_many("too many codes tried from this address", verdict);
  return show(parts_.registry.look_up_by_code(code));
}

HttpReply RoomRoutes::relays() const {
  std::string body = R"({"relays":[)";
  bool first = true;
  for (const RelayNode& relay : parts_.fleet.nodes()) {
    if (!relay.accepts) continue;
    if (!std::exchange(first, false)) body += ',';
    body += R"({"id":)";
    append_json_string(body, relay.id);
    body += R"(,"region":)";
    append_json_string(body, relay.region);
    if (!relay.host.empty()) {
      body += R"(,"host":)";
      append_json_string(body, relay.host);
    }
    fmt::format_to(std::back_inserter(body), R"(,"port":{},"load":{:.4f}}})", relay.port,
                   load(relay));
  }
  body += "]}";
  return {.body = std::move(body), .allow = {}};
}

}  // namespace tandem
