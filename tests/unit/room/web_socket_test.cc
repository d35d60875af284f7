// WebSockets of the web server, over loopback.
#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "tests/unit/room/web_world.h"

namespace tandem {
namespace {

SharedMessage text(std::string_view payload) {
  return std::make_shared<const WebSocketMessage>(WebSocketOpcode::text, payload);
}

// Echoes, and does what some messages say.
class TalkApp final : public WebApp {
 public:
  class Talker final : public WebSocketEvents {
   public:
    Talker(TalkApp& app, WebSocket& socket) : app_(app), socket_(socket) {}

    void on_message(WebSocketOpcode opcode, std::string_view payload) override {
      ++app_.messages;
      if (payload == "close") return socket_.close(4000);
      if (payload == "abort") return socket_.abort();
      if (payload == "throw") throw std::runtime_error("as asked");
      if (payload == "to all") return app_.send_all(text("for all"));
      if (payload == "silence") return;
      socket_.send(std::make_shared<const WebSocketMessage>(opcode, payload));
    }
    void on_closed(WebSocketEnd end) override {
      app_.ends.push_back(end);
      socket_.send(text("to nobody"));
      std::erase_if(app_.talkers, [this](const auto& talker) { return talker.get() == this; });
    }
    WebSocket& socket() { return socket_; }

   private:
    TalkApp& app_;
    WebSocket& socket_;
  };

  void on_request(const HttpRequest& request, HttpResponder responder) override {
    responder.reply({.body = std::string(request.target), .allow = {}});
  }
  WebSocketEvents* on_websocket(const HttpRequest& request, WebSocket& socket,
                                HttpReply& refusal) override {
    if (request.target == "/refuse") {
      socket.send(text("to nobody"));
      refusal = http_error(401, "not you");
      return nullptr;
    }
    if (request.target == "/abort") socket.abort();
    if (request.target == "/close") socket.close(1013);
    if (request.target == "/greet") socket.send(text("welcome"));
    return talkers.emplace_back(std::make_unique<Talker>(*this, socket)).get();
  }
  void send_all(const SharedMessage& message) {
    for (const auto& talker : talkers) talker->socket().send(message);
  }
  bool ended(WebSocketEnd end) const { return ends == std::vector{end}; }

