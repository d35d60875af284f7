// Engine.IO over WebSocket, and the upgrade to it.
#include <doctest/doctest.h>

#include "tests/unit/room/engine_world.h"

namespace tandem {
namespace {

TEST_CASE("WebSocket sessions carry text and binary both ways") {
  EngineWorld world;
  world.notes.echo = true;
  FakeWebSocket socket;
  REQUIRE(world.connect(socket, "EIO=4&transport=websocket") == 0);
  const Texts opening = socket.take();
  REQUIRE(opening.size() == 1);
  CHECK(nlohmann::json::parse(opening[0].substr(1))["upgrades"] == nlohmann::json::array());
  CHECK(world.notes.last->is_websocket());
  socket.text("4hello");
  socket.binary("\x01\x02");
  socket.text("6");
  CHECK(socket.take() == Texts{"4hello", "<\x01\x02>"});
  socket.gone();
  world.server.flush();
  CHECK(world.notes.ends == std::vector{EngineEnd::transport_closed});
}

TEST_CASE("a WebSocket that speaks something else") {
  for (const char* bad : {"abc", "", "0", "2", "2probe", "7"}) {
    EngineWorld world;
    FakeWebSocket socket;
    world.open_websocket(socket);
    socket.text(bad);
    CHECK(socket.closed == 1002);
    world.server.flush();
    CHECK(world.notes.ends == std::vector{EngineEnd::transport_error});
    socket.gone();
  }
}

TEST_CASE("how a WebSocket ended is what the session's end is") {
  const std::pair<WebSocketEnd, EngineEnd> pairs[] = {
      {WebSocketEnd::closed, EngineEnd::transport_closed},
      {WebSocketEnd::lost, EngineEnd::transport_closed},
      {WebSocketEnd::evicted, EngineEnd::transport_closed},
      {WebSocketEnd::protocol, EngineEnd::transport_error},
      {WebSocketEnd::overflow, EngineEnd::overflow}};
  for (const auto& [websocket, engine] : pairs) {
    EngineWorld world;
    FakeWebSocket socket;
    world.open_websocket(socket);
    socket.gone(websocket);
    world.server.flush();
    CHECK(world.notes.ends == std::vector{engine});
  }
}

TEST_CASE("the upgrade: probe, noop, and what was queued goes the new way") {
  EngineWorld world;
  const std::string sid = world.open_polling();
  EngineSession& session = *world.notes.last;
  const auto parked = world.poll(sid);
  FakeWebSocket socket;
  REQUIRE(world.connect(socket, "EIO=4&transport=websocket&sid=" + sid) == 0);
  CHECK(socket.take().empty());
  socket.text("2probe");
  CHECK(socket.take() == Texts{"3probe"});
  CHECK(body_of(parked) == "6");
  CHECK(body_of(world.poll(sid)) == "6");  // at once, until the client is done
  session.send(text_message("4queued"));
  CHECK(!session.is_websocket());
  socket.text("5");
  CHECK(session.is_websocket());
  CHECK(socket.take() == Texts{"4queued"});
  session.send(text_message("4direct"));
  CHECK(socket.take() == Texts{"4direct"});
  world.notes.echo = true;
  socket.text("4hello");
  CHECK(socket.take() == Texts{"4hello"});
  CHECK(world.metric("tandem_engine_sessions", "websocket") == 1);
  CHECK(world.metric("tandem_engine_sessions", "polling") == 0);

  CHECK(status_of(world.poll(sid)) == 400);
  FakeWebSocket another;
  REQUIRE(world.connect(another, "EIO=4&transport=websocket&sid=" + sid) == 0);
  CHECK(another.closed == 1008);
  another.text("2probe");
  another.gone(WebSocketEnd::closed);
  CHECK(world.server.sessions() == 1);
}

TEST_CASE("a poll that is parked when the upgrade is complete ends with a noop") {
  EngineWorld world;
  const std::string sid = world.open_polling();
  FakeWebSocket socket;
  REQUIRE(world.connect(socket, "EIO=4&transport=websocket&sid=" + sid) == 0);
  socket.text("2probe");
  world.notes.last->send(text_message("4queued"));
  CHECK(body_of(world.poll(sid)) == "4queued");  // polling still works
  socket.text("5");
  CHECK(socket.take() == Texts{"3probe"});
}

TEST_CASE("an upgrade that comes to nothing leaves the session to polling") {
  EngineWorld world;
  const std::string sid = world.open_polling();
  FakeWebSocket socket;
  REQUIRE(world.connect(socket, "EIO=4&transport=websocket&sid=" + sid) == 0);
  SUBCASE("no probe but an upgrade") {
    socket.text("5");
  }
  SUBCASE("a message") {
    socket.text("4hello");
  }
  SUBCASE("binary") {
    socket.binary("2probe");
  }
  SUBCASE("two probes") {
    socket.text("2probe");
    socket.text("2probe");
  }
  CHECK(socket.closed == 1000);
  socket.gone(WebSocketEnd::closed);
  world.notes.last->send(text_message("4still"));
  CHECK(body_of(world.poll(sid)) == "4still");
  FakeWebSocket again;
  world.upgrade(sid, again);
  CHECK(world.notes.last->is_websocket());
}

TEST_CASE("a probe that is lost, or takes too long") {
  EngineWorld world({.ping_interval = 60 * kNanosPerSecond, .upgrade_timeout = kNanosPerSecond});
  const std::string sid = world.open_polling();
  FakeWebSocket lost;
  REQUIRE(world.connect(lost, "EIO=4&transport=websocket&sid=" + sid) == 0);
  FakeWebSocket beside;
  REQUIRE(world.connect(beside, "EIO=4&transport=websocket&sid=" + sid) == 0);
  CHECK(beside.closed == 1008);
  beside.gone();
  lost.text("2probe");
  lost.gone();
  CHECK(status_of(world.poll(sid)) == 0);
  FakeWebSocket slow;
  REQUIRE(world.connect(slow, "EIO=4&transport=websocket&sid=" + sid) == 0);
  world.pass(990 * kMillisecond);
  CHECK(!slow.closed);
  world.pass(20 * kMillisecond);
  CHECK(slow.closed == 1000);
  CHECK(world.server.sessions() == 1);
  CHECK(world.metric("tandem_engine_upgrades_total", "timed_out") == 1);
  CHECK(world.metric("tandem_engine_upgrades_total", "abandoned") == 1);
  slow.gone();
}

TEST_CASE("a session that ends while it is being upgraded takes the probe with it") {
  EngineWorld world;
  const std::string sid = world.open_polling();
  FakeWebSocket socket;
  REQUIRE(world.connect(socket, "EIO=4&transport=websocket&sid=" + sid) == 0);
  world.post(sid, "1");
  CHECK(socket.closed);
  world.server.flush();
  socket.text("2probe");
  socket.gone();
}

}  // namespace
}  // namespace tandem
