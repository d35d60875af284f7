#include "room/lobby/message.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "room/lobby/room_code.h"

namespace tandem {
namespace {

Result<RoomRequest, ApiError> parse(std::string_view event, std::string_view json,
                                    std::size_t attachments = 0) {
  const auto argument = scan_json(json, 32);
  REQUIRE(argument.has_value());
  return parse_request(event, {&*argument, 1}, attachments, {.max_players = 8});
}

template <class T>
T read(std::string_view event, std::string_view json) {
  const auto request = parse(event, json);
  REQUIRE_MESSAGE(request.has_value(), request.error().message);
  const T* typed = std::get_if<T>(&*request);
  REQUIRE(typed != nullptr);
  return *typed;
}

std::string fault(std::string_view event, std::string_view json, std::size_t attachments = 0) {
  const auto request = parse(event, json, attachments);
  REQUIRE_FALSE(request.has_value());
  CHECK(request.error().code == ErrorCode::bad_request);
  CHECK_FALSE(request.error().retry_after_s.has_value());
  return request.error().message;
}

std::string with(std::string_view field, std::string_view value) {
  std::string json = R"({"roomId":"r","name":"n","gameId":1,"targetClientId":"t","clientId":"c",)";
  json += R"("ready":true,"data":1,")";
  json += field;
  json += "\":";
  json += value;
  json += '}';
  return json;
}

std::string quoted(std::size_t count, std::string_view letter = "x") {
  std::string text = "\"";
  for (std::size_t at = 0; at < count; ++at) text += letter;
  return text + '"';
}

TEST_CASE("room:create with everything") {
  const auto create = read<CreateRoom>("room:create", R"({
      "name":"caf\u00e9","gameId":"zelda","gameVersion":"1.2","maxPlayers":4,
      "visibility":"private","password":"secret","region":"eu","metadata":{"a":[1, 2]},
      "hostEndpoint":"192.0.2.1:5","hostPeerId":"peer","somethingElse":{"x":1}})");
  CHECK(create.name == "caf\xc3\xa9");
  CHECK(create.game_id == "zelda");
  CHECK(create.game_version == "1.2");
  CHECK(create.max_players == 4u);
  CHECK(create.visibility == Visibility::hidden);
  CHECK(create.password == "secret");
  CHECK(create.region == "eu");
  CHECK(create.metadata == R"({"a":[1, 2]})");
  CHECK(create.host_endpoint == "192.0.2.1:5");
  CHECK(create.host_peer_id == "peer");
}

TEST_CASE("room:create with the least") {
  const auto create = read<CreateRoom>("room:create", R"({"name":"n","gameId":1,"region":null})");
  CHECK_FALSE(create.max_players.has_value());
  CHECK(create.visibility == Visibility::listed);
  CHECK(create.password.empty());
  CHECK(create.region.empty());
  CHECK(create.metadata == "{}");
}

TEST_CASE("a game's id is exact to 64 bits, and a text always") {
  const auto game = [](std::string_view json) {
    return read<CreateRoom>("room:create", with("gameId", json)).game_id;
  };
  CHECK(game("9007199254740993") == "9007199254740993");
  CHECK(game("18446744073709551615") == "18446744073709551615");
  CHECK(game("-9223372036854775808") == "-9223372036854775808");
  CHECK(game("-0") == "0");
  CHECK(game("\"0100F2C0115B6000\"") == "0100F2C0115B6000");
  for (const std::string_view bad :
       {"18446744073709551616", "-9223372036854775809", "1.5", "1e3", "true", "[]", "\"\""})
    CHECK(fault("room:create", with("gameId", bad)) ==
          R"("gameId" has to be a text of 1 to 64 characters or an integer of 64 bits)");
}

TEST_CASE("the last one of a name counts, also where it is written with escapes") {
  CHECK(read<CreateRoom>("room:create", R"({"name":"a","gameId":1,"name":"b"})").name == "b");
  CHECK(read<CreateRoom>("room:create", R"({"name":"a","gameId":1,"n\u0061me":"c"})").name == "c");
}

