#include "room/socket_io/engine_io.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <vector>

namespace tandem {
namespace {

// The packets of a body as type, 'b' where binary, data; "bad" where that is its end.
std::vector<std::string> packets_of(std::string_view body) {
  std::vector<std::string> packets;
  EnginePayload payload(body);
  EnginePacket packet;
  for (;;) {
    switch (payload.next(packet)) {
      case EnginePayload::Step::end:
        return packets;
      case EnginePayload::Step::bad:
        packets.push_back("bad");
        break;
      case EnginePayload::Step::packet: {
        std::string text = {static_cast<char>('0' + static_cast<int>(packet.type))};
        if (packet.binary) text += 'b';
        packets.push_back(text.append(packet.data));
      }
    }
  }
}

using Texts = std::vector<std::string>;

TEST_CASE("a text frame is one packet") {
  const auto message = decode_engine_packet("4hello");
  REQUIRE(message);
  CHECK(message->type == EnginePacketType::message);
  CHECK(!message->binary);
  CHECK(message->data == "hello");
  CHECK(decode_engine_packet("2probe")->type == EnginePacketType::ping);
  CHECK(decode_engine_packet("6")->type == EnginePacketType::noop);
  CHECK(decode_engine_packet("0{}")->type == EnginePacketType::open);
  for (const char* bad : {"", "7", "abc", "b", " 4", "/"}) CHECK(!decode_engine_packet(bad));
}

TEST_CASE("a polling body is packets with separators between them") {
  CHECK(packets_of("4hello") == Texts{"4hello"});
  CHECK(packets_of("4a\x1e"
                   "2\x1e"
                   "4b") == Texts{"4a", "2", "4b"});
  CHECK(packets_of("bAQIDBA==\x1e"
                   "4x") == Texts{"4b\x01\x02\x03\x04", "4x"});
  CHECK(packets_of("b") == Texts{"4b"});
}

TEST_CASE("a body ends at the first packet that is none") {
  CHECK(packets_of("") == Texts{"bad"});
  CHECK(packets_of("4a\x1e") == Texts{"4a", "bad"});
  CHECK(packets_of("4a\x1e\x1e"
                   "4b") == Texts{"4a", "bad"});
  CHECK(packets_of("4a\x1e"
                   "9\x1e"
                   "4b") == Texts{"4a", "bad"});
  CHECK(packets_of("b=\x1e"
                   "4b") == Texts{"bad"});
}

TEST_CASE("messages are put behind each other, binary ones as base64") {
  std::string body;
  append_engine_text(body, "4one");
  append_engine_binary(body, std::string_view("\0\xff\x10", 3));
  append_engine_binary(body, "");
  append_engine_text(body, "2");
  CHECK(body ==
        "4one\x1e"
        "bAP8Q\x1e"
        "b\x1e"
        "2");
}

TEST_CASE("base64 is RFC 4648's, strictly") {
  const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    std::string encoded;
    append_base64(encoded, bytes);
    CHECK(encoded == text);
    std::string decoded;
    CHECK(append_base64_decoded(decoded, text));
    CHECK(decoded == bytes);
  }
  for (const char* bad : {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm-v", "Zm 9", "=m9v",
                          "Zg==Zg==", "====", "Z==="}) {
    std::string decoded;
    CAPTURE(bad);
    CHECK(!append_base64_decoded(decoded, bad));
  }
}

TEST_CASE("the handshake") {
  const std::string polling = encode_engine_open({.sid = "abc",
                                                  .upgrades = true,
                                                  .ping_interval_ms = 25'000,
                                                  .ping_timeout_ms = 20'000,
                                                  .max_payload = 1'000'000});
  REQUIRE(polling.starts_with('0'));
  CHECK(nlohmann::json::parse(polling.substr(1)) == nlohmann::json{{"sid", "abc"},
                                                                   {"upgrades", {"websocket"}},
                                                                   {"pingInterval", 25'000},
                                                                   {"pingTimeout", 20'000},
                                                                   {"maxPayload", 1'000'000}});
  const std::string websocket = encode_engine_open({.sid = "abc"});
  CHECK(nlohmann::json::parse(websocket.substr(1))["upgrades"] == nlohmann::json::array());
}

}  // namespace
}  // namespace tandem
