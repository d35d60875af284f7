#include "room/http_routes.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <optional>

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
  for (const char* check : {"memory", "fileDescriptors", "shards", "storage", "redis"})
    CHECK(body["checks"][check]["status"] == "ok");
}

TEST_CASE("/health tells of rooms, storage and Redis") {
  NodeState node = good_node();
  const auto body = [&] { return Json::parse(get("/health", node).body); };
  CHECK(body()["rooms"]["enabled"] == false);
  CHECK(body()["storage"]["driver"] == "none");
  CHECK(body()["redis"] ==
        Json{{"connected", false}, {"configured", false}, {"responseTime", nullptr}});
  node.rooms = {.enabled = true,
                .connections = 3,
                .connections_max = 10,
                .clients = 2,
                .rooms = 6,
                .rooms_max = 5,
                .players = 4};
  node.storage = {.driver = "sqlite", .ok = true, .queue = 1, .queue_max = 100, .dropped = 7};
  node.redis = {.configured = true, .connected = true, .response_ms = 1.5};
  CHECK(body()["connections"] == Json{{"current", 3}, {"max", 10}, {"left", 7}, {"clients", 2}});
  CHECK(body()["rooms"] ==
        Json{{"enabled", true}, {"current", 6}, {"max", 5}, {"left", 0}, {"players", 4}});
  CHECK(body()["storage"] ==
        Json{{"driver", "sqlite"}, {"ok", true}, {"queue", 1}, {"queueMax", 100}, {"dropped", 7}});
  CHECK(body()["redis"] == Json{{"connected", true}, {"configured", true}, {"responseTime", 1.5}});
  CHECK(body()["status"] == "ok");
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
  node.storage = {.driver = "sqlite", .ok = false, .queue = 0, .queue_max = 100};
  CHECK(status() == "degraded");
  CHECK(get("/health", node).status == 200);
  node.storage = {.driver = "sqlite", .ok = true, .queue = 91, .queue_max = 100};
  CHECK(status() == "degraded");
  node = good_node();
  node.redis.configured = true;
  CHECK(status() == "degraded");
  CHECK(get("/health", node).status == 200);
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
  node = good_node();
  node.rooms = {.enabled = true, .connections = 9, .connections_max = 10};
  expect(200, "ready");
  node.rooms.connections = 10;
  expect(503, "full");
  node.rooms.enabled = false;
  expect(200, "ready");
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

struct Minting {
  SessionOffer offer{
      .host = "relay.example.org", .port = 7777, .tcp = true, .udp = true, .expires_max_s = 86'400};
  std::optional<MintRequest> asked;
  Result<MintedTokens, std::string> outcome = MintedTokens{.session_id = 0xab,
                                                           .expires_at = 1'893'456'000,
                                                           .tcp = true,
                                                           .udp = true,
                                                           .prove = false,
                                                           .a = "A",
                                                           .b = "B"};

  HttpReply ask(HttpRequest request) {
    asked.reset();
    return answer_http(request, {.node = good_node,
                                 .metrics = {},
                                 .sessions = {.operator_token = "secret",
                                              .offer = [&] { return offer; },
                                              .mint =
                                                  [&](const MintRequest& wanted) {
                                                    asked = wanted;
                                                    return outcome;
                                                  }}});
  }
  HttpReply post(std::string_view body, std::string_view authorization = "Bearer secret") {
    return ask({.method = "POST",
                .target = "/api/v1/sessions",
                .authorization = authorization,
                .body = body});
  }
};

TEST_CASE("POST /api/v1/sessions mints what was asked for") {
  Minting node;
  const HttpReply reply = node.post(R"({"sessionId":"00000000000000ab","prove":true})");
  CHECK(reply.status == 201);
  CHECK(reply.content_type == "application/json");
  CHECK(reply.body ==
        R"({"sessionId":"00000000000000ab","server":"relay.example.org","port":7777,)"
        R"("transports":["tcp","udp"],"expiresAt":1893456000,"tokens":{"a":"A","b":"B"}})");
  REQUIRE(node.asked);
  CHECK(*node.asked == MintRequest{.session_id = 0xab, .prove = true});
  CHECK(node.post("").status == 201);
  CHECK(*node.asked == MintRequest{});
}

TEST_CASE("POST /api/v1/sessions refuses") {
  Minting node;
  const auto expect = [&](const HttpReply& reply, unsigned status, std::string_view code) {
    CHECK(reply.status == status);
    CHECK(Json::parse(reply.body)["error"]["code"] == code);
    CHECK(reply.challenge == (status == 401 ? "Bearer" : ""));
  };
  for (const char* authorization : {"", "Bearer", "Bearer wrong", "Basic secret", "secret"}) {
    expect(node.post("", authorization), 401, "AUTH_FAILED");
    expect(node.post("nonsense", authorization), 401, "AUTH_FAILED");
    CHECK(!node.asked);
  }
  expect(node.post("nonsense"), 400, "BAD_REQUEST");
  const HttpReply unknown = node.post(R"({"a\"\n":1})");
  expect(unknown, 400, "BAD_REQUEST");
  CHECK(Json::parse(unknown.body)["error"]["message"].get<std::string>().starts_with(
      "\"a\"\n\" is not known here"));
  CHECK(!node.asked);
  for (const char* method : {"GET", "HEAD", "PUT", "DELETE"}) {
    const HttpReply reply = node.ask(
        {.method = method, .target = "/api/v1/sessions?x", .authorization = "Bearer secret"});
    expect(reply, 405, "METHOD_NOT_ALLOWED");
    CHECK(reply.allow == "POST");
  }
  node.offer.draining = true;
  expect(node.post(""), 503, "DRAINING");
  expect(node.post("", ""), 401, "AUTH_FAILED");
  CHECK(!node.asked);
  node.offer.draining = false;
  node.outcome = unexpected(std::string("no key"));
  expect(node.post(""), 500, "INTERNAL");
}

TEST_CASE("where no operator's token is known nobody is the operator") {
  for (const char* authorization : {"", "Bearer ", "Bearer x"})
    CHECK(answer_http(
              {.method = "POST", .target = "/api/v1/sessions", .authorization = authorization},
              {good_node, {}})
              .status == 401);
}

TEST_CASE("what there is not") {
  for (const char* target : {"/", "", "*", "/health/", "//health", "/healthz", "http://health",
                             "/x?u=http://a/health", "/api/v1/sessions/", "/api/v1"}) {
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
