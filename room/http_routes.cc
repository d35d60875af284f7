#include "room/http_routes.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "room/metrics_page.h"

namespace tandem {
namespace {

// The path of an origin-form or absolute-form target (RFC 9112, 3.2); a server has to take both.
std::string_view path_of(std::string_view target) {
  if (const std::size_t scheme = target.find("://");
      scheme != std::string_view::npos && !target.starts_with('/')) {
    const std::size_t path = target.find('/', scheme + 3);
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  return target.substr(0, target.find_first_of("?#"));
}

std::string_view error_code(unsigned status) {
  switch (status) {
    case 400:
      return "BAD_REQUEST";
    case 401:
      return "AUTH_FAILED";
    case 404:
      return "NOT_FOUND";
    case 405:
      return "METHOD_NOT_ALLOWED";
    case 413:
      return "CONTENT_TOO_LARGE";
    case 431:
      return "HEADERS_TOO_LARGE";
    case 503:
      return "OVER_CAPACITY";
    default:
      return "INTERNAL";
  }
}

HttpReply error_reply(unsigned status, std::string_view code, std::string_view message) {
  const nlohmann::ordered_json body = {{"error", {{"code", code}, {"message", message}}}};
  // A message may name what a client sent.
  return {.status = status,
          .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
          .allow = {}};
}

HttpReply wrong_method(std::string_view allowed) {
  HttpReply refusal = http_error(405, fmt::format("this is for {}", allowed));
  refusal.allow = allowed;
  return refusal;
}

HttpReply health_reply(const NodeState& node) {
  const bool broken = check_health(node).worst() == Health::error;
  return {.status = broken ? 503u : 200u, .body = health_json(node), .allow = {}};
}

HttpReply ready_reply(const NodeState& node) {
  const Readiness readiness = check_readiness(node);
  const bool ready = readiness == Readiness::ready;
  return {.status = ready ? 200u : 503u,
          .body = fmt::format(R"({{"ready":{},"state":"{}"}})", ready, to_string(readiness)),
          .allow = {}};
}

HttpReply session_reply(const HttpRequest& request, const SessionSources& sources) {
  if (request.method != "POST") return wrong_method("POST");
  if (judge_operator(request.authorization, sources.operator_token) != OperatorVerdict::admitted) {
    HttpReply refusal = http_error(401, "this wants the operator's token, as a Bearer token");
    refusal.challenge = "Bearer";
    return refusal;
  }
  const SessionOffer offer = sources.offer();
  if (offer.draining)
    return error_reply(503, "DRAINING", "this node takes no new sessions: ask another");
  const auto wanted = parse_session_request(request.body, offer);
  if (!wanted) return http_error(400, wanted.error());
  const auto minted = sources.mint(*wanted);
  if (!minted) return http_error(500, minted.error());
  return {.status = 201, .body = session_json(*minted, offer), .allow = {}};
}

}  // namespace

HttpReply http_error(unsigned status, std::string_view message) {
  return error_reply(status, error_code(status), message);
}

HttpReply answer_http(const HttpRequest& request, const HttpSources& sources) {
  const std::string_view path = path_of(request.target);
  const bool metrics = path == "/metrics" && sources.metrics;
  if (path == "/api/v1/sessions") return session_reply(request, sources.sessions);
  if (path != "/health" && path != "/ready" && !metrics)
    return http_error(404, "there is /health, /ready, /metrics and /api/v1/sessions");
  if (request.method != "GET" && request.method != "HEAD") return wrong_method("GET, HEAD");
  if (path == "/health") return health_reply(sources.node());
  if (path == "/ready") return ready_reply(sources.node());
  return {
      .content_type = kMetricsContentType, .body = render_metrics(sources.metrics()), .allow = {}};
}

}  // namespace tandem
