#include "room/socket_io/socket_server.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/room/fake_web.h"

namespace tandem {
namespace {

using Texts = std::vector<std::string>;
constexpr Nanos kMillisecond = kNanosPerMillisecond;

// Answers "echo" and writes down the rest.
struct Notes final : SocketApp {
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

SocketOptions options_with(RecoveryOptions recovery = {.enabled = false}) {
  return {.engine = {.ping_interval = 300 * kMillisecond,
                     .ping_timeout = 200 * kMillisecond,
                     .max_payload = 1000},
          .recovery = recovery,
          .namespaces = {"/", "/custom"},
          .connect_timeout = kNanosPerSecond,
          .attachments_timeout = kNanosPerSecond,
          .attachment_bytes_max = 2000};
}

struct World {
  explicit World(const SocketOptions& options = options_with())
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

  Notes notes;
  int flushes_asked = 0;
  Nanos now = kNanosPerSecond;
  Texts replayed;  // what followed the last connect()'s reply
  SocketServer server;
};

SharedPacket numbered(int number) {
  return encode_event("/", "n", std::to_string(number));
}
std::string number_text(int number) {
  return "42[\"n\"," + std::to_string(number) + "]";
}
std::string offset_text(int count) {
  return "42[\"offset\",\"" + std::to_string(count) + "\"]";
}
std::string claim_of(const nlohmann::json& reply, const char* offset = nullptr) {
  nlohmann::json auth = {{"pid", reply["pid"]}};
  if (offset != nullptr) auth["offset"] = offset;
  return auth.dump();
}

TEST_CASE("CONNECT into a namespace, with and without a payload") {
  World world;
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
  World world;
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
  World world;
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
  World world;
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
  World world;
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
    World world;
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
  World world;
  FakeWebSocket socket;
  world.open(socket);
  socket.text(R"(42["x"])");  // before any CONNECT
  CHECK(socket.closed);
}

TEST_CASE("a text between a binary packet's frames closes the session") {
  World world;
  FakeWebSocket socket;
  world.connect(socket);
  socket.text(R"(451-["m",{"_placeholder":true,"num":0}])");
  socket.text(R"(42["x"])");
  CHECK(socket.closed);
  socket.gone();
}

TEST_CASE("attachments are bounded in bytes, in time, and all together") {
  World world;
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
  World world;
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
  World world;
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
    World world;
    FakeWebSocket socket;
    world.connect(socket);
    socket.gone(websocket);
    world.server.flush();
    CHECK(world.notes.ends == std::vector{expected});
    CHECK(world.server.connected() == 0);
  }
  World world;
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
  World world;
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

TEST_CASE("recovery: an offset behind the events of a turn, once") {
  World world(options_with({}));
  FakeWebSocket socket;
  const auto reply = world.connect(socket);
  CHECK(reply.contains("pid"));
  CHECK(reply["pid"] != reply["sid"]);
  world.notes.last->emit(numbered(1));
  world.notes.last->emit(numbered(2));
  world.server.flush();
  CHECK(socket.take() == Texts{number_text(1), number_text(2), offset_text(2)});
  world.server.flush();
  CHECK(socket.take().empty());
  world.notes.last->acknowledge(1, {});  // not recoverable, and no offset
  world.server.flush();
  CHECK(socket.take() == Texts{"431[]"});
  world.notes.last->emit(numbered(3));
  world.server.flush();
  CHECK(socket.take() == Texts{number_text(3), offset_text(3)});
}

TEST_CASE("recovery: a parked socket gets its client back, and what it missed once") {
  World world(options_with({}));
  world.notes.park = true;
  FakeWebSocket socket;
  const auto reply = world.connect(socket);
  Socket* const it = world.notes.last;
  int mine = 0;
  it->user = &mine;
  it->emit(numbered(1));
  it->emit(numbered(2));
  world.server.flush();
  socket.gone();
  world.server.flush();
  REQUIRE(world.notes.parked == it);
  CHECK(world.server.parked() == 1);
  CHECK(world.server.connected() == 0);
  it->emit(numbered(3));
  world.notes.take();

  FakeWebSocket again;
  const auto back = world.connect(again, claim_of(reply, "1"));
  CHECK(back == reply);
  CHECK(world.replayed == Texts{number_text(2), number_text(3)});
  world.server.flush();
  CHECK(again.take() == Texts{offset_text(3)});
  CHECK(world.notes.take().back() == "recovered " + std::string(it->id()));
  CHECK(world.notes.last == it);
  CHECK(it->user == &mine);
  CHECK(it->is_connected());
  CHECK(world.server.parked() == 0);
  CHECK(world.server.connected() == 1);
  again.text(R"(42["m"])");
  CHECK(world.notes.take() == Texts{"event m"});
  it->emit(numbered(4));
  world.server.flush();
  CHECK(again.take() == Texts{number_text(4), offset_text(4)});
  CHECK(world.metric("tandem_socket_recoveries_total", "recovered") == 1);
  // And once more: what it has by now is not sent again.
  again.gone();
  world.server.flush();
  FakeWebSocket third;
  world.connect(third, claim_of(reply, "4"));
  CHECK(world.replayed.empty());
  third.gone();
}

TEST_CASE("recovery: who saw no offset begins at the first packet") {
  World world(options_with({}));
  world.notes.park = true;
  FakeWebSocket socket;
  const auto reply = world.connect(socket);
  socket.gone();
  world.server.flush();
  world.notes.parked->emit(numbered(1));
  FakeWebSocket again;
  CHECK(world.connect(again, claim_of(reply)) == reply);
  CHECK(world.replayed == Texts{number_text(1)});
}

TEST_CASE("recovery: a client that noticed first takes its socket over") {
  World world(options_with({}));
  world.notes.park = true;
  FakeWebSocket old;
  const auto reply = world.connect(old);
  Socket* const it = world.notes.last;
  it->emit(numbered(1));
  FakeWebSocket fresh;
  CHECK(world.connect(fresh, claim_of(reply)) == reply);
  CHECK(world.replayed == Texts{number_text(1)});
  CHECK(world.notes.last == it);
  CHECK(world.notes.ends == std::vector{SocketEnd::transport_lost});
  CHECK(old.closed == 1001);
  old.gone(WebSocketEnd::closed);
  world.server.flush();
  CHECK(it->is_connected());
  CHECK(world.notes.ends.size() == 1);
  CHECK(world.server.connected() == 1);
  CHECK(world.server.engine().sessions() == 1);
}

TEST_CASE("recovery: an application that does not park has a fresh socket instead") {
  World world(options_with({}));
  FakeWebSocket old;
  const auto reply = world.connect(old);
  FakeWebSocket fresh;
  const auto other = world.connect(fresh, claim_of(reply));
  CHECK(other["sid"] != reply["sid"]);
  CHECK(world.notes.ends == std::vector{SocketEnd::transport_lost});
  CHECK(world.server.connected() == 1);
  old.gone();
}

TEST_CASE("recovery: who may not have it connects afresh") {
  World world(options_with({}));
  world.notes.park = true;
  FakeWebSocket socket;
  const auto reply = world.connect(socket);
  Socket* const it = world.notes.last;
  it->emit(numbered(1));
  world.server.flush();
  socket.gone();
  world.server.flush();
  const std::string pid = reply["pid"];
  std::string forged = pid;
  forged.back() = forged.back() == 'A' ? 'Q' : 'A';
  world.notes.next_identity = "somebody";
  const auto fails = [&](const std::string& auth) {
    FakeWebSocket fresh;
    const auto other = world.connect(fresh, auth);
    CHECK(other["sid"] != reply["sid"]);
    CHECK(world.replayed.empty());
    fresh.gone();
    CHECK(!it->is_connected());
  };
  fails(R"({"pid":")" + forged + R"(","offset":"1"})");
  fails(R"({"pid":")" + std::string(it->id()) + R"(","offset":"1"})");
  fails(R"({"pid":"","offset":"1"})");
  fails(R"({"pid":7,"offset":"1"})");
  fails(R"({"offset":"1"})");
  fails(claim_of(reply, "2"));
  fails(claim_of(reply, "-1"));
  fails(claim_of(reply, "x"));
  fails(claim_of(reply, "18446744073709551616"));
  world.notes.next_identity = "somebody else";
  fails(claim_of(reply, "1"));
  world.notes.next_identity = "somebody";
  FakeWebSocket custom;
  world.open(custom);
  custom.text("40/custom," + claim_of(reply, "1"));
  CHECK(!it->is_connected());
  custom.gone();
  CHECK(world.metric("tandem_socket_recoveries_total", "other_identity") == 1);
  CHECK(world.metric("tandem_socket_recoveries_total", "too_old") == 4);
  FakeWebSocket again;
  CHECK(world.connect(again, claim_of(reply, "1")) == reply);  // and it itself still may
}

TEST_CASE("recovery: what an answered ping confirms is kept no longer") {
  World world(options_with({}));
  world.notes.park = true;
  FakeWebSocket socket;
  const auto reply = world.connect(socket);
  Socket* const it = world.notes.last;
  const SharedPacket packet = numbered(1);
  it->emit(packet);
  world.pass(290 * kMillisecond);
  CHECK(packet.use_count() == 2);
  CHECK(socket.take() == Texts{number_text(1), offset_text(1)});
  world.pass(20 * kMillisecond);
  it->emit(numbered(2));
  CHECK(socket.take() == Texts{"2", number_text(2)});
  socket.text("3");
  CHECK(packet.use_count() == 1);
  socket.gone();
  world.server.flush();
  CHECK(world.server.take_missed(*it).packets.size() == 1);
  CHECK(world.server.take_missed(*it).packets.empty());
  FakeWebSocket late;
  CHECK(world.connect(late, claim_of(reply, "1"))["sid"] != reply["sid"]);
}

TEST_CASE("recovery: a socket that keeps too much is not recovered, but what is left can be had") {
  World world(options_with({.packets_max = 2}));
  world.notes.park = true;
  FakeWebSocket socket;
  const auto reply = world.connect(socket);
  socket.gone();
  world.server.flush();
  Socket* const it = world.notes.parked;
  for (int i = 1; i <= 3; ++i) it->emit(numbered(i));
  FakeWebSocket fresh;
  CHECK(world.connect(fresh, claim_of(reply))["sid"] != reply["sid"]);
  const auto missed = world.server.take_missed(*it);
  CHECK_FALSE(missed.all);
  REQUIRE(missed.packets.size() == 2);
  CHECK(missed.packets[0]->frames[0]->payload() == number_text(2));
  world.server.discard(*it);
  CHECK(world.server.parked() == 0);
  CHECK(world.metric("tandem_socket_recoveries_total", "too_old") == 1);
}

TEST_CASE("a polling client: CONNECT, its reply and what follows") {
  World world(options_with({}));
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
