#include "bench/load/far_request.h"

#include <doctest/doctest.h>

#include <array>
#include <nlohmann/json.hpp>

namespace tandem::bench {
namespace {

using Json = nlohmann::ordered_json;

// None of its values is a default.
FarRequest sample_request() {
  return {.transport = Transport::udp,
          .load = FarLoad::trains,
          .route = RouteKind::greeted,
          .pairs = 2,
          .bulk = {.direction = Direction::reverse,
                   .chunk = 4096,
                   .bytes_per_second_each = 12.5,
                   .socket_buffer = 1 << 20,
                   .verify = Verify::full},
          .udp = {.direction = Direction::both,
                  .shape = {.sizes = {64, 512, 1200}},
                  .per_second = 1e6,
                  .window = 7,
                  .batch = 3,
                  .train = 5,
                  .verify = Verify::full},
          .joins = {"00", "01"},
          .expected = {"", "ff"}};
}

// The sample with one value changed.
std::string with(const char* pointer, const Json& value) {
  Json json = Json::parse(encode_request(sample_request()));
  json[Json::json_pointer(pointer)] = value;
  return json.dump();
}

std::string refusal(const std::string& line) {
  const auto request = parse_request(line);
  return request ? "" : request.error();
}

TEST_CASE("every field of a request comes back") {
  const FarRequest sent = sample_request();
  const std::string line = encode_request(sent);
  CHECK(line.find('\n') == std::string::npos);
  const auto got = parse_request(line);
  REQUIRE(got);
  CHECK(got->transport == sent.transport);
  CHECK(got->load == sent.load);
  CHECK(got->route == sent.route);
  CHECK(got->pairs == sent.pairs);
  CHECK(got->bulk.direction == sent.bulk.direction);
  CHECK(got->bulk.chunk == sent.bulk.chunk);
  CHECK(got->bulk.bytes_per_second_each == sent.bulk.bytes_per_second_each);
  CHECK(got->bulk.socket_buffer == sent.bulk.socket_buffer);
  CHECK(got->bulk.verify == sent.bulk.verify);
  CHECK(got->udp.direction == sent.udp.direction);
  CHECK(got->udp.shape.sizes == sent.udp.shape.sizes);
  CHECK(got->udp.per_second == sent.udp.per_second);
  CHECK(got->udp.window == sent.udp.window);
  CHECK(got->udp.batch == sent.udp.batch);
  CHECK(got->udp.train == sent.udp.train);
  CHECK(got->udp.verify == sent.udp.verify);
  CHECK(got->joins == sent.joins);
  CHECK(got->expected == sent.expected);
}

TEST_CASE("the defaults make a request") {
  CHECK(parse_request(encode_request({})));
}

TEST_CASE("every word of every enum comes back") {
  for (const auto transport : {Transport::tcp, Transport::udp}) {
    for (const auto load : {FarLoad::bulk, FarLoad::scattered, FarLoad::trains, FarLoad::echo}) {
      const auto got = parse_request(encode_request({.transport = transport, .load = load}));
      const bool of_tcp = load == FarLoad::bulk || load == FarLoad::echo;
      CHECK(got.has_value() == (transport == Transport::tcp ? of_tcp : load != FarLoad::bulk));
      if (got) CHECK(got->load == load);
    }
  }
  for (const auto route :
       {RouteKind::direct, RouteKind::proxy, RouteKind::relay, RouteKind::greeted}) {
    FarRequest request = sample_request();
    request.route = route;
    if (route == RouteKind::direct || route == RouteKind::proxy) request.joins = {};
    if (route != RouteKind::greeted) request.expected = {};
    const auto got = parse_request(encode_request(request));
    REQUIRE(got);
    CHECK(got->route == route);
  }
  for (const auto direction : {Direction::forward, Direction::reverse, Direction::both}) {
    const auto got = parse_request(encode_request({.bulk = {.direction = direction}}));
    REQUIRE(got);
    CHECK(got->bulk.direction == direction);
  }
}

TEST_CASE("unknown words are refused by the name of their field") {
  for (const char* pointer : {"/transport", "/load", "/route", "/bulk/direction", "/bulk/verify",
                              "/udp/direction", "/udp/verify"}) {
    const std::string key = std::string(pointer).substr(std::string(pointer).rfind('/') + 1);
    for (const Json& word : {Json("sideways"), Json(""), Json(0), Json(nullptr), Json::array()}) {
      CAPTURE(pointer);
      CAPTURE(word.dump());
      CHECK(refusal(with(pointer, word)) == "unknown " + key);
    }
  }
}

TEST_CASE("each bound holds at both of its ends") {
  struct Bound {
    const char* pointer;
    Json least;
    Json most;
    Json below;
    Json above;
  };
  const std::array<Bound, 8> bounds{{
      {"/bulk/chunk", 1, 16 << 20, 0, (16 << 20) + 1},
      {"/bulk/bytes_per_second_each", 0, 1e12, -0.5, 1.1e12},
      {"/bulk/socket_buffer", 0, 1 << 30, -1, (1 << 30) + 1},
      {"/udp/per_second", 0, 1e9, -1, 1e9 + 1},
      {"/udp/window", 1, 1 << 20, 0, (1 << 20) + 1},
      {"/udp/batch", 1, 1024, 0, 1025},
      {"/udp/train", 1, 64, 0, 65},
      {"/udp/sizes/1", kStampSize, kPayloadMax, kStampSize - 1, kPayloadMax + 1},
  }};
  for (const auto& [pointer, least, most, below, above] : bounds) {
    CAPTURE(pointer);
    CHECK(refusal(with(pointer, least)).empty());
    CHECK(refusal(with(pointer, most)).empty());
    for (const Json& bad : {below, above, Json("1"), Json(nullptr), Json(1e300), Json(-1e300)}) {
      CAPTURE(bad.dump());
      CHECK(refusal(with(pointer, bad)).ends_with(" is out of bounds"));
    }
  }
}

TEST_CASE("whole numbers are whole") {
  for (const char* pointer : {"/pairs", "/bulk/chunk", "/bulk/socket_buffer", "/udp/window",
                              "/udp/batch", "/udp/train", "/udp/sizes/0"}) {
    CAPTURE(pointer);
    CHECK(refusal(with(pointer, 64.5)).ends_with(" is out of bounds"));
  }
}

TEST_CASE("pairs are bounded, and each has its join") {
  CHECK(refusal(with("/pairs", 0)) == "pairs is out of bounds");
  CHECK(refusal(with("/pairs", kFarPairsMax + 1)) == "pairs is out of bounds");
  CHECK(refusal(with("/pairs", 1)) == "joins is not one a pair");
  CHECK(refusal(with("/joins", Json::array({"00"}))) == "joins is not one a pair");
  CHECK(refusal(with("/expected", Json::array())) == "joins is not one a pair");
  CHECK(refusal(with("/route", "direct")) == "joins is not one a pair");
  CHECK(refusal(with("/route", "relay")) == "joins is not one a pair");
  CHECK(!refusal(with("/joins/0", 7)).empty());
  CHECK(parse_request(encode_request({.pairs = kFarPairsMax})));
}

TEST_CASE("there are sizes, and not too many") {
  CHECK(refusal(with("/udp/sizes", Json::array())) == "sizes is out of bounds");
  CHECK(refusal(with("/udp/sizes", std::vector<int>(64, 200))).empty());
  CHECK(refusal(with("/udp/sizes", std::vector<int>(65, 200))) == "sizes is out of bounds");
  CHECK(refusal(with("/udp/sizes", 200)) == "sizes is no list");
}

TEST_CASE("another version is told as such") {
  CHECK(refusal(with("/protocol", kFarProtocol + 1)) ==
        "another version of tandem-bench is at the other host");
}

TEST_CASE("what lacks a field or is no request is refused with a word") {
  const Json whole = Json::parse(encode_request(sample_request()));
  for (const auto& [key, value] : whole.items()) {
    Json json = whole;
    json.erase(key);
    CAPTURE(key);
    CHECK(!refusal(json.dump()).empty());
  }
  for (const char* line : {"", "{", "[]", "null", "7", "\"bulk\"", "GET / HTTP/1.1\r", "{}\xff"}) {
    CAPTURE(line);
    CHECK(!refusal(line).empty());
  }
}

TEST_CASE("every field of an answer comes back") {
  const FarAnswer sent{.error = "no \"room\"\n",
                       .port = 5201,
                       .udp_ports = {1, 65535},
                       .tally = {.sent = 1, .delivered = UINT64_MAX, .full_ns = 12},
                       .cpu_s = 1.5};
  const std::string line = encode_answer(sent);
  CHECK(line.find('\n') == std::string::npos);
  const auto got = parse_answer(line);
  REQUIRE(got);
  CHECK(got->error == sent.error);
  CHECK(got->port == sent.port);
  CHECK(got->udp_ports == sent.udp_ports);
  CHECK(got->tally == sent.tally);
  CHECK(got->cpu_s == sent.cpu_s);
}

TEST_CASE("an error that is no UTF-8 is still told") {
  const auto got = parse_answer(encode_answer({.error = "not a request: \xff\xc3"}));
  REQUIRE(got);
  CHECK(got->error.starts_with("not a request: "));
}

TEST_CASE("an answer out of its bounds is refused") {
  const Json whole = Json::parse(encode_answer({.port = 1, .udp_ports = {2}}));
  const auto refused = [&whole](const std::string& pointer, const Json& value) {
    Json json = whole;
    json[Json::json_pointer(pointer)] = value;
    return !parse_answer(json.dump());
  };
  CHECK(!refused("/port", 65535));
  CHECK(refused("/port", 65536));
  CHECK(refused("/port", -1));
  CHECK(refused("/port", 1.5));
  CHECK(refused("/port", "80"));
  CHECK(refused("/udp_ports", 2));
  CHECK(refused("/udp_ports/0", 65536));
  CHECK(refused("/error", 7));
  CHECK(refused("/tally", Json::object()));
  CHECK(refused("/tally/0", -1));
  CHECK(refused("/tally/0", 0.5));
  CHECK(refused("/tally/" + std::to_string(Tally::kFields), 0));  // one too many
  CHECK(refused("/cpu_s", -1));
  CHECK(refused("/cpu_s", "1"));
  CHECK(refused("/tally", Json::array({1, 2, 3})));
  for (const char* line : {"", "{", "{}", "[]", "null", "stop"}) {
    CAPTURE(line);
    CHECK(!parse_answer(line));
  }
}

}  // namespace
}  // namespace tandem::bench
