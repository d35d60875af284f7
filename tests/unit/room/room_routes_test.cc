#include "room/room_routes.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/unit/room/room_fixture.h"
#include "tests/unit/room/room_world.h"

namespace tandem {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kOperator = "Bearer the operator's secret";
constexpr IpAddress kHere = IpAddress::v4(192, 0, 2, 1);
constexpr IpAddress kElsewhere = IpAddress::v4(198, 51, 100, 1);

// Ann is a client who shows her token.
struct Site {
  explicit Site(const Config& config = room_config())
      : parts(config),
        routes(config, {.registry = rooms.registry,
                        .fleet = parts.fleet,
                        .store = parts.store,
                        .address_limits = parts.address_limits,
                        .client_limits = parts.client_limits,
                        .stats = parts.stats,
                        .random = rooms.random,
                        .jwt_keys = [this]() -> const JwtKeys& { return parts.jwt_keys; },
                        .operator_token = kOperator.substr(7)}),
        ann(bearer("ann")) {}

  [[nodiscard]] UnixSeconds now() const { return rooms.now.wall / 1000; }
  [[nodiscard]] std::string bearer(const std::string& sub) const {
    return bearer_of(parts.token(sub, now() + 3600));
  }
  [[nodiscard]] static std::string bearer_of(std::string_view token) {
    return fmt::format("Bearer {}", token);
  }
  HttpReply ask(std::string_view method, std::string_view target, std::string_view authorization,
                std::string_view body = {}, const IpAddress& from = kHere) {
    HttpRequest request{.method = method, .target = target};
    request.authorization = authorization;
    request.body = body;
    request.client = from;
    return routes.answer(request, rooms.now);
  }
  HttpReply get(std::string_view target) { return ask("GET", target, ann); }
  HttpReply log_in(std::string_view body = R"({"username":"Cat"})") {
    return ask("POST", "/api/v1/auth/guest", {}, body);
  }
  // The names of the rooms in a list, in its order, with blanks between.
  static std::string names(const HttpReply& reply) {
    CHECK(reply.status == 200);
    CHECK(reply.content_type == "application/json");
    std::string names;
    Json body = Json::parse(reply.body);
    for (Json& room : body["rooms"]) {
      if (!names.empty()) names += ' ';
      names += room["name"].get<std::string>();
    }
    return names;
  }

  RoomFixture parts;
  World rooms;
  RoomRoutes routes;
  std::string ann;
};

void check_error(const HttpReply& reply, unsigned status, std::string_view code) {
  CHECK(reply.status == status);
  CHECK(Json::parse(reply.body)["error"]["code"] == code);
}

// ---- whose requests these are ----

TEST_CASE("the paths that are for these routes") {
  for (const char* path :
       {"/api/v1/rooms", "/api/v1/relays", "/api/v1/auth/guest", "/api/v1/rooms/by-code/7KQ2XV",
        "/api/v1/rooms/by-code/", "/api/v1/rooms/x", "/api/v1/rooms/by-code"})
    CHECK(RoomRoutes::handles(path));
  for (const char* path :
       {"/", "", "/api/v1", "/api/v1/room", "/api/v1/roomsx", "/api/v1/relays/one", "/api/v1/auth",
        "/api/v1/auth/guests", "/api/v1/sessions", "/health"})
    CHECK(!RoomRoutes::handles(path));
}

TEST_CASE("another method is told which there are, before anybody's token is looked at") {
  Site site;
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "get"}) {
    CAPTURE(method);
    for (const char* path :
         {"/api/v1/rooms", "/api/v1/relays", "/api/v1/rooms/by-code/7KQ2XV?x=1"}) {
      const HttpReply reply = site.ask(method, path, {});
      check_error(reply, 405, "METHOD_NOT_ALLOWED");
      CHECK(reply.allow == "GET, HEAD");
    }
  }
  for (const char* method : {"GET", "HEAD", "DELETE", "PUT"}) {
    const HttpReply reply = site.ask(method, "/api/v1/auth/guest", {});
    check_error(reply, 405, "METHOD_NOT_ALLOWED");
    CHECK(reply.allow == "POST");
  }
  CHECK(site.parts.stats.missing_tokens() == 0);
}

