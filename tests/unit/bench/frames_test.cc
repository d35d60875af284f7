#include "bench/load/rooms/frames.h"

#include <doctest/doctest.h>

namespace tandem::bench {
namespace {

constexpr std::size_t kMax = 100'000;

std::string_view operator""_b(const char* bytes, std::size_t size) {
  return {bytes, size};
}

// As a server would read what a client sent: unmasked.
std::string unmasked(std::string_view frame, std::size_t header) {
  const auto key = frame.substr(header, 4);
  std::string payload(frame.substr(header + 4));
  for (std::size_t i = 0; i < payload.size(); ++i) {
    payload[i] = static_cast<char>(payload[i] ^ key[i % key.size()]);
  }
  return payload;
}

TEST_CASE("RFC 6455's masked Hello") {
  std::string frame;
  append_frame(frame, Opcode::text, "Hello", 0x3d21fa37);  // 37 fa 21 3d on a little-endian machine
  CHECK(frame == "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"_b);
}

TEST_CASE("lengths in one byte, in two and in eight, and a payload that comes back") {
  struct Sample {
    std::size_t length;
    std::size_t header;
  };
  for (const auto& [length, header] :
       {Sample{0, 2}, {1, 2}, {125, 2}, {126, 4}, {65'535, 4}, {65'536, 10}}) {
    CAPTURE(length);
    std::string payload(length, '\0');
    for (std::size_t i = 0; i < length; ++i) payload[i] = static_cast<char>(i * 7);
    std::string frame = "before";
    append_frame(frame, Opcode::binary, payload, 0x01020304);
    const auto bytes = std::string_view(frame).substr(6);
    CHECK(bytes.size() == header + 4 + length);
    CHECK((static_cast<std::uint8_t>(bytes[1]) & 0x80) == 0x80);
    CHECK(unmasked(bytes, header) == payload);
  }
}

TEST_CASE("a server's frames, one after the other") {
  Frame frame;
  const auto bytes = "\x81\x03one\x02\x01t\x80\x02wo\x89\x00"_b;
  REQUIRE(read_frame(bytes, kMax, frame) == FrameOutcome::frame);
  CHECK((frame.opcode == Opcode::text && frame.final && frame.payload == "one"));
  auto rest = bytes.substr(frame.size);
  REQUIRE(read_frame(rest, kMax, frame) == FrameOutcome::frame);
  CHECK((frame.opcode == Opcode::binary && !frame.final && frame.payload == "t"));
  rest.remove_prefix(frame.size);
  REQUIRE(read_frame(rest, kMax, frame) == FrameOutcome::frame);
  CHECK((frame.opcode == Opcode::continuation && frame.final && frame.payload == "wo"));
  rest.remove_prefix(frame.size);
  REQUIRE(read_frame(rest, kMax, frame) == FrameOutcome::frame);
  CHECK((frame.opcode == Opcode::ping && frame.payload.empty() && frame.size == rest.size()));
}

TEST_CASE("any beginning of a frame wants more") {
  const std::string payload(300, 'x');
  const auto bytes = "\x82\x7e\x01\x2c"_b;
  const auto whole = std::string(bytes) + payload;
  Frame frame;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK(read_frame(std::string_view(whole).substr(0, size), kMax, frame) ==
          FrameOutcome::partial);
  }
  REQUIRE(read_frame(whole, kMax, frame) == FrameOutcome::frame);
  CHECK(frame.payload == payload);
}

TEST_CASE("what no server may send") {
  Frame frame;
  for (const auto bytes : {"\x81\x81\0\0\0\0x"_b,    // masked
                           "\xc1\x01x"_b,            // a reserved bit
                           "\x83\x01x"_b,            // opcodes of nothing
                           "\x8b\x00"_b,             //
                           "\x09\x00"_b,             // a ping in parts
                           "\x89\x7e\x00\x7e"_b}) {  // a ping of 126 bytes
    CHECK(read_frame(bytes, kMax, frame) == FrameOutcome::malformed);
  }
}

TEST_CASE("a payload beyond the bound is refused by its header") {
  Frame frame;
  CHECK(read_frame("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"_b, kMax, frame) ==
        FrameOutcome::too_large);
  CHECK(read_frame("\x82\x05"_b, 4, frame) == FrameOutcome::too_large);
  CHECK(read_frame("\x82\x04"_b, 4, frame) == FrameOutcome::partial);
}

}  // namespace
}  // namespace tandem::bench
