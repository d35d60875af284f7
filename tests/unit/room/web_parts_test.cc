// The web server's parts that know no socket.
#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "room/web/cors.h"
#include "room/web/forwarded.h"
#include "room/web/http_message.h"
#include "room/web/http_reader.h"
#include "room/web/http_writer.h"
#include "room/web/send_queue.h"
#include "room/web/web_deadlines.h"

namespace tandem {
namespace {

IpAddress ip(std::string_view text) {
  return *IpAddress::parse(text);
}

TEST_CASE("a target's path and query") {
  CHECK(path_of("/a/b?c=d") == "/a/b");
  CHECK(path_of("http://host:1/a?b") == "/a");
  CHECK(path_of("http://host") == "/");
  CHECK(path_of("/a#b") == "/a");
  CHECK(query_value("/a?b=c&d=e", "b") == "c");
  CHECK(query_value("/a?b=c&d=e", "d") == "e");
  CHECK(query_value("/a?b=c&d=e#f", "d") == "e");
  CHECK(query_value("/a?bb=c&b", "b").empty());
  CHECK(query_value("/a?bb=1&&b=2&b=3", "b") == "2");
  CHECK(query_value("/a", "b").empty());
  CHECK(query_value("/a?x=?b=1", "b").empty());
  CHECK(url_decode("a%20b+c%2Fd%zz%4") == "a b c/d%zz%4");
}

TEST_CASE("an error is JSON with a code") {
  CHECK(http_error(404, "no \"x\"").body ==
        R"({"error":{"code":"NOT_FOUND","message":"no \"x\""}})");
  CHECK(http_error(503, "DRAINING", "go").body ==
        R"({"error":{"code":"DRAINING","message":"go"}})");
  CHECK(http_error(429, "x").status == 429);
}

TEST_CASE("CORS: a star, names, both and none") {
  const CorsPolicy any({"*"});
  CHECK(any.headers("https://a.example") == "Access-Control-Allow-Origin: *\r\n");
  CHECK(any.headers("") == "Access-Control-Allow-Origin: *\r\n");
  CHECK(any.admits("https://a.example", "b"));

  const CorsPolicy named({"https://Play.example.org/", "http://localhost:8080"});
  CHECK(named.headers("https://play.example.org") ==
        "Access-Control-Allow-Origin: https://play.example.org\r\n"
        "Access-Control-Allow-Credentials: true\r\nVary: Origin\r\n");
  CHECK(named.headers("https://evil.example") == "Vary: Origin\r\n");
  CHECK(named.headers("") == "Vary: Origin\r\n");
  CHECK(named.preflight_headers("https://evil.example") == "Vary: Origin\r\n");
  const std::string preflight = named.preflight_headers("http://localhost:8080");
  CHECK(preflight.starts_with("Access-Control-Allow-Origin: http://localhost:8080\r\n"));
  CHECK(preflight.find("Access-Control-Allow-Headers: Authorization, Content-Type\r\n") !=
        std::string::npos);
  CHECK(named.admits("http://localhost:8080", "relay"));
  CHECK(!named.admits("http://localhost:8081", "relay"));
  CHECK(!named.admits("null", "relay"));
  CHECK(named.admits("", "relay"));
  CHECK(named.admits("https://relay:3000", "Relay:3000"));  // its own page
  CHECK(!named.admits("https://relay:3000", "relay"));

  const CorsPolicy both({"*", "https://a.example"});
  CHECK(both.headers("https://b.example") == "Access-Control-Allow-Origin: *\r\nVary: Origin\r\n");
  CHECK(both.headers("https://a.example").find("Credentials: true") != std::string::npos);

  const CorsPolicy none;
  CHECK(!none.enabled());
  CHECK(none.headers("https://a.example").empty());
  CHECK(!none.admits("https://a.example", "relay"));
  CHECK(none.admits("http://relay", "relay"));
}