TEST_CASE("HEAD is answered as GET is, and a whole URI as its path") {
  Site site;
  (void)site.rooms.connect("ann");
  (void)site.rooms.make_room("ann");
  const std::string body = site.get("/api/v1/rooms").body;
  CHECK(site.ask("HEAD", "/api/v1/rooms", site.ann).body == body);
  CHECK(site.get("http://rooms.example/api/v1/rooms?limit=1").body == body);
}

// ---- who may ask ----

TEST_CASE("who shows no client's token is challenged") {
  Site site;
  const std::string expired = Site::bearer_of(site.parts.token("ann", site.now()));
  for (const char* target :
       {"/api/v1/rooms", "/api/v1/rooms/x", "/api/v1/rooms/by-code/7KQ2XV", "/api/v1/relays"})
    for (const std::string& authorization :
         {std::string(), std::string("Bearer x"), std::string("Bearer the operator's"), expired}) {
      CAPTURE(authorization);
      const HttpReply reply = site.ask("GET", target, authorization);
      check_error(reply, 401, "AUTH_FAILED");
      CHECK(reply.challenge == "Bearer");
    }
  const auto why = [&](std::string_view authorization) {
    Json body = Json::parse(site.ask("GET", "/api/v1/rooms", authorization).body);
    return body["error"]["message"].get<std::string>();
  };
  CHECK(why({}) == "this wants a client's token as a Bearer token: no token");
  CHECK(why(expired) == fmt::format("this wants a client's token as a Bearer token: {}",
                                    to_string(JwtFault::expired)));
  CHECK(site.parts.stats.missing_tokens() == 5);
  CHECK(site.parts.stats.bad_tokens(JwtFault::malformed) == 8);
  CHECK(site.parts.stats.bad_tokens(JwtFault::expired) == 5);
}

TEST_CASE("who fails too often waits, with a good token too; the operator does not") {
  Site site;
  for (std::uint32_t i = 0; i <= kFailedLoginLimit.max; ++i)
    CHECK(site.ask("GET", "/api/v1/rooms", "Bearer x").status == 401);
  const HttpReply reply = site.get("/api/v1/rooms");
  check_error(reply, 429, "RATE_LIMITED");
  CHECK(reply.retry_after_s == kFailedLoginLimit.block_s);
  CHECK(site.parts.stats.limited(LimitScope::login) == 1);
  CHECK(site.ask("GET", "/api/v1/rooms", site.ann, {}, kElsewhere).status == 200);
  CHECK(site.ask("GET", "/api/v1/rooms", kOperator).status == 200);
  site.rooms.pass(kFailedLoginLimit.block_s * kNanosPerSecond);
  CHECK(site.get("/api/v1/rooms").status == 200);
}

TEST_CASE("requests are limited by client, wherever it asks from; the operator's are not") {
  Config config = room_config();
  config.room.rate_limit = {60, 3, 300};
  Site site(config);
  for (const char* target : {"/api/v1/rooms", "/api/v1/relays"})
    CHECK(site.get(target).status == 200);
  check_error(site.get("/api/v1/rooms/x"), 404, "NOT_FOUND");
  const HttpReply reply = site.ask("GET", "/api/v1/relays", site.ann, {}, kElsewhere);
  check_error(reply, 429, "RATE_LIMITED");
  CHECK(reply.retry_after_s == 300);
  CHECK(site.parts.stats.limited(LimitScope::request) == 1);
  CHECK(site.ask("GET", "/api/v1/rooms", site.bearer("bob")).status == 200);
  for (int i = 0; i < 4; ++i) CHECK(site.ask("GET", "/api/v1/rooms", kOperator).status == 200);
}

