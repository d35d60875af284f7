// Connection state recovery.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/room/socket_server_world.h"

namespace tandem {
namespace {

TEST_CASE("recovery: an offset behind the events of a turn, once") {
  SocketServerWorld world(options_with({}));
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
  SocketServerWorld world(options_with({}));
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
  SocketServerWorld world(options_with({}));
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
  SocketServerWorld world(options_with({}));
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
  SocketServerWorld world(options_with({}));
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
  SocketServerWorld world(options_with({}));
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
  SocketServerWorld world(options_with({}));
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
  SocketServerWorld world(options_with({.packets_max = 2}));
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

}  // namespace
}  // namespace tandem
