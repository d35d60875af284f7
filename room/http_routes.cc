#include "room/http_routes.h"

#include <fmt/format.h>

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

}  // namespace

HttpReply http_error(unsigned status, std::string_view message) {
  return {.status = status,
          .body = fmt::format(R"({{"error":{{"code":"{}","message":"{}"}}}})", error_code(status),
                              message),
          .allow = {}};
}

HttpReply answer_http(const HttpRequest& request, const HttpSources& sources) {
  const std::string_view path = path_of(request.target);
  const bool metrics = path == "/metrics" && sources.metrics;
  if (path != "/health" && path != "/ready" && !metrics)
    return http_error(404, "there is /health, /ready and /metrics");
  if (request.method != "GET" && request.method != "HEAD") {
    HttpReply refusal = http_error(405, "this is for GET and HEAD");
    refusal.allow = "GET, HEAD";
    return refusal;
  }
  if (path == "/health") return health_reply(sources.node());
  if (path == "/ready") return ready_reply(sources.node());
  return {
      .content_type = kMetricsContentType, .body = render_metrics(sources.metrics()), .allow = {}};
}

}  // namespace tandem
