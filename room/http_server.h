// HTTP/1.1 for the monitoring port: connections, framing, deadlines and bounds (Boost.Beast). Must
// not know what the routes say. Nothing that a client sends reaches past its own connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/endpoint.h"
#include "common/metrics.h"
#include "common/result.h"
#include "room/http_routes.h"

namespace boost::asio {
class io_context;
}

namespace tandem {

struct HttpLimits {
  // From a request's first byte to its last (a fresh connection: from accept), and for taking the
  // reply.
  Nanos request_deadline = 10 * kNanosPerSecond;
  // Between two requests.
  Nanos idle_deadline = 60 * kNanosPerSecond;
  // One more, and the one that has gone longest without an answer makes room.
  std::size_t connections_max = 256;
  std::uint32_t header_bytes_max = 8 * 1024;  // past it: 431
  std::uint64_t body_bytes_max = 64 * 1024;   // past it: 413
};

class HttpServer {
 public:
  using Handler = std::function<HttpReply(const HttpRequest&)>;

  HttpServer(boost::asio::io_context& context, HttpLimits limits, Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // The error is the system's reason ("Address already in use").
  [[nodiscard]] Result<void, std::string> listen(const Endpoint& endpoint);
  // 0 before listen().
  [[nodiscard]] std::uint16_t port() const;

  void collect(Metrics& into) const;

  class Impl;  // Asio stays in the .cc

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace tandem
