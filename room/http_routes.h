// What the monitoring port answers: a request as texts in, a reply as a value out. Knows no socket
// and no HTTP library; framing, HEAD's missing body and the headers common to all replies are
// http_server's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/endpoint.h"
#include "common/metrics.h"
#include "room/node_report.h"
#include "room/session_routes.h"

namespace tandem {

struct HttpRequest {
  std::string_view method;              // "GET"
  std::string_view target;              // as on the request line: path and query, or a whole URI
  std::string_view authorization = {};  // that header, empty where there is none
  std::string_view body = {};
  IpAddress client = {};
};

struct HttpReply {
  unsigned status = 200;
  std::string_view content_type = "application/json";
  std::string body;
  std::string_view allow;           // the Allow header of a 405
  std::string_view challenge = {};  // the WWW-Authenticate header of a 401
};

// {"error":{"code":"NOT_FOUND","message":"..."}}
[[nodiscard]] HttpReply http_error(unsigned status, std::string_view message);

// What POST /api/v1/sessions goes by.
struct SessionSources {
  std::string_view operator_token;  // not empty
  std::function<SessionOffer()> offer;
  std::function<Result<MintedTokens, std::string>(const MintRequest&)> mint;
};

struct HttpSources {
  std::function<NodeState()> node;
  std::function<Metrics()> metrics;  // empty where monitoring.metrics is off: /metrics is 404
  SessionSources sessions = {};
};

[[nodiscard]] HttpReply answer_http(const HttpRequest& request, const HttpSources& sources);

}  // namespace tandem
