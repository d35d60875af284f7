// HTTP/1.1 and WebSocket on one port: connections, framing, TLS, deadlines and bounds. Must not
// know what the routes say. One thread, the one that runs the io_context; nothing that a client
// sends reaches past its own connection.
//
// What is written in one turn of the loop leaves a connection in one write, and an idle connection
// holds no buffers: that is what it costs to keep many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/endpoint.h"
#include "common/metrics.h"
#include "common/result.h"
#include "room/web/http_message.h"
#include "room/web/websocket_message.h"

namespace boost::asio {
class io_context;
}

namespace tandem {

struct WebLimits {
  // From a request's first byte to its last (a fresh connection: from accept, TLS and PROXY header
  // included), and for taking a reply. While the application thinks there is none.
  Nanos request_deadline = 10 * kNanosPerSecond;
  // Between two requests.
  Nanos idle_deadline = 60 * kNanosPerSecond;
  // One more, and the one that has gone longest without an answer (never a WebSocket, never one
  // whose request is being thought about) makes room; where there is none, the newcomer is closed.
  std::size_t connections_max = 256;
  std::size_t connections_per_address = 0;       // of one IPv4 address or IPv6 /64; 0: no limit
  std::uint32_t header_bytes_max = 8 * 1024;     // past it: 431
  std::uint64_t body_bytes_max = 64 * 1024;      // past it: 413
  std::uint64_t message_bytes_max = 64 * 1024;   // a WebSocket message; past it: close 1009
  std::uint64_t send_queue_bytes = 1024 * 1024;  // unsent ones; past it the connection is closed
};

struct WebOptions {
  std::string name = {};  // the log's component and the metrics' label: "room", "monitoring"
  WebLimits limits = {};
  // Whose X-Forwarded-For is believed (the last address in it that is no such proxy's), and whose
  // PROXY header.
  std::vector<Network> trusted_proxies = {};
  // Every connection of a trusted proxy begins with a PROXY header, v1 or v2.
  bool proxy_protocol = false;
  // Origins as in the configuration; empty: no CORS headers.
  std::vector<std::string> cors_origins = {};
  std::string tls_cert = {};  // PEM files; both or none
  std::string tls_key = {};
};

enum class WebSocketEnd : std::uint8_t {
  closed,    // a close frame, ours or theirs, was answered
  lost,      // the connection broke
  protocol,  // what came was not WebSocket, not UTF-8 or too large
  overflow,  // send_queue_bytes
  evicted,   // the server is going
};

// One client's WebSocket. Good until its events' on_closed() returns.
class WebSocket {
 public:
  // Queued at once, written at the end of the turn. After close() and after a fault: nothing.
  virtual void send(const SharedMessage& message) = 0;
  // A close frame behind what is queued; the connection goes when it was answered or a deadline is
  // over. on_closed() comes later, never from within.
  virtual void close(std::uint16_t code) = 0;
  // At once, without a close frame. on_closed() comes later, never from within.
  virtual void abort() = 0;
  [[nodiscard]] virtual std::size_t unsent_bytes() const = 0;

 protected:
  ~WebSocket() = default;
};

class WebSocketEvents {
 public:
  // A whole message; text is UTF-8. The payload lives during the call.
  virtual void on_message(WebSocketOpcode opcode, std::string_view payload) = 0;
  // The last call.
  virtual void on_closed(WebSocketEnd end) = 0;

 protected:
  ~WebSocketEvents() = default;
};

// The one answer to a request, given now or later. Dropped without one: 500.
class HttpResponder {
 public:
  class Exchange;  // the server's side
  explicit HttpResponder(std::shared_ptr<Exchange> exchange);
  HttpResponder(HttpResponder&&) noexcept;
  HttpResponder& operator=(HttpResponder&&) noexcept;
  ~HttpResponder();

  // Once. Where the client has gone meanwhile, nothing happens.
  void reply(HttpReply reply);
  // Called where the client goes before the reply; never after it.
  void on_abandoned(std::function<void()> callback);

 private:
  std::shared_ptr<Exchange> exchange_;
};

// What stands behind a port. Outlives the server.
class WebApp {
 public:
  virtual void on_request(const HttpRequest& request, HttpResponder responder) = 0;
  // A sound WebSocket handshake. The events of the new socket, or null: then `refusal` is sent.
  // What is sent on `socket` from within goes out behind the 101.
  virtual WebSocketEvents* on_websocket(const HttpRequest& request, WebSocket& socket,
                                        HttpReply& refusal) = 0;

 protected:
  ~WebApp() = default;
};

class WebServer {
 public:
  WebServer(boost::asio::io_context& context, WebOptions options, WebApp& app);
  ~WebServer();
  WebServer(const WebServer&) = delete;
  WebServer& operator=(const WebServer&) = delete;

  // The error is one line: the system's reason ("Address already in use"), or what is wrong with
  // the certificate. Loads that; may be called for several addresses.
  [[nodiscard]] Result<void, std::string> listen(const Endpoint& endpoint);
  // Of the first address; 0 before listen().
  [[nodiscard]] std::uint16_t port() const;

  // For a reload: all of `options` but the name holds for new connections, and limits and CORS for
  // old ones too. The error leaves everything as it was.
  [[nodiscard]] Result<void, std::string> apply(const WebOptions& options);

  [[nodiscard]] std::size_t connections() const;
  [[nodiscard]] std::size_t websockets() const;
  [[nodiscard]] std::uint64_t websockets_opened() const;  // since the start
  void collect(Metrics& into) const;

  class Impl;  // Asio stays in the .cc

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace tandem
