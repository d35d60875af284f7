#include "bench/load/address.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <system_error>

#include "bench/load/socket.h"

namespace tandem::bench {
namespace {

std::string parsed(const std::string& text, AddressDefaults defaults = {}) {
  return to_string(parse_address(text, defaults));
}

TEST_CASE("a host and a port") {
  CHECK(parsed("127.0.0.1:7777") == "127.0.0.1:7777");
  CHECK(parsed("[::1]:7777") == "[::1]:7777");
  CHECK(parsed("[2001:db8::7]:1") == "[2001:db8::7]:1");
  CHECK(parsed("10.1.2.3:65535") == "10.1.2.3:65535");
  CHECK(parse_address("127.0.0.1:7777").family() == AF_INET);
  CHECK(parse_address("[::1]:7777").family() == AF_INET6);
}

TEST_CASE("a name of this machine") {
  const auto address = parse_address("localhost:5201");
  CHECK(address.is_loopback());
  CHECK(address.port() == 5201);
}

TEST_CASE("what is left out has its default") {
  constexpr AddressDefaults kDefaults{.host = "127.0.0.1", .port = 5201};
  CHECK(parsed("10.0.0.1", kDefaults) == "10.0.0.1:5201");
  CHECK(parsed("[::1]", kDefaults) == "[::1]:5201");
  CHECK(parsed("::1", kDefaults) == "[::1]:5201");  // without brackets it has no port
  CHECK(parsed("2001:db8::7:80", kDefaults) == "[2001:db8::7:80]:5201");
  CHECK(parsed("80", kDefaults) == "127.0.0.1:80");
  CHECK(parsed(":80", kDefaults) == "127.0.0.1:80");
  CHECK(parsed("10.0.0.1:80", kDefaults) == "10.0.0.1:80");
}

TEST_CASE("without a default both have to be given") {
  for (const char* text : {"", "80", ":80", "10.0.0.1", "10.0.0.1:", "[::1]", "[::1]:", "::1"}) {
    CAPTURE(text);
    CHECK_THROWS_AS((void)parse_address(text), std::invalid_argument);
  }
}

TEST_CASE("what is no address is refused") {
  for (const char* text :
       {"10.0.0.1:65536", "10.0.0.1:-1", "10.0.0.1:+1", "10.0.0.1:8o", "10.0.0.1: 8", "[::1",
        "[::1]80", "[::1]x:80", "99999", "10.0.0.1:http"}) {
    CAPTURE(text);
    CHECK_THROWS_AS((void)parse_address(text, {.host = "127.0.0.1", .port = 1}),
                    std::invalid_argument);
  }
}

TEST_CASE("a name that nobody has is the world's fault") {
  // A label of more than 63 letters: no resolver asks anybody for it.
  const std::string name(64, 'x');
  CHECK_THROWS_AS((void)parse_address(name + ":80"), std::runtime_error);
}

TEST_CASE("only the port changes") {
  CHECK(to_string(parse_address("[::1]:1").with_port(7777)) == "[::1]:7777");
  CHECK(to_string(address_of(0x7f000102, 1).with_port(7777)) == "127.0.1.2:7777");
}

TEST_CASE("what is loopback") {
  CHECK(address_of(0x7f000001, 1).is_loopback());
  CHECK(address_of(0x7fffffff, 1).is_loopback());
  CHECK(!address_of(0x80000001, 1).is_loopback());
  CHECK(parse_address("[::1]:1").is_loopback());
  CHECK(!parse_address("[::2]:1").is_loopback());
}

TEST_CASE("both addresses of a connected socket") {
  const Socket listener = tcp_listen(address_of(0x7f000001, 0), 1);
  const auto there = local_address(listener.fd());
  CHECK(there.port() != 0);
  const Socket client = tcp_connect(there);
  CHECK(to_string(peer_address(client.fd())) == to_string(there));
  const Socket server = tcp_accept(listener.fd());
  CHECK(to_string(peer_address(server.fd())) == to_string(local_address(client.fd())));
  CHECK_THROWS_AS((void)peer_address(listener.fd()), std::system_error);
}

}  // namespace
}  // namespace tandem::bench
