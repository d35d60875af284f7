#include "room/admission/guest_login.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "room/admission/bearer_token.h"

namespace tandem {
namespace {

using Json = nlohmann::json;

TEST_CASE("what a guest may say of itself") {
  CHECK(parse_guest_request(R"({"username":"Ada"})") == GuestRequest{"Ada", "", ""});
  CHECK(parse_guest_request(
            R"( {"username":"\u00c5sa","platform":"linux","version":"1.2.0","more":[1]} )") ==
        GuestRequest{"\u00c5sa", "linux", "1.2.0"});
  CHECK(parse_guest_request(R"({"username":"Ada","platform":null,"version":""})") ==
        GuestRequest{"Ada", "", ""});
  const std::string longest =
      "\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac"
      "\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac"
      "\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac"
      "\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac";
  CHECK(parse_guest_request(fmt::format(R"({{"username":"{}"}})", longest))->username == longest);
  CHECK(!parse_guest_request(fmt::format(R"({{"username":"{}x"}})", longest)));
}

TEST_CASE("what is wrong is named") {
  for (const char* body :
       {"", " ", "[]", "null", "\"Ada\"", "{\"username\":\"Ada\"", "username=Ada"})
    CHECK(parse_guest_request(body).error() == "the body has to be one JSON object");
  for (const char* body : {"{}", R"({"username":null})", R"({"Username":"Ada"})"})
    CHECK(parse_guest_request(body).error() == "\"username\" is missing");
  for (const char* name : {"\"\"", "1", "[\"Ada\"]", "\"a\\nb\"", "\"\xff\"", "\"\\u202e\""})
    CHECK(parse_guest_request(fmt::format(R"({{"username":{}}})", name)).error() ==
          "\"username\" has to be a string of 1 to 32 characters, none of them a control "
          "character");
  for (const char* member : {"platform", "version"}) {
    const auto with = [&](std::string_view value) {
      return parse_guest_request(fmt::format(R"({{"username":"Ada","{}":{}}})", member, value));
    };
    CHECK(with("\"0123456789abcdef\"").has_value());
    for (const char* value : {"\"0123456789abcdefg\"", "1", "{}", "\"\\u0007\""})
      CHECK(with(value).error() ==
            fmt::format("\"{}\" has to be a string of 0 to 16 characters, none of them a control "
                        "character",
                        member));
  }
}

TEST_CASE("a guest's token lets it in") {
  const JwtKeys keys = parse_jwt_keys("k1 0123456789abcdef0123456789abcdef").value();
  const GuestRules rules{.jwt = {.issuer = "us", .audience = "them"}, .lifetime_s = 600};
  const auto answer = Json::parse(grant_guest({.username = "A\"da", .platform = "", .version = ""},
                                              "id-1", keys, rules, 1'000));
  CHECK(answer.size() == 3);
  CHECK(answer["clientId"] == "id-1");
  CHECK(answer["expiresIn"] == 600);
  CHECK(verify_jwt(answer["token"].get<std::string>(), keys, rules.jwt, 1'000) ==
        JwtClaims{.subject = "id-1", .name = "A\"da", .expires_at = 1'600});
}

TEST_CASE("a bearer's token") {
  CHECK(bearer_token("Bearer a.b.c") == "a.b.c");
  CHECK(bearer_token("bEARER   x y") == "x y");
  for (const char* header : {"", "Bearer", "Bearer  ", "Basic x", "Bearers x", "x"})
    CHECK(bearer_token(header) == "");
}

}  // namespace
}  // namespace tandem
