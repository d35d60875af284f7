#include "bench/load/http_client.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bench/load/socket.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

const SocketAddress kHere = address_of(0x7f000001, 0);

// One connection, on which it answers request after request with the next of `answers`, and then
// closes. An empty answer is silence, until the client has gone.
class OneConnection {
 public:
  explicit OneConnection(std::vector<std::string> answers)
      : listener_(tcp_listen(kHere, 1)),
        thread_([this, answers = std::move(answers)] { serve(answers); }) {}
  ~OneConnection() {
    if (thread_.joinable()) thread_.join();
  }
  OneConnection(const OneConnection&) = delete;
  OneConnection& operator=(const OneConnection&) = delete;

  [[nodiscard]] Url url() const {
    return {.host = "127.0.0.1",
            .port = std::to_string(local_address(listener_.fd()).port()),
            .path = "/"};
  }
  // Once it has closed: the requests with their bodies.
  const std::vector<std::string>& requests() {
    thread_.join();
    return requests_;
  }

 private:
  void serve(const std::vector<std::string>& answers) {
    const Socket socket = tcp_accept(listener_.fd());
    for (const std::string& answer : answers) {
      requests_.push_back(read_request(socket.fd()));
      if (answer.empty()) {
        char byte = 0;
        (void)::recv(socket.fd(), &byte, 1, 0);
      }
      send_all(socket.fd(), answer);
    }
  }
  static std::string read_request(int fd) {
    std::string text;
    while (!text.ends_with("\r\n\r\n")) text += receive_exactly(fd, 1, "the client");
    const auto field = text.find("Content-Length: ");
    if (field == std::string::npos) return text;
    return text + receive_exactly(fd, std::stoul(text.substr(field + 16)), "the client");
  }

  Socket listener_;
  std::vector<std::string> requests_;
  std::thread thread_;  // the last member: it uses the others
};

std::string reply(std::string_view status, std::string_view body) {
  return "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

TEST_CASE("addresses of HTTP servers") {
  const auto is = [](const char* text, const char* host, const char* port, const char* path) {
    CAPTURE(text);
    const Url url = parse_url(text);
    CHECK(url.host == host);
    CHECK(url.port == port);
    CHECK(url.path == path);
  };
  is("http://127.0.0.1:8080/metrics", "127.0.0.1", "8080", "/metrics");
  is("http://relay.example", "relay.example", "80", "/");
  is("http://relay.example/", "relay.example", "80", "/");
  is("http://relay.example:3000", "relay.example", "3000", "/");
  is("http://[::1]:8080/a/b?c=d:e]", "::1", "8080", "/a/b?c=d:e]");
  is("http://[::1]", "::1", "80", "/");
  is("http://[::1]/metrics", "::1", "80", "/metrics");
}

TEST_CASE("what is no address of an HTTP server is refused") {
  for (const char* text : {"", "127.0.0.1:8080", "https://127.0.0.1/", "HTTP://127.0.0.1/",
                           "http:/", "http://", "http:///metrics", "http://:8080/", "http://[]/",
                           "http://127.0.0.1:/", "ftp://127.0.0.1"}) {
    CAPTURE(text);
    CHECK_THROWS_AS((void)parse_url(text), std::invalid_argument);
  }
}

TEST_CASE("status and body, request after request on one connection") {
  OneConnection server({reply("200 OK", "first"), reply("404 Not Found", ""),
                        reply("201 Created", std::string(100'000, 'x'))});
  {
    HttpClient client(server.url());
    const auto first = client.get("/metrics");
    CHECK(first.status == 200);
    CHECK(first.body == "first");
    const auto second = client.get("/nothing");
    CHECK(second.status == 404);
    CHECK(second.body.empty());
    const auto third = client.post("/api", R"({"a":1})", "secret");
    CHECK(third.status == 201);
    CHECK(third.body == std::string(100'000, 'x'));
  }
  const auto& requests = server.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[0].starts_with("GET /metrics HTTP/1.1\r\n"));
  CHECK(requests[0].find("Host: 127.0.0.1:" + server.url().port + "\r\n") != std::string::npos);
  CHECK(requests[0].find("Authorization") == std::string::npos);
  CHECK(requests[2].starts_with("POST /api HTTP/1.1\r\n"));
  CHECK(requests[2].find("Authorization: Bearer secret\r\n") != std::string::npos);
  CHECK(requests[2].find("Content-Type: application/json\r\n") != std::string::npos);
  CHECK(requests[2].ends_with("\r\n\r\n{\"a\":1}"));
}

TEST_CASE("without a token there is no authorization") {
  OneConnection server({reply("200 OK", "")});
  CHECK(HttpClient(server.url()).post("/", "{}", "").status == 200);
  CHECK(server.requests().at(0).find("Authorization") == std::string::npos);
}

TEST_CASE("a body in chunks, and one that ends with the connection") {
  OneConnection chunked(
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
       "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"});
  CHECK(HttpClient(chunked.url()).get("/").body == "abcde");
  OneConnection closing({"HTTP/1.0 200 OK\r\n\r\nuntil the end"});
  CHECK(HttpClient(closing.url()).get("/").body == "until the end");
}

TEST_CASE("nobody listens") {
  Url url{.host = "127.0.0.1", .port = "", .path = "/"};
  {
    const Socket listener = tcp_listen(kHere, 1);
    url.port = std::to_string(local_address(listener.fd()).port());
  }
  CHECK_THROWS_WITH_AS(HttpClient{url},
                       ("http://127.0.0.1:" + url.port + ": connect: Connection refused").c_str(),
                       std::runtime_error);
}

TEST_CASE("a server that stays silent") {
  OneConnection server({""});
  HttpClient client(server.url(), 50ms);
  const auto begun = std::chrono::steady_clock::now();
  CHECK_THROWS_AS((void)client.get("/"), std::runtime_error);
  CHECK(std::chrono::steady_clock::now() - begun >= 50ms);
}

TEST_CASE("a server that closes instead of answering, or in the middle of it") {
  OneConnection closing({});
  HttpClient client(closing.url());
  CHECK_THROWS_AS((void)client.get("/"), std::runtime_error);
  OneConnection halving({"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"});
  HttpClient other(halving.url());
  CHECK_THROWS_AS((void)other.get("/"), std::runtime_error);
}

TEST_CASE("what is no HTTP, and a body beyond the bound") {
  OneConnection stranger({"SSH-2.0-OpenSSH\r\n\r\n"});
  CHECK_THROWS_AS((void)HttpClient(stranger.url()).get("/"), std::runtime_error);
  OneConnection endless({"HTTP/1.1 200 OK\r\nContent-Length: 16777217\r\n\r\n"});
  CHECK_THROWS_AS((void)HttpClient(endless.url()).get("/"), std::runtime_error);
}

}  // namespace
}  // namespace tandem::bench
