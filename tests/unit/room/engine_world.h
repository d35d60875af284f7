// An EngineServer whose transports' other ends are the test, and what it told.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "room/socket_io/engine_server.h"
#include "tests/unit/room/fake_web.h"

namespace tandem {

using Texts = std::vector<std::string>;
inline constexpr Nanos kMillisecond = kNanosPerMillisecond;

// Notes what happens, and echoes where it is told to.
struct EngineNotes final : EngineEvents {
  void on_open(EngineSession& session) override {
    last = &session;
    ++opened;
    if (greeting) session.send(greeting);
  }
  void on_text(EngineSession& session, std::string_view message) override {
    texts.emplace_back(message);
    if (message == "close") session.close();
    if (message == "drop") session.drop();
    if (!echo) return;
    session.send(std::make_shared<WebSocketMessage>(WebSocketOpcode::text, "4", message));
  }
  void on_binary(EngineSession& session, std::string_view message) override {
    texts.push_back('<' + std::string(message) + '>');
    if (echo) session.send(std::make_shared<WebSocketMessage>(WebSocketOpcode::binary, message));
  }
  void on_confirmed(EngineSession&) override { ++confirmations; }
  void on_close(EngineSession& session, EngineEnd end) override {
    ends.push_back(end);
    if (last == &session) last = nullptr;
  }

  EngineSession* last = nullptr;
  SharedMessage greeting;
  bool echo = false;
  int opened = 0;
  int confirmations = 0;
  Texts texts;
  std::vector<EngineEnd> ends;
};

inline SharedMessage text_message(std::string_view text) {
  return std::make_shared<WebSocketMessage>(WebSocketOpcode::text, text);
}

struct EngineWorld {
  explicit EngineWorld(EngineOptions changed = {.ping_interval = 300 * kMillisecond,
                                                .ping_timeout = 200 * kMillisecond,
                                                .max_payload = 1'000'000})
      : server(std::move(changed), notes, [this] { ++flushes_asked; }) {
    server.tick(now);
  }

  FakeExchange request(std::string_view method, const std::string& query,
                       std::string_view body = {}, std::string_view content_type = {}) {
    const std::string target = "/socket.io/?" + query;
    auto exchange = fake_exchange();
    server.on_request({.method = method,
                       .target = target,
                       .content_type = content_type,
                       .body = body,
                       .client = IpAddress::v4(192, 0, 2, 7)},
                      HttpResponder(exchange), now);
    return exchange;
  }
  FakeExchange poll(const std::string& sid) {
    return request("GET", "EIO=4&transport=polling&sid=" + sid);
  }
  FakeExchange post(const std::string& sid, std::string_view body,
                    std::string_view content_type = "text/plain;charset=UTF-8") {
    return request("POST", "EIO=4&transport=polling&sid=" + sid, body, content_type);
  }
  // The refusal's status, or 0 where the socket has been let in.
  unsigned connect(FakeWebSocket& socket, const std::string& query) {
    const std::string target = "/socket.io/?" + query;
    HttpReply refusal;
    socket.events = server.on_websocket(
        {.method = "GET", .target = target, .client = IpAddress::v4(192, 0, 2, 7)}, socket, refusal,
        now);
    return socket.events == nullptr ? refusal.status : 0;
  }
  std::string open_polling() {
    const auto reply = request("GET", "EIO=4&transport=polling");
    REQUIRE(status_of(reply) == 200);
    return nlohmann::json::parse(body_of(reply).substr(1))["sid"];
  }
  void open_websocket(FakeWebSocket& socket) {
    REQUIRE(connect(socket, "EIO=4&transport=websocket") == 0);
    REQUIRE(socket.take().size() == 1);
  }
  void upgrade(const std::string& sid, FakeWebSocket& socket) {
    REQUIRE(connect(socket, "EIO=4&transport=websocket&sid=" + sid) == 0);
    socket.text("2probe");
    REQUIRE(socket.take() == Texts{"3probe"});
    socket.text("5");
  }
  // Ticks every 10 ms on the way.
  void pass(Nanos span) {
    for (const Nanos end = now + span; now < end;) server.tick(now += 10 * kMillisecond);
  }
  double metric(std::string_view name, std::string_view label) {
    Metrics metrics;
    server.collect(metrics);
    for (const Metric& sample : metrics)
      if (sample.name == name && sample.labels.find(label) != std::string::npos)
        return sample.value;
    return -1;
  }

  EngineNotes notes;
  int flushes_asked = 0;
  Nanos now = kNanosPerSecond;
  EngineServer server;
};

}  // namespace tandem
