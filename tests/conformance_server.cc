// conformance-server: the room service's Engine.IO and Socket.IO by themselves, with the namespaces
// and events that the protocols' own test suites expect of a server under test, and a few more that
// lose a connection on purpose. On loopback alone.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "room/control_loop.h"
#include "room/socket_io/socket_server.h"
#include "room/web/web_server.h"

namespace tandem {
namespace {

constexpr Nanos kTickInterval = 10 * kNanosPerMillisecond;
constexpr std::uint64_t kMaxPayload = 1'000'000;

struct Settings {
  std::string protocol = "socket.io";
  std::uint16_t port = 3000;
  std::int64_t ping_interval_ms = 300;
  std::int64_t ping_timeout_ms = 200;
  std::int64_t connect_timeout_ms = 1000;
  std::int64_t grace_ms = 5000;
  bool recovery = false;

  [[nodiscard]] EngineOptions engine() const {
    return {.path = '/' + protocol + '/',
            .ping_interval = ping_interval_ms * kNanosPerMillisecond,
            .ping_timeout = ping_timeout_ms * kNanosPerMillisecond,
            .max_payload = kMaxPayload};
  }
};

std::string list_of(const std::vector<JsonSpan>& arguments) {
  std::string list;
  for (const JsonSpan& argument : arguments) {
    if (!list.empty()) list += ',';
    list += argument.text;
  }
  return list;
}

// Engine.IO alone: every message comes back.
class Echo final : public EngineEvents {
 public:
  void on_open(EngineSession&) override {}
  void on_text(EngineSession& session, std::string_view message) override {
    session.send(std::make_shared<WebSocketMessage>(WebSocketOpcode::text, "4", message));
  }
  void on_binary(EngineSession& session, std::string_view message) override {
    session.send(std::make_shared<WebSocketMessage>(WebSocketOpcode::binary, message));
  }
  void on_confirmed(EngineSession&) override {}
  void on_close(EngineSession&, EngineEnd) override {}
};

// "auth" says what CONNECT brought; "message" and "message-with-ack" come back. Beyond the suites:
// "broadcast" goes to every socket of the namespace, those that are away too, as "news"; "drop"
// ends the connection without a word, "leave" with a DISCONNECT.
class SuiteApp final : public SocketApp {
 public:
  explicit SuiteApp(const Settings& settings) : settings_(settings) {}
  void attach(SocketServer& server) { server_ = &server; }

  std::optional<ConnectRefusal> on_connect(Socket&, std::optional<JsonSpan> auth,
                                           std::string& identity) override {
    auth_ = auth ? auth->text : "{}";
    identity = "anybody";
    if (auth_.find("\"refuse\"") == std::string::npos) return std::nullopt;
    return ConnectRefusal{"refused", R"({"code":"AUTH_FAILED"})"};
  }
  void on_connected(Socket& socket) override {
    sockets_.emplace(&socket, std::nullopt);
    socket.emit(encode_event(socket.nsp(), "auth", auth_));
  }
  void on_recovered(Socket& socket) override { sockets_[&socket].reset(); }
  void on_event(Socket& socket, const SocketEvent& event) override {
    const std::string arguments = list_of(event.arguments);
    if (event.name == "message")
      socket.emit(encode_event(socket.nsp(), "message-back", arguments, event.attachments));
    if (event.name == "message-with-ack" && event.ack_id)
      socket.acknowledge(*event.ack_id, arguments, event.attachments);
    if (event.name == "broadcast") broadcast(socket.nsp(), arguments, event.attachments);
    if (event.name == "drop") socket.drop();
    if (event.name == "leave") socket.disconnect(false);
  }
  Parting on_disconnect(Socket& socket, SocketEnd end) override {
    if (!settings_.recovery || end == SocketEnd::client_disconnect ||
        end == SocketEnd::server_disconnect) {
      sockets_.erase(&socket);
      return Parting::gone;
    }
    sockets_[&socket] = monotonic_now() + settings_.grace_ms * kNanosPerMillisecond;
    return Parting::parked;
  }
  void tick(Nanos now) {
    for (auto each = sockets_.begin(); each != sockets_.end();) {
      const auto [socket, grace_ends] = *each;
      if (!grace_ends || *grace_ends > now) {
        ++each;
        continue;
      }
      each = sockets_.erase(each);
      server_->discard(*socket);
    }
  }

 private:
  void broadcast(std::string_view nsp, std::string_view arguments,
                 std::span<const std::string_view> attachments) {
    const SharedPacket news = encode_event(nsp, "news", arguments, attachments);
    for (const auto& [socket, grace_ends] : sockets_)
      if (socket->nsp() == nsp) socket->emit(news);
  }

