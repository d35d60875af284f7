#include "bench/load/socket.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

namespace tandem::bench {
namespace {

const SocketAddress kHere = address_of(0x7f000001, 0);

struct Joined {
  Socket one;
  Socket other;
};

Joined joined() {
  const Socket listener = tcp_listen(kHere, 1);
  Socket one = tcp_connect(local_address(listener.fd()));
  return {.one = std::move(one), .other = tcp_accept(listener.fd())};
}

TEST_CASE("a descriptor has one owner") {
  std::array<int, 2> ends;
  REQUIRE(::pipe(ends.data()) == 0);
  const Socket write_end(ends[1]);
  {
    Socket first(ends[0]);
    Socket second = std::move(first);
    CHECK(!first.open());  // NOLINT(bugprone-use-after-move)
    CHECK(second.fd() == ends[0]);
    Socket third;
    third = std::move(second);
    CHECK(third.fd() == ends[0]);
  }
  char byte = 0;
  CHECK(::read(ends[0], &byte, 1) == -1);  // closed
  CHECK(errno == EBADF);
}

TEST_CASE("exactly as many bytes as asked for, however they come") {
  const Joined pair = joined();
  send_all(pair.one.fd(), "abcdef");
  CHECK(receive_exactly(pair.other.fd(), 2, "it") == "ab");
  CHECK(receive_exactly(pair.other.fd(), 0, "it").empty());
  CHECK(receive_exactly(pair.other.fd(), 3, "it") == "cde");
  CHECK(receive_exactly(pair.other.fd(), 1, "it") == "f");
}

TEST_CASE("who closes early, stays silent or resets is named") {
  Joined pair = joined();
  send_all(pair.one.fd(), "abc");
  SUBCASE("closed") {
    pair.one = Socket();
    CHECK_THROWS_WITH_AS((void)receive_exactly(pair.other.fd(), 4, "the relay"),
                         "the relay closed early", std::runtime_error);
  }
  SUBCASE("silent") {
    const timeval soon{.tv_sec = 0, .tv_usec = 20'000};
    REQUIRE(::setsockopt(pair.other.fd(), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon) == 0);
    CHECK_THROWS_WITH_AS((void)receive_exactly(pair.other.fd(), 4, "the relay"),
                         "the relay stays silent", std::runtime_error);
  }
  SUBCASE("reset") {
    reset_on_close(pair.one.fd());
    pair.one = Socket();
    CHECK_THROWS_AS((void)receive_exactly(pair.other.fd(), 4, "the relay"), std::system_error);
  }
}

TEST_CASE("connecting to nobody names the address") {
  const auto there = [] {
    const Socket listener = tcp_listen(kHere, 1);
    return local_address(listener.fd());
  }();
  try {
    (void)tcp_connect(there);
    FAIL("somebody listens");
  } catch (const std::system_error& error) {
    CHECK((error.code() == std::errc::connection_refused));
    CHECK(std::string_view(error.what()).starts_with("connect " + to_string(there)));
  }
}

TEST_CASE("a connection from an address of one's own") {
  const Socket listener = tcp_listen(kHere, 1);
  const auto source = address_of(0x7f000203, 0);
  const Socket client = tcp_connect(local_address(listener.fd()), &source);
  CHECK(to_string(local_address(client.fd())).starts_with("127.0.2.3:"));
}

TEST_CASE("sockets that share their port's address") {
  const Socket first = udp_bind(kHere, Sharing::address);
  const auto there = local_address(first.fd());
  CHECK(local_address(udp_bind(there, Sharing::address).fd()).port() == there.port());
  CHECK_THROWS_AS((void)udp_bind(there), std::system_error);
}

TEST_CASE("polling for nothing ends by itself") {
  const Joined pair = joined();
  std::array<pollfd, 1> waiting{{{.fd = pair.one.fd(), .events = POLLIN, .revents = 0}}};
  CHECK(poll_some(waiting, 1) == 0);
  send_all(pair.other.fd(), "x");
  CHECK(poll_some(waiting, 1000) == 1);
}

}  // namespace
}  // namespace tandem::bench
