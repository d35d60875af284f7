#include "room/socket_io/engine_server.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "tests/unit/room/engine_world.h"

namespace tandem {
namespace {

TEST_CASE("the paths that are served") {
  EngineWorld world;
  CHECK(world.server.serves("/socket.io/"));
  CHECK(world.server.serves("/socket.io"));
  for (const char* other : {"/", "", "/socket.io//", "/socket.iox", "/socket.io/x", "/api"})
    CHECK(!world.server.serves(other));
}

TEST_CASE("a polling session is opened, polled and posted to") {
  EngineWorld world;
  const auto reply = world.request("GET", "EIO=4&transport=polling&t=x");
  REQUIRE(status_of(reply) == 200);
  CHECK(reply->reply->content_type == "text/plain; charset=UTF-8");
  const auto handshake = nlohmann::json::parse(body_of(reply).substr(1));
  CHECK(handshake["upgrades"] == nlohmann::json{"websocket"});
  CHECK(handshake["pingInterval"] == 300);
  CHECK(handshake["pingTimeout"] == 200);
  CHECK(handshake["maxPayload"] == 1'000'000);
  const std::string sid = handshake["sid"];
  CHECK(sid.size() == 20);
  CHECK(world.notes.last->sid() == sid);
  CHECK(world.notes.last->client() == IpAddress::v4(192, 0, 2, 7));
  CHECK(sid != world.open_polling());
  CHECK(world.server.sessions() == 2);

  world.notes.echo = true;
  const auto posted = world.post(sid,
                                 "4one\x1e"
                                 "4two\x1e"
                                 "bAQIDBA==");
  CHECK(status_of(posted) == 200);
  CHECK(body_of(posted) == "ok");
  CHECK(body_of(world.poll(sid)) ==
        "4one\x1e"
        "4two\x1e"
        "bAQIDBA==");
  CHECK(world.notes.texts == Texts{"one", "two", "<\x01\x02\x03\x04>"});
}

TEST_CASE("what a turn sends to a parked poll goes out in one reply") {
  EngineWorld world;
  const std::string sid = world.open_polling();
  const auto poll = world.poll(sid);
  CHECK(status_of(poll) == 0);
  world.flushes_asked = 0;
  world.notes.last->send(text_message("4a"));
  world.notes.last->send(text_message("4b"));
  CHECK(status_of(poll) == 0);
  CHECK(world.flushes_asked == 1);
  world.server.flush();
  CHECK(body_of(poll) ==
        "4a\x1e"
        "4b");
  CHECK(status_of(world.poll(sid)) == 0);  // nothing is sent twice
}

TEST_CASE("what on_open() sends follows the handshake") {
  EngineWorld world;
  world.notes.greeting = text_message("4hello");
  const auto reply = world.request("GET", "EIO=4&transport=polling");
  CHECK(
      body_of(reply).ends_with("}\x1e"
                               "4hello"));
  FakeWebSocket socket;
  REQUIRE(world.connect(socket, "EIO=4&transport=websocket") == 0);
  const Texts sent = socket.take();
  REQUIRE(sent.size() == 2);
  CHECK(sent[0].starts_with("0{"));
  CHECK(sent[1] == "4hello");
}

TEST_CASE("bad requests get the protocol's answers") {
  EngineWorld world;
  const std::string sid = world.open_polling();
  struct Case {
    const char* method;
    std::string query;
    const char* body;
  };
  const Case cases[] = {
      {"GET", "EIO=4", R"({"code":0,"message":"Transport unknown"})"},
      {"GET", "EIO=4&transport=abc", R"({"code":0,"message":"Transport unknown"})"},
      {"GET", "EIO=4&transport=polling&sid=x", R"({"code":1,"message":"Session ID unknown"})"},
      {"POST", "EIO=4&transport=polling", R"({"code":2,"message":"Bad handshake method"})"},
      {"PUT", "EIO=4&transport=polling", R"({"code":2,"message":"Bad handshake method"})"},
      {"PUT", "EIO=4&transport=polling&sid=" + sid, R"({"code":3,"message":"Bad request"})"},
      {"GET", "EIO=4&transport=websocket", R"({"code":3,"message":"Bad request"})"},
      {"GET", "EIO=4&transport=websocket&sid=" + sid, R"({"code":3,"message":"Bad request"})"},
      {"GET", "transport=polling", R"({"code":5,"message":"Unsupported protocol version"})"},
      {"GET", "EIO=3&transport=polling", R"({"code":5,"message":"Unsupported protocol version"})"},
      {"GET", "EIO=abc&transport=polling",
       R"({"code":5,"message":"Unsupported protocol version"})"},
  };
  for (const Case& entry : cases) {
    CAPTURE(entry.query);
    const auto reply = world.request(entry.method, entry.query);
    CHECK(status_of(reply) == 400);
    CHECK(body_of(reply) == entry.body);
  }
  FakeWebSocket socket;
  for (const char* query :
       {"EIO=4", "EIO=4&transport=abc", "EIO=4&transport=polling", "transport=websocket",
        "EIO=3&transport=websocket", "EIO=4&transport=websocket&sid=x"})
    CHECK(world.connect(socket, query) == 400);
  CHECK(world.server.sessions() == 1);
  CHECK(world.metric("tandem_engine_requests_refused_total", "unsupported_version") == 5);
}

TEST_CASE("a second poll ends the session") {
  EngineWorld world;
  const std::string sid = world.open_polling();
  const auto first = world.poll(sid);
  const auto second = world.poll(sid);
  CHECK(body_of(first) == "1");
  CHECK(status_of(second) == 400);
  CHECK(status_of(world.poll(sid)) == 400);
  world.server.flush();
  CHECK(world.notes.ends == std::vector{EngineEnd::transport_error});
}

TEST_CASE("an abandoned poll ends the session") {
  EngineWorld world;
  const std::string sid = world.open_polling();
  abandon(world.poll(sid));
  CHECK(status_of(world.poll(sid)) == 400);
  world.server.flush();
  CHECK(world.notes.ends == std::vector{EngineEnd::transport_closed});
}

TEST_CASE("a body that is no payload ends the session, and what was good in it counts") {
  for (const char* body : {"abc", "", "4ok\x1e",
                           "4ok\x1e"
                           "0{}",
                           "2", "b@@", "4\xff", "4\xed\xa0\x80"}) {
    EngineWorld world;
    CAPTURE(body);
    const std::string sid = world.open_polling();
    CHECK(status_of(world.post(sid, body)) == 400);
    CHECK(status_of(world.poll(sid)) == 400);
    world.server.flush();
    CHECK(world.notes.ends == std::vector{EngineEnd::transport_error});
  }
  EngineWorld world;
  const std::string sid = world.open_polling();
  CHECK(status_of(world.post(sid, "4x", "application/octet-stream")) == 400);
  CHECK(world.notes.texts.empty());
  CHECK(world.server.sessions() == 0);
}

TEST_CASE("a body past the bound is refused and nothing else happens") {
  EngineWorld world({.max_payload = 10});
  const std::string sid = world.open_polling();
  CHECK(status_of(world.post(sid, "4234567890")) == 200);
  CHECK(status_of(world.post(sid, "42345678901")) == 413);
  CHECK(world.server.sessions() == 1);
  FakeWebSocket socket;
  world.open_websocket(socket);
  socket.text("42345678901");
  CHECK(socket.closed == 1002);
}

TEST_CASE("the client closes") {
  EngineWorld world;
  const std::string sid = world.open_polling();
  const auto poll = world.poll(sid);
  CHECK(body_of(world.post(sid, "1")) == "ok");
  CHECK(body_of(poll) == "6");
  CHECK(status_of(world.poll(sid)) == 400);
  FakeWebSocket socket;
  world.open_websocket(socket);
  socket.text("1");
  CHECK(socket.closed == 1000);
  socket.text("4late");
  world.server.flush();
  socket.gone(WebSocketEnd::closed);
  world.server.flush();
  CHECK(world.notes.ends == std::vector{EngineEnd::client_close, EngineEnd::client_close});
  CHECK(world.notes.texts.empty());
}

TEST_CASE("the server closes: polling fetches what is queued first") {
  EngineWorld world;
  SUBCASE("a parked poll has the close packet at once") {
    const std::string sid = world.open_polling();
    const auto poll = world.poll(sid);
    world.notes.last->send(text_message("4bye"));
    world.notes.last->close();
    CHECK(body_of(poll) ==
          "4bye\x1e"
          "1");
    CHECK(world.notes.ends.empty());  // never from within
    world.server.flush();
  }
  SUBCASE("else the next poll has it, and the session takes nothing more") {
    const std::string sid = world.open_polling();
    world.notes.last->send(text_message("4bye"));
    world.notes.last->close();
    world.server.flush();
    CHECK(body_of(world.post(sid, "4more")) == "ok");
    CHECK(body_of(world.poll(sid)) ==
          "4bye\x1e"
          "1");
    CHECK(status_of(world.poll(sid)) == 400);
    CHECK(world.notes.texts.empty());
  }
  SUBCASE("and where none comes, it is forgotten") {
    const std::string sid = world.open_polling();
    world.notes.last->close();
    world.pass(29 * kNanosPerSecond);
    CHECK(world.server.sessions() == 1);
    world.pass(2 * kNanosPerSecond);
    CHECK(world.server.sessions() == 0);
  }
  SUBCASE("over WebSocket it is the WebSocket's own close") {
    FakeWebSocket socket;
    world.open_websocket(socket);
    world.notes.last->send(text_message("4bye"));
    world.notes.last->close();
    CHECK(socket.take() == Texts{"4bye"});
    CHECK(socket.closed == 1000);
    socket.gone(WebSocketEnd::closed);
    world.server.flush();
  }
  CHECK(world.notes.ends == std::vector{EngineEnd::server_close});
  CHECK(world.server.sessions() == 0);
}

TEST_CASE("closing or dropping from within a message") {
  for (const char* what : {"close", "drop"}) {
    EngineWorld world;
    const std::string sid = world.open_polling();
    CHECK(body_of(world.post(sid, std::string("4") + what +
                                      "\x1e"
                                      "4more")) == "ok");
    CHECK(world.notes.texts == Texts{what});
    FakeWebSocket socket;
    world.open_websocket(socket);
    socket.text(std::string("4") + what);
    CHECK(socket.closed);
    world.server.flush();
    CHECK(world.notes.ends == std::vector{EngineEnd::server_close, EngineEnd::server_close});
    socket.gone();
  }
}

TEST_CASE("a dropped session is a lost connection to its client") {
  EngineWorld world;
  const std::string sid = world.open_polling();
  const auto poll = world.poll(sid);
  FakeWebSocket socket;
  world.open_websocket(socket);
  world.server.drop_all();
  CHECK(status_of(poll) == 400);
  CHECK(socket.closed == 1001);
  CHECK(socket.take().empty());
  CHECK(world.server.sessions() == 0);
  world.server.flush();
  CHECK(world.notes.ends.size() == 2);
  socket.gone(WebSocketEnd::closed);
}

TEST_CASE("what a dropped session was sent before goes with the poll that waits") {
  EngineWorld world;
  const std::string sid = world.open_polling();
  const auto poll = world.poll(sid);
  world.notes.last->send(text_message("4the end"));
  world.server.drop_all();
  CHECK(body_of(poll) == "4the end");
  CHECK(status_of(world.poll(sid)) == 400);
  world.server.flush();
}

TEST_CASE("what a dropped session was sent before waits for the next poll") {
  EngineWorld world;
  const std::string sid = world.open_polling();
  world.notes.last->send(text_message("4the end"));
  world.server.drop_all();
  world.server.flush();
  CHECK(world.notes.ends == std::vector{EngineEnd::server_close});
  CHECK(body_of(world.poll(sid)) == "4the end");
  CHECK(status_of(world.poll(sid)) == 400);
  world.server.flush();
  CHECK(world.server.sessions() == 0);

  SUBCASE("but not for ever") {
    const std::string silent = world.open_polling();
    world.notes.last->send(text_message("4the end"));
    world.server.drop_all();
    world.pass(31 * kNanosPerSecond);
    CHECK(world.server.sessions() == 0);
    CHECK(status_of(world.poll(silent)) == 400);
  }
}

TEST_CASE("heartbeats by polling") {
  EngineWorld world;
  const std::string sid = world.open_polling();
  for (int round = 0; round < 3; ++round) {
    const auto poll = world.poll(sid);
    world.pass(290 * kMillisecond);
    CHECK(status_of(poll) == 0);
    world.pass(20 * kMillisecond);
    CHECK(body_of(poll) == "2");
    world.pass(150 * kMillisecond);
    CHECK(body_of(world.post(sid, "3")) == "ok");
  }
  CHECK(world.notes.confirmations == 3);
}

TEST_CASE("a ping that nobody answers ends the session when it was said to") {
  EngineWorld world;
  const std::string sid = world.open_polling();
  FakeWebSocket socket;
  world.open_websocket(socket);
  world.pass(490 * kMillisecond);
  CHECK(socket.take() == Texts{"2"});
  CHECK(world.server.sessions() == 2);
  CHECK(!socket.aborted);
  world.now += 10 * kMillisecond;  // no tick: the request itself finds out
  CHECK(status_of(world.poll(sid)) == 400);
  CHECK(socket.aborted);
  world.server.flush();
  CHECK(world.notes.ends == std::vector{EngineEnd::ping_timeout, EngineEnd::ping_timeout});
  socket.gone();
}

TEST_CASE("a loop that stood still does not count against its clients") {
  EngineWorld world;
  FakeWebSocket socket;
  world.open_websocket(socket);
  world.pass(310 * kMillisecond);
  REQUIRE(socket.take() == Texts{"2"});
  world.server.tick(world.now += kNanosPerSecond);
  CHECK(!socket.aborted);
  socket.text("3");  // which had come long before
  world.pass(290 * kMillisecond);
  CHECK(world.server.sessions() == 1);
  world.pass(20 * kMillisecond);
  // One that is always late has to let go of the dead all the same.
  world.server.tick(world.now += kNanosPerSecond);
  CHECK(world.server.sessions() == 1);
  world.server.tick(world.now += kNanosPerSecond);
  CHECK(world.server.sessions() == 0);
  socket.gone();
}

TEST_CASE("a pong that nobody asked for puts nothing off") {
  EngineWorld world;
  FakeWebSocket socket;
  world.open_websocket(socket);
  world.pass(250 * kMillisecond);
  socket.text("3");
  world.pass(60 * kMillisecond);
  CHECK(socket.take() == Texts{"2"});
  CHECK(world.notes.confirmations == 0);
}

TEST_CASE("what was sent before an answered ping is confirmed") {
  EngineWorld world;
  FakeWebSocket socket;
  world.open_websocket(socket);
  EngineSession& session = *world.notes.last;
  session.send(text_message("4a"));
  session.send(text_message("4b"));
  world.pass(310 * kMillisecond);
  session.send(text_message("4c"));
  CHECK(session.sent() == 3);
  CHECK(session.confirmed() == 0);
  socket.text("3");
  CHECK(session.confirmed() == 2);
  world.pass(310 * kMillisecond);
  socket.text("3");
  CHECK(session.confirmed() == 3);
}

TEST_CASE("what a polling client does not fetch is bounded") {
  EngineWorld world({.send_queue_bytes = 1000});
  const std::string sid = world.open_polling();
  const std::string big = "4" + std::string(400, 'x');
  world.notes.last->send(text_message(big));
  world.notes.last->send(text_message(big));
  CHECK(world.server.sessions() == 1);
  world.notes.last->send(text_message(big));
  CHECK(world.server.sessions() == 0);
  CHECK(status_of(world.poll(sid)) == 400);
  world.server.flush();
  CHECK(world.notes.ends == std::vector{EngineEnd::overflow});
}

TEST_CASE("a message alone may be larger than the queue") {
  EngineWorld world({.send_queue_bytes = 1000});
  const std::string sid = world.open_polling();
  const std::string big = "4" + std::string(2000, 'x');
  world.notes.last->send(text_message(big));
  CHECK(body_of(world.poll(sid)) == big);
  world.notes.last->send(text_message(big));
  world.notes.last->send(text_message("4y"));
  CHECK(world.server.sessions() == 0);
}

TEST_CASE("sessions of one address are bounded, by polling and WebSocket together") {
  EngineWorld world({.sessions_per_address = 2});
  FakeWebSocket socket, another;
  const std::string sid = world.open_polling();
  world.open_websocket(socket);
  const auto refused = world.request("GET", "EIO=4&transport=polling");
  CHECK(status_of(refused) == 429);
  CHECK(refused->reply->retry_after_s > 0);
  CHECK(world.connect(another, "EIO=4&transport=websocket") == 429);
  CHECK(world.metric("tandem_engine_requests_refused_total", "address") == 2);
  SUBCASE("one that ends makes room") {
    socket.gone();
    world.open_polling();
  }
  SUBCASE("an upgrade is no new one") {
    world.upgrade(sid, another);
    CHECK(!another.closed);
    another.gone();
    socket.gone();
  }
  SUBCASE("another address has its own") {
    const auto exchange = fake_exchange();
    world.server.on_request({.method = "GET",
                             .target = "/socket.io/?EIO=4&transport=polling",
                             .client = IpAddress::v4(192, 0, 2, 8)},
                            HttpResponder(exchange), world.now);
    CHECK(status_of(exchange) == 200);
    socket.gone();
  }
}

TEST_CASE("sessions are bounded, and none is taken while draining") {
  EngineWorld world({.sessions_max = 2});
  FakeWebSocket socket;
  world.open_polling();
  world.open_websocket(socket);
  const auto refused = world.request("GET", "EIO=4&transport=polling");
  CHECK(status_of(refused) == 503);
  CHECK(refused->reply->retry_after_s > 0);
  FakeWebSocket another;
  CHECK(world.connect(another, "EIO=4&transport=websocket") == 503);
  socket.gone();
  world.server.set_draining(true);
  CHECK(status_of(world.request("GET", "EIO=4&transport=polling")) == 503);
  world.server.set_draining(false);
  world.server.set_bounds(1024, 2, 0);
  CHECK(status_of(world.request("GET", "EIO=4&transport=polling")) == 200);
  CHECK(world.metric("tandem_engine_requests_refused_total", "over_capacity") == 2);
  CHECK(world.metric("tandem_engine_requests_refused_total", "draining") == 1);
}

TEST_CASE("a server that goes leaves no request without an answer that is its own") {
  auto exchange = fake_exchange();
  {
    EngineWorld world;
    const std::string sid = world.open_polling();
    exchange = world.poll(sid);
    FakeWebSocket socket;
    world.open_websocket(socket);
    socket.text("1");
    socket.gone();
  }
  CHECK(exchange->gone);
}

}  // namespace
}  // namespace tandem