TEST_CASE("requests are limited by address, whoever asks for whatever") {
  Config config = room_config();
  config.room.address_rate_limit = {60, 2, 45};
  Site site(config);
  CHECK(site.get("/api/v1/rooms").status == 200);
  CHECK(site.log_in().status == 200);
  for (const HttpReply& reply :
       {site.get("/api/v1/rooms"), site.log_in(), site.ask("GET", "/api/v1/rooms", kOperator)}) {
    check_error(reply, 429, "RATE_LIMITED");
    CHECK(reply.retry_after_s == 45);
  }
  CHECK(site.parts.stats.limited(LimitScope::address) == 3);
  CHECK(site.ask("GET", "/api/v1/rooms", site.ann, {}, kElsewhere).status == 200);
}

// ---- guests ----

TEST_CASE("a guest gets a token that lets it in, and is kept") {
  Site site;
  const HttpReply reply = site.log_in(R"({"username":"Cat","platform":"linux","version":"1.2"})");
  CHECK(reply.status == 200);
  Json guest = Json::parse(reply.body);
  CHECK(guest["expiresIn"] == site.parts.config.room.token_lifetime_s);
  const std::string id = guest["clientId"];
  const auto claims = verify_jwt(guest["token"].get<std::string>(), site.parts.jwt_keys,
                                 site.parts.jwt_rules(), site.now());
  REQUIRE(claims.has_value());
  CHECK(claims->subject == id);
  CHECK(claims->name == "Cat");
  const auto seen = site.parts.store.rows<ClientSeen>();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0] == ClientSeen{.id = id,
                              .username = "Cat",
                              .platform = "linux",
                              .version = "1.2",
                              .at = site.rooms.now.wall});
  CHECK(site.parts.stats.guest_tokens == 1);
  const std::string bearer = Site::bearer_of(guest["token"].get<std::string>());
  CHECK(site.ask("GET", "/api/v1/rooms", bearer).status == 200);
  CHECK(Json::parse(site.log_in().body)["clientId"] != id);
}

TEST_CASE("a guest that says nothing sound of itself gets no token") {
  Site site;
  for (const char* body : {"", "[]", "{}", R"({"username":""})", R"({"username":7})"})
    check_error(site.log_in(body), 400, "BAD_REQUEST");
  CHECK(site.parts.stats.guest_tokens == 0);
  CHECK(site.parts.store.written.empty());
}

TEST_CASE("guests where there are none, and while the node drains") {
  Site site;
  site.routes.set_draining(true);
  check_error(site.log_in(), 503, "DRAINING");
  CHECK(site.get("/api/v1/rooms").status == 200);
  site.routes.set_draining(false);
  CHECK(site.log_in().status == 200);
  Config config = room_config();
  config.room.guest_login = false;
  site.routes.apply(config);
  check_error(site.log_in(), 404, "NOT_FOUND");
  CHECK(site.parts.stats.guest_tokens == 1);
}

TEST_CASE("logins of guests are limited by address") {
  Site site;
  for (std::uint32_t i = 0; i < kGuestLoginLimit.max; ++i) CHECK(site.log_in().status == 200);
  const HttpReply reply = site.log_in();
  check_error(reply, 429, "RATE_LIMITED");
  CHECK(reply.retry_after_s == kGuestLoginLimit.block_s);
  CHECK(site.parts.stats.limited(LimitScope::guest) == 1);
  CHECK(site.parts.stats.guest_tokens == kGuestLoginLimit.max);
  CHECK(site.ask("POST", "/api/v1/auth/guest", {}, R"({"username":"Cat"})", kElsewhere).status ==
        200);
}

// ---- rooms ----

