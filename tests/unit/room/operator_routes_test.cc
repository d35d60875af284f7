#include "room/operator/operator_routes.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "room/dashboard/page.h"
#include "tests/unit/room/fake_relay.h"

namespace tandem {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kToken = "s3cret";
constexpr std::string_view kFirst = "/api/v1/sessions/0123456789abcdef";

// The routes over a relay and rooms of the test's own.
struct Node {
  FakeRelay relay;
  std::set<std::string, std::less<>> rooms = {"8c2f4a10"};
  bool stopping = false;
  OperatorRoutes routes{relay, sources()};

  OperatorSources sources() {
    return {
        .token = kToken,
        .identity =
            [] {
              return NodeIdentity{"fra-1", "relay.example.org", "eu"};
            },
        .node =
            [this] {
              NodeState state;
              state.relay = relay.state();
              state.sessions = relay.sessions();
              state.sessions_max = relay.sessions_max();
              state.shards = relay.shards();
              return state;
            },
        .rooms =
            [this] {
              RoomOverview overview;
              overview.enabled = true;
              overview.rooms = rooms.size();
              return overview;
            },
        .set_draining =
            [this](bool draining) {
              if (stopping) return DrainSwitch::stopping;
              relay.set_draining(draining);
              return DrainSwitch::switched;
            },
        .rooms_json =
            [](std::uint32_t cursor, std::uint32_t limit) {
              return fmt::format(R"({{"rooms":[{{"id":"8c2f4a10"}}],"nextCursor":"{}"}})",
                                 cursor + limit);
            },
        .close_room = [this](std::string_view id) { return rooms.erase(std::string(id)) == 1; }};
  }

