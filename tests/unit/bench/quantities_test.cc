#include "bench/load/quantities.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>

namespace tandem::bench {
namespace {

TEST_CASE("bit rates as iperf3 writes them") {
  CHECK(parse_bit_rate("0") == 0);
  CHECK(parse_bit_rate("1000000") == 1e6);
  CHECK(parse_bit_rate("2.5M") == 2.5e6);
  CHECK(parse_bit_rate("2.5m") == 2.5e6);
  CHECK(parse_bit_rate("8k") == 8e3);
  CHECK(parse_bit_rate("10G") == 1e10);
  CHECK(parse_bit_rate("0.25T") == 2.5e11);
  CHECK(parse_bit_rate("1e3K") == 1e6);
}

TEST_CASE("what is no bit rate is refused") {
  for (const char* text :
       {"",   "K",  "-1",   "-1M",  " 1",    "1 ",  "1 M",      "+1",  "1KB",   "1Mbit",
        "1P", "1B", "0x10", "1,5M", "1.5.5", "inf", "infinity", "nan", "1e400", "1e300T"}) {
    CAPTURE(text);
    CHECK_THROWS_AS((void)parse_bit_rate(text), std::invalid_argument);
  }
}

TEST_CASE("the refusal of a rate names it") {
  CHECK_THROWS_WITH_AS((void)parse_bit_rate("fast"),
                       "not a rate in bits a second, such as 2.5M: fast", std::invalid_argument);
}

TEST_CASE("one size, within what a datagram holds") {
  CHECK(parse_sizes("200") == std::vector<std::size_t>{200});
  CHECK(parse_sizes("8") == std::vector<std::size_t>{8});
  CHECK(parse_sizes("8952") == std::vector<std::size_t>{8952});
}

TEST_CASE("imix is seven short, four of middle length and one long") {
  const auto sizes = parse_sizes("imix");
  CHECK(sizes.size() == 12);
  CHECK(std::ranges::count(sizes, 64) == 7);
  CHECK(std::ranges::count(sizes, 512) == 4);
  CHECK(std::ranges::count(sizes, 1200) == 1);
}

TEST_CASE("what is no size is refused") {
  for (const char* text :
       {"", "0", "7", "8953", "-200", "+200", "200 ", " 200", "2e2", "200B", "0x40", "IMIX",
        "imix,", "64,512", "18446744073709551616", "18446744073709551680"}) {
    CAPTURE(text);
    CHECK_THROWS_AS((void)parse_sizes(text), std::invalid_argument);
  }
}

}  // namespace
}  // namespace tandem::bench
