#include "room/web/websocket_reader.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "room/web/utf8_check.h"
#include "room/web/websocket_frame.h"
#include "room/web/websocket_handshake.h"

namespace tandem {
namespace {

using Kind = WebSocketInput::Kind;
using namespace std::string_literals;

struct Taken {
  Kind kind;
  std::string payload;
  unsigned code = 0;
  bool operator==(const Taken&) const = default;
};

// All there is in `bytes`, given in pieces of `piece` bytes.
std::vector<Taken> take(std::string bytes, std::size_t piece, std::uint64_t bytes_max = 1 << 20) {
  WebSocketReader reader;
  std::vector<Taken> taken;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    std::string copy = bytes.substr(at, piece);  // where a sanitizer sees the end
    std::span<char> left(copy);
    for (;;) {
      const WebSocketInput input = reader.next(left, bytes_max);
      if (input.kind == Kind::need_more) break;
      taken.push_back({input.kind, std::string(input.payload), input.code});
      if (input.kind == Kind::message && input.opcode == WebSocketOpcode::binary)
        taken.back().code = 2;
      if (input.kind == Kind::close || input.kind == Kind::fault) return taken;
    }
    CHECK(left.empty());
  }
  return taken;
}

// However the bytes are cut.
std::vector<Taken> take(const std::string& bytes) {
  std::vector<Taken> whole = take(bytes, bytes.size());
  for (const std::size_t piece : {1u, 2u, 3u, 5u, 7u, 100u}) CHECK(take(bytes, piece) == whole);
  return whole;
}

unsigned fault_of(const std::string& bytes) {
  const std::vector<Taken> taken = take(bytes);
  REQUIRE(!taken.empty());
  CHECK(taken.back().kind == Kind::fault);
  return taken.back().code;
}

// Masked with zeros, so that the payload can be read here.
std::string frame(unsigned first, std::string_view payload) {
  REQUIRE(payload.size() < 126);
  return std::string(1, static_cast<char>(first)) + static_cast<char>(0x80 | payload.size()) +
         "\0\0\0\0"s + std::string(payload);
}

TEST_CASE("RFC 6455, 5.7: the examples") {
  CHECK(take("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58") ==
        std::vector<Taken>{{Kind::message, "Hello"}});
  CHECK(take("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58") ==
        std::vector<Taken>{{Kind::pong, "Hello"}});
  CHECK(take(frame(0x01, "Hel") + frame(0x80, "lo")) ==
        std::vector<Taken>{{Kind::message, "Hello"}});
  const std::string k256(256, 'x');
  CHECK(take("\x82\xfe\x01\x00\0\0\0\0"s + k256) == std::vector<Taken>{{Kind::message, k256, 2}});
  const std::string k64k(65536, 'y');
  const std::vector<Taken> large = take("\x82\xff\0\0\0\0\0\x01\0\0\0\0\0\0"s + k64k, 1000);
  CHECK(large == std::vector<Taken>{{Kind::message, k64k, 2}});
}

TEST_CASE("control frames may come between a message's frames") {
  CHECK(take(frame(0x01, "a") + frame(0x89, "p1") + frame(0x00, "b") + frame(0x8a, "") +
             frame(0x80, "c") + frame(0x82, "next")) ==
        std::vector<Taken>{{Kind::ping, "p1"},
                           {Kind::pong, ""},
                           {Kind::message, "abc"},
                           {Kind::message, "next", 2}});
}

TEST_CASE("a message may be empty, and one of its frames too") {
  CHECK(take(frame(0x81, "")) == std::vector<Taken>{{Kind::message, ""}});
  CHECK(take(frame(0x02, "") + frame(0x00, "") + frame(0x80, "")) ==
        std::vector<Taken>{{Kind::message, "", 2}});
}

TEST_CASE("what is no WebSocket is 1002") {
  CHECK(fault_of("\x81\x05Hello") == 1002);   // not masked
  CHECK(fault_of(frame(0xc1, "x")) == 1002);  // RSV1: nobody granted compression
  CHECK(fault_of(frame(0xa1, "x")) == 1002);
  CHECK(fault_of(frame(0x91, "x")) == 1002);
  for (const unsigned opcode : {3u, 7u, 11u, 15u})
    CHECK(fault_of(frame(0x80 | opcode, "")) == 1002);
  CHECK(fault_of(frame(0x09, "x")) == 1002);  // a fragment of a ping
  CHECK(fault_of("\x89\xfe\x00\x7e\0\0\0\0"s + std::string(126, 'x')) == 1002);  // a long one
  CHECK(fault_of(frame(0x80, "x")) == 1002);                     // continues nothing
  CHECK(fault_of(frame(0x01, "x") + frame(0x81, "y")) == 1002);  // begins within
  CHECK(fault_of("\x82\xfe\x00\x7d\0\0\0\0"s + std::string(125, 'x')) == 1002);  // not shortest
  CHECK(fault_of("\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0"s) == 1002);
  CHECK(fault_of("\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0"s) == 1002);  // the highest bit
}

TEST_CASE("what comes before a fault is handed out") {
  const std::vector<Taken> taken = take(frame(0x81, "good") + "\x81\x05Hello");
  CHECK(taken == std::vector<Taken>{{Kind::message, "good"}, {Kind::fault, "", 1002}});
}

TEST_CASE("a close frame and its codes") {
  const auto close = [](unsigned code, std::string_view reason = {}) {
    return take(frame(0x88,
                      std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)} +
                          std::string(reason)))
        .front();
  };
  CHECK(take(frame(0x88, "")) == std::vector<Taken>{{Kind::close, "", 1005}});
  for (const unsigned code : {1000u, 1001u, 1003u, 1007u, 1011u, 1014u, 3000u, 4999u})
    CHECK(close(code, "bye") == Taken{Kind::close, "bye", code});
  for (const unsigned code : {0u, 999u, 1004u, 1005u, 1006u, 1015u, 1016u, 2999u, 5000u, 65535u})
    CHECK(close(code) == Taken{Kind::fault, "", 1002});
  CHECK(fault_of(frame(0x88, "x")) == 1002);
  CHECK(close(1000, "\xff") == Taken{Kind::fault, "", 1007});
  CHECK(close(1000, "\xe2\x82") == Taken{Kind::fault, "", 1007});  // cut
}