TEST_CASE("the rightmost address that is no trusted proxy's is the client") {
  const std::vector<Network> trusted = {*Network::parse("10.0.0.0/8"), *Network::parse("fd00::/8")};
  const IpAddress peer = ip("10.0.0.1");
  const auto client = [&](std::string_view header) {
    return to_string(forwarded_client(peer, header, trusted));
  };
  CHECK(client("192.0.2.1") == "192.0.2.1");
  CHECK(client("203.0.113.9, 192.0.2.1") == "192.0.2.1");  // the first one anybody could write
  CHECK(client("192.0.2.1, 10.1.1.1") == "192.0.2.1");
  CHECK(client("192.0.2.1,fd00::1 ,\t10.1.1.1") == "192.0.2.1");
  CHECK(client("10.2.2.2, 10.1.1.1") == "10.2.2.2");
  CHECK(client("2001:db8::1, 10.1.1.1") == "2001:db8::1");
  CHECK(client("[2001:db8::1]:443") == "2001:db8::1");
  CHECK(client("[2001:db8::1]") == "2001:db8::1");
  CHECK(client("192.0.2.1:443") == "192.0.2.1");
  CHECK(client("") == "10.0.0.1");
  CHECK(client("unknown") == "10.0.0.1");
  CHECK(client("192.0.2.1, unknown, 10.1.1.1") == "10.1.1.1");
  CHECK(client("192.0.2.1,") == "10.0.0.1");
  CHECK(is_trusted(peer, trusted));
  CHECK(!is_trusted(ip("192.0.2.1"), trusted));
}

// However the bytes are cut.
HttpProgress progress_of(const std::string& bytes) {
  std::optional<HttpProgress> first;
  for (const std::size_t piece : {bytes.size(), std::size_t{1}, std::size_t{7}}) {
    HttpReader reader(200, 100);
    HttpProgress progress = HttpProgress::need_more;
    for (std::size_t at = 0; at < bytes.size() && progress == HttpProgress::need_more; at += piece)
      progress = reader.put(std::string_view(bytes).substr(at, piece));
    if (progress == HttpProgress::need_more) progress = reader.finish();
    if (!first) first = progress;
    CHECK(progress == *first);
  }
  return *first;
}

