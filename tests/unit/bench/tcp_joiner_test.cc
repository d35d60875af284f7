#include "bench/load/tcp_joiner.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <string>

using namespace tandem::bench;

namespace {

const SessionsOptions kClosing{
    .transport = Transport::tcp, .after = AfterPairing::close, .in_flight = 8};
const SessionsOptions kKeeping{
    .transport = Transport::tcp, .after = AfterPairing::keep, .in_flight = 8};

Socket make_event(unsigned value) {
  return Socket(require(::eventfd(value, EFD_CLOEXEC), "eventfd"));
}

void run(TcpJoiner& joiner) {
  const Socket never = make_event(0);
  joiner.run(never.fd(), [](std::uint64_t) {});
}

std::string failure_of(TcpJoiner& joiner) {
  try {
    run(joiner);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("pairs on the direct route are joined and each dialled end is timed") {
  const RouteOptions route;
  for (const auto& options : {kKeeping, kClosing}) {
    TcpJoiner joiner(route, options, 100, 50);
    run(joiner);
    CHECK(joiner.joined() == 50);
    CHECK(joiner.waits().count() == 50);
    CHECK(joiner.waits().max_ns() > 0);
  }
}

TEST_CASE("nobody there is told at once") {
  Socket listener = tcp_listen(address_of(INADDR_LOOPBACK, 0), 1);
  RouteOptions route{.kind = RouteKind::greeted, .target = local_address(listener.fd())};
  route.greetings.resize(1);
  listener = Socket();
  TcpJoiner joiner(route, kKeeping, 0, 1);
  const auto failure = failure_of(joiner);
  CHECK(failure.starts_with("connect 127.0.0.1:"));
  CHECK(failure.ends_with("Connection refused"));
}

TEST_CASE("a relay that refuses is quoted, though a reset follows") {
  const Socket listener = tcp_listen(address_of(INADDR_LOOPBACK, 0), 8);
  RouteOptions route{.kind = RouteKind::relay, .target = local_address(listener.fd())};
  route.tokens.resize(1);
  TcpJoiner joiner(route, kKeeping, 0, 1);
  const Socket never = make_event(0);
  // By then both ends have sent their line, which is not read.
  const auto refuse = [&listener](std::uint64_t) {
    const Socket end = tcp_accept(listener.fd());
    send_all(end.fd(), "TANDEM/1 ERR BLOCKED retry=9 go away\n");
  };
  CHECK_THROWS_WITH_AS(joiner.run(never.fd(), refuse),
                       "the relay refused: TANDEM/1 ERR BLOCKED retry=9 go away",
                       std::runtime_error);
}

TEST_CASE("joining that is to stop gives up what is not joined") {
  const Socket listener = tcp_listen(address_of(INADDR_LOOPBACK, 0), 64);
  RouteOptions route{.kind = RouteKind::relay, .target = local_address(listener.fd())};
  route.tokens.resize(4);
  TcpJoiner joiner(route, kKeeping, 0, 4);
  const Socket at_once = make_event(1);
  joiner.run(at_once.fd(), [](std::uint64_t) {});
  CHECK(joiner.joined() == 0);
  CHECK(joiner.count_alive() == 0);
}
