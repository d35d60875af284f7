#include "common/units.h"

#include <doctest/doctest.h>

#include <limits>

namespace tandem {
namespace {

TEST_CASE("sizes as an operator writes them") {
  CHECK(parse_size("0").value() == 0);
  CHECK(parse_size("4096").value() == 4096);
  for (const char* one_k : {"1k", "1K", "1kb", "1KB", "1kB", "1Kb", "1024"})
    CHECK(parse_size(one_k).value() == 1024);
  CHECK(parse_size("10m").value() == 10u << 20);
  CHECK(parse_size("3gb").value() == std::uint64_t{3} << 30);
  CHECK(parse_size("18446744073709551615").value() == std::numeric_limits<std::uint64_t>::max());
  CHECK(parse_size("17179869183g").value() == std::uint64_t{17179869183} << 30);
}

TEST_CASE("what is not a size is refused with what would be right") {
  for (const char* wrong : {"", "k", "mb", "-1", "+1", " 1", "1 ", "1 k", "1.5m", "1t", "1b",
                            "1kib", "1kk", "1bk", "0x10"}) {
    CAPTURE(wrong);
    const auto size = parse_size(wrong);
    REQUIRE_FALSE(size.has_value());
    CHECK(size.error().find("digits") != std::string::npos);
  }
}

TEST_CASE("a size past 64 bits is refused, not wrapped") {
  for (const char* wrong : {"18446744073709551616", "17179869184g", "18014398509481984k"}) {
    CAPTURE(wrong);
    const auto size = parse_size(wrong);
    REQUIRE_FALSE(size.has_value());
    CHECK(size.error().find("64 bits") != std::string::npos);
  }
}

TEST_CASE("bytes for a table") {
  CHECK(format_bytes(0) == "0 B");
  CHECK(format_bytes(1023) == "1023 B");
  CHECK(format_bytes(1024) == "1.00 KiB");
  CHECK(format_bytes(1536) == "1.50 KiB");
  CHECK(format_bytes(10u << 20) == "10.0 MiB");
  CHECK(format_bytes((1u << 20) - 1) == "1023 KiB");
  CHECK(format_bytes(std::numeric_limits<std::uint64_t>::max()) == "16.0 EiB");
}

TEST_CASE("durations for a table") {
  CHECK(format_duration(0) == "0 ns");
  CHECK(format_duration(850) == "850 ns");
  CHECK(format_duration(12'340) == "12.3 us");
  CHECK(format_duration(999'999) == "999 us");
  CHECK(format_duration(1'500'000'000) == "1.50 s");
  CHECK(format_duration(59'999'999'999) == "59.9 s");
  CHECK(format_duration(125 * kNanosPerSecond) == "2m 05s");
  CHECK(format_duration(200 * kNanosPerMinute) == "3h 20m");
  CHECK(format_duration(4 * kNanosPerDay + 7 * kNanosPerHour) == "4d 07h");
  CHECK(format_duration(-1'500'000) == "-1.50 ms");
  CHECK(format_duration(std::numeric_limits<Nanos>::max()) == "106751d 23h");
  CHECK(format_duration(std::numeric_limits<Nanos>::min()) == "-106751d 23h");
}

}  // namespace
}  // namespace tandem
