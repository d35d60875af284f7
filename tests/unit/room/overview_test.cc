#include "room/operator/overview.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/room/fake_relay.h"

namespace tandem {
namespace {

using Json = nlohmann::json;

Metric counted(std::string_view name, std::string labels, double value) {
  return {name, "Help.", MetricType::counter, std::move(labels), value};
}

Overview sample() {
  Overview overview;
  overview.id = "fra-1";
  overview.host = "relay.example.org";
  overview.region = "eu";
  overview.node.uptime = 2500 * kNanosPerMillisecond;
  overview.node.relay = RelayState::serving;
  overview.node.sessions = 3;
  overview.node.sessions_max = 10;
  overview.node.shards = FakeRelay().shards();
  overview.node.process = {.cpu_seconds = 1.5,
                           .start_time = 1'700'000'000,
                           .resident_bytes = 4096,
                           .descriptors_open = 9,
                           .descriptors_max = 1024};
  return overview;
}

Json json_of(const Overview& overview) {
  return Json::parse(overview_json(overview));
}

TEST_CASE("an overview names the node and tells what status tells") {
  const Json page = json_of(sample());
  CHECK(page["id"] == "fra-1");
  CHECK(page["host"] == "relay.example.org");
  CHECK(page["region"] == "eu");
  CHECK(page["relay"]["state"] == "serving");
  CHECK(page["relay"]["sessions"] == 3);
  CHECK(page["relay"]["shards"][0]["datagramsDropped"] == 2);
  CHECK(page["checks"]["shards"]["status"].is_string());
  CHECK(page["uptime"] == 2);
  CHECK(page["uptimeMs"] == 2500);
  CHECK(page["process"]["cpuSeconds"] == 1.5);
  CHECK(page["process"]["startTime"] == 1'700'000'000);
  CHECK(page["process"]["descriptorsMax"] == 1024);
  CHECK_FALSE(page.contains("ok"));
}

TEST_CASE("traffic is the sum over the shards, by reason where there are reasons") {
  Overview overview = sample();
  overview.relay = {
      counted("tandem_datagrams_received_total", "shard=\"0\"", 10),
      counted("tandem_datagrams_received_total", "shard=\"1\"", 5),
      counted("tandem_datagrams_dropped_total", "shard=\"0\",reason=\"no_channel\"", 3),
      counted("tandem_datagrams_dropped_total", "shard=\"1\",reason=\"no_channel\"", 4),
      counted("tandem_datagrams_dropped_total", "shard=\"1\",reason=\"bad_mac\"", 1),
      counted("tandem_datagrams_dropped_total", "shard=\"1\",reason=\"too_large\"", 0),
      counted("tandem_joins_total", "shard=\"0\",outcome=\"paired\"", 7),
      counted("tandem_stream_bytes_total", "shard=\"0\"", 5e12),
      counted("tandem_unheard_of_total", "", 1),
  };
  const Json traffic = json_of(overview)["traffic"];
  CHECK(traffic["datagrams"]["received"] == 15);
  CHECK(traffic["datagrams"]["dropped"] == Json{{"no_channel", 7}, {"bad_mac", 1}});
  CHECK(traffic["streams"]["joins"] == Json{{"paired", 7}});
  CHECK(traffic["streams"]["bytes"] == 5'000'000'000'000);
  // What was never counted is told all the same, so that a reader needs no defaults.
  CHECK(traffic["datagrams"]["forwarded"] == 0);
  CHECK(traffic["datagrams"]["unsent"] == Json::object());
  CHECK(traffic["abuse"]["autoBlocks"] == 0);
}

TEST_CASE("a label is found by its whole name") {
  Overview overview = sample();
  overview.relay = {counted("tandem_joins_total", "some_outcome=\"no\",outcome=\"yes\"", 1)};
  CHECK(json_of(overview)["traffic"]["streams"]["joins"] == Json{{"yes", 1}});
}

TEST_CASE("the room service at a glance") {
  Overview overview = sample();
  CHECK(json_of(overview)["rooms"]["enabled"] == false);
  CHECK(json_of(overview)["storage"]["status"] == "off");
  CHECK(json_of(overview)["latency"]["p95Ms"].is_null());
  overview.rooms = {.enabled = true,
                    .rooms = 4,
                    .rooms_max = 5000,
                    .members = 9,
                    .clients = 12,
                    .connections = 13,
                    .connections_max = 10'000,
                    .websockets = 11,
                    .subscribers = 2,
                    .events_total = 99,
                    .events_refused_total = 1,
                    .p2p_succeeded_total = 5,
                    .p2p_failed_total = 6,
                    .authentications_failed_total = 7,
                    .latency = {{1, 2}, {10, 0, 0}},
                    .storage = {.driver = "sqlite", .health = StorageHealth::behind, .queued = 8},
                    .cluster = {.configured = true, .connected = true, .nodes = 3}};
  const Json page = json_of(overview);
  CHECK(page["rooms"]["enabled"] == true);
  CHECK(page["rooms"]["rooms"] == 4);
  CHECK(page["rooms"]["clients"] == 12);
  CHECK(page["rooms"]["events"] == 99);
  CHECK(page["rooms"]["authenticationsFailed"] == 7);
  CHECK(page["latency"]["p50Ms"] == 0.5);
  CHECK(page["latency"]["counts"] == Json{10, 0, 0});
  CHECK(page["storage"]["driver"] == "sqlite");
  CHECK(page["storage"]["status"] == "behind");
  CHECK(page["storage"]["queued"] == 8);
  CHECK(page["cluster"]["nodes"] == 3);
}

TEST_CASE("names that are no UTF-8 make no broken JSON") {
  Overview overview = sample();
  overview.id = "a\xff";
  CHECK(json_of(overview)["id"] == "a\xEF\xBF\xBD");
}

TEST_CASE("percentiles lie within their bucket") {
  const EventLatency latency{{1, 5, 10}, {50, 40, 8, 2}};
  CHECK(latency_percentile(latency, 0.5) == doctest::Approx(1));
  CHECK(latency_percentile(latency, 0.25) == doctest::Approx(0.5));
  CHECK(latency_percentile(latency, 0.7) == doctest::Approx(3));
  CHECK(latency_percentile(latency, 0.9) == doctest::Approx(5));
  CHECK(latency_percentile(latency, 0.94) == doctest::Approx(7.5));
  CHECK(latency_percentile(latency, 0.99) == doctest::Approx(10));  // more is not known
  CHECK(latency_percentile({{1, 5}, {0, 4, 0}}, 0.5) == doctest::Approx(3));
  CHECK_FALSE(latency_percentile({{1, 5}, {0, 0, 0}}, 0.5));
  CHECK_FALSE(latency_percentile({}, 0.5));
}

}  // namespace
}  // namespace tandem
