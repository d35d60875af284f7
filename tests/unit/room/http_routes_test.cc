#include "room/http_routes.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/room/fake_relay.h"

namespace tandem {
namespace {

using Json = nlohmann::json;

NodeState good_node() {
  return {.unix_ms = 1'700'000'000'123,
          .uptime = 75 * kNanosPerSecond,
          .relay = RelayState::serving,
          .shards_answer = true,
          .sessions = 2,
          .sessions_max = 10,
          .shards = FakeRelay().shards(),
          .process = {.resident_bytes = 1000,
                      .descriptors_open = 10,
                      .descriptors_max = 100,
                      .host_memory_bytes = 1000,
                      .host_memory_available_bytes = 500}};
}

HttpReply get(std::string_view target, const NodeState& node, std::string_view method = "GET") {
  return answer_http({method, target}, {[&] { return node; },
                                        [] {
                                          return Metrics{{"a", "A.", MetricType::gauge, {}, 1}};
                                        }});
}

TEST_CASE("/health tells all there is to know") {
  const HttpReply reply = get("/health", good_node());
  CHECK(reply.status == 200);
  CHECK(reply.content_type == "application/json");
  const Json body = Json::parse(reply.body);
  CHECK(body["status"] == "ok");
  CHECK(body["timestamp"] == "2023-11-14T22:13:20.123Z");
  CHECK(body["uptime"] == 75);
  CHECK(body["version"].is_string());
  CHECK(body["memory"]["residentBytes"] == 1000);
  CHECK(body["relay"]["state"] == "serving");
  CHECK(body["relay"]["sessions"] == 2);
  CHECK(body["relay"]["sessionsMax"] == 10);
  CHECK(body["relay"]["sessionsLeft"] == 8);
  CHECK(body["relay"]["shards"][0]["turns"] == 77);
  for (const char* check : {"memory", "fileDescriptors", "shards"})
    CHECK(body["checks"][check]["status"] == "ok");
}

TEST_CASE("/health is degraded before it is broken") {
  NodeState node = good_node();
  const auto status = [&] { return Json::parse(get("/health", node).body)["status"]; };
  node.process.host_memory_available_bytes = 49;
  CHECK(status() == "degraded");
  CHECK(get("/health", node).status == 200);
  node = good_node();
  node.process.descriptors_open = 91;
  CHECK(status() == "degraded");
  node = good_node();
  node.shards_answer = false;
  CHECK(status() == "error");
  CHECK(get("/health", node).status == 503);
  node.relay = RelayState::starting;  // they cannot answer yet
  CHECK(status() == "ok");
  node.relay = RelayState::stopped;
  CHECK(get("/health", node).status == 503);
}

TEST_CASE("more sessions than there is room for are no negative room") {
  NodeState node = good_node();
  node.sessions = 11;
  CHECK(Json::parse(get("/health", node).body)["relay"]["sessionsLeft"] == 0);
}

TEST_CASE("/ready while it should get traffic") {
  NodeState node = good_node();
  const auto expect = [&](unsigned status, std::string_view state) {
    const HttpReply reply = get("/ready", node);
    CHECK(reply.status == status);
    CHECK(Json::parse(reply.body)["ready"] == (status == 200));
    CHECK(Json::parse(reply.body)["state"] == state);
  };
  expect(200, "ready");
  node.relay = RelayState::starting;
  expect(503, "starting");
  node.relay = RelayState::draining;
  expect(503, "draining");
  node.relay = RelayState::stopped;
  expect(503, "draining");
  node = good_node();
  node.sessions = 10;
  expect(503, "full");
  node.shards_answer = false;
  expect(503, "unhealthy");
}

TEST_CASE("/metrics, unless it is switched off") {
  const HttpReply reply = get("/metrics", good_node());
  CHECK(reply.status == 200);
  CHECK(reply.content_type == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(reply.body == "# HELP a A.\n# TYPE a gauge\na 1\n");
  CHECK(answer_http({"GET", "/metrics"}, {good_node, {}}).status == 404);
}

TEST_CASE("a query, a fragment and a whole URI name the same path") {
  for (const char* target :
       {"/health?x=1", "/health#x", "http://relay:8080/health", "http://relay/health?u=a://b"})
    CHECK(get(target, good_node()).status == 200);
}

TEST_CASE("what there is not") {
  for (const char* target : {"/", "", "*", "/health/", "//health", "/healthz", "http://health",
                             "/x?u=http://a/health"}) {
    const HttpReply reply = get(target, good_node());
    CHECK(reply.status == 404);
    CHECK(Json::parse(reply.body)["error"]["code"] == "NOT_FOUND");
  }
}

TEST_CASE("methods") {
  CHECK(get("/health", good_node(), "HEAD").status == 200);
  CHECK(get("/health", good_node(), "HEAD").body == get("/health", good_node()).body);
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "get", "BREW"}) {
    const HttpReply reply = get("/ready", good_node(), method);
    CHECK(reply.status == 405);
    CHECK(reply.allow == "GET, HEAD");
  }
  CHECK(get("/nothing", good_node(), "POST").status == 404);
}

}  // namespace
}  // namespace tandem
