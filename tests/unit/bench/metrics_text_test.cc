#include "bench/load/metrics_text.h"

#include <doctest/doctest.h>

#include <cmath>

namespace tandem::bench {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;
using Counts = std::vector<std::pair<std::string, std::uint64_t>>;

std::vector<MetricSample> parsed(std::string_view page) {
  auto samples = parse_metrics(page);
  if (!samples) FAIL(samples.error());
  return std::move(*samples);
}

std::string refusal(std::string_view page) {
  const auto samples = parse_metrics(page);
  return samples ? "" : samples.error();
}

TEST_CASE("names, labels and values") {
  const auto samples = parsed(
      "tandem_sessions 7\n"
      "tandem_bytes_total{shard=\"0\",how=\"copied\"} 1.5e+06\n"
      "a:b_c{} -2\n");
  REQUIRE(samples.size() == 3);
  CHECK(samples[0].name == "tandem_sessions");
  CHECK(samples[0].labels.empty());
  CHECK(samples[0].value == 7);
  CHECK(samples[1].labels == Labels{{"shard", "0"}, {"how", "copied"}});
  CHECK(samples[1].value == 1.5e6);
  CHECK(samples[1].label("how") == "copied");
  CHECK(samples[1].label("le").empty());
  CHECK(samples[2].name == "a:b_c");
  CHECK(samples[2].value == -2);
}

TEST_CASE("a label's value with the three escapes, braces, commas and UTF-8") {
  const auto samples = parsed(R"(m{a="\"q\"\\\n",b="}, c=\"x\"",c="Ü",d=""} 1)");
  CHECK(samples.at(0).labels ==
        Labels{{"a", "\"q\"\\\n"}, {"b", "}, c=\"x\""}, {"c", "Ü"}, {"d", ""}});
}

TEST_CASE("infinities and what is not a number") {
  const auto samples = parsed("a +Inf\nb -Inf\nc NaN\n");
  CHECK(samples.at(0).value == INFINITY);
  CHECK(samples.at(1).value == -INFINITY);
  CHECK(std::isnan(samples.at(2).value));
}

TEST_CASE("space, a last comma, a time stamp and CRLF are as good") {
  const auto samples = parsed(
      "  a { x = \"1\" , y = \"2\" , }  3  1700000000000\r\n"
      "\tb\t4\t-1\r\n");
  REQUIRE(samples.size() == 2);
  CHECK(samples[0].labels == Labels{{"x", "1"}, {"y", "2"}});
  CHECK(samples[0].value == 3);
  CHECK(samples[1].value == 4);
}

TEST_CASE("comments and empty lines are skipped, and the last line may lack its end") {
  CHECK(parsed("").empty());
  CHECK(parsed("# HELP a b\n# TYPE a counter\n\n \t\r\n  # {\n").empty());
  CHECK(parsed("\n# a 1\nb 2").size() == 1);
}

TEST_CASE("what is no sample is refused by its line's number") {
  for (const char* line :
       {"a", "a ", "1.5.6 b", "{x=\"1\"} 1", "a{x=\"1\" 1", "a{x=1} 1", "a{x=\"1} 1", "a{=\"1\"} 1",
        "a{x} 1", "a{x=\"1\"y=\"2\"} 1", "a{x=\"1\\", "a{x=\"1\"}", "a{,} 1", "a one", "a 1x",
        "a 0x1", "<html>", "a-b 1", "\xff 1"}) {
    CAPTURE(line);
    CHECK(refusal("# c\n\nok 1\n" + std::string(line) + "\nok 2\n") == "line 4 is no sample");
  }
}

TEST_CASE("labels are bounded") {
  std::string line = "a{";
  for (int i = 0; i < 64; ++i) line.append("l").append(std::to_string(i)).append("=\"\",");
  CHECK(parsed(line + "} 1").at(0).labels.size() == 64);
  CHECK(refusal(line + "more=\"\"} 1") == "line 1 is no sample");
}

// Of a relay with two shards, as room/metrics_page writes it.
constexpr std::string_view kBefore =
    R"(# HELP tandem_datagrams_dropped_total Datagrams dropped, by reason.
