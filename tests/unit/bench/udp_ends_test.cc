#include "bench/load/udp_ends.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <map>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "bench/load/socket.h"

using namespace tandem::bench;

namespace {

std::span<const std::uint8_t> bytes_of(const std::uint8_t& byte) {
  return {&byte, 1};
}

// Each of `count` ends sends its number and has it sent back.
void echo_through(const SocketAddress& at, std::size_t count) {
  const Socket server = udp_bind(at);
  const auto ends = make_udp_ends(local_address(server.fd()), count);
  std::set<std::string> sources;
  for (std::size_t end = 0; end < count; ++end) {
    const auto number = static_cast<std::uint8_t>(end);
    ends->send(end, bytes_of(number));
    std::array<std::uint8_t, 16> got{};
    SocketAddress from;
    from.size = sizeof from.storage;
    REQUIRE(::recvfrom(server.fd(), got.data(), got.size(), 0, from.get(), &from.size) == 1);
    CHECK(got[0] == number);
    sources.insert(to_string(from));
    REQUIRE(::sendto(server.fd(), got.data(), 1, 0, from.get(), from.size) == 1);
  }
  CHECK(sources.size() == count);
  std::map<std::size_t, std::uint8_t> answers;
  while (answers.size() < count) {
    const auto before = answers.size();
    ends->receive(1000, [&answers](std::size_t end, std::span<const std::uint8_t> datagram) {
      answers[end] = datagram[0];
    });
    REQUIRE(answers.size() > before);
  }
  for (const auto& [end, number] : answers) CHECK(number == static_cast<std::uint8_t>(end));
}

// What a port where nothing listens comes to.
int error_towards_nobody(const SocketAddress& at) {
  Socket server = udp_bind(at);
  const auto ends = make_udp_ends(local_address(server.fd()), 2);
  server = Socket();
  try {
    for (int i = 0; i < 10; ++i) {
      ends->send(1, bytes_of(7));
      ends->receive(100, [](std::size_t, std::span<const std::uint8_t>) {});
    }
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

const SocketAddress kAnyV6 = parse_address("[::1]:0");

}  // namespace

TEST_CASE("towards 127/8 ends share sockets, and each has an address of its own") {
  echo_through(address_of(INADDR_LOOPBACK, 0), 200);
}

TEST_CASE("elsewhere each end has a socket of its own") {
  echo_through(kAnyV6, 100);
}

TEST_CASE("a port where nothing listens is told") {
  CHECK(error_towards_nobody(address_of(INADDR_LOOPBACK, 0)) == ECONNREFUSED);
  CHECK(error_towards_nobody(kAnyV6) == ECONNREFUSED);
}

TEST_CASE("more ends than there can be are refused in one line") {
  CHECK_THROWS_AS((void)make_udp_ends(address_of(INADDR_LOOPBACK, 9), std::size_t{1} << 40),
                  std::runtime_error);
  CHECK_THROWS_AS((void)make_udp_ends(kAnyV6.with_port(9), std::size_t{1} << 40),
                  std::runtime_error);
}
