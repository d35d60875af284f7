// A web server with an application of a test's, on a loop of its own, and a WebSocket client that
// says what it is told to.
#pragma once

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "room/web/web_server.h"
#include "tests/unit/room/loop_thread.h"
#include "tests/unit/room/loopback.h"

namespace tandem {

// On 127.0.0.1, a port of the kernel's choice. `App` is touched by the loop's thread alone: on()
// runs what looks at it there.
template <class App>
struct WebWorld {
  explicit WebWorld(WebOptions options = {.name = "test"}) {
    server.emplace(loop.context(), std::move(options), app);
    const auto listening = server->listen({IpAddress::v4(127, 0, 0, 1), 0});
    REQUIRE_MESSAGE(listening, (listening ? "" : listening.error()));
    port = server->port();
    loop.every(kNanosPerHour, [] {});  // runs on where the server is gone
    running.emplace(loop);
  }
  [[nodiscard]] Client connect() const { return Client::to_port(port); }

  template <class Call>
  auto on(Call call) {
    std::packaged_task<decltype(call())()> task(std::move(call));
    auto done = task.get_future();
    boost::asio::post(loop.context(), [&task] { task(); });
    return done.get();
  }
  // Until it is so, or five seconds are over.
  template <class Condition>
  bool comes_true(Condition condition) {
    for (int i = 0; i < 5000; ++i) {
      if (on(condition)) return true;
      ::usleep(1000);
    }
    return false;
  }
  double metric(std::string_view name, std::string_view labels = {}) {
    return on([&] {
      Metrics metrics;
      server->collect(metrics);
      double sum = 0;
      for (const Metric& metric : metrics)
        if (metric.name == name && metric.labels.find(labels) != std::string::npos)
          sum += metric.value;
      return sum;
    });
  }

  ControlLoop loop;
  App app;
  std::optional<WebServer> server;
  std::uint16_t port = 0;
  std::optional<LoopThread> running;
};

inline std::string http_get(std::string_view target, std::string_view headers = {}) {
  return std::string("GET ").append(target).append(" HTTP/1.1\r\nHost: relay\r\n").append(headers) +
         "\r\n";
}
inline bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}
inline std::string status_of(const std::string& reply) {
  return reply.substr(0, reply.find("\r\n"));
}

inline constexpr std::string_view kHandshakeHeaders =
    "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

enum class FrameEnd : std::uint8_t { last, more };

// As a client sends it; masked with a key that changes every byte.
inline std::string client_frame(unsigned opcode, std::string_view payload,
                                FrameEnd end = FrameEnd::last) {
  const std::string_view mask = "\x37\xfa\x21\x3d";
  std::string frame;
  frame += static_cast<char>((end == FrameEnd::last ? 0x80u : 0u) | opcode);
  const auto append_size = [&](int bytes) {
    while (bytes > 0) frame += static_cast<char>(payload.size() >> (8 * --bytes) & 0xff);
  };
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else if (payload.size() <= 0xffff) {
    frame += static_cast<char>(0x80 | 126);
    append_size(2);
  } else {
    frame += static_cast<char>(0x80 | 127);
    append_size(8);
  }
  frame += mask;
  for (std::size_t i = 0; i < payload.size(); ++i)
    frame += static_cast<char>(payload[i] ^ mask[i % 4]);
  return frame;
}

struct ServerFrame {
  unsigned opcode = 0;  // 0 where the connection was closed
  std::string payload;

  // Of a close frame.
  [[nodiscard]] unsigned code() const {
    if (payload.size() < 2) return 1005;
    return static_cast<unsigned>(static_cast<unsigned char>(payload[0])) << 8 |
           static_cast<unsigned char>(payload[1]);
  }
};

inline ServerFrame read_frame(Client& client) {
  const std::string head = client.read_bytes(2);
  if (head.size() < 2) return {};
  const auto number = [&](std::size_t bytes) {
    std::size_t value = 0;
    for (const char byte : client.read_bytes(bytes))
      value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  };
  CHECK((static_cast<unsigned char>(head[0]) & 0xf0) == 0x80);
  std::size_t size = static_cast<unsigned char>(head[1]);  // not masked
  if (size == 126)
    size = number(2);
  else if (size == 127)
    size = number(8);
  return {static_cast<unsigned char>(head[0]) & 0x0fu, client.read_bytes(size)};
}

// The reply's head.
inline std::string shake_hands(Client& client, std::string_view target,
                               std::string_view more_headers = {}) {
  client.send(http_get(target, std::string(kHandshakeHeaders).append(more_headers)));
  return client.read_until("\r\n\r\n");
}

}  // namespace tandem
