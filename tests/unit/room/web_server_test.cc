#include "room/web/web_server.h"

#include <doctest/doctest.h>

#include <optional>
#include <stdexcept>
#include <vector>

#include "tests/unit/room/loop_thread.h"
#include "tests/unit/room/loopback.h"

namespace tandem {
namespace {

class EchoApp final : public WebApp {
 public:
  void on_request(const HttpRequest& request, HttpResponder responder) override {
    if (request.target == "/throw") throw std::runtime_error("as asked");
    HttpReply reply{.content_type = "text/plain",
                    .body = std::string(request.method) + ' ' + std::string(request.target),
                    .allow = {}};
    if (request.target == "/all")
      reply.body += ' ' + std::string(request.authorization) + ' ' + std::string(request.body) +
                    ' ' + to_string(request.client);
    if (request.target == "/private") reply.challenge = "Bearer";
    responder.reply(std::move(reply));
  }
  WebSocketEvents* on_websocket(const HttpRequest&, WebSocket&, HttpReply&) override {
    return nullptr;
  }
};

// A server on a port of the kernel's choice.
struct Server {
  explicit Server(WebLimits limits = {})
      : http(loop.context(), {.name = "test", .limits = limits}, app) {
    REQUIRE(http.listen({IpAddress::v4(127, 0, 0, 1), 0}));
    running.emplace(loop);
  }
  [[nodiscard]] Client connect() const { return Client::to_port(http.port()); }