TEST_CASE("lengths are code points, and each bound holds exactly") {
  struct Bound {
    std::string_view event, field;
    std::size_t most;
  };
  for (const Bound& bound : {Bound{"room:create", "name", 128},
                             {"room:create", "gameVersion", 32},
                             {"room:create", "region", 16},
                             {"room:create", "hostEndpoint", 128},
                             {"room:create", "hostPeerId", 128},
                             {"room:create", "password", 128},
                             {"room:create", "gameId", 64},
                             {"room:update", "name", 128},
                             {"room:kick", "reason", 128},
                             {"room:kick", "clientId", 128},
                             {"room:list", "region", 16},
                             {"room:list", "text", 128},
                             {"p2p:success", "connectionType", 16}}) {
    CAPTURE(bound.field);
    CHECK(parse(bound.event, with(bound.field, quoted(bound.most))).has_value());
    CHECK(
        parse(bound.event, with(bound.field, quoted(bound.most, "\xf0\x9f\x8e\xae"))).has_value());
    const std::string message = fault(bound.event, with(bound.field, quoted(bound.most + 1)));
    CHECK(message.find(bound.field) != std::string::npos);
    CHECK(message.find(std::to_string(bound.most)) != std::string::npos);
    (void)fault(bound.event, with(bound.field, R"("a\u0007b")"));
    (void)fault(bound.event, with(bound.field, R"("a\u0085b")"));
  }
}

TEST_CASE("what is missing or wrong is named") {
  CHECK(
      fault("room:create", R"({"gameId":1})") ==
      R"("name" is missing: it has to be a text of 1 to 128 characters without control characters)");
  CHECK(fault("room:create", R"({"name":"","gameId":1})") ==
        R"("name" has to be a text of 1 to 128 characters without control characters)");
  CHECK(fault("room:create", with("name", "7")).starts_with("\"name\" has to be a text"));
  CHECK(fault("room:create", R"({"name":"n"})").starts_with("\"gameId\" is missing"));
  for (const std::string_view bad : {"1", "9", "2.0", "\"4\"", "-3", "1e1", "99999999999999999999"})
    CHECK(fault("room:create", with("maxPlayers", bad)) ==
          R"("maxPlayers" has to be an integer from 2 to 8)");
  CHECK(fault("room:create", with("visibility", "\"secret\"")) ==
        R"("visibility" has to be "public", "unlisted" or "private")");
  CHECK(fault("room:update", with("locked", "1")) == R"("locked" has to be true or false)");
  CHECK(fault("room:ready", R"({"roomId":"r"})") ==
        R"("ready" is missing: it has to be true or false)");
  CHECK(fault("room:message", R"({"roomId":"r"})") == R"("data" is missing: it may be anything)");
  CHECK(fault("room:join", R"({})") == R"("roomId" or "code" is missing)");
  CHECK(fault("room:join", R"({"code":"abc"})") ==
        R"("code" has to be 6 to 8 of the characters 0-9 and A-Z)");
  CHECK(fault("p2p:failure", with("sessionId", "\"12\"")) ==
        R"("sessionId" has to be a session's 16 hex digits)");
  CHECK(fault("relay:report", R"({})").starts_with("\"sessionId\" is missing"));
  CHECK(fault("p2p:success", with("latencyMs", "-1")) ==
        R"("latencyMs" has to be a number from 0 to 600000)");
  CHECK(fault("room:nothing", "{}") == R"(there is no event "room:nothing")");
}

TEST_CASE("a payload is one object, or nothing for the lists") {
  CHECK(fault("room:join", "[]") == "the payload of room:join has to be an object");
  CHECK_FALSE(parse_request("room:join", {}, 0, {}).has_value());
  for (const std::string_view event : {"room:list", "room:subscribe", "room:unsubscribe"})
    CHECK(parse_request(event, {}, 0, {}).has_value());
}