  std::vector<std::unique_ptr<Talker>> talkers;
  std::vector<WebSocketEnd> ends;
  int messages = 0;
};
using World = WebWorld<TalkApp>;

constexpr unsigned kText = 1;
constexpr unsigned kBinary = 2;
constexpr unsigned kClose = 8;
constexpr unsigned kPing = 9;
constexpr unsigned kPong = 10;

Client talking(const World& world, std::string_view target = "/") {
  Client client = world.connect();
  REQUIRE(status_of(shake_hands(client, target)) == "HTTP/1.1 101 Switching Protocols");
  return client;
}

void check_echo(Client& client, std::string_view payload) {
  client.send(client_frame(kText, payload));
  const ServerFrame frame = read_frame(client);
  CHECK(frame.opcode == kText);
  CHECK(frame.payload == payload);
}

TEST_CASE("a handshake, and messages of every size") {
  World world;
  Client client = world.connect();
  const std::string head = shake_hands(client, "/");
  CHECK(holds(head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
  CHECK(!holds(head, "Sec-WebSocket-Extensions"));
  for (const std::size_t size : {0u, 1u, 125u, 126u, 65535u, 65536u})
    check_echo(client, std::string(size, 'x'));
  client.send(client_frame(kBinary, std::string("\0\xff", 2)));
  CHECK(read_frame(client).opcode == kBinary);
  client.send(client_frame(kText, "fra", FrameEnd::more) + client_frame(kPing, "between") +
              client_frame(0, "gment"));
  const ServerFrame pong = read_frame(client);
  CHECK(pong.opcode == kPong);
  CHECK(pong.payload == "between");
  CHECK(read_frame(client).payload == "fragment");
  CHECK(world.on([&] { return world.server->websockets(); }) == 1);
  CHECK(world.metric("tandem_websocket_messages_received_total") == 8);
  CHECK(world.metric("tandem_websocket_messages_sent_total") == 8);
  CHECK(world.metric("tandem_http_requests_total", "status=\"101\"") == 1);
}

TEST_CASE("many messages at once, and cut anywhere") {
  World world;
  Client client = talking(world);
  std::string many;
  for (int i = 0; i < 2000; ++i) many += client_frame(kText, std::to_string(i));
  for (std::size_t at = 0; at < many.size(); at += 1777) client.send(many.substr(at, 1777));
  for (int i = 0; i < 2000; ++i) REQUIRE(read_frame(client).payload == std::to_string(i));
}

TEST_CASE("what comes with the handshake is taken, what is sent in it follows the 101") {
  World world;
  Client client = world.connect();
  client.send(http_get("/greet", kHandshakeHeaders) + client_frame(kText, "early") +
              client_frame(kText, "bird").substr(0, 7));
  CHECK(status_of(client.read_until("\r\n\r\n")) == "HTTP/1.1 101 Switching Protocols");
  CHECK(read_frame(client).payload == "welcome");
  CHECK(read_frame(client).payload == "early");
  client.send(client_frame(kText, "bird").substr(7));
  CHECK(read_frame(client).payload == "bird");
}

TEST_CASE("a handshake behind a request") {
  World world;
  Client client = world.connect();
  client.send(http_get("/first") + http_get("/", kHandshakeHeaders));
  CHECK(holds(client.read_until("101 Switching Protocols\r\n"), "/first"));
  client.read_until("\r\n\r\n");
  check_echo(client, "x");
}

TEST_CASE("a handshake that is refused leaves the connection to HTTP") {
  World world;
  Client client = world.connect();
  client.send(http_get("/refuse", kHandshakeHeaders));
  const std::string reply = client.read_until("not you\"}}");
  CHECK(status_of(reply) == "HTTP/1.1 401 Unauthorized");
  client.send(http_get("/next"));
  CHECK(holds(client.read_until("/next"), "200 OK"));
  CHECK(world.on([&] { return world.server->websockets(); }) == 0);
}

TEST_CASE("handshakes that are none") {
  const World world;
  const auto reply_to = [&](std::string_view headers, std::string_view method = "GET") {
    Client client = world.connect();
    client.send(std::string(method) + " / HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\n" +
                std::string(headers) + "\r\n");
    return client.read_all();
  };
  const std::string upgrade = "Upgrade: websocket\r\n";
  const std::string version = "Sec-WebSocket-Version: 13\r\n";
  const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  CHECK(holds(reply_to(version + key), "200 OK"));  // no Upgrade: an ordinary request
  CHECK(holds(reply_to("Upgrade: h2c\r\n" + version + key), "200 OK"));
  CHECK(holds(reply_to(upgrade + version), "400 Bad Request"));
  CHECK(holds(reply_to(upgrade + version + "Sec-WebSocket-Key: short==\r\n"), "400 Bad Request"));
  CHECK(holds(reply_to(upgrade + version + key, "POST"), "400 Bad Request"));
  const std::string other = reply_to(upgrade + key + "Sec-WebSocket-Version: 8\r\n");
  CHECK(holds(other, "HTTP/1.1 426 Upgrade Required"));
  CHECK(holds(other, "Sec-WebSocket-Version: 13\r\n"));
}

TEST_CASE("the client closes") {
  World world;
  Client client = talking(world);
  client.send(client_frame(kClose,
                           "\x03\xe9"
                           "bye") +
              client_frame(kText, "too late"));
  const ServerFrame answer = read_frame(client);
  CHECK(answer.opcode == kClose);
  CHECK(answer.code() == 1001);
  CHECK(client.read_all().empty());
  CHECK(client.closed());
  CHECK(world.comes_true([&] { return world.app.ended(WebSocketEnd::closed); }));
  CHECK(world.app.messages == 0);
  CHECK(world.metric("tandem_websocket_closed_total", "reason=\"closed\"") == 1);
  CHECK(world.metric("tandem_websocket_connections") == 0);
}

TEST_CASE("the server closes, behind what is queued") {
  World world;
  Client client = talking(world);
  client.send(client_frame(kText, "last") + client_frame(kText, "close") +
              client_frame(kText, "unheard"));
  CHECK(read_frame(client).payload == "last");
  const ServerFrame frame = read_frame(client);
  CHECK(frame.opcode == kClose);
  CHECK(frame.code() == 4000);
  CHECK(world.on([&] { return world.app.ends.empty(); }));
  client.send(client_frame(kClose, "\x0f\xa0"));
  CHECK(client.read_all().empty());
  CHECK(client.closed());
  CHECK(world.comes_true([&] { return world.app.ended(WebSocketEnd::closed); }));
  CHECK(world.on([&] { return world.app.messages; }) == 2);
}

TEST_CASE("a close frame that is not answered") {
  World world({.name = "test", .limits = {.request_deadline = 100 * kNanosPerMillisecond}});
  Client client = talking(world, "/close");
  CHECK(read_frame(client).code() == 1013);
  CHECK(client.read_all().empty());
  CHECK(client.closed());
  CHECK(world.comes_true([&] { return world.app.ended(WebSocketEnd::lost); }));
}

TEST_CASE("an abort, from a message and from the handshake itself") {
  World world;
  Client client = talking(world);
  client.send(client_frame(kText, "abort"));
  CHECK(client.read_all().empty());
  CHECK(client.closed());
  Client early = world.connect();
  early.send(http_get("/abort", kHandshakeHeaders));
  early.read_all();
  CHECK(early.closed());
  CHECK(world.comes_true([&] {
    return world.app.ends == std::vector{WebSocketEnd::lost, WebSocketEnd::lost} &&
           world.app.talkers.empty() && world.server->connections() == 0;
  }));
}

TEST_CASE("what is wrong is said with a close code, to a client that goes on sending too") {
  World world;
  const auto code_for = [&](const std::string& bytes) {
    Client client = talking(world);
    client.send(bytes + client_frame(kBinary, std::string(30'000, 'x')));
    const ServerFrame frame = read_frame(client);
    CHECK(frame.opcode == kClose);
    client.send(client_frame(kText, "still here"));
    CHECK(client.read_all().empty());
    return frame.code();
  };
  CHECK(code_for("\x81\x05Hello") == 1002);
  CHECK(code_for(client_frame(kText, "\xff")) == 1007);
  CHECK(code_for(client_frame(kText, std::string(65537, 'x'))) == 1009);
  CHECK(code_for(client_frame(kText, "throw")) == 1011);
  CHECK(world.comes_true([&] {
    return world.app.ends == std::vector{WebSocketEnd::protocol, WebSocketEnd::protocol,
                                         WebSocketEnd::protocol, WebSocketEnd::lost};
  }));
}

TEST_CASE("a client that goes without a word") {
  World world;
  { const Client client = talking(world); }
  CHECK(world.comes_true([&] { return world.app.ended(WebSocketEnd::lost); }));
  CHECK(world.on([&] { return world.server->connections(); }) == 0);
}

TEST_CASE("one message for all is one frame") {
  World world;
  std::vector<Client> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(talking(world));
  clients[3].send(client_frame(kText, "to all"));
  for (Client& client : clients) CHECK(read_frame(client).payload == "for all");
}

TEST_CASE("a client that does not read is let go, one that reads a burst is not") {
  World world({.name = "test", .limits = {.send_queue_bytes = 100'000}});
  Client reader = talking(world);
  world.on([&] {
    // More than the bound in one turn, and a message larger than it.
    for (int i = 0; i < 20; ++i) world.app.send_all(text(std::string(20'000, 'x')));
    world.app.send_all(text(std::string(150'000, 'y')));
  });
  for (int i = 0; i < 20; ++i) REQUIRE(read_frame(reader).payload.size() == 20'000);
  CHECK(read_frame(reader).payload == std::string(150'000, 'y'));
  // Nobody reads, so the kernel's buffers fill and then ours.
  CHECK(world.comes_true([&] {
    world.app.send_all(text(std::string(50'000, 'z')));
    for (const auto& talker : world.app.talkers) CHECK(talker->socket().unsent_bytes() <= 100'000);
    return world.app.ended(WebSocketEnd::overflow);
  }));
  CHECK(world.metric("tandem_websocket_closed_total", "reason=\"overflow\"") == 1);
}

TEST_CASE("pings count against the bound too") {
  World world({.name = "test", .limits = {.send_queue_bytes = 50'000}});
  Client client = talking(world);
  const std::string pings = [] {
    std::string many;
    for (int i = 0; i < 1000; ++i) many += client_frame(kPing, std::string(125, 'p'));
    return many;
  }();
  for (int i = 0; i < 1000 && client.send(pings) == pings.size(); ++i) {
  }
  CHECK(world.comes_true([&] { return world.app.ended(WebSocketEnd::overflow); }));
}

TEST_CASE("a flood does not starve the others") {
  World world;
  Client flooder = talking(world);
  Client other = talking(world);
  std::string flood;
  while (flood.size() < 8 * 1024 * 1024) flood += client_frame(kText, "silence");
  std::thread sending([&] { flooder.send(flood); });
  for (int i = 0; i < 20; ++i) check_echo(other, "quick");
  sending.join();
}

TEST_CASE("a WebSocket never makes room") {
  World world({.name = "test", .limits = {.connections_max = 2}});
  Client first = talking(world);
  Client second = talking(world);
  Client third = world.connect();
  CHECK(third.read_all().empty());
  CHECK(third.closed());
  check_echo(first, "a");
  check_echo(second, "b");
  CHECK(world.metric("tandem_http_connections_refused_total", "reason=\"full\"") == 1);
}

TEST_CASE("a server that goes tells its WebSockets' owners") {
  World world;
  Client client = talking(world);
  world.on([&] { world.server.reset(); });
  CHECK(client.read_all().empty());
  CHECK(client.closed());
  CHECK(world.on([&] { return world.app.ended(WebSocketEnd::evicted); }));
}

}  // namespace
}  // namespace tandem