TEST_CASE("requests that a proxy could understand otherwise are refused") {
  const auto post = [](const std::string& headers) {
    return progress_of("POST / HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n");
  };
  CHECK(post("Content-Length: 0\r\n") == HttpProgress::complete);
  CHECK(post("Transfer-Encoding: gzip\r\n") == HttpProgress::bad);
  CHECK(post("Transfer-Encoding: chunked, gzip\r\n") == HttpProgress::bad);
  CHECK(post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") == HttpProgress::bad);
  CHECK(post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") == HttpProgress::bad);
  CHECK(post("Host: b\r\n") == HttpProgress::bad);
  CHECK(progress_of("GET / HTTP/1.1\r\n\r\n") == HttpProgress::no_host);
  CHECK(progress_of("GET / HTTP/1.1\r\nHost : a\r\n\r\n") == HttpProgress::bad);
  CHECK(progress_of("GET / HTTP/1.1\nHost: a\n\n") == HttpProgress::bad);
  CHECK(post("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n") ==
        HttpProgress::complete);
}

TEST_CASE("a head has one bound however it comes") {
  std::string many;
  for (int i = 0; i < 30; ++i) many += "A: b\r\n";
  CHECK(progress_of("GET / HTTP/1.1\r\nHost: a\r\n" + many + "\r\n") ==
        HttpProgress::head_too_large);
  CHECK(progress_of("GET /" + std::string(300, 'x')) == HttpProgress::head_too_large);
  CHECK(progress_of("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n") ==
        HttpProgress::body_too_large);
  const std::string chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  CHECK(progress_of(chunked + "65\r\nx") == HttpProgress::body_too_large);
  CHECK(progress_of(chunked + "5;" + std::string(500, 'x')) == HttpProgress::head_too_large);
  CHECK(progress_of(chunked + "0\r\n" + std::string(500, 'x')) == HttpProgress::head_too_large);
}

TEST_CASE("what follows a request is kept for the next one") {
  HttpReader reader(1000, 1000);
  CHECK(!reader.has_begun());
  CHECK(reader.put("GET /1 HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 2\r\n\r\nGET /2 HT") ==
        HttpProgress::complete);
  CHECK(reader.target() == "/1");
  CHECK(reader.joined_field("x") == "1,2");
  CHECK(reader.has_rest());
  reader.next();
  CHECK(reader.put({}) == HttpProgress::need_more);
  CHECK(reader.has_begun());
  CHECK(reader.put("TP/1.0\r\n\r\n") == HttpProgress::complete);
  CHECK(reader.target() == "/2");
  CHECK(reader.is_version_1_0());
  CHECK(!reader.keep_alive());
  CHECK(!reader.has_begun());
}

TEST_CASE("a reply's headers") {
  HttpReply reply{.status = 429, .body = "x", .allow = {}};
  reply.retry_after_s = 7;
  reply.content_security_policy = "default-src 'self'";
  const std::string wire = write_reply(reply, {.keep_alive = true}, "A: b\r\n", 784'111'777);
  CHECK(wire.starts_with("HTTP/1.1 429 Too Many Requests\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT"));
  for (const char* line : {"Retry-After: 7\r\n", "Content-Security-Policy: default-src 'self'\r\n",
                           "A: b\r\n", "Content-Length: 1\r\n"})
    CHECK(wire.find(line) != std::string::npos);
  CHECK(wire.ends_with("\r\n\r\nx"));
  const std::string empty =
      write_reply({.status = 204, .body = {}, .allow = {}}, {.keep_alive = true}, {}, 0);
  CHECK(empty.find("\r\nContent-Length") == std::string::npos);
  CHECK(empty.find("\r\nContent-Type") == std::string::npos);
}

std::string whole(const SendQueue& queue) {
  std::array<iovec, 1000> room;
  std::string text;
  for (const iovec& piece : queue.gather(room))
    text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  return text;
}

TEST_CASE("a send queue gives its bytes in order, however they are taken") {
  SendQueue queue;
  std::string expected;
  for (int i = 0; i < 200; ++i) {
    const auto message =
        std::make_shared<const WebSocketMessage>(WebSocketOpcode::text, std::string(i % 7, 'x'));
    queue.push(message);
    queue.push(std::to_string(i));
    expected.append(message->wire()).append(std::to_string(i));
  }
  std::string taken;
  for (std::size_t step = 1; !queue.empty(); step = step % 13 + 1) {
    CHECK(queue.bytes() == expected.size() - taken.size());
    CHECK(whole(queue) == expected.substr(taken.size()));
    std::array<char, 64> room;
    const std::span<const char> copy =
        queue.gather(std::span<char>(room).first(std::min<std::size_t>(step, room.size())));
    taken.append(copy.data(), copy.size());
    queue.consume(copy.size());
    if (taken.size() == 50) {
      queue.push("late");
      expected += "late";
    }
  }
  CHECK(taken == expected);
  std::array<iovec, 3> few;
  queue.push("a");
  queue.push("b");
  CHECK(queue.gather(few).size() == 2);
  queue.clear();
  CHECK(queue.gather(few).empty());
}

TEST_CASE("deadlines of each kind come in order") {
  WebDeadlines deadlines({10, 30, 20, 5});
  DeadlineHook a;
  DeadlineHook b;
  CHECK(!deadlines.next());
  CHECK(deadlines.set(a, WebDeadline::idle, 100) == 130);
  CHECK(deadlines.set(b, WebDeadline::request, 110) == 120);
  CHECK(deadlines.next() == 120);
  CHECK(deadlines.pop_due(119) == nullptr);
  CHECK(deadlines.pop_due(125) == &b);
  CHECK(b.deadline() == WebDeadline::none);
  CHECK(deadlines.pop_due(125) == nullptr);
  deadlines.set(a, WebDeadline::linger, 125);
  CHECK(a.deadline() == WebDeadline::linger);
  CHECK(deadlines.next() == 130);
  deadlines.set_spans({10, 30, 20, 1});
  CHECK(deadlines.pop_due(126) == &a);
  CHECK(!deadlines.next());
}

}  // namespace
}  // namespace tandem