// Three rooms that are listed, the newest first: "c d", "b", "a"; and two that are not.
struct Lobby : Site {
  explicit Lobby(const Config& config = room_config()) : Site(config) {
    rooms.connect_all({"ann", "bob"});
    a = make(R"({"name":"a","gameId":1,"region":"us","maxPlayers":2})");
    b = make(R"({"name":"b","gameId":"x y","password":"s3cret"})");
    make(R"({"name":"c d","gameId":1})");
    unlisted = make(R"({"name":"unlisted","gameId":1,"visibility":"unlisted"})");
    hidden = make(R"({"name":"hidden","gameId":1,"visibility":"private"})");
    REQUIRE(rooms.join("bob", a).good());
  }
  std::string make(std::string_view json) {
    rooms.pass(kNanosPerMillisecond);
    return rooms.make_room("ann", json);
  }
  std::string code(const std::string& room) { return rooms.registry.view_room(room)->record.code; }

  std::string a;
  std::string b;
  std::string unlisted;
  std::string hidden;
};

TEST_CASE("the list of rooms, by every filter") {
  Lobby lobby;
  const auto list = [&](const std::string& query) {
    return Site::names(lobby.get("/api/v1/rooms" + query));
  };
  CHECK(list("") == "c d b a");
  CHECK(list("?") == "c d b a");
  CHECK(list("?gameId=1") == "c d a");
  CHECK(list("?gameId=x+y") == "b");
  CHECK(list("?gameId=x%20y") == "b");
  CHECK(list("?%67ameId=1") == "c d a");
  CHECK(list("?region=us") == "a");
  CHECK(list("?open=true") == "c d b");
  CHECK(list("?open=false") == "a");
  CHECK(list("?hasPassword=1") == "b");
  CHECK(list("?text=C+D") == "c d");
  CHECK(list("?gameId=1&open=true&&nobody=knows&x") == "c d");
  CHECK(list("?offset=1") == "b a");
  CHECK(list("?limit=2") == "c d b");
}

TEST_CASE("the list of rooms, page by page") {
  Lobby lobby;
  Json first = Json::parse(lobby.get("/api/v1/rooms?limit=2").body);
  REQUIRE(first["nextCursor"].is_string());
  const std::string target =
      "/api/v1/rooms?limit=2&cursor=" + first["nextCursor"].get<std::string>();
  const HttpReply second = lobby.get(target);
  CHECK(Site::names(second) == "a");
  CHECK(Json::parse(second.body)["nextCursor"].is_null());
}

TEST_CASE("what a list cannot be asked for is named") {
  Lobby lobby;
  for (const char* query :
       {"gameId=", "open=yes", "open", "hasPassword=2", "limit=0", "limit=-1", "limit=x",
        "offset=100001", "cursor=!", "region=12345678901234567", "text=%00", "limit=2&open=x"}) {
    CAPTURE(query);
    check_error(lobby.get(std::string("/api/v1/rooms?") + query), 400, "BAD_REQUEST");
  }
  Json body = Json::parse(lobby.get("/api/v1/rooms?open=yes").body);
  CHECK(body["error"]["message"] == R"("open" has to be true or false)");
}

TEST_CASE("the operator may look at what clients may, without being limited as one") {
  Lobby lobby;
  CHECK(Site::names(lobby.ask("GET", "/api/v1/rooms", kOperator)) == "c d b a");
}