  ControlLoop loop;
  EchoApp app;
  WebServer http;
  std::optional<LoopThread> running;
};

std::string get(std::string_view target, std::string_view headers = {}) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: relay\r\n" + std::string(headers) +
         "\r\n";
}

std::string status_of(const std::string& reply) {
  return reply.substr(0, reply.find("\r\n"));
}
bool holds(const std::string& reply, std::string_view part) {
  return reply.find(part) != std::string::npos;
}

TEST_CASE("one connection, several requests, and the headers of every reply") {
  const Server server;
  Client client = server.connect();
  client.send(get("/one"));
  const std::string reply = client.read_until("/one");
  CHECK(status_of(reply) == "HTTP/1.1 200 OK");
  for (const char* header :
       {"Content-Length: 8\r\n", "X-Content-Type-Options: nosniff\r\n", "X-Frame-Options: DENY\r\n",
        "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n",
        "Cache-Control: no-store\r\n", "Content-Type: text/plain\r\n", " GMT\r\n"})
    CHECK(holds(reply, header));
  client.send(get("/two", "Connection: close\r\n"));
  const std::string last = client.read_all();
  CHECK(holds(last, "Connection: close\r\n"));
  CHECK(last.ends_with("GET /two"));
  CHECK(client.closed());
}

TEST_CASE("pipelined requests are answered in order") {
  const Server server;
  Client client = server.connect();
  client.send(get("/1") + get("/2") + get("/3", "Connection: close\r\n"));
  const std::string replies = client.read_all();
  CHECK(replies.find("GET /1") < replies.find("GET /2"));
  CHECK(replies.find("GET /2") < replies.find("GET /3"));
  CHECK(replies.ends_with("GET /3"));
}

TEST_CASE("HEAD has the length and not the body") {
  const Server server;
  Client client = server.connect();
  client.send("HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n" + get("/next", "Connection: close\r\n"));
  const std::string replies = client.read_all();
  CHECK(holds(replies, "Content-Length: 10\r\n"));
  CHECK(!holds(replies, "HEAD /head"));
  CHECK(replies.ends_with("GET /next"));
}

TEST_CASE("HTTP/1.0 closes unless it asks otherwise") {
  const Server server;
  Client client = server.connect();
  client.send("GET /old HTTP/1.0\r\n\r\n");
  CHECK(status_of(client.read_all()) == "HTTP/1.0 200 OK");
  CHECK(client.closed());
  Client kept = server.connect();
  kept.send("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(holds(kept.read_until("GET /old"), "Connection: keep-alive\r\n"));
  kept.send("GET /new HTTP/1.0\r\n\r\n");
  CHECK(kept.read_all().ends_with("GET /new"));
}

TEST_CASE("what is wrong with a request is said, and the next client is served") {
  Server server;
  const auto reply_to = [&](const std::string& request) {
    Client client = server.connect();
    client.send(request);
    client.finish();
    std::string reply = client.read_all();
    CHECK(client.closed());
    return status_of(reply);
  };
  CHECK(reply_to("nonsense\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(reply_to(std::string("\0\x16\x03\x01", 4) + "\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(reply_to("GET / HTTP/1.1\r\n\r\n") == "HTTP/1.1 400 Bad Request");  // no Host
  CHECK(reply_to("GET / HTTP/3.0\r\nHost: a\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(reply_to("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n") ==
        "HTTP/1.1 400 Bad Request");
  CHECK(reply_to("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n") ==
        "HTTP/1.1 400 Bad Request");
  CHECK(reply_to("GET / HTTP/1.1\r\nHo") == "HTTP/1.1 400 Bad Request");  // and then FIN
  CHECK(reply_to("").empty());
  CHECK(reply_to(get("/", "X: " + std::string(10'000, 'x') + "\r\n")) ==
        "HTTP/1.1 431 Request Header Fields Too Large");
  CHECK(reply_to(get("/" + std::string(100'000, 'x'))) ==
        "HTTP/1.1 431 Request Header Fields Too Large");
  CHECK(reply_to("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n") ==
        "HTTP/1.1 413 Payload Too Large");
  CHECK(reply_to(get("/throw")) == "HTTP/1.1 500 Internal Server Error");
  CHECK(reply_to(get("/", "Connection: close\r\n")) == "HTTP/1.1 200 OK");

  server.running.reset();
  Metrics metrics;
  server.http.collect(metrics);
  CHECK(metrics.front().name == "tandem_http_connections");
  double requests = 0;
  for (const Metric& metric : metrics)
    if (metric.name == "tandem_http_requests_total") requests += metric.value;
  CHECK(requests == 12);
}

TEST_CASE("a refusal reaches a client that is still sending") {
  const Server server;
  Client client = server.connect();
  const std::string body(512 * 1024, 'x');
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 524288\r\n\r\n");
  CHECK(client.send(body) == body.size());
  CHECK(status_of(client.read_all()) == "HTTP/1.1 413 Payload Too Large");

  Client chunked = server.connect();
  chunked.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n");
  chunked.send(body.substr(0, 0x20000));
  CHECK(status_of(chunked.read_all()) == "HTTP/1.1 413 Payload Too Large");
}

TEST_CASE("a route gets the body, the Authorization and who asks") {
  const Server server;
  Client client = server.connect();
  const std::string head = "POST /all HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer  x y \r\n";
  client.send(head + "Content-Length: 5\r\n\r\nhello" + get("/next"));
  CHECK(holds(client.read_until("GET /next"), "\r\n\r\nPOST /all Bearer  x y hello 127.0.0.1"));
  client.send(head + "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n");
  CHECK(holds(client.read_until("127.0.0.1"), " hello 127.0.0.1"));
  client.send("POST /all HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(holds(client.read_until("127.0.0.1"), "POST /all   127.0.0.1"));
  const std::string large(64 * 1024, 'x');
  client.send(head + "Content-Length: 65536\r\n\r\n" + large);
  CHECK(holds(client.read_until("127.0.0.1"), ' ' + large + ' '));
  client.send(get("/private"));
  CHECK(holds(client.read_until("GET /private"), "\r\nWWW-Authenticate: Bearer\r\n"));
}

TEST_CASE("who waits for 100-continue gets it, and an answer for the body") {
  const Server server;
  const auto head = [](std::string_view version, std::string_view bytes) {
    return "POST /all HTTP/" + std::string(version) +
           "\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: " + std::string(bytes) +
           "\r\n\r\n";
  };
  Client client = server.connect();
  client.send(head("1.1", "5"));
  CHECK(client.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hello");
  CHECK(holds(client.read_until("127.0.0.1"), "HTTP/1.1 200 OK"));
  client.send(head("1.1", "65537"));
  CHECK(status_of(client.read_all()) == "HTTP/1.1 413 Payload Too Large");
  Client old = server.connect();
  old.send(head("1.0", "5") + "hello");  // RFC 9110, 10.1.1
  CHECK(status_of(old.read_all()) == "HTTP/1.0 200 OK");
}

TEST_CASE("slow clients are let go, quick ones are not") {
  const Server server({.request_deadline = 100 * kNanosPerMillisecond,
                       .idle_deadline = 300 * kNanosPerMillisecond});
  Client silent = server.connect();
  Client slow = server.connect();
  Client half = server.connect();
  Client idle = server.connect();
  half.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
  idle.send(get("/"));
  CHECK(holds(idle.read_until("GET /"), "200 OK"));
  // A byte now and then does not move the deadline.
  const std::string request = get("/", "X: " + std::string(4000, 'x') + "\r\n");
  std::size_t sent = 0;
  const Nanos started = monotonic_now();
  while (sent < request.size() && slow.send(request.substr(sent, 1)) == 1) {
    ++sent;
    ::usleep(1000);
  }
  CHECK(monotonic_now() - started < 3 * kNanosPerSecond);
  CHECK(sent < request.size());
  silent.read_all();
  CHECK(silent.closed());
  half.read_all();
  CHECK(half.closed());
  CHECK(idle.read_all().empty());
  CHECK(idle.closed());
}

TEST_CASE("a full house lets the one go that has been silent longest") {
  const Server server({.connections_max = 4});
  Client regular = server.connect();
  regular.send(get("/a"));
  regular.read_until("GET /a");
  std::vector<Client> crowd;
  for (int i = 0; i < 16; ++i) {
    crowd.push_back(server.connect());
    regular.send(get("/b"));
    REQUIRE(holds(regular.read_until("GET /b"), "200 OK"));
  }
  crowd.front().read_all();
  CHECK(crowd.front().closed());
  crowd.back().send(get("/c"));
  CHECK(holds(crowd.back().read_until("GET /c"), "200 OK"));
}

TEST_CASE("a port in use is one clear error") {
  const Server server;
  ControlLoop loop;
  EchoApp app;
  WebServer second(loop.context(), {.name = "second"}, app);
  const auto refused = second.listen({IpAddress::v4(127, 0, 0, 1), server.http.port()});
  REQUIRE(!refused);
  CHECK(refused.error() == "Address already in use");
}

TEST_CASE("IPv6") {
  ControlLoop loop;
  EchoApp app;
  WebServer http(loop.context(), {.name = "test"}, app);
  REQUIRE(http.listen({*IpAddress::parse("::1"), 0}));
  const LoopThread running(loop);
  const ProgramEnd end = run_program(
      {"curl", "-sg", "-m", "5", "http://[::1]:" + std::to_string(http.port()) + "/six"});
  CHECK(end.output == "GET /six");
}

}  // namespace
}  // namespace tandem
