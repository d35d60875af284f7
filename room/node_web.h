// What every HTTP port of this node answers that is not the rooms': health, metrics, sessions for
// back ends, the dashboard and the operator's routes. Knows no socket. The control thread's.
#pragma once

#include <functional>

#include "room/http_routes.h"
#include "room/operator/operator_routes.h"
#include "room/web/web_server.h"

namespace tandem {

class NodeWeb final : public WebApp {
 public:
  struct Sources {
    std::function<HttpSources()> http;  // asked for each request: a reload may change them
    OperatorSources operations;
  };

  // `relay` outlives this.
  NodeWeb(RelayControl& relay, Sources sources);

  void on_request(const HttpRequest& request, HttpResponder responder) override;
  WebSocketEvents* on_websocket(const HttpRequest& request, WebSocket& socket,
                                HttpReply& refusal) override;

 private:
  std::function<HttpSources()> http_;
  OperatorRoutes operations_;
};

}  // namespace tandem