TEST_CASE("only messages and signals carry attachments") {
  CHECK(fault("room:create", with("name", "\"n\""), 1) == "room:create carries nothing binary");
  CHECK(parse("room:message", with("data", R"({"_placeholder":true,"num":0})"), 1).has_value());
  CHECK(parse("p2p:signal", with("data", R"({"_placeholder":true,"num":0})"), 1).has_value());
}

TEST_CASE("metadata is kept as it came, up to 4 KiB") {
  const std::string most = quoted(kMetadataBytesMax - 2);
  CHECK(read<CreateRoom>("room:create", with("metadata", most)).metadata == most);
  CHECK(fault("room:create", with("metadata", quoted(kMetadataBytesMax - 1))) ==
        R"("metadata" has to be at most 4096 bytes of JSON)");
  CHECK(read<UpdateRoom>("room:update", with("metadata", "null")).metadata == "{}");
}

TEST_CASE("room:update tells what is left alone from what is emptied") {
  const auto nothing = read<UpdateRoom>("room:update", R"({"roomId":"r"})");
  CHECK_FALSE(nothing.name.has_value());
  CHECK_FALSE(nothing.password.has_value());
  CHECK_FALSE(nothing.locked.has_value());
  CHECK_FALSE(nothing.metadata.has_value());
  CHECK(read<UpdateRoom>("room:update", R"({"roomId":"r","password":null})").password == "");
  CHECK(read<UpdateRoom>("room:update", R"({"roomId":"r","password":""})").password == "");
  const auto all = read<UpdateRoom>(
      "room:update", R"({"roomId":"r","name":"n","maxPlayers":3,"visibility":"unlisted",
                         "password":"p","locked":true,"metadata":[],"hostEndpoint":"e"})");
  CHECK(all.room.id == "r");
  CHECK(all.name == "n");
  CHECK(all.max_players == 3u);
  CHECK(all.visibility == Visibility::unlisted);
  CHECK(all.password == "p");
  CHECK(all.locked == true);
  CHECK(all.metadata == "[]");
  CHECK(all.host_endpoint == "e");
}

TEST_CASE("room:list and the same from a query string") {
  const auto list = read<ListRooms>(
      "room:list", R"({"gameId":7,"region":"eu","open":true,"hasPassword":false,"text":"Cup",
                       "limit":20,"cursor":"zz","offset":3})");
  CHECK(list.filter.game_id == "7");
  CHECK(list.filter.region == "eu");
  CHECK(list.filter.open == true);
  CHECK(list.filter.has_password == false);
  CHECK(list.filter.text == "Cup");
  CHECK(list.limit == 20);
  CHECK(list.before == 35u * 36 + 35);
  CHECK(list.offset == 3);
  CHECK(read<ListRooms>("room:list", R"({"limit":1000})").limit == 50);
  (void)fault("room:list", R"({"limit":0})");
  (void)fault("room:list", R"({"offset":-1})");
  CHECK(fault("room:list", R"({"cursor":"!"})") ==
        R"("cursor" has to be the nextCursor of an earlier list)");

  ListRooms query;
  const std::pair<std::string_view, std::string_view> parameters[] = {
      {"gameId", "7"}, {"region", "eu"}, {"open", "true"}, {"hasPassword", "0"},    {"text", "Cup"},
      {"limit", "20"}, {"cursor", "zz"}, {"offset", "3"},  {"other", "passed over"}};
  for (const auto& [name, value] : parameters) CHECK(read_list_parameter(name, value, query));
  CHECK(query.filter == list.filter);
  CHECK(query.limit == list.limit);
  CHECK(query.before == list.before);
  CHECK(query.offset == list.offset);
  for (const auto& [name, value] :
       std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"open", "yes"},
           {"limit", "0"},
           {"limit", "x"},
           {"offset", "-1"},
           {"cursor", "!"},
           {"gameId", ""},
           {"region", "seventeen letters"},
           {"text", "a\x07"}})
    CHECK_FALSE(read_list_parameter(name, value, query).has_value());
}