TEST_CASE("every room, for the operator's list") {
  Lobby lobby;
  HttpReply all{.body = {}, .allow = {}};
  lobby.rooms.registry.append_all(all.body, 0, 5);
  CHECK(Site::names(all) == "a b c d unlisted hidden");
  CHECK(Json::parse(all.body)["nextCursor"].is_null());
  CHECK(all.body.find("scrypt") == std::string::npos);

  HttpReply first{.body = {}, .allow = {}};
  lobby.rooms.registry.append_all(first.body, 0, 3);
  CHECK(Site::names(first) == "a b c d");
  const std::string cursor = Json::parse(first.body)["nextCursor"];
  HttpReply second{.body = {}, .allow = {}};
  lobby.rooms.registry.append_all(second.body, static_cast<std::uint32_t>(std::stoul(cursor)), 3);
  CHECK(Site::names(second) == "unlisted hidden");
  CHECK(Json::parse(second.body)["nextCursor"].is_null());
  HttpReply past{.body = {}, .allow = {}};
  lobby.rooms.registry.append_all(past.body, 0xffff'ffff, 4);
  CHECK(past.body == R"({"rooms":[],"nextCursor":null})");
}

TEST_CASE("one room, where it may be looked at") {
  Lobby lobby;
  const HttpReply reply = lobby.get("/api/v1/rooms/" + lobby.a);
  CHECK(reply.status == 200);
  Json room = Json::parse(reply.body);
  CHECK(room["id"] == lobby.a);
  CHECK(room["name"] == "a");
  CHECK(room["currentPlayers"] == 2);
  CHECK(!room.contains("hostEndpoint"));  // which members see
  std::string escaped = lobby.a;
  escaped.replace(escaped.find('-'), 1, "%2D");
  CHECK(lobby.get("/api/v1/rooms/" + escaped + "?x=1").body == reply.body);
  CHECK(lobby.get("/api/v1/rooms/" + lobby.unlisted).status == 200);
  // A code is no id: codes are limited.
  for (const std::string& id :
       {lobby.hidden, lobby.code(lobby.unlisted), std::string("nowhere"), std::string()})
    check_error(lobby.get("/api/v1/rooms/" + id), 404, "NOT_FOUND");
  CHECK(lobby.ask("GET", "/api/v1/rooms/" + lobby.a, kOperator).status == 200);
}

TEST_CASE("one room by its code, however that is typed") {
  Lobby lobby;
  const auto by_code = [&](const std::string& code) {
    return lobby.get("/api/v1/rooms/by-code/" + code);
  };
  std::string code = lobby.code(lobby.unlisted);
  const HttpReply reply = by_code(code);
  CHECK(Json::parse(reply.body)["id"] == lobby.unlisted);
  for (char& letter : code) letter = static_cast<char>(std::tolower(letter));
  CHECK(by_code(code).body == reply.body);
  CHECK(by_code(code.substr(0, 3) + '-' + code.substr(3)).body == reply.body);
  check_error(by_code(lobby.code(lobby.hidden)), 404, "NOT_FOUND");
  for (const char* wrong : {"", "AAAAAA", "short", "!!!!!!"})
    check_error(by_code(wrong), 404, "NOT_FOUND");
  check_error(by_code(lobby.a), 404, "NOT_FOUND");  // an id is none
}

TEST_CASE("codes that are tried are limited by address, rooms by id are not") {
  Config config = room_config();
  config.room.rate_limit = kNoLimit;
  Lobby lobby(config);
  for (std::uint32_t i = 0; i < kCodeLookupLimit.max; ++i)
    CHECK(lobby.get("/api/v1/rooms/by-code/AAAAAA").status == 404);
  const HttpReply reply = lobby.get("/api/v1/rooms/by-code/" + lobby.code(lobby.a));
  check_error(reply, 429, "RATE_LIMITED");
  CHECK(reply.retry_after_s == kCodeLookupLimit.block_s);
  CHECK(lobby.parts.stats.limited(LimitScope::code) == 1);
  CHECK(lobby.get("/api/v1/rooms/" + lobby.a).status == 200);
}

// ---- relays ----

TEST_CASE("the relays that take clients, to send beacons to") {
  Site site;
  CHECK(site.get("/api/v1/relays").body == R"({"relays":[]})");
  site.parts.fleet.relays = {relay_named("one"), relay_named("drains"), relay_named("two")};
  auto& relays = site.parts.fleet.relays;
  relays[0].sessions = 25;
  relays[1].accepts = false;
  relays[2].host.clear();
  relays[2].region = "u\"s";
  relays[2].port = 443;
  CHECK(site.get("/api/v1/relays").body ==
        R"({"relays":[{"id":"one","region":"eu","host":"one.example","port":7777,"load":0.2500},)"
        R"({"id":"two","region":"u\"s","port":443,"load":0.0000}]})");
  relays.front().accepts = false;
  CHECK(Json::parse(site.get("/api/v1/relays").body)["relays"].size() == 1);
}

}  // namespace
}  // namespace tandem
