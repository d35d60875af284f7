#include "bench/load/figure_text.h"

#include <doctest/doctest.h>

#include <limits>

namespace tandem::bench {
namespace {

using Value = Figures::Value;

TEST_CASE("a key's words are its name, without the unit") {
  CHECK(figure_name("throughput_gbit_s") == "throughput");
  CHECK(figure_name("delivered_kpps") == "delivered");
  CHECK(figure_name("relay_cpu_s") == "relay CPU");
  CHECK(figure_name("relay_cpu_s_per_gb") == "relay CPU per GB");
  CHECK(figure_name("latency_p50_us") == "latency p50");
  CHECK(figure_name("latency_p9999_us") == "latency p99.99");
  CHECK(figure_name("resident_bytes_per_pair") == "resident per pair");
  CHECK(figure_name("resident_bytes_before") == "resident before");
  CHECK(figure_name("quiet_relay_cpu_percent") == "quiet relay CPU");
  CHECK(figure_name("ndr_kpps_200") == "NDR 200");
  CHECK(figure_name("rate_bit_s") == "rate");
}

TEST_CASE("what a figure is counted per is no unit of it") {
  CHECK(figure_name("packets_per_relay_cpu_s") == "packets per relay CPU-s");
  CHECK(figure_name("pairs_per_s") == "pairs per s");
  CHECK(figure_text("packets_per_relay_cpu_s", Value(578'412.7)) == "578,413");
}

TEST_CASE("a share and a key of one word keep their names") {
  CHECK(figure_name("lost_fraction") == "lost fraction");
  CHECK(figure_name("bytes") == "bytes");
  CHECK(figure_name("s") == "s");
  CHECK(figure_name("per") == "per");
  CHECK(figure_name("").empty());
  CHECK(figure_name("x_gbit") == "x gbit");
}

TEST_CASE("values come with their unit") {
  CHECK(figure_text("throughput_gbit_s", Value(18.7123)) == "18.71 Gbit/s");
  CHECK(figure_text("rate_bit_s", Value(2.5e6)) == "2.5 Mbit/s");
  CHECK(figure_text("delivered_kpps", Value(1531.4)) == "1,531 kpps");
  CHECK(figure_text("relay_cpu_s_per_gb", Value(0.45432)) == "0.4543 s");
  CHECK(figure_text("lost_fraction", Value(0.0003)) == "0.03 %");
  CHECK(figure_text("quiet_relay_cpu_percent", Value(1.25)) == "1.25 %");
  CHECK(figure_text("pairs", Value(std::uint64_t{1000})) == "1,000");
  CHECK(figure_text("route", Value("relay 127.0.0.1:7777")) == "relay 127.0.0.1:7777");
  CHECK(figure_text("intact", Value(std::uint64_t{1})) == "yes");
  CHECK(figure_text("intact", Value(std::uint64_t{0})) == "no");
}

TEST_CASE("bytes and microseconds come in what suits them") {
  CHECK(figure_text("lost_bytes", Value(std::uint64_t{0})) == "0 B");
  CHECK(figure_text("delivered_bytes", Value(std::uint64_t{999})) == "999 B");
  CHECK(figure_text("delivered_bytes", Value(std::uint64_t{23'412'345'678})) == "23.41 GB");
  CHECK(figure_text("resident_bytes_per_pair", Value(419.25)) == "419.2 B");
  CHECK(figure_text("latency_p50_us", Value(41.26)) == "41.26 us");
  CHECK(figure_text("latency_p99_us", Value(1500.0)) == "1.5 ms");
  CHECK(figure_text("latency_max_us", Value(2'500'000.0)) == "2.5 s");
  CHECK(figure_text("latency_max_us", Value(std::uint64_t{4'000'000'000})) == "4,000 s");
}

TEST_CASE("numbers have four digits, and thousands stand apart") {
  CHECK(number_text(0.0) == "0");
  CHECK(number_text(-1234567.8) == "-1,234,568");
  CHECK(number_text(999.94) == "999.9");
  CHECK(number_text(999.96) == "1,000");
  CHECK(number_text(std::uint64_t{999}) == "999");
  CHECK(number_text(std::uint64_t{1000}) == "1,000");
  CHECK(number_text(std::uint64_t{18'446'744'073'709'551'615u}) == "18,446,744,073,709,551,615");
}

TEST_CASE("what is not a number is a dash") {
  for (const double none :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    CHECK(number_text(none) == "-");
    CHECK(figure_text("throughput_gbit_s", Value(none)) == "-");
    CHECK(figure_text("lost_bytes", Value(-none)) == "-");
  }
}

}  // namespace
}  // namespace tandem::bench
