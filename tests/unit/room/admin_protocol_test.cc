#include "room/operator/admin_protocol.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/room/fake_relay.h"

namespace tandem {
namespace {

using Json = nlohmann::json;

std::string fault_of(std::string_view line) {
  const auto request = decode_request(line);
  REQUIRE(!request);
  CHECK(request.error().code == AdminErrorCode::bad_request);
  return request.error().message;
}

TEST_CASE("every request reads back as it was written") {
  const Network network = *Network::parse("2001:db8::/32");
  const AdminRequest requests[] = {
      admin::Status{},
      admin::Sessions{7},
      admin::Session{0x0123456789abcdef},
      admin::Kick{0xfedcba9876543210},
      admin::Block{network, 60},
      admin::Unblock{*Network::parse("192.0.2.7")},
      admin::Blocks{},
      MintRequest{},
      MintRequest{.session_id = 9,
                  .slots = MintSlots::b,
                  .tcp = false,
                  .prove = true,
                  .expires_in_s = 5,
                  .rate_kbps = 6,
                  .lanes_max = 7},
      admin::SetDraining{true},
      admin::SetDraining{false},
      admin::Reload{},
      admin::SetLogLevel{LogLevel::warn},
      admin::Rooms{9},
      admin::Room{"7KQ2-XV"},
      admin::CloseRoom{"6ba7b810-9dad-41d1-80b4-00c04fd430c8"},
      admin::Clients{3},
      admin::Backup{"/var/lib/tandem/Jürgen's \"copy\".db"},
      admin::Version{},
  };
  for (const AdminRequest& request : requests) {
    const std::string line = encode_request(request);
    CAPTURE(line);
    CHECK(line.find('\n') == std::string::npos);
    const auto decoded = decode_request(line);
    REQUIRE(decoded);
    CHECK(*decoded == request);
  }
}

TEST_CASE("what may be left out") {
  CHECK(*decode_request(R"({"command":"sessions"})") == AdminRequest(admin::Sessions{50}));
  CHECK(*decode_request(R"({"command":"mint"})") == AdminRequest(MintRequest{}));
  CHECK(*decode_request(R"({"command":"block","network":"192.0.2.7"})") ==
        AdminRequest(admin::Block{*Network::parse("192.0.2.7"), 0}));
}

TEST_CASE("what is no request") {
  for (const char* line : {"", "x", "[]", "1", "null", "{", R"({"command":7})", R"({"x":"status"})",
                           R"({"command":"status"}})", R"({"command":"nothing"})", "\xff\xfe"})
    CHECK(!fault_of(line).empty());
  const std::string deep(kAdminRequestMax - 1, '[');
  CHECK(!fault_of(deep).empty());
  CHECK(fault_of(std::string(kAdminRequestMax, ' ')) == "a request has at most 4096 bytes");
}

TEST_CASE("a fault says what would be right") {
  CHECK(fault_of(R"({"command":"kick"})") == "\"id\" has to be a session id: 16 hex digits");
  CHECK(fault_of(R"({"command":"kick","id":"12"})") ==
        "\"id\" has to be a session id: 16 hex digits");
  CHECK(fault_of(R"({"command":"kick","id":12})") ==
        "\"id\" has to be a session id: 16 hex digits");
  CHECK(fault_of(R"({"command":"sessions","max":0})") ==
        "\"max\" has to be an integer from 1 to 10000");
  for (const char* max : {"10001", "-1", "1.5", "\"5\"", "null", "18446744073709551616"})
    CHECK(fault_of(R"({"command":"sessions","max":)" + std::string(max) + "}") ==
          "\"max\" has to be an integer from 1 to 10000");
  CHECK(fault_of(R"({"command":"mint","tcp":1})") == "\"tcp\" has to be true or false");
  CHECK(fault_of(R"({"command":"mint","slot":"c"})") == "\"slot\" has to be a, b or both");
  CHECK(fault_of(R"({"command":"mint","lanes":65536})") ==
        "\"lanes\" has to be an integer from 0 to 65535");
  CHECK(fault_of(R"({"command":"loglevel","level":"loud"})") ==
        "\"level\" has to be debug, info, warn, error or fatal");
  CHECK(fault_of(R"({"command":"block","network":"example.org"})").starts_with("\"network\""));
  for (const char* path : {R"("copy.db")", R"("")", "7", R"("/a\nb")", R"("/a\u0000b")", "null"})
    CHECK(fault_of(R"({"command":"backup","path":)" + std::string(path) + "}") ==
          "\"path\" has to be an absolute path of at most 1024 bytes, without control characters");
  CHECK(fault_of(R"({"command":"status","max":1})") ==
        "the request has a key that this command does not know");
}

TEST_CASE("answers") {
  CHECK(encode_done() == R"({"ok":true})");
  const FakeRelay relay;
  const Json session = Json::parse(encode_session(relay.rows_.begin()->second))["session"];
  CHECK(session["id"] == "0123456789abcdef");
  CHECK(session["ageMs"] == 90'000);
  CHECK(session["a"]["udp"] == "192.0.2.7:4000");
  CHECK(session["b"]["udp"].is_null());
  CHECK(session["b"]["tcp"] == "[2001:db8::7]:5000");
  const BlockRow blocks[] = {{.network = *Network::parse("10.0.0.0/8"), .remaining = 0},
                             {.network = *Network::parse("192.0.2.7"),
                              .remaining = 5 * kNanosPerSecond,
                              .automatic = true}};
  const Json listed = Json::parse(encode_blocks(blocks))["blocks"];
  CHECK(listed[0]["network"] == "10.0.0.0/8");
  CHECK(listed[0]["remainingMs"].is_null());
  CHECK(listed[1]["remainingMs"] == 5000);
  CHECK(listed[1]["automatic"] == true);
  CHECK(encode_backed_up("/b/1", 5) == R"({"ok":true,"path":"/b/1","bytes":5})");
  CHECK(encode_sessions({}) == R"({"ok":true,"sessions":[]})");
  CHECK(encode_reloaded({{"a"}, {}}) == R"({"ok":true,"applied":["a"],"needsRestart":[]})");
}

TEST_CASE("a full list stays within the bound of an answer") {
  SessionRow row = FakeRelay().rows_.begin()->second;
  row.session_id = row.rate_bytes_per_second = row.dropped_packets = UINT64_MAX;
  row.age = row.idle = INT64_MAX;
  const Endpoint longest{*IpAddress::parse("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"), 65535};
  for (SessionEnd& end : row.ends) end = {longest, UINT32_MAX, UINT64_MAX, UINT64_MAX, longest};
  CHECK(encode_sessions(std::vector<SessionRow>(kAdminRowsMax, row)).size() < kAdminAnswerMax);
}

TEST_CASE("paths that a request carries as they are") {
  CHECK(is_admin_path("/"));
  CHECK(is_admin_path("/Jürgen's \"copy\" \\.db"));
  CHECK(is_admin_path("/" + std::string(kAdminPathMax - 1, 'x')));
  CHECK_FALSE(is_admin_path("/" + std::string(kAdminPathMax, 'x')));
  for (const char* path : {"", "copy.db", "/a\nb", "/\x1b[0m", "/\xff\xfe", "/\xc3"})
    CHECK_FALSE(is_admin_path(path));
  const std::string longest = "/" + std::string(kAdminPathMax - 1, '"');
  CHECK(encode_request(admin::Backup{longest}).size() < kAdminRequestMax);
}

TEST_CASE("refusals") {
  CHECK(!refusal_in(encode_done()));
  const auto refusal = refusal_in(encode_error({AdminErrorCode::not_found, "no \"such\" \xff"}));
  REQUIRE(refusal);
  CHECK(refusal->code == AdminErrorCode::not_found);
  CHECK(refusal->message == "no \"such\" \xef\xbf\xbd");
  for (const char* garbage : {"", "{}", "[]", R"({"ok":1})", R"({"ok":false})"})
    CHECK(refusal_in(garbage)->code == AdminErrorCode::bad_request);
}

}  // namespace
}  // namespace tandem