# TYPE tandem_datagrams_dropped_total counter
tandem_datagrams_dropped_total{shard="0",reason="bad_mac"} 5
tandem_datagrams_dropped_total{shard="0",reason="over_packet_rate"} 0
tandem_datagrams_dropped_total{shard="1",reason="bad_mac"} 0
tandem_datagrams_dropped_total{shard="1",reason="over_packet_rate"} 0
# HELP tandem_datagram_batch_size Datagrams that a turn received at once.
# TYPE tandem_datagram_batch_size histogram
tandem_datagram_batch_size_bucket{shard="0",le="1"} 10
tandem_datagram_batch_size_bucket{shard="0",le="2"} 12
tandem_datagram_batch_size_bucket{shard="0",le="+Inf"} 12
tandem_datagram_batch_size_sum{shard="0"} 14
tandem_datagram_batch_size_count{shard="0"} 12
tandem_datagram_batch_size_bucket{shard="1",le="1"} 0
tandem_datagram_batch_size_bucket{shard="1",le="2"} 0
tandem_datagram_batch_size_bucket{shard="1",le="+Inf"} 0
# TYPE tandem_rate_pauses_total counter
tandem_rate_pauses_total{shard="0"} 3
tandem_rate_pauses_total{shard="1"} 4
# TYPE tandem_stream_sent_bytes_total counter
tandem_stream_sent_bytes_total{shard="0",how="copied"} 1000
tandem_stream_sent_bytes_total{shard="0",how="zero_copy"} 0
tandem_stream_sent_bytes_total{shard="0",how="spliced"} 0
)";

constexpr std::string_view kAfter = R"(tandem_datagrams_dropped_total{shard="0",reason="bad_mac"} 5
tandem_datagrams_dropped_total{shard="0",reason="over_packet_rate"} 7
tandem_datagrams_dropped_total{shard="1",reason="bad_mac"} 0
tandem_datagrams_dropped_total{shard="1",reason="over_packet_rate"} 4
tandem_datagram_batch_size_bucket{shard="0",le="1"} 15
tandem_datagram_batch_size_bucket{shard="0",le="2"} 27
tandem_datagram_batch_size_bucket{shard="0",le="+Inf"} 28
tandem_datagram_batch_size_sum{shard="0"} 62
tandem_datagram_batch_size_count{shard="0"} 28
tandem_datagram_batch_size_bucket{shard="1",le="1"} 100
tandem_datagram_batch_size_bucket{shard="1",le="2"} 100
tandem_datagram_batch_size_bucket{shard="1",le="+Inf"} 103
tandem_rate_pauses_total{shard="0"} 5
tandem_rate_pauses_total{shard="1"} 4
tandem_stream_sent_bytes_total{shard="0",how="copied"} 1250
tandem_stream_sent_bytes_total{shard="0",how="zero_copy"} 500
tandem_stream_sent_bytes_total{shard="0",how="spliced"} 250
)";

TEST_CASE("what the relay counted between two pages, over all shards") {
  const RelayTold told = told_between(parsed(kBefore), parsed(kAfter));
  CHECK(told.batch_sizes == Counts{{"1", 105}, {"2", 10}, {"+Inf", 4}});
  CHECK(told.zero_copy_share == 0.75);
  CHECK(told.dropped == Counts{{"over_packet_rate", 11}, {"paused_at_bandwidth_cap", 2}});
}

TEST_CASE("nothing has happened between twice the same page") {
  const RelayTold told = told_between(parsed(kAfter), parsed(kAfter));
  CHECK(told.batch_sizes == Counts{{"1", 0}, {"2", 0}, {"+Inf", 0}});
  CHECK(!told.zero_copy_share.has_value());
  CHECK(told.dropped.empty());
}

TEST_CASE("a page without any of it tells nothing") {
  const RelayTold told = told_between({}, parsed("process_open_fds 7\n"));
  CHECK(told.batch_sizes.empty());
  CHECK(!told.zero_copy_share.has_value());
  CHECK(told.dropped.empty());
}

TEST_CASE("counters that a restart has set back count as nothing, and no number overflows") {
  const RelayTold back = told_between(parsed(kAfter), parsed(kBefore));
  CHECK(back.batch_sizes == Counts{{"1", 0}, {"2", 0}, {"+Inf", 0}});
  CHECK(back.dropped.empty());
  const RelayTold absurd = told_between({}, parsed("tandem_rate_pauses_total 1e300\n"
                                                   "tandem_stream_sent_bytes_total NaN\n"
                                                   "tandem_datagrams_dropped_total -5\n"));
  CHECK(absurd.dropped.empty());
  CHECK(!absurd.zero_copy_share.has_value());
}

}  // namespace
}  // namespace tandem::bench
