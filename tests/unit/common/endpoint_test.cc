#include "common/endpoint.h"

#include <doctest/doctest.h>

#include <random>

namespace tandem {
namespace {

TEST_CASE("one form for both families") {
  const auto loopback = IpAddress::v4(127, 0, 0, 1);
  CHECK(loopback == IpAddress::from_v4(0x7f000001));
  CHECK(loopback == IpAddress::parse("127.0.0.1"));
  CHECK(loopback == IpAddress::parse("::ffff:127.0.0.1"));
  CHECK(loopback.is_v4());
  CHECK(loopback.v4_value() == 0x7f000001);
  CHECK_FALSE(IpAddress::parse("::127.0.0.1")->is_v4());
  CHECK_FALSE(IpAddress::parse("::1")->is_v4());
  CHECK_FALSE(IpAddress{}.is_v4());
  CHECK(IpAddress::v4(9, 255, 255, 255) < IpAddress::v4(10, 0, 0, 0));
}

TEST_CASE("text that is not an address") {
  for (std::string_view wrong :
       {"", "1", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", " 1.2.3.4", "1.2.3.4 ", "0x1.2.3.4",
        "localhost", ":", ":::", "1::2::3", "::1%lo", "[::1]",
        "12345::", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"}) {
    CAPTURE(wrong);
    CHECK_FALSE(IpAddress::parse(wrong).has_value());
  }
  CHECK_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0", 8)).has_value());
  CHECK_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0junk", 12)).has_value());
}

TEST_CASE("endpoints") {
  CHECK(Endpoint::parse("1.2.3.4:5") == Endpoint{IpAddress::v4(1, 2, 3, 4), 5});
  CHECK(Endpoint::parse("[::1]:65535") == Endpoint{*IpAddress::parse("::1"), 65535});
  CHECK(Endpoint::parse("0.0.0.0:0") == Endpoint{IpAddress::v4(0, 0, 0, 0), 0});
  for (std::string_view wrong :
       {"",           ":",          "1.2.3.4",    "1.2.3.4:",   ":5",          "1.2.3.4:65536",
        "1.2.3.4:05", "1.2.3.4:+5", "1.2.3.4:-5", "1.2.3.4: 5", "1.2.3.4:5 ",  "::1:5",
        "[::1]",      "[::1]5",     "[::1:5",     "::1]:5",     "[1.2.3.4]:5", "[]:5",
        "[:5",        "]:5",        "[[::1]]:5"}) {
    CAPTURE(wrong);
    CHECK_FALSE(Endpoint::parse(wrong).has_value());
  }
}

TEST_CASE("networks") {
  const auto ten = Network::parse("10.0.0.0/8").value();
  CHECK(ten == Network{IpAddress::v4(10, 0, 0, 0), 104});
  CHECK(ten == Network::parse("10.1.2.3/8"));
  CHECK(ten == Network::parse("::ffff:10.0.0.0/104"));
  CHECK(ten.contains(IpAddress::v4(10, 255, 255, 255)));
  CHECK_FALSE(ten.contains(IpAddress::v4(11, 0, 0, 0)));
  CHECK_FALSE(ten.contains(IpAddress::v4(9, 255, 255, 255)));

  const auto odd = Network::parse("192.168.4.0/22").value();
  CHECK(odd.contains(IpAddress::v4(192, 168, 7, 255)));
  CHECK_FALSE(odd.contains(IpAddress::v4(192, 168, 8, 0)));
  CHECK_FALSE(odd.contains(IpAddress::v4(192, 168, 3, 255)));

  const auto documentation = Network::parse("2001:db8::/33").value();
  CHECK(documentation.contains(*IpAddress::parse("2001:db8:7fff::1")));
  CHECK_FALSE(documentation.contains(*IpAddress::parse("2001:db8:8000::1")));

  CHECK(Network::parse("::1") == Network{*IpAddress::parse("::1"), 128});
  CHECK(Network::parse("10.0.0.1") == Network{IpAddress::v4(10, 0, 0, 1), 128});
  for (std::string_view wrong : {"", "/", "10.0.0.0/", "/8", "10.0.0.0/33", "::/129", "10.0.0.0/08",
                                 "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0", "10/8"}) {
    CAPTURE(wrong);
    CHECK_FALSE(Network::parse(wrong).has_value());
  }
}

TEST_CASE("all of one family is not all of the other") {
  CHECK(Network::parse("0.0.0.0/0")->contains(IpAddress::v4(255, 1, 2, 3)));
  CHECK_FALSE(Network::parse("0.0.0.0/0")->contains(*IpAddress::parse("::1")));
  CHECK(Network::parse("::/0")->contains(*IpAddress::parse("ffff::1")));
  CHECK_FALSE(Network::parse("::/0")->contains(IpAddress::v4(1, 2, 3, 4)));
}

TEST_CASE("a budget's scope is the v4 address or the v6 /64") {
  CHECK(rate_scope(IpAddress::v4(1, 2, 3, 4)) == IpAddress::v4(1, 2, 3, 4));
  const auto scope = rate_scope(*IpAddress::parse("2001:db8:1:2:3:4:5:6"));
  CHECK(scope == IpAddress::parse("2001:db8:1:2::"));
  CHECK(scope == rate_scope(*IpAddress::parse("2001:db8:1:2:ffff::")));
  CHECK(scope != rate_scope(*IpAddress::parse("2001:db8:1:3::")));
}

TEST_CASE("text") {
  CHECK(to_string(IpAddress::v4(1, 2, 3, 4)) == "1.2.3.4");
  CHECK(to_string(*IpAddress::parse("2001:DB8:0:0::1")) == "2001:db8::1");
  CHECK(to_string(Endpoint{IpAddress::v4(1, 2, 3, 4), 5}) == "1.2.3.4:5");
  CHECK(to_string(*Endpoint::parse("[::1]:5")) == "[::1]:5");
  CHECK(to_string(*Network::parse("10.0.0.0/8")) == "10.0.0.0/8");
  CHECK(to_string(*Network::parse("2001:db8::/32")) == "2001:db8::/32");
  CHECK(to_string(*Network::parse("::1")) == "::1/128");
}

TEST_CASE("property: text comes back as the value it was made from") {
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    IpAddress address = IpAddress::from_v4(static_cast<std::uint32_t>(random()));
    if (i % 2 == 0)
      for (auto& byte : address.bytes)
        byte = static_cast<std::uint8_t>(random() % 4 ? random() : 0);
    const Endpoint endpoint{address, static_cast<std::uint16_t>(random())};
    CAPTURE(to_string(endpoint));
    REQUIRE(IpAddress::parse(to_string(address)) == address);
    REQUIRE(Endpoint::parse(to_string(endpoint)) == endpoint);
    const auto written = to_string(address) + "/" + std::to_string(random() % 33);
    const auto network = Network::parse(written).value();
    REQUIRE(network.contains(address));
    REQUIRE(Network::parse(to_string(network)) == network);
  }
}

}  // namespace
}  // namespace tandem
