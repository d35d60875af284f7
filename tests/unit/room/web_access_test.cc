// Who comes to the web server, and from where: proxies, origins, addresses, TLS, late answers.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <fstream>
#include <memory>
#include <vector>

#include "tests/unit/room/web_world.h"

namespace tandem {
namespace {

// Tells who asks; /late is answered when the test says so.
class DoorApp final : public WebApp, public WebSocketEvents {
 public:
  void on_request(const HttpRequest& request, HttpResponder responder) override {
    if (request.target == "/drop") return;
    if (request.target == "/late") {
      responder.on_abandoned([this] { ++abandoned; });
      late.push_back(std::make_unique<HttpResponder>(std::move(responder)));
      return;
    }
    responder.reply({.content_type = "text/plain",
                     .body = "client " + to_string(request.client) + '\n',
                     .allow = {}});
  }
  WebSocketEvents* on_websocket(const HttpRequest&, WebSocket&, HttpReply&) override {
    return this;
  }
  void on_message(WebSocketOpcode, std::string_view) override {}
  void on_closed(WebSocketEnd) override {}

  std::vector<std::unique_ptr<HttpResponder>> late;
  int abandoned = 0;
};
using World = WebWorld<DoorApp>;

const std::vector<Network> kLoopback = {*Network::parse("127.0.0.0/8")};

std::string ask(Client& client, std::string_view headers = {}) {
  client.send(http_get("/", headers));
  const std::string head = client.read_until("\r\n\r\n");
  return head + client.read_until(holds(head, "200 OK") ? "\n" : "}}");
}

TEST_CASE("X-Forwarded-For is believed of a trusted proxy alone") {
  World trusting({.name = "test", .trusted_proxies = kLoopback});
  Client proxy = trusting.connect();
  CHECK(holds(ask(proxy, "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 192.0.2.1\r\n"),
              "client 192.0.2.1\n"));
  CHECK(holds(ask(proxy, "X-Forwarded-For: 2001:db8::1, 127.0.0.9\r\n"), "client 2001:db8::1\n"));
  CHECK(holds(ask(proxy), "client 127.0.0.1\n"));
  World world;
  Client stranger = world.connect();
  CHECK(holds(ask(stranger, "X-Forwarded-For: 192.0.2.1\r\n"), "client 127.0.0.1\n"));
}

TEST_CASE("a PROXY header tells who the client is") {
  World world({.name = "test", .trusted_proxies = kLoopback, .proxy_protocol = true});
  Client first = world.connect();
  first.send("PROXY TCP4 192.0.2.7 10.0.0.1 5 6\r\n" + http_get("/"));
  CHECK(holds(first.read_until("client 192.0.2.7\n"), "client 192.0.2.7\n"));
  // That client is no proxy.
  CHECK(holds(ask(first, "X-Forwarded-For: 203.0.113.9\r\n"), "client 192.0.2.7\n"));
  Client pieces = world.connect();
  for (const char letter : std::string_view("PROXY TCP6 2001:db8::7 ::1 5 6\r\n")) {
    pieces.send({&letter, 1});
    ::usleep(300);
  }
  CHECK(holds(ask(pieces), "client 2001:db8::7\n"));
  Client local = world.connect();
  local.send(std::string("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16));
  CHECK(holds(ask(local), "client 127.0.0.1\n"));
  Client none = world.connect();
  none.send(http_get("/"));
  CHECK(none.read_all().empty());
  CHECK(world.comes_true([&] { return world.server->connections() == 3; }));
  CHECK(world.metric("tandem_http_connections_refused_total", "reason=\"proxy_header\"") == 1);
}

TEST_CASE("a proxy that sends no PROXY header in time") {
  World world({.name = "test",
               .limits = {.request_deadline = 100 * kNanosPerMillisecond},
               .trusted_proxies = kLoopback,
               .proxy_protocol = true});
  Client client = world.connect();
  client.send("PROXY TCP4 192");
  CHECK(client.read_all().empty());
  CHECK(world.comes_true([&] { return world.server->connections() == 0; }));
}

TEST_CASE("an address has so many connections") {
  World world({.name = "test", .limits = {.connections_per_address = 2}});
  Client first = world.connect();
  {
    Client second = world.connect();
    CHECK(holds(ask(first), "200 OK"));
    CHECK(holds(ask(second), "200 OK"));
    Client third = world.connect();
    CHECK(third.read_all().empty());
    CHECK(third.closed());
  }
  CHECK(world.comes_true([&] { return world.server->connections() == 1; }));
  Client next = world.connect();
  CHECK(holds(ask(next), "200 OK"));
  CHECK(world.metric("tandem_http_connections_refused_total", "reason=\"address\"") == 1);
}

TEST_CASE("behind a proxy it is the client's address that counts") {
  World world(
      {.name = "test", .limits = {.connections_per_address = 1}, .trusted_proxies = kLoopback});
  const std::string_view one = "X-Forwarded-For: 192.0.2.1\r\n";
  Client socket = world.connect();
  CHECK(holds(shake_hands(socket, "/", one), "101 "));
  Client other = world.connect();
  CHECK(holds(ask(other, one), "429 Too Many Requests"));
  CHECK(holds(ask(other, "X-Forwarded-For: 192.0.2.2\r\n"), "200 OK"));
  CHECK(holds(ask(other), "200 OK"));  // the proxy's own health check
  socket.send(client_frame(8, {}));
  socket.read_all();
  CHECK(world.comes_true([&] { return world.server->connections() == 1; }));  // `other`
  Client again = world.connect();
  for (int i = 0; i < 3; ++i) CHECK(holds(ask(again, one), "200 OK"));
}

TEST_CASE("pages of other origins") {
  World world({.name = "test", .cors_origins = {"https://play.example"}});
  Client client = world.connect();
  const std::string listed = ask(client, "Origin: https://play.example\r\n");
  CHECK(holds(listed, "\r\nAccess-Control-Allow-Origin: https://play.example\r\n"));
  CHECK(holds(listed, "\r\nAccess-Control-Allow-Credentials: true\r\n"));
  CHECK(holds(listed, "\r\nVary: Origin\r\n"));
  CHECK(!holds(ask(client, "Origin: https://evil.example\r\n"), "Access-Control-"));
  client.send(
      "OPTIONS /x HTTP/1.1\r\nHost: a\r\nOrigin: https://play.example\r\n"
      "Access-Control-Request-Method: POST\r\n\r\n");
  const std::string preflight = client.read_until("\r\n\r\n");
  CHECK(status_of(preflight) == "HTTP/1.1 204 No Content");
  CHECK(holds(preflight, "\r\nAccess-Control-Allow-Headers: Authorization, Content-Type\r\n"));
  CHECK(holds(preflight, "\r\nAccess-Control-Allow-Methods: GET, "));
  client.send("OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n");  // no page: the application's
  CHECK(holds(client.read_until("127.0.0.1\n"), "200 OK"));
  CHECK(holds(shake_hands(client, "/", "Origin: https://evil.example\r\n"), "403 Forbidden"));
  Client page = world.connect();
  CHECK(holds(shake_hands(page, "/", "Origin: https://play.example\r\n"), "101 "));
  Client no_page = world.connect();
  CHECK(holds(shake_hands(no_page, "/"), "101 "));
}

TEST_CASE("no CORS where no origins are named") {
  World world;
  Client client = world.connect();
  const std::string reply = ask(client, "Origin: https://play.example\r\n");
  CHECK(!holds(reply, "Access-Control-"));
  CHECK(!holds(reply, "Vary"));
}

TEST_CASE("an answer may come later, and what was pipelined waits for it") {
  World world({.name = "test",
               .limits = {.request_deadline = 100 * kNanosPerMillisecond,
                          .idle_deadline = 100 * kNanosPerMillisecond}});
  Client client = world.connect();
  client.send(http_get("/late") + http_get("/next"));
  CHECK(world.comes_true([&] { return world.app.late.size() == 1; }));
  ::usleep(300'000);  // there is no deadline while the application thinks
  world.on([&] { world.app.late.front()->reply({.body = "at last\n", .allow = {}}); });
  CHECK(holds(client.read_until("at last\n"), "200 OK"));
  CHECK(holds(client.read_until("client 127.0.0.1\n"), "200 OK"));
  CHECK(client.read_all().empty());  // and the deadlines are back
  CHECK(client.closed());
  CHECK(world.on([&] { return world.app.abandoned; }) == 0);
}

TEST_CASE("an answer given twice or never") {
  World world;
  Client client = world.connect();
  client.send(http_get("/drop"));
  CHECK(status_of(client.read_until("}}")) == "HTTP/1.1 500 Internal Server Error");
  client.send(http_get("/late"));
  CHECK(world.comes_true([&] { return world.app.late.size() == 1; }));
  world.on([&] { world.app.late.clear(); });
  CHECK(status_of(client.read_until("}}")) == "HTTP/1.1 500 Internal Server Error");
  client.send(http_get("/late"));
  CHECK(world.comes_true([&] { return world.app.late.size() == 1; }));
  world.on([&] {
    for (int i = 0; i < 2; ++i) world.app.late.front()->reply({.body = "once\n", .allow = {}});
  });
  client.read_until("once\n");
  CHECK(holds(ask(client), "client 127.0.0.1\n"));
}

TEST_CASE("who waits for an answer may go") {
  World world;
  std::optional<Client> client(world.connect());
  client->send(http_get("/late"));
  CHECK(world.comes_true([&] { return world.app.late.size() == 1; }));
  client.reset();
  CHECK(world.comes_true([&] { return world.app.abandoned == 1; }));
  CHECK(world.comes_true([&] { return world.server->connections() == 0; }));
  world.on([&] { world.app.late.front()->reply({.body = "to nobody", .allow = {}}); });
  // Gone before the application asks to be told.
  Client half = world.connect();
  half.send(http_get("/late"));
  half.finish();
  CHECK(world.comes_true([&] { return world.app.abandoned == 2; }));
  CHECK(world.metric("tandem_http_requests_total") == 0);
}

TEST_CASE("a request that is thought about never makes room, and a server that goes says so") {
  World world({.name = "test", .limits = {.connections_max = 2}});
  Client late = world.connect();
  late.send(http_get("/late"));
  CHECK(world.comes_true([&] { return world.app.late.size() == 1; }));
  for (int i = 0; i < 3; ++i) {
    Client other = world.connect();
    CHECK(holds(ask(other), "200 OK"));
  }
  world.on([&] { world.app.late.front()->reply({.body = "at last\n", .allow = {}}); });
  CHECK(holds(late.read_until("at last\n"), "200 OK"));
  late.send(http_get("/late"));
  CHECK(world.comes_true([&] { return world.app.late.size() == 2; }));
  world.on([&] { world.server.reset(); });
  CHECK(world.on([&] { return world.app.abandoned; }) == 1);
}

TEST_CASE("a request that stays half is 408") {
  World world({.name = "test", .limits = {.request_deadline = 100 * kNanosPerMillisecond}});
  Client client = world.connect();
  client.send("GET / HTTP/1.1\r\nHost");
  CHECK(status_of(client.read_all()) == "HTTP/1.1 408 Request Timeout");
}

TEST_CASE("a reply that is not taken has its time as well") {
  class LargeApp final : public WebApp {
   public:
    void on_request(const HttpRequest&, HttpResponder responder) override {
      responder.reply({.body = std::string(16 * 1024 * 1024, 'x'), .allow = {}});
    }
    WebSocketEvents* on_websocket(const HttpRequest&, WebSocket&, HttpReply&) override {
      return nullptr;
    }
  };
  WebWorld<LargeApp> world(
      {.name = "test", .limits = {.request_deadline = 200 * kNanosPerMillisecond}});
  Client slow = world.connect();
  slow.send(http_get("/") + http_get("/"));
  CHECK(world.comes_true([&] { return world.server->connections() == 1; }));
  CHECK(world.comes_true([&] { return world.server->connections() == 0; }));
  WebWorld<LargeApp> patient;
  Client quick = patient.connect();
  quick.send(http_get("/", "Connection: close\r\n"));
  CHECK(quick.read_all().size() > 16 * 1024 * 1024);
}

TEST_CASE("new limits hold at once") {
  World world;
  Client client = world.connect();
  CHECK(holds(ask(client), "200 OK"));
  CHECK(world.on([&] {
    return world.server
        ->apply({.limits = {.idle_deadline = kNanosPerMillisecond}, .cors_origins = {"*"}})
        .has_value();
  }));
  CHECK(client.read_all().empty());
  CHECK(client.closed());
  Client next = world.connect();
  CHECK(holds(ask(next), "Access-Control-Allow-Origin: *\r\n"));
  CHECK(world.metric("tandem_http_connections_total", "listener=\"test\"") == 2);
}

TEST_CASE("out of descriptors the server waits, and goes on when there are some") {
  World world;
  Client before = world.connect();
  CHECK(holds(ask(before), "200 OK"));
  rlimit kept{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &kept) == 0);
  Client waiting = world.connect();
  CHECK(holds(ask(waiting), "200 OK"));
  const int lowest_free = ::dup(0);
  ::close(lowest_free);
  // One for the client, none for the server.
  rlimit few{.rlim_cur = static_cast<rlim_t>(lowest_free) + 1, .rlim_max = kept.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  Client late = world.connect();
  CHECK(world.comes_true([&] {
    Metrics metrics;
    world.server->collect(metrics);
    for (const Metric& metric : metrics)
      if (metric.name == "tandem_http_accept_errors_total") return metric.value > 0;
    return false;
  }));
  CHECK(holds(ask(before), "200 OK"));
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &kept) == 0);
  CHECK(holds(ask(late), "200 OK"));
  CHECK(world.metric("tandem_http_accept_errors_total") < 60);  // no spinning
}

// ---- TLS ----

struct Certificate {
  explicit Certificate(const TempFolder& folder, const std::string& name)
      : cert(folder.file(name + ".pem")), key(folder.file(name + ".key")) {
    const ProgramEnd made = run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                         "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                                         "-out", cert, "-days", "2", "-subj", "/CN=" + name});
    REQUIRE_MESSAGE(made.code == 0, made.errors);
  }
  std::string cert;
  std::string key;
};

struct QuietPipes {
  QuietPipes() { ::signal(SIGPIPE, SIG_IGN); }
};

ProgramEnd curl(const World& world, const std::vector<std::string>& more) {
  std::vector<std::string> words = {"curl", "-s", "-k", "-m", "5"};
  words.insert(words.end(), more.begin(), more.end());
  words.push_back("https://127.0.0.1:" + std::to_string(world.port) + "/");
  return run_program(words);
}

TEST_CASE("TLS: requests, WebSockets, and a certificate that is replaced") {
  const QuietPipes quiet;
  const TempFolder folder;
  const Certificate first(folder, "first.example");
  const Certificate second(folder, "second.example");
  World world({.name = "test", .tls_cert = first.cert, .tls_key = first.key});
  CHECK(curl(world, {}).output == "client 127.0.0.1\n");
  CHECK(curl(world, {"--tls-max", "1.2"}).output == "client 127.0.0.1\n");
  CHECK(holds(curl(world, {"-v"}).errors, "CN=first.example"));
  // Two on one connection.
  CHECK(run_program({"curl", "-sk", "-m", "5", "https://127.0.0.1:" + std::to_string(world.port),
                     "https://127.0.0.1:" + std::to_string(world.port)})
            .output == "client 127.0.0.1\nclient 127.0.0.1\n");
  const ProgramEnd upgraded = run_program(
      {"sh", "-c",
       "{ printf 'GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: Upgrade\\r\\nUpgrade: "
       "websocket\\r\\n"
       "Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n';"
       "printf '\\211\\200\\0\\0\\0\\0\\210\\200\\0\\0\\0\\0'; sleep 5; } |"
       "timeout 5 openssl s_client -quiet -connect 127.0.0.1:" +
           std::to_string(world.port)});
  CHECK(holds(upgraded.output, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
  CHECK(holds(upgraded.output, std::string_view("\x8a\0\x88\0", 4)));

  Client plain = world.connect();
  plain.send(http_get("/"));
  plain.read_all();
  CHECK(world.comes_true([&] { return world.server->connections() == 0; }));

  CHECK(world.on([&] {
    return world.server->apply({.tls_cert = second.cert, .tls_key = second.key}).has_value();
  }));
  CHECK(holds(curl(world, {"-v"}).errors, "CN=second.example"));
  const auto refused = world.on(
      [&] { return world.server->apply({.tls_cert = first.cert, .tls_key = second.key}); });
  REQUIRE(!refused);
  CHECK(holds(refused.error(), "second.example.key: key values mismatch"));
  CHECK(curl(world, {}).output == "client 127.0.0.1\n");
}

TEST_CASE("TLS: a certificate that is none") {
  ControlLoop loop;
  DoorApp app;
  WebServer server(loop.context(),
                   {.name = "test", .tls_cert = "/nowhere.pem", .tls_key = "/nowhere.key"}, app);
  const auto listening = server.listen({IpAddress::v4(127, 0, 0, 1), 0});
  REQUIRE(!listening);
  CHECK(holds(listening.error(), "certificate /nowhere.pem: "));
}

TEST_CASE("TLS behind a PROXY header, and large replies in it") {
  const QuietPipes quiet;
  const TempFolder folder;
  const Certificate certificate(folder, "a.example");
  World world({.name = "test",
               .trusted_proxies = kLoopback,
               .proxy_protocol = true,
               .tls_cert = certificate.cert,
               .tls_key = certificate.key});
  CHECK(curl(world, {"--haproxy-protocol"}).output == "client 127.0.0.1\n");
  CHECK(curl(world, {}).output.empty());
}

}  // namespace
}  // namespace tandem
