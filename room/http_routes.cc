#include "room/http_routes.h"

#include <fmt/format.h>

#include "room/metrics_page.h"

namespace tandem {
namespace {

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
    return http_error(503, "DRAINING", "this node takes no new sessions: ask another");
  const auto wanted = parse_session_request(request.body, offer);
  if (!wanted) return http_error(400, wanted.error());
  const auto minted = sources.mint(*wanted);
  if (!minted) return http_error(500, minted.error());
  return {.status = 201, .body = session_json(*minted, offer), .allow = {}};
}

}  // namespace

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
