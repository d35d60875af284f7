// The web server as what stands behind it sees it, without a socket: WebSockets and requests whose
// other end is the test. Links in place of room/web/web_server.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "room/web/web_server.h"

namespace tandem {

// One request; the responder holds it as well.
class HttpResponder::Exchange {
 public:
  std::optional<HttpReply> reply;
  std::function<void()> abandoned;
  bool gone = false;  // the responder, without a reply
};

using FakeExchange = std::shared_ptr<HttpResponder::Exchange>;

[[nodiscard]] inline FakeExchange fake_exchange() {
  return std::make_shared<HttpResponder::Exchange>();
}
// The client goes before it has its reply.
inline void abandon(const FakeExchange& exchange) {
  if (auto callback = std::exchange(exchange->abandoned, nullptr)) callback();
}
// The body of the reply, "(none)" while there is none.
[[nodiscard]] std::string body_of(const FakeExchange& exchange);
// 0 while there is none.
[[nodiscard]] unsigned status_of(const FakeExchange& exchange);

// Goes before the server that it is connected to.
class FakeWebSocket final : public WebSocket {
 public:
  FakeWebSocket() = default;
  FakeWebSocket(FakeWebSocket&&) = default;
  FakeWebSocket& operator=(FakeWebSocket&&) = default;
  ~FakeWebSocket() {
    if (events != nullptr) gone(WebSocketEnd::evicted);
  }

  void send(const SharedMessage& message) override {
    if (!closed && !aborted) sent.push_back(message);
  }
  void close(std::uint16_t code) override {
    if (!closed) closed = code;
  }
  void abort() override { aborted = true; }
  [[nodiscard]] std::size_t unsent_bytes() const override { return 0; }

  // From the client.
  void text(std::string_view payload) { events->on_message(WebSocketOpcode::text, payload); }
  void binary(std::string_view payload) { events->on_message(WebSocketOpcode::binary, payload); }
  void gone(WebSocketEnd end = WebSocketEnd::lost) {
    std::exchange(events, nullptr)->on_closed(end);
  }
  // What was sent since the last call, a binary message as "<bytes>".
  std::vector<std::string> take();

  WebSocketEvents* events = nullptr;
  std::vector<SharedMessage> sent;
  std::optional<std::uint16_t> closed;
  bool aborted = false;
};

}  // namespace tandem
