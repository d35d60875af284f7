#include "room/operator/operator_request.h"

#include <doctest/doctest.h>

#include <string>

namespace tandem {
namespace {

constexpr std::string_view kId = "0123456789abcdef";

HttpRequest request(std::string_view method, std::string_view target, std::string_view body = {}) {
  return {.method = method, .target = target, .body = body};
}

template <class Wanted>
Wanted parsed(std::string_view method, std::string_view target, std::string_view body = {}) {
  CHECK(is_operator_request(request(method, target, body)));
  const auto found = parse_operator_request(request(method, target, body));
  REQUIRE_MESSAGE(found.has_value(), method, " ", target);
  REQUIRE(std::holds_alternative<Wanted>(*found));
  return std::get<Wanted>(*found);
}

HttpReply refused(std::string_view method, std::string_view target, std::string_view body = {}) {
  const auto found = parse_operator_request(request(method, target, body));
  REQUIRE_MESSAGE(!found.has_value(), method, " ", target, " ", body);
  return found.error();
}

TEST_CASE("each route means one request") {
  parsed<operation::Page>("GET", "/");
  parsed<operation::Page>("HEAD", "/dashboard?from=here");
  parsed<operation::Overview>("GET", "http://relay.example.org/api/v1/overview");
  CHECK(parsed<admin::Sessions>("GET", "/api/v1/sessions").max == 50);
  CHECK(parsed<admin::Sessions>("GET", "/api/v1/sessions?limit=1000").max == 1000);
  CHECK(parsed<admin::Session>("GET", "/api/v1/sessions/0123456789abcdef").id == 0x123456789abcdef);
  CHECK(parsed<admin::Kick>("DELETE", "/api/v1/sessions/0123456789abcdef").id == 0x123456789abcdef);
  parsed<admin::Blocks>("GET", "/api/v1/blocks");
  CHECK(parsed<operation::CloseRoom>("DELETE", "/api/v1/rooms/8c2f4a10-5b1e").id ==
        "8c2f4a10-5b1e");
}

TEST_CASE("what belongs to others is left to them") {
  CHECK_FALSE(is_operator_request(request("POST", "/api/v1/sessions")));
  CHECK_FALSE(is_operator_request(request("GET", "/api/v1/rooms/8c2f4a10")));
  for (const char* method : {"GET", "HEAD"}) {
    CHECK(is_operator_request(request(method, "/api/v1/rooms?all=true")));
    const auto some = parsed<operation::Rooms>(method, "/api/v1/rooms?all=true");
    CHECK(some.limit == 50);
    CHECK(some.cursor == 0);
    const auto next =
        parsed<operation::Rooms>(method, "/api/v1/rooms?all=true&limit=200&cursor=4294967295");
    CHECK(next.limit == 200);
    CHECK(next.cursor == 4'294'967'295);
    for (const char* query : {"", "?all", "?all=false", "?all=1"})
      CHECK_FALSE(is_operator_request(request(method, std::string("/api/v1/rooms") + query)));
  }
  CHECK_FALSE(is_operator_request(request("DELETE", "/api/v1/rooms?all=true")));
  CHECK_FALSE(is_operator_request(request("DELETE", "/api/v1/rooms/by-code/ABCDEF")));
  for (const char* path : {"/health", "/metrics", "/api/v1/rooms", "/api/v1/sessionsx",
                           "/api/v1/sessions/a/b", "/api/v1/sessions/", "/dashboard/", "/x", ""})
    CHECK_MESSAGE(!is_operator_request(request("GET", path)), path);
}

TEST_CASE("a block has a network and a duration") {
  const auto block =
      parsed<admin::Block>("POST", "/api/v1/blocks", R"({"network":"10.1.2.3/8","seconds":300})");
  CHECK(to_string(block.network) == "10.0.0.0/8");
  CHECK(block.seconds == 300);
  const auto forever =
      parsed<admin::Block>("POST", "/api/v1/blocks", R"({"network":"2001:db8::/32"})");
  CHECK(to_string(forever.network) == "2001:db8::/32");
  CHECK(forever.seconds == 0);
  for (const char* body :
       {"", "[]", "{", "{}", R"({"network":1})", R"({"network":"10.0.0.0/33"})",
        R"({"seconds":300})", R"({"network":"10.0.0.1","seconds":-1})",
        R"({"network":"10.0.0.1","seconds":1.5})", R"({"network":"10.0.0.1","seconds":"1"})",
        R"({"network":"10.0.0.1","seconds":4294967296})", R"({"network":"10.0.0.1","why":"x"})",
        R"({"network":"10.0.0.1","seconds":{"deep":[[[[1]]]]}})", "network=10.0.0.1"})
    CHECK(refused("POST", "/api/v1/blocks", body).status == 400);
  CHECK(refused("POST", "/api/v1/blocks", R"({"network":"x"})").body.find("\\\"network\\\"") !=
        std::string::npos);
}

TEST_CASE("a network in a query may be escaped") {
  for (const char* target :
       {"/api/v1/blocks?network=10.0.0.0/8", "/api/v1/blocks?network=10.0.0.0%2F8"})
    CHECK(to_string(parsed<admin::Unblock>("DELETE", target).network) == "10.0.0.0/8");
  const auto v6 = parsed<admin::Unblock>("DELETE", "/api/v1/blocks?network=2001%3Adb8%3A%3A%2F32");
  CHECK(to_string(v6.network) == "2001:db8::/32");
  for (const char* target : {"/api/v1/blocks", "/api/v1/blocks?network=", "/api/v1/blocks?net=x"})
    CHECK(refused("DELETE", target).status == 400);
}

TEST_CASE("draining is said, not switched over") {
  CHECK(parsed<admin::SetDraining>("POST", "/api/v1/drain", R"({"draining":true})").draining);
  CHECK_FALSE(
      parsed<admin::SetDraining>("POST", "/api/v1/drain", R"( {"draining" : false} )").draining);
  for (const char* body :
       {"", "{}", R"({"draining":1})", R"({"draining":"true"})", R"({"drain":1})"})
    CHECK(refused("POST", "/api/v1/drain", body).status == 400);
}

TEST_CASE("a limit is a number within its bounds") {
  for (const char* limit : {"0", "1001", "-1", "ten", "1e2", "99999999999999999999", "5x"})
    CHECK(refused("GET", std::string("/api/v1/sessions?limit=").append(limit)).status == 400);
  for (const char* page :
       {"limit=0", "limit=201", "limit=x", "cursor=x", "cursor=-1", "cursor=4294967296"})
    CHECK(refused("GET", std::string("/api/v1/rooms?all=true&").append(page)).status == 400);
}

TEST_CASE("what cannot be an id is not there") {
  for (const char* id : {"x", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeg", ".."})
    for (const char* method : {"GET", "DELETE"})
      CHECK(refused(method, std::string("/api/v1/sessions/").append(id)).status == 404);
  CHECK(refused("DELETE", "/api/v1/rooms/a%22b").status == 404);
  CHECK(refused("DELETE", std::string("/api/v1/rooms/").append(65, 'a')).status == 404);
}

TEST_CASE("another method is told which there are") {
  const auto allowed = [](std::string_view method, std::string target) {
    const HttpReply reply = refused(method, target);
    CHECK(reply.status == 405);
    return std::string(reply.allow);
  };
  CHECK(allowed("POST", "/") == "GET, HEAD");
  CHECK(allowed("PUT", "/api/v1/sessions") == "GET, HEAD, POST");
  CHECK(allowed("POST", std::string("/api/v1/sessions/").append(kId)) == "GET, HEAD, DELETE");
  CHECK(allowed("PATCH", "/api/v1/blocks") == "GET, HEAD, POST, DELETE");
  CHECK(allowed("GET", "/api/v1/drain") == "POST");
}

}  // namespace
}  // namespace tandem
