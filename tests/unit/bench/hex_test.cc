#include "bench/load/hex.h"

#include <doctest/doctest.h>

#include <stdexcept>

namespace tandem::bench {
namespace {

TEST_CASE("bytes become lower case digits, two each") {
  CHECK(to_hex("").empty());
  CHECK(to_hex(std::string_view("\0\x01\x7f\x80\xff", 5)) == "00017f80ff");
}

TEST_CASE("digits of either case become the bytes") {
  CHECK(from_hex("").empty());
  CHECK(from_hex("00017F80fF") == std::string("\0\x01\x7f\x80\xff", 5));
}

TEST_CASE("every byte comes back") {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  CHECK(from_hex(to_hex(bytes)) == bytes);
}

TEST_CASE("what is no hex is refused") {
  for (const char* digits : {"0", "000", "0g", "g0", "0x", " 00", "00 ", "0:", "@0", "`0", "-1"}) {
    CAPTURE(digits);
    CHECK_THROWS_AS((void)from_hex(digits), std::invalid_argument);
  }
  CHECK_THROWS_AS((void)from_hex(std::string_view("0\0", 2)), std::invalid_argument);
}

}  // namespace
}  // namespace tandem::bench