  const Settings& settings_;
  SocketServer* server_ = nullptr;
  std::string auth_;                                 // of the CONNECT at hand
  std::map<Socket*, std::optional<Nanos>> sockets_;  // where parked: until when
};

class Server final : private WebApp {
 public:
  explicit Server(const Settings& settings) : settings_(settings), app_(settings_) {
    if (settings.protocol == "socket.io") {
      sockets_.emplace(
          SocketOptions{.engine = settings.engine(),
                        .recovery = {.enabled = settings.recovery},
                        .namespaces = {"/", "/custom"},
                        .connect_timeout = settings.connect_timeout_ms * kNanosPerMillisecond},
          app_, [this] { flush_later(); });
      app_.attach(*sockets_);
    } else {
      echo_engine_.emplace(settings.engine(), echo_, [this] { flush_later(); });
    }
  }

  int run() {
    for (const auto& address : {*IpAddress::parse("127.0.0.1"), *IpAddress::parse("::1")}) {
      const auto listening = web_.listen({address, settings_.port});
      if (!listening) {
        fmt::print(stderr, "conformance-server: port {}: {}\n", settings_.port, listening.error());
        return 1;
      }
      settings_.port = web_.port();
    }
    for (const int signal : {SIGINT, SIGTERM}) loop_.on_signal(signal, [this] { loop_.stop(); });
    loop_.every(kTickInterval, [this] { tick(); });
    fmt::print("listening on port {}\n", settings_.port);
    std::fflush(stdout);
    loop_.run();
    return 0;
  }

 private:
  EngineServer& engine() { return sockets_ ? sockets_->engine() : *echo_engine_; }

  void on_request(const HttpRequest& request, HttpResponder responder) override {
    if (engine().serves(path_of(request.target)))
      return engine().on_request(request, std::move(responder), monotonic_now());
    if (path_of(request.target) != "/metrics")
      return responder.reply(http_error(404, "there is nothing here"));
    responder.reply(figures());
  }
  WebSocketEvents* on_websocket(const HttpRequest& request, WebSocket& socket,
                                HttpReply& refusal) override {
    if (engine().serves(path_of(request.target)))
      return engine().on_websocket(request, socket, refusal, monotonic_now());
    refusal = http_error(404, "there is nothing here");
    return nullptr;
  }
  // For tests: each sample as name{labels} value.
  HttpReply figures() {
    Metrics metrics;
    if (sockets_) sockets_->collect(metrics);
    if (!sockets_) echo_engine_->collect(metrics);
    HttpReply reply;
    reply.content_type = "text/plain";
    for (const Metric& metric : metrics)
      reply.body += fmt::format("{}{{{}}} {}\n", metric.name, metric.labels, metric.value);
    return reply;
  }
  void tick() {
    const Nanos now = monotonic_now();
    if (sockets_) {
      sockets_->tick(now);
      app_.tick(now);
    } else {
      echo_engine_->tick(now);
    }
  }
  void flush_later() {
    boost::asio::post(loop_.context(), [this] {
      if (sockets_) {
        sockets_->flush();
      } else {
        echo_engine_->flush();
      }
    });
  }

  Settings settings_;
  SuiteApp app_;
  Echo echo_;
  std::optional<SocketServer> sockets_;
  std::optional<EngineServer> echo_engine_;
  ControlLoop loop_;
  WebServer web_{loop_.context(),
                 {.name = "conformance",
                  .limits = {.body_bytes_max = 2 * kMaxPayload, .message_bytes_max = kMaxPayload},
                  .cors_origins = {"*"}},
                 *this};
};

}  // namespace
}  // namespace tandem

int main(int argc, char** argv) {
  tandem::Settings settings;
  CLI::App line("A server for the test suites of Engine.IO and Socket.IO, on loopback.");
  line.add_option("protocol", settings.protocol, "engine.io or socket.io")
      ->check(CLI::IsMember({"engine.io", "socket.io"}));
  line.add_option("--port", settings.port, "0 takes any free one (default 3000)");
  line.add_option("--ping-interval", settings.ping_interval_ms, "ms (default 300)");
  line.add_option("--ping-timeout", settings.ping_timeout_ms, "ms (default 200)");
  line.add_option("--connect-timeout", settings.connect_timeout_ms, "ms (default 1000)");
  line.add_option("--grace", settings.grace_ms, "ms that a lost socket is kept (default 5000)");
  line.add_flag("--recovery", settings.recovery, "connection state recovery");
  CLI11_PARSE(line, argc, argv);
  return tandem::Server(settings).run();
}
