#include "room/node_web.h"

#include <utility>

#include "common/log.h"

namespace tandem {

NodeWeb::NodeWeb(RelayControl& relay, Sources sources)
    : http_(std::move(sources.http)), operations_(relay, std::move(sources.operations)) {}

void NodeWeb::on_request(const HttpRequest& request, HttpResponder responder) {
  if (OperatorRoutes::handles(request)) return operations_.answer(request, std::move(responder));
  HttpReply reply = answer_http(request, http_());
  if (reply.status == 401)
    log_authentication_failed("http", request.client, {{"detail", "operator's token"}});
  responder.reply(std::move(reply));
}

WebSocketEvents* NodeWeb::on_websocket(const HttpRequest&, WebSocket&, HttpReply& refusal) {
  refusal = http_error(404, "there is no WebSocket on this port");
  return nullptr;
}

}  // namespace tandem
