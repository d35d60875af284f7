#include "bench/load/rooms/packets.h"

#include <doctest/doctest.h>

namespace tandem::bench {
namespace {

TEST_CASE("packets by their first characters") {
  struct Sample {
    const char* text;
    PacketKind kind;
  };
  for (const auto& [text, kind] : {
           Sample{R"(0{"sid":"x","pingInterval":25000})", PacketKind::open},
           {"1", PacketKind::close},
           {"2", PacketKind::ping},
           {"3", PacketKind::other},
           {"6", PacketKind::other},
           {R"(40{"sid":"x"})", PacketKind::connected},
           {"40", PacketKind::connected},
           {"41", PacketKind::disconnected},
           {R"(42["x"])", PacketKind::event},
           {R"(430[])", PacketKind::ack},
           {R"(44{"message":"no"})", PacketKind::connect_error},
           {R"(451-["x",{"_placeholder":true,"num":0}])", PacketKind::other},
           {"", PacketKind::malformed},
           {"4", PacketKind::malformed},
           {"5", PacketKind::malformed},
           {"9", PacketKind::malformed},
           {"49", PacketKind::malformed},
           {"42", PacketKind::malformed},
           {"42{}", PacketKind::malformed},
           {"42[]", PacketKind::malformed},
           {"42[1]", PacketKind::malformed},
           {R"(42["x")", PacketKind::malformed},
           {"43[]", PacketKind::malformed},
           {"4399999999999999999999[]", PacketKind::malformed},
           {"0{", PacketKind::malformed},
       }) {
    CAPTURE(text);
    CHECK(read_packet(text).kind == kind);
  }
}

TEST_CASE("an event's name, its first argument and its number") {
  const auto packet = read_packet(R"(4212["room:message",{"seq":7},"more"])");
  CHECK(packet.event == "room:message");
  CHECK(packet.argument.text == R"({"seq":7})");
  CHECK(packet.ack_id == 12);
  const auto bare = read_packet(R"(42["connected"])");
  CHECK(bare.event == "connected");
  CHECK(bare.argument.kind == JsonKind::null);
  CHECK_FALSE(bare.ack_id);
}

TEST_CASE("an acknowledgement's number and what it says") {
  const auto packet = read_packet(R"(433[{"success":true}])");
  CHECK(packet.ack_id == 3);
  CHECK(packet.argument.text == R"({"success":true})");
}

TEST_CASE("what is written") {
  CHECK(connect_packet("a.b") == R"(40{"token":"a.b"})");
  CHECK(connect_packet("\"") == R"(40{"token":"\""})");
  std::string text = "left over";
  write_event(text, "room:leave", R"({"roomId":"1"})", 5);
  CHECK(text == R"(425["room:leave",{"roomId":"1"}])");
  write_event(text, "room:leave", "{}", std::nullopt);
  CHECK(text == R"(42["room:leave",{}])");
}

TEST_CASE("members of an object") {
  const auto object = read_packet(R"(40{"a":"x","b":{"c":1},"a":"y","e":"\n"})").argument;
  CHECK(text_of(object, "a") == "y");  // the last of several
  CHECK(text_of(object, "b").empty());
  CHECK(text_of(object, "none").empty());
  REQUIRE(member_of(object, "b"));
  CHECK(member_of(*member_of(object, "b"), "c")->text == "1");
  CHECK_FALSE(member_of(JsonSpan{}, "a"));
}

}  // namespace
}  // namespace tandem::bench