TEST_CASE("messages and signals refer to what came") {
  const std::string json = R"({"roomId":"r","to":"a\"b","data":{"x": [1,2]}})";
  const auto message = read<SendMessage>("room:message", json);
  CHECK(message.room_id.view() == "r");
  REQUIRE(message.to.has_value());
  CHECK(message.to->view() == "a\"b");
  CHECK(message.data == R"({"x": [1,2]})");
  CHECK(message.data.data() >= json.data());
  CHECK(message.data.data() < json.data() + json.size());
  CHECK_FALSE(read<SendMessage>("room:message", R"({"roomId":"r","data":null})").to.has_value());
  const auto signal =
      read<SendSignal>("p2p:signal", R"({"roomId":"r","targetClientId":"t","data":"sdp"})");
  CHECK(signal.target_client_id.view() == "t");
  CHECK(signal.data == "\"sdp\"");
}

TEST_CASE("the other requests") {
  CHECK(read<JoinRoom>("room:join", R"({"code":"k3-ol1a9","password":"p"})").room.code ==
        "K3011A9");
  CHECK(read<JoinRoom>("room:join", R"({"roomId":"r","code":"?"})").room.id == "r");
  CHECK(read<LeaveRoom>("room:leave", R"({"roomId":"r"})").room.id == "r");
  CHECK_FALSE(read<RemovePlayer>("room:kick", R"({"roomId":"r","clientId":"c"})").ban);
  CHECK(read<RemovePlayer>("room:ban", R"({"roomId":"r","clientId":"c"})").ban);
  CHECK(read<TransferHost>("room:transfer", R"({"roomId":"r","clientId":"c"})").client_id == "c");
  CHECK(read<SetReady>("room:ready", R"({"roomId":"r","ready":true})").ready);
  const auto failure = read<ReportP2pFailure>(
      "p2p:failure",
      R"({"roomId":"r","targetClientId":"t","reason":"nat","sessionId":"00000000000000FF"})");
  CHECK(failure.reason == "nat");
  CHECK(failure.session_id == 255u);
  const auto success = read<ReportP2pSuccess>(
      "p2p:success",
      R"({"roomId":"r","targetClientId":"t","latencyMs":12.5,"connectionType":"lan"})");
  CHECK(success.latency_ms == 12.5);
  CHECK(success.connection_type == "lan");
  const auto report = read<ReportRelay>(
      "relay:report",
      R"({"sessionId":"0000000000000001","latencyMs":1,"packetLoss":0.5,"bandwidthKbps":2e3})");
  CHECK(report.session_id == 1);
  CHECK(report.packet_loss == 0.5);
  CHECK(report.bandwidth_kbps == 2000);
}

TEST_CASE("relay:beacons") {
  const auto beacons = read<ReportBeacons>(
      "relay:beacons", R"({"relays":[{"id":"a","rttMs":1.5},{"id":"b","rttMs":2}]})");
  REQUIRE(beacons.relays.size() == 2);
  CHECK(beacons.relays[0].relay_id == "a");
  CHECK(beacons.relays[0].rtt_ms == 1.5);
  CHECK(read<ReportBeacons>("relay:beacons", R"({"relays":[]})").relays.empty());
  const std::string wanted = R"("relays" has to be a list of at most 64 {"id","rttMs"})";
  CHECK(fault("relay:beacons", "{}") == wanted);
  CHECK(fault("relay:beacons", R"({"relays":{}})") == wanted);
  CHECK(fault("relay:beacons", R"({"relays":[1]})") == wanted);
  CHECK(fault("relay:beacons", R"({"relays":[{"id":"a"}]})").starts_with("\"rttMs\" is missing"));
  std::string many = R"({"relays":[{"id":"a","rttMs":1})";
  for (std::size_t at = 1; at < kBeaconsMax; ++at) many += R"(,{"id":"a","rttMs":1})";
  CHECK(parse("relay:beacons", many + "]}").has_value());
  CHECK(fault("relay:beacons", many + R"(,{"id":"a","rttMs":1}]})") == wanted);
}

