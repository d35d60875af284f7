#include "room/socket_io/socket_server.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/room/socket_server_world.h"

namespace tandem {
namespace {

TEST_CASE("CONNECT into a namespace, with and without a payload") {
  SocketServerWorld world;
  FakeWebSocket socket;
  const auto reply = world.connect(socket);
  CHECK(reply.size() == 1);
  CHECK(reply["sid"] == world.notes.last->id());
  CHECK(world.notes.last->nsp() == "/");
  CHECK(world.notes.last->is_connected());
  CHECK(world.notes.take() == Texts{"connect nothing", "connected /"});
  socket.text(R"(40/custom,{"token":"abc"})");
  const Texts sent = socket.take();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].starts_with(R"(40/custom,{"sid":")"));
  CHECK(world.notes.take() == Texts{R"(connect {"token":"abc"})", "connected /custom"});
  CHECK(world.server.connected() == 2);
  socket.text("40");  // again: nothing
  CHECK(socket.take().empty());
  CHECK(world.notes.take().empty());
}

TEST_CASE("a CONNECT that is refused") {
  SocketServerWorld world;
  FakeWebSocket socket;
  world.open(socket);
  socket.text("40/random");
  CHECK(socket.take() == Texts{R"(44/random,{"message":"Invalid namespace"})"});
  socket.text(R"(40{"token":"bad"})");
  CHECK(socket.take() == Texts{R"(44{"message":"no","data":{"code":"AUTH_FAILED"}})"});
  CHECK(world.server.connected() == 0);
  socket.text("40");
  CHECK(socket.take().size() == 1);
  CHECK(world.metric("tandem_socket_connects_refused_total") == 2);
}

TEST_CASE("a session in no namespace is closed after a while") {
  SocketServerWorld world;
  FakeWebSocket never;
  world.open(never);
  FakeWebSocket left;
  world.connect(left);
  world.pass(500 * kMillisecond, {&left, &never});
  left.text("41");
  world.pass(510 * kMillisecond, {&left, &never});
  CHECK(never.closed);
  CHECK(!left.closed);
  world.pass(500 * kMillisecond, {&left});
  CHECK(left.closed == 1000);
  CHECK(world.notes.ends == std::vector{SocketEnd::client_disconnect});
}

TEST_CASE("events, with arguments as they were written") {
  SocketServerWorld world;
  FakeWebSocket socket;
  world.connect(socket);
  world.notes.take();
  socket.text(R"(42["message",1.00,"2",{"3":[true]}])");
  socket.text(R"(42["a\u0062"])");
  CHECK(world.notes.take() == Texts{R"(event message 1.00 "2" {"3":[true]})", "event ab"});
  world.notes.last->emit(encode_event("/", "back", "1,2"));
  CHECK(socket.take() == Texts{R"(42["back",1,2])"});
}

TEST_CASE("acknowledgements, text and binary") {
  SocketServerWorld world;
  FakeWebSocket socket;
  world.connect(socket);
  world.notes.take();
  socket.text(R"(42456["m",{"3":[false]}])");
  CHECK(socket.take() == Texts{R"(43456[{"3":[false]}])"});
  socket.text(R"(451-789["m",{"_placeholder":true,"num":0}])");
  CHECK(socket.take().empty());
  socket.binary("\x01\x02");
  CHECK(socket.take() == Texts{R"(461-789[{"_placeholder":true,"num":0}])", "<\x01\x02>"});
  CHECK(world.notes.take() ==
        Texts{R"(event m {"3":[false]} ack 456)",
              "event m {\"_placeholder\":true,\"num\":0} <\x01\x02> ack 789"});
  socket.text("431[]");  // of nothing that was asked
  socket.text(R"(461-1[{"_placeholder":true,"num":0}])");
  socket.binary("x");
  CHECK(!socket.closed);
  CHECK(world.notes.take().empty());
}

TEST_CASE("what is no Socket.IO closes the session") {
  for (const char* bad :
       {"4abc", "42{}", R"(42abc["x"])", "4", "44{}", R"(42/random,["x"])", "<binary>"}) {
    SocketServerWorld world;
    FakeWebSocket socket;
    CAPTURE(bad);
    world.connect(socket);
    if (bad[0] == '<') {
      socket.binary("x");
    } else {
      socket.text(bad);
    }
    CHECK(socket.closed == 1000);
    world.server.flush();
    CHECK(world.notes.ends == std::vector{SocketEnd::bad_packet});
    CHECK(world.metric("tandem_socket_bad_packets_total") == 1);
    socket.gone();
  }
  SocketServerWorld world;
  FakeWebSocket socket;
  world.open(socket);
  socket.text(R"(42["x"])");  // before any CONNECT
  CHECK(socket.closed);
}

TEST_CASE("a text between a binary packet's frames closes the session") {
  SocketServerWorld world;
  FakeWebSocket socket;
  world.connect(socket);
  socket.text(R"(451-["m",{"_placeholder":true,"num":0}])");
  socket.text(R"(42["x"])");
  CHECK(socket.closed);
  socket.gone();
}

TEST_CASE("attachments are bounded in bytes, in time, and all together") {
  SocketServerWorld world;
  const std::string head = R"(452-["m",{"_placeholder":true,"num":0}])";
  FakeWebSocket large;
  world.connect(large);
  large.text(head);
  large.binary(std::string(500, 'x'));
  CHECK(!large.closed);
  large.binary(std::string(500, 'x'));
  CHECK(large.closed);

  FakeWebSocket slow;
  world.connect(slow);
  slow.text(head);
  world.pass(990 * kMillisecond, {&slow});
  CHECK(!slow.closed);
  world.pass(20 * kMillisecond, {&slow});
  CHECK(slow.closed);

  FakeWebSocket sockets[3];
  for (FakeWebSocket& socket : sockets) {
    world.connect(socket);
    socket.text(head);
    socket.binary(std::string(800, 'x'));
  }
  CHECK(sockets[0].closed);  // the oldest makes room
  CHECK(!sockets[1].closed);
  CHECK(!sockets[2].closed);
  CHECK(world.metric("tandem_socket_attachments_evicted_total") == 1);
  world.notes.take();
  sockets[2].binary("y");
  CHECK(world.notes.take().size() == 1);
}

TEST_CASE("the client leaves a namespace, and another goes on") {
  SocketServerWorld world;
  FakeWebSocket socket;
  world.connect(socket);
  socket.text("40/custom");
  socket.take();
  socket.text("41/custom");
  CHECK(world.notes.ends == std::vector{SocketEnd::client_disconnect});
  world.notes.take();
  socket.text(R"(42["m"])");
  socket.text(R"(42/custom,["m"])");  // crossed with nothing, but harmless
  CHECK(world.notes.take() == Texts{"event m"});
  CHECK(!socket.closed);
  CHECK(world.server.connected() == 1);
  socket.text("40/custom");
  CHECK(world.server.connected() == 2);
}

TEST_CASE("the server ends a socket, from within its own event too") {
  SocketServerWorld world;
  FakeWebSocket socket;
  world.connect(socket);
  socket.text("40/custom");
  socket.take();
  SUBCASE("the socket alone") {
    socket.text(R"(42["leave"])");
    CHECK(socket.take() == Texts{"41"});
    CHECK(!socket.closed);
    CHECK(world.notes.ends.empty());
    world.server.flush();
    CHECK(world.notes.ends == std::vector{SocketEnd::server_disconnect});
    CHECK(world.server.connected() == 1);
  }
  SUBCASE("the session") {
    socket.text(R"(42["close"])");
    CHECK(socket.take() == Texts{"41"});
    CHECK(socket.closed == 1000);
    world.server.flush();
    CHECK(world.notes.ends ==
          std::vector{SocketEnd::server_disconnect, SocketEnd::server_disconnect});
  }
  SUBCASE("the transport") {
    socket.text(R"(42["drop"])");
    CHECK(socket.take().empty());
    CHECK(socket.closed == 1001);
    world.server.flush();
    CHECK(world.notes.ends == std::vector{SocketEnd::transport_lost, SocketEnd::transport_lost});
  }
  CHECK(world.flushes_asked > 0);
  if (socket.events != nullptr) socket.gone();
}

TEST_CASE("how a session ends is what its sockets are told") {
  const std::pair<WebSocketEnd, SocketEnd> pairs[] = {
      {WebSocketEnd::lost, SocketEnd::transport_lost},
      {WebSocketEnd::closed, SocketEnd::transport_lost},
      {WebSocketEnd::protocol, SocketEnd::bad_packet},
      {WebSocketEnd::overflow, SocketEnd::overflow}};
  for (const auto& [websocket, expected] : pairs) {
    SocketServerWorld world;
    FakeWebSocket socket;
    world.connect(socket);
    socket.gone(websocket);
    world.server.flush();
    CHECK(world.notes.ends == std::vector{expected});
    CHECK(world.server.connected() == 0);
  }
  SocketServerWorld world;
  FakeWebSocket silent;
  world.connect(silent);
  world.pass(510 * kMillisecond);
  CHECK(world.notes.ends == std::vector{SocketEnd::ping_timeout});
  FakeWebSocket closing;
  world.connect(closing);
  closing.text("1");
  world.server.flush();
  CHECK(world.notes.ends.back() == SocketEnd::transport_lost);
}

TEST_CASE("one packet is shared by all that it goes to") {
  SocketServerWorld world;
  FakeWebSocket one;
  FakeWebSocket two;
  world.connect(one);
  Socket* first = world.notes.last;
  world.connect(two);
  const SharedPacket packet = numbered(1);
  first->emit(packet);
  world.notes.last->emit(packet);
  CHECK(one.sent[0] == packet->frames[0]);
  CHECK(two.sent[0] == packet->frames[0]);
}

TEST_CASE("a polling client: CONNECT, its reply and what follows") {
  SocketServerWorld world(options_with({}));
  world.notes.greet = true;
  const auto request = [&](std::string_view method, const std::string& sid, std::string_view body) {
    auto exchange = fake_exchange();
    const std::string target = "/socket.io/?EIO=4&transport=polling&sid=" + sid;
    world.server.engine().on_request({.method = method, .target = target, .body = body},
                                     HttpResponder(exchange), world.now);
    return exchange;
  };
  const std::string opening = body_of(request("GET", "", {}));
  const std::string sid = nlohmann::json::parse(opening.substr(1))["sid"];
  const auto poll = request("GET", sid, {});
  CHECK(body_of(request("POST", sid, "40")) == "ok");
  CHECK(status_of(poll) == 0);
  world.server.flush();
  const std::string body = body_of(poll);
  CHECK(body.starts_with("40{"));
  CHECK(
      body.ends_with("\x1e"
                     "42[\"hello\"]\x1e" +
                     offset_text(1)));
  CHECK(body_of(request("POST", sid,
                        "451-[\"m\",{\"_placeholder\":true,\"num\":0}]\x1e"
                        "bAQI=")) == "ok");
  CHECK(world.notes.take().back() == "event m {\"_placeholder\":true,\"num\":0} <\x01\x02>");
}

TEST_CASE("the size of an idle client") {
  MESSAGE("EngineSession ", sizeof(EngineSession), ", Socket ", sizeof(Socket));
  CHECK(sizeof(EngineSession) <= 240);
  CHECK(sizeof(Socket) <= 208);
}

}  // namespace
}  // namespace tandem
