#include "room/operator/session_routes.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

namespace tandem {
namespace {

using Json = nlohmann::json;

const SessionOffer kOffer{
    .host = "relay.example.org", .port = 7777, .tcp = true, .udp = true, .expires_max_s = 86'400};

TEST_CASE("the operator is who shows the token") {
  using enum OperatorVerdict;
  CHECK(judge_operator("Bearer s3cret", "s3cret") == admitted);
  CHECK(judge_operator("bEaReR   s3cret", "s3cret") == admitted);
  for (const char* header : {"", "Bearer", "Bearer ", "Bearer   ", "s3cret", "Basic s3cret",
                             "BearerX s3cret", "Beare s3cret", " Bearer s3cret", "Bearer\ts3cret"})
    CHECK(judge_operator(header, "s3cret") == no_token);
  for (const char* header : {"Bearer s3cre", "Bearer s3cret1", "Bearer S3cret", "Bearer s3cret ",
                             "Bearer s3cret s3cret", "Bearer x"})
    CHECK(judge_operator(header, "s3cret") == wrong_token);
}

TEST_CASE("what a request leaves out is the default, within what the node offers") {
  for (const char* body : {"", "{}", " { } "}) {
    const auto request = parse_session_request(body, kOffer);
    REQUIRE(request);
    CHECK(*request == MintRequest{});
  }
  SessionOffer small = kOffer;
  small.expires_max_s = 600;
  small.udp = false;
  CHECK(*parse_session_request("", small) == MintRequest{.udp = false, .expires_in_s = 600});
}

TEST_CASE("every member") {
  const auto request = parse_session_request(
      R"({"sessionId":"0123456789abcDEF","transports":["udp"],"expiresInS":86400,)"
      R"("rateKbps":4294967295,"lanesMax":65535,"prove":true})",
      kOffer);
  REQUIRE(request);
  CHECK(*request == MintRequest{.session_id = 0x0123456789abcdef,
                                .tcp = false,
                                .udp = true,
                                .prove = true,
                                .expires_in_s = 86'400,
                                .rate_kbps = 4'294'967'295,
                                .lanes_max = 65'535});
  CHECK(*parse_session_request(R"({"transports":["udp","tcp","udp"],"expiresInS":1})", kOffer) ==
        MintRequest{.expires_in_s = 1});
}

TEST_CASE("what is wrong is named") {
  const auto error = [](std::string_view body, const SessionOffer& offer = kOffer) {
    const auto request = parse_session_request(body, offer);
    REQUIRE(!request);
    return request.error();
  };
  for (const char* body : {" ", "x", "[]", "null", "1", "\"{}\"", "{}{}", "{\"prove\":true",
                           "{\"\xff\":1}", "{'prove':true}"})
    CHECK(error(body) == "the body has to be one JSON object, or empty");
  const auto expect = [&](std::string_view member, std::initializer_list<const char*> values,
                          std::string_view right) {
    for (const char* value : values) {
      const std::string name = '"' + std::string(member) + '"';
      CHECK(error('{' + name + ':' + value + '}') == name + " has to be " + std::string(right));
    }
  };
  expect("sessionId",
         {"null", "1", "\"\"", "\"123456789abcdef\"", "\"0123456789abcdefa\"",
          "\"0123456789abcdeg\"", "[\"0123456789abcdef\"]"},
         "16 hex digits");
  expect("transports",
         {"null", "\"tcp\"", "[]", "[\"TCP\"]", "[\"tcp\",1]", "[\"tcp\",\"\"]", "{}",
          "{\"tcp\":true}", "[[\"tcp\"]]"},
         R"(["tcp"], ["udp"] or ["tcp","udp"])");
  expect("expiresInS",
         {"null", "0", "86401", "-1", "60.0", "1e2", "\"60\"", "18446744073709551616"},
         "an integer from 1 to 86400");
  expect("rateKbps", {"-1", "4294967296", "true"}, "an integer from 0 to 4294967295");
  expect("lanesMax", {"65536", "\"1\""}, "an integer from 0 to 65535");
  expect("prove", {"null", "1", "\"true\""}, "true or false");
  CHECK(error(R"({"slot":"a"})") ==
        "\"slot\" is not known here: there are sessionId, transports, expiresInS, rateKbps, "
        "lanesMax and prove");
  CHECK(error("{\"" + std::string(10'000, 'x') + "\":1}").size() < 200);
}

TEST_CASE("a transport that the node does not serve") {
  SessionOffer offer = kOffer;
  offer.udp = false;
  CHECK(parse_session_request(R"({"transports":["tcp"]})", offer));
  CHECK(parse_session_request(R"({"transports":["tcp","udp"]})", offer).error() ==
        R"("transports" has to be ["tcp"]: this relay serves no UDP)");
  offer.tcp = false;
  CHECK(parse_session_request("", offer).error() == "this node relays neither TCP nor UDP");
}

TEST_CASE("the answer") {
  const MintedTokens minted{.session_id = 0xfedc,
                            .expires_at = 1'893'456'000,
                            .tcp = false,
                            .udp = true,
                            .prove = true,
                            .a = "A",
                            .b = "B"};
  const Json with_host = Json::parse(session_json(minted, kOffer));
  CHECK(with_host == Json{{"sessionId", "000000000000fedc"},
                          {"server", "relay.example.org"},
                          {"port", 7777},
                          {"transports", {"udp"}},
                          {"expiresAt", 1'893'456'000},
                          {"tokens", {{"a", "A"}, {"b", "B"}}}});
  SessionOffer nameless = kOffer;
  nameless.host.clear();
  CHECK(!Json::parse(session_json(minted, nameless)).contains("server"));
}

}  // namespace
}  // namespace tandem