TEST_CASE("each event has its budget") {
  CHECK(event_class("room:message") == EventClass::message);
  CHECK(event_class("p2p:signal") == EventClass::signal);
  CHECK(event_class("room:create") == EventClass::request);
  CHECK(event_class("nothing") == EventClass::request);
  CHECK(is_room_request("relay:report"));
  CHECK_FALSE(is_room_request("room:created"));
}

TEST_CASE("errors as JSON") {
  std::string text;
  append_error(text, {ErrorCode::rate_limited, "say \"when\"", 7u});
  CHECK(text == R"({"code":"RATE_LIMITED","message":"say \"when\"","retryAfter":7})");
  text.clear();
  append_failure(text, {ErrorCode::not_found, "gone", std::nullopt});
  CHECK(text == R"({"success":false,"error":{"code":"NOT_FOUND","message":"gone"}})");
}

TEST_CASE("every error code has the name that clients know") {
  const std::vector<std::string_view> names = {
      "AUTH_FAILED",   "BAD_REQUEST", "NOT_FOUND", "ROOM_FULL",   "ROOM_LOCKED",
      "BAD_PASSWORD",  "BANNED",      "NOT_HOST",  "NOT_IN_ROOM", "RATE_LIMITED",
      "OVER_CAPACITY", "NO_RELAY",    "DRAINING",  "INTERNAL"};
  REQUIRE(names.size() == kErrorCodes);
  for (std::size_t at = 0; at < names.size(); ++at)
    CHECK(error_code_name(static_cast<ErrorCode>(at)) == names[at]);
}

TEST_CASE("connected, use:relay and what was missed") {
  std::string text;
  append_connected(text, {"c", 1'700'000'000'123, "1.0", "n1", "eu"});
  CHECK(text == R"({"clientId":"c","serverTime":1700000000123,"serverVersion":"1.0","node":"n1",)"
                R"("region":"eu"})");
  RelayGrant grant{.room_id = "r",
                   .peer_client_id = "p",
                   .server = "relay",
                   .port = 7777,
                   .token = "t",
                   .session_id = 255,
                   .slot = 1,
                   .tcp = true,
                   .udp = true,
                   .expires_at = 1893456000,
                   .region = "eu",
                   .e2e_key = "k"};
  text.clear();
  append_use_relay(text, grant);
  CHECK(text == R"({"roomId":"r","peerClientId":"p","server":"relay","port":7777,"token":"t",)"
                R"("sessionId":"00000000000000ff","slot":1,"transports":["tcp","udp"],)"
                R"("expiresAt":1893456000,"region":"eu","e2eKey":"k"})");
  grant.udp = false;
  grant.e2e_key = {};
  text.clear();
  append_use_relay_acknowledgement(text, grant);
  CHECK(text.starts_with(R"({"success":true,"roomId":"r",)"));
  CHECK(text.find(R"("transports":["tcp"])") != std::string::npos);
  CHECK(text.find("e2eKey") == std::string::npos);

  text = R"({"roomId":"r"})";
  const MissedEvent missed[] = {{"room:message", R"({"seq":1})"}, {"x", ""}};
  append_missed(text, missed, false);
  CHECK(text == R"({"roomId":"r","missed":[{"event":"room:message","args":[{"seq":1}]},)"
                R"({"event":"x","args":[]}],"complete":false})");
}

TEST_CASE("cursors come back as what they were") {
  for (const std::uint64_t order : {0ull, 1ull, 1'700'000'000'000ull, ~0ull})
    CHECK(decode_cursor(encode_cursor(order)) == order);
  for (const std::string_view bad : {"", "-1", "zzzzzzzzzzzzzz", "1 ", "\xc3\xa9"})
    CHECK_FALSE(decode_cursor(bad).has_value());
}

}  // namespace
}  // namespace tandem