TEST_CASE("text is UTF-8, across frames as well") {
  CHECK(fault_of(frame(0x81, "\xff")) == 1007);
  CHECK(fault_of(frame(0x81, "\xe2\x82")) == 1007);
  CHECK(take(frame(0x01, "\xe2") + frame(0x00, "\x82") + frame(0x80, "\xac")) ==
        std::vector<Taken>{{Kind::message, "\xe2\x82\xac"}});
  CHECK(fault_of(frame(0x01, "\xe2\x82") + frame(0x80, "")) == 1007);
  CHECK(take(frame(0x82, "\xff")) == std::vector<Taken>{{Kind::message, "\xff", 2}});
  // At once, not when the message is whole.
  CHECK(take(frame(0x01, "\xff"), 100) == std::vector<Taken>{{Kind::fault, "", 1007}});
}

TEST_CASE("UTF-8 is what RFC 3629 says") {
  for (const char* good : {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
                           "12345678\xc3\xa4"
                           "12345678"})
    CHECK(is_utf8(good));
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf",
                          "\xed\xa0\x80", "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                          "\xf5\x80\x80\x80", "\xff", "1234567890\xbf"})
    CHECK(!is_utf8(bad));
  CHECK(is_utf8("a\0b"s));
}

TEST_CASE("a message over the bound is 1009 before it has come") {
  const auto taken = [](const std::string& bytes) { return take(bytes, bytes.size(), 10); };
  CHECK(taken(frame(0x81, "0123456789")).front().kind == Kind::message);
  CHECK(taken(frame(0x81, "0123456789a")).front() == Taken{Kind::fault, "", 1009});
  CHECK(taken("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"s).front() ==
        Taken{Kind::fault, "", 1009});
  CHECK(taken(frame(0x01, "012345") + frame(0x00, "6789")).empty());
  CHECK(taken(frame(0x01, "012345") + frame(0x00, "6789a")).front() ==
        Taken{Kind::fault, "", 1009});
  CHECK(taken(frame(0x01, "0123456789") + frame(0x89, "a ping of any size")).front().kind ==
        Kind::ping);
}

TEST_CASE("nothing is kept between messages") {
  WebSocketReader reader;
  std::string bytes = frame(0x01, "a") + frame(0x80, "b") + frame(0x89, "p");
  for (char& byte : bytes) {
    std::span<char> one(&byte, 1);
    while (reader.next(one, 100).kind != Kind::need_more) {
    }
  }
  CHECK(reader.idle());
  std::string part = frame(0x81, "abc").substr(0, 7);
  std::span<char> left(part);
  CHECK(reader.next(left, 100).kind == Kind::need_more);
  CHECK(!reader.idle());
}

TEST_CASE("frames of the server") {
  using namespace std::string_view_literals;
  CHECK(WebSocketMessage(WebSocketOpcode::text, "Hello").wire() == "\x81\x05Hello");
  const WebSocketMessage two(WebSocketOpcode::binary, "He", "llo");
  CHECK(two.wire() == "\x82\x05Hello");
  CHECK(two.payload() == "Hello");
  CHECK(two.opcode() == WebSocketOpcode::binary);
  CHECK(WebSocketMessage(WebSocketOpcode::binary, std::string(125, 'x'))
            .wire()
            .starts_with("\x82\x7dx"sv));
  CHECK(WebSocketMessage(WebSocketOpcode::binary, std::string(126, 'x'))
            .wire()
            .starts_with("\x82\x7e\x00\x7ex"sv));
  CHECK(WebSocketMessage(WebSocketOpcode::binary, std::string(65535, 'x'))
            .wire()
            .starts_with("\x82\x7e\xff\xffx"sv));
  const WebSocketMessage large(WebSocketOpcode::binary, std::string(65536, 'x'));
  CHECK(large.wire().starts_with("\x82\x7f\0\0\0\0\0\x01\0\0x"sv));
  CHECK(large.payload() == std::string(65536, 'x'));
  CHECK(pong_frame("hi") == "\x8a\x02hi");
  CHECK(close_frame(1000) == "\x88\x02\x03\xe8");
  CHECK(close_frame(1005) == "\x88\x00"sv);
}

TEST_CASE("RFC 6455, 1.3: the answer to a key") {
  CHECK(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace
}  // namespace tandem
