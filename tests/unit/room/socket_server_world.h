// A SocketServer over WebSockets whose other ends are the test, and what it told its application.
#pragma once

#include <doctest/doctest.h>

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "room/socket_io/socket_server.h"
#include "tests/unit/room/fake_web.h"

namespace tandem {

using Texts = std::vector<std::string>;
inline constexpr Nanos kMillisecond = kNanosPerMillisecond;

// Answers "echo" and writes down the rest.
struct SocketNotes final : SocketApp {
  std::optional<ConnectRefusal> on_connect(Socket& socket, std::optional<JsonSpan> auth,
                                           std::string& identity) override {
    CHECK(!socket.is_connected());
    note("connect", auth ? auth->text : "nothing");
    if (auth && auth->text.find("bad") != std::string_view::npos)
      return ConnectRefusal{"no", R"({"code":"AUTH_FAILED"})"};
    identity = next_identity;
    return std::nullopt;
  }
  void on_connected(Socket& socket) override {
    note("connected", socket.nsp());
    last = &socket;
    if (greet) socket.emit(encode_event(socket.nsp(), "hello", {}));
  }
  void on_recovered(Socket& socket) override {
    note("recovered", socket.id());
    last = &socket;
  }
  void on_event(Socket& socket, const SocketEvent& event) override {
    std::string text(event.name);
    for (const JsonSpan& argument : event.arguments) text += ' ' + std::string(argument.text);
    for (const std::string_view attachment : event.attachments)
      text += " <" + std::string(attachment) + '>';
    if (event.ack_id) text += " ack " + std::to_string(*event.ack_id);
    note("event", text);
    if (event.name == "leave") socket.disconnect(false);
    if (event.name == "close") socket.disconnect(true);
    if (event.name == "drop") socket.drop();
    if (event.ack_id && !event.arguments.empty())
      socket.acknowledge(*event.ack_id, event.arguments[0].text, event.attachments);
  }
  Parting on_disconnect(Socket& socket, SocketEnd end) override {
    CHECK(!socket.is_connected());
    ends.push_back(end);
    if (!park) {
      if (last == &socket) last = nullptr;
      return Parting::gone;
    }
    parked = &socket;
    return Parting::parked;
  }
  void note(std::string_view what, std::string_view more) {
    happened.push_back(std::string(what) + ' ' + std::string(more));
  }
  Texts take() { return std::exchange(happened, {}); }

  std::string next_identity = "somebody";
  bool park = false;
  bool greet = false;
  Socket* last = nullptr;
  Socket* parked = nullptr;
  Texts happened;
  std::vector<SocketEnd> ends;
};

inline SocketOptions options_with(RecoveryOptions recovery = {.enabled = false}) {
  return {.engine = {.ping_interval = 300 * kMillisecond,
                     .ping_timeout = 200 * kMillisecond,
                     .max_payload = 1000},
          .recovery = recovery,
          .namespaces = {"/", "/custom"},
          .connect_timeout = kNanosPerSecond,
          .attachments_timeout = kNanosPerSecond,
          .attachment_bytes_max = 2000};
}

struct SocketServerWorld {
  explicit SocketServerWorld(const SocketOptions& options = options_with())
      : server(options, notes, [this] { ++flushes_asked; }) {
    server.tick(now);
  }
  void open(FakeWebSocket& socket) {
    HttpReply refusal;
    socket.events = server.engine().on_websocket(
        {.method = "GET", .target = "/socket.io/?EIO=4&transport=websocket"}, socket, refusal, now);
    REQUIRE(socket.events != nullptr);
    REQUIRE(socket.take().size() == 1);
  }
  // Into "/"; the reply's members.
  nlohmann::json connect(FakeWebSocket& socket, const std::string& auth = {}) {
    open(socket);
    socket.text("40" + auth);
    const Texts sent = socket.take();
    REQUIRE(!sent.empty());
    REQUIRE(sent[0].starts_with("40{"));
    replayed.assign(sent.begin() + 1, sent.end());
    return nlohmann::json::parse(sent[0].substr(2));
  }
  // Ticks every 10 ms on the way; these answer their pings.
  void pass(Nanos span, std::initializer_list<FakeWebSocket*> answering = {}) {
    for (const Nanos end = now + span; now < end;) {
      server.tick(now += 10 * kMillisecond);
      for (FakeWebSocket* socket : answering)
        for (const std::string& text : socket->take())
          if (text == "2") socket->text("3");
    }
  }
  double metric(std::string_view name, std::string_view label = {}) {
    Metrics metrics;
    server.collect(metrics);
    for (const Metric& sample : metrics)
      if (sample.name == name && sample.labels.find(label) != std::string::npos)
        return sample.value;
    return -1;
  }

  SocketNotes notes;
  int flushes_asked = 0;
  Nanos now = kNanosPerSecond;
  Texts replayed;  // what followed the last connect()'s reply
  SocketServer server;
};

inline SharedPacket numbered(int number) {
  return encode_event("/", "n", std::to_string(number));
}
inline std::string number_text(int number) {
  return "42[\"n\"," + std::to_string(number) + "]";
}
inline std::string offset_text(int count) {
  return "42[\"offset\",\"" + std::to_string(count) + "\"]";
}
inline std::string claim_of(const nlohmann::json& reply, const char* offset = nullptr) {
  nlohmann::json auth = {{"pid", reply["pid"]}};
  if (offset != nullptr) auth["offset"] = offset;
  return auth.dump();
}

}  // namespace tandem