  // Nothing where the answer is still due.
  std::optional<HttpReply> ask(std::string_view method, std::string_view target,
                               std::string_view body = {},
                               std::string_view authorization = "Bearer s3cret") {
    std::optional<HttpReply> reply;
    ask_into(reply, method, target, body, authorization);
    return reply;
  }
  void ask_into(std::optional<HttpReply>& reply, std::string_view method, std::string_view target,
                std::string_view body = {}, std::string_view authorization = "Bearer s3cret") {
    routes.answer({.method = method,
                   .target = target,
                   .authorization = authorization,
                   .body = body,
                   .client = IpAddress::v4(127, 0, 0, 1)},
                  OperatorRoutes::Answer([&reply](HttpReply given) {
                    CHECK_FALSE(reply.has_value());
                    reply = std::move(given);
                  }));
  }
  HttpReply answered(std::string_view method, std::string_view target, std::string_view body = {}) {
    auto reply = ask(method, target, body);
    REQUIRE(reply.has_value());
    return std::move(*reply);
  }
  Json json(std::string_view method, std::string_view target, std::string_view body = {}) {
    const HttpReply reply = answered(method, target, body);
    CHECK(reply.status == 200);
    CHECK(reply.content_type == "application/json");
    return Json::parse(reply.body);
  }
};

TEST_CASE("the page is for everybody and brings its policy") {
  Node node;
  for (const char* path : {"/", "/dashboard"}) {
    const auto reply = node.ask("GET", path, {}, {});
    REQUIRE(reply.has_value());
    CHECK(reply->status == 200);
    CHECK(reply->content_type == "text/html; charset=utf-8");
    CHECK(reply->body == dashboard_page());
    CHECK(reply->content_security_policy == dashboard_policy());
  }
  CHECK(node.ask("POST", "/", {}, {}).value().status == 405);
  CHECK(dashboard_page().starts_with("<!DOCTYPE html>"));
  CHECK(dashboard_page().find("</html>") != std::string_view::npos);
  CHECK(dashboard_policy().starts_with("default-src 'none'; script-src 'sha256-"));
  CHECK(dashboard_policy().find("unsafe") == std::string_view::npos);
}

TEST_CASE("everything else wants the operator's token") {
  Node node;
  const std::pair<const char*, std::string> routes[] = {
      {"GET", "/api/v1/overview"},
      {"GET", "/api/v1/sessions"},
      {"GET", std::string(kFirst)},
      {"DELETE", std::string(kFirst)},
      {"GET", "/api/v1/blocks"},
      {"POST", "/api/v1/blocks"},
      {"DELETE", "/api/v1/blocks?network=10.0.0.1"},
      {"POST", "/api/v1/drain"},
      {"GET", "/api/v1/rooms?all=true"},
      {"DELETE", "/api/v1/rooms/8c2f4a10"},
      // What is wrong otherwise is nothing that strangers learn.
      {"PATCH", "/api/v1/blocks"},
      {"GET", "/api/v1/sessions/nonsense"},
  };
  for (const auto& [method, target] : routes)
    for (const char* header : {"", "Bearer", "Bearer s3cre", "Bearer s3crets", "Basic s3cret"}) {
      const auto reply = node.ask(method, target, R"({"draining":true})", header);
      REQUIRE(reply.has_value());
      CHECK(reply->status == 401);
      CHECK(reply->challenge == "Bearer");
      CHECK(reply->body.find("AUTH_FAILED") != std::string::npos);
    }
  CHECK(node.relay.rows_.size() == 2);
  CHECK(node.relay.state() == RelayState::serving);
  CHECK(node.rooms.size() == 1);
}

TEST_CASE("the overview is of this node and its relay") {
  Node node;
  const Json page = node.json("GET", "/api/v1/overview");
  CHECK(page["id"] == "fra-1");
  CHECK(page["relay"]["sessions"] == 2);
  CHECK(page["features"]["backend"] == "io_uring");
  CHECK(page["rooms"]["rooms"] == 1);
  CHECK(page["traffic"]["datagrams"].is_object());
}

TEST_CASE("sessions are listed, shown and ended") {
  Node node;
  const Json list = node.json("GET", "/api/v1/sessions?limit=1");
  CHECK(list["total"] == 2);
  REQUIRE(list["sessions"].size() == 1);
  CHECK(list["sessions"][0]["id"] == "0123456789abcdef");
  CHECK(list["sessions"][0]["a"]["udp"] == "192.0.2.7:4000");
  CHECK(list["sessions"][0]["a"]["bytes"] == 1 << 20);
  CHECK(list["sessions"][0]["b"]["udp"].is_null());
  CHECK(node.json("GET", kFirst)["droppedPackets"] == 4);
  CHECK(node.json("DELETE", kFirst)["sessionId"] == "0123456789abcdef");
  CHECK(node.relay.rows_.size() == 1);
  CHECK(node.answered("DELETE", kFirst).status == 404);
  CHECK(node.answered("GET", kFirst).status == 404);
  CHECK(node.json("GET", "/api/v1/sessions")["total"] == 1);
}

TEST_CASE("one list of sessions is under way for all who ask") {
  Node node;
  node.relay.hold_ = true;
  std::optional<HttpReply> first;
  std::optional<HttpReply> second;
  node.ask_into(first, "GET", "/api/v1/sessions?limit=1");
  node.ask_into(second, "GET", "/api/v1/sessions");
  CHECK_FALSE(first.has_value());
  node.relay.rows_.erase(0x0123456789abcdef);  // after the relay was asked: still in its answer
  node.relay.release();
  REQUIRE(first.has_value());
  REQUIRE(second.has_value());
  CHECK(Json::parse(first->body)["sessions"].size() == 1);
  CHECK(Json::parse(second->body)["sessions"].size() == 2);
  std::optional<HttpReply> third;  // asks anew
  node.ask_into(third, "GET", "/api/v1/sessions");
  node.relay.release();
  REQUIRE(third.has_value());
  CHECK(Json::parse(third->body)["sessions"].size() == 1);
}

TEST_CASE("what the relay answers after the routes are gone goes nowhere") {
  FakeRelay relay;
  relay.hold_ = true;
  bool answered = false;
  {
    Node node;
    OperatorRoutes routes(relay, node.sources());
    routes.answer({.method = "GET", .target = "/api/v1/sessions", .authorization = "Bearer s3cret"},
                  OperatorRoutes::Answer([&](const HttpReply&) { answered = true; }));
  }
  relay.release();
  CHECK_FALSE(answered);
}

TEST_CASE("networks are blocked and let in again") {
  Node node;
  CHECK(node.json("GET", "/api/v1/blocks")["blocks"] == Json::array());
  const Json made = node.json("POST", "/api/v1/blocks", R"({"network":"10.1.2.3/8","seconds":60})");
  CHECK(made == Json{{"network", "10.0.0.0/8"}, {"seconds", 60}});
  REQUIRE(node.relay.blocks_.size() == 1);
  CHECK(node.relay.blocks_[0].remaining == 60 * kNanosPerSecond);
  CHECK(node.json("GET", "/api/v1/blocks")["blocks"][0] ==
        Json{{"network", "10.0.0.0/8"}, {"automatic", false}, {"remainingMs", 60'000}});
  CHECK(node.json("DELETE", "/api/v1/blocks?network=10.0.0.0%2F8")["network"] == "10.0.0.0/8");
  CHECK(node.relay.blocks_.empty());
  CHECK(node.answered("DELETE", "/api/v1/blocks?network=10.0.0.0/8").status == 404);
}

TEST_CASE("a node is drained and undrained, unless it stops") {
  Node node;
  CHECK(node.json("POST", "/api/v1/drain", R"({"draining":true})")["draining"] == true);
  CHECK(node.relay.state() == RelayState::draining);
  CHECK(node.json("POST", "/api/v1/drain", R"({"draining":false})")["draining"] == false);
  CHECK(node.relay.state() == RelayState::serving);
  node.stopping = true;
  CHECK(node.answered("POST", "/api/v1/drain", R"({"draining":false})").status == 409);
}

TEST_CASE("a room is closed once") {
  Node node;
  CHECK(node.json("GET", "/api/v1/rooms?all=true")["rooms"][0]["id"] == "8c2f4a10");
  CHECK(node.json("GET", "/api/v1/rooms?all=true&limit=7&cursor=3")["nextCursor"] == "10");
  CHECK(node.json("DELETE", "/api/v1/rooms/8c2f4a10")["roomId"] == "8c2f4a10");
  CHECK(node.rooms.empty());
  CHECK(node.answered("DELETE", "/api/v1/rooms/8c2f4a10").status == 404);
}

// Fails every request as a shard does whose ring is full.
class StuckRelay final : public RelayControl {
 public:
  [[nodiscard]] RelayState state() const override { return RelayState::serving; }
  [[nodiscard]] const RelayFeatures& features() const override { return features_; }
  [[nodiscard]] std::vector<ShardSummary> shards() const override { return {}; }
  [[nodiscard]] std::uint64_t sessions() const override { return 0; }
  [[nodiscard]] std::uint64_t sessions_max() const override { return 1; }
  [[nodiscard]] bool healthy() const override { return false; }
  void collect(Metrics&) const override {}
  void kick(std::uint64_t, Done done) override { done(RelayOutcome::request_failed); }
  void block(const Network&, Nanos, Done done) override { done(RelayOutcome::table_full); }
  void unblock(const Network&, Done done) override { done(RelayOutcome::request_failed); }
  void blocks(std::function<void(RelayOutcome, std::vector<BlockRow>)> done) override {
    done(RelayOutcome::request_failed, {});
  }
  void list_sessions(std::uint32_t,
                     std::function<void(RelayOutcome, std::vector<SessionRow>)> done) override {
    done(RelayOutcome::request_failed, {});
  }
  void describe_session(std::uint64_t,
                        std::function<void(RelayOutcome, SessionRow)> done) override {
    done(RelayOutcome::request_failed, {});
  }
  void set_draining(bool) override {}
  void apply(const ShardSettings&, Done) override {}

 private:
  RelayFeatures features_;
};

TEST_CASE("a shard that does not answer is told as such") {
  Node node;
  StuckRelay relay;
  OperatorRoutes routes(relay, node.sources());
  const auto status = [&](std::string_view method, std::string_view target, std::string_view body) {
    unsigned given = 0;
    routes.answer(
        {.method = method, .target = target, .authorization = "Bearer s3cret", .body = body},
        OperatorRoutes::Answer([&](const HttpReply& reply) { given = reply.status; }));
    return given;
  };
  CHECK(status("GET", "/api/v1/sessions", {}) == 503);
  CHECK(status("GET", kFirst, {}) == 503);
  CHECK(status("DELETE", kFirst, {}) == 503);
  CHECK(status("GET", "/api/v1/blocks", {}) == 503);
  CHECK(status("POST", "/api/v1/blocks", R"({"network":"10.0.0.1"})") == 503);
  CHECK(status("DELETE", "/api/v1/blocks?network=10.0.0.1", {}) == 503);
}

}  // namespace
}  // namespace tandem
