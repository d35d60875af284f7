// What the monitoring port answers: a request as texts in, a reply as a value out. Knows no socket
// and no HTTP library.
#pragma once

#include <functional>
#include <string_view>

#include "common/metrics.h"
#include "room/node_report.h"
#include "room/operator/session_routes.h"
#include "room/web/http_message.h"

namespace tandem {

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
