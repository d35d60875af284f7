#include "room/socket_io/socket_packet.h"

#include <doctest/doctest.h>

#include <string>

namespace tandem {
namespace {

std::vector<std::string> payloads_of(const SharedPacket& packet) {
  std::vector<std::string> payloads;
  for (const SharedMessage& frame : packet->frames) payloads.emplace_back(frame->payload());
  return payloads;
}
using Texts = std::vector<std::string>;

TEST_CASE("packets as they go out") {
  CHECK(payloads_of(encode_event("/", "x", {})) == Texts{R"(42["x"])"});
  CHECK(payloads_of(encode_event("/", "say \"hi\"", R"({"a":1},2)")) ==
        Texts{R"(42["say \"hi\"",{"a":1},2])"});
  CHECK(payloads_of(encode_event("/nsp", "x", "1")) == Texts{R"(42/nsp,["x",1])"});
  const std::string_view attachments[] = {std::string_view("\0\1", 2), "two"};
  const SharedPacket binary = encode_event(
      "/", "x", R"({"_placeholder":true,"num":0},{"_placeholder":true,"num":1})", attachments);
  CHECK(payloads_of(binary) ==
        Texts{R"(452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}])",
              std::string("\0\1", 2), "two"});
  CHECK(binary->frames[0]->opcode() == WebSocketOpcode::text);
  CHECK(binary->frames[1]->opcode() == WebSocketOpcode::binary);
  CHECK(binary->bytes() == binary->frames[0]->wire().size() + (2 + 2) + (2 + 3));
  CHECK(payloads_of(encode_ack("/", 7, {})) == Texts{"437[]"});
  CHECK(payloads_of(encode_ack("/nsp", 7, R"({"ok":true})")) == Texts{R"(43/nsp,7[{"ok":true}])"});
  CHECK(payloads_of(encode_ack("/", 7, R"({"_placeholder":true,"num":0})",
                               std::span(attachments).first(1)))[0] ==
        R"(461-7[{"_placeholder":true,"num":0}])");
  CHECK(encode_connect("/", "s", {})->payload() == R"(40{"sid":"s"})");
  CHECK(encode_connect("/nsp", "s", "p")->payload() == R"(40/nsp,{"sid":"s","pid":"p"})");
  CHECK(encode_disconnect("/")->payload() == "41");
  CHECK(encode_disconnect("/nsp")->payload() == "41/nsp,");
  CHECK(encode_connect_error("/nsp", "no \"way\"", {})->payload() ==
        R"(44/nsp,{"message":"no \"way\""})");
  CHECK(encode_connect_error("/", "m", R"({"code":1})")->payload() ==
        R"(44{"message":"m","data":{"code":1}})");
}

constexpr SentPackets::Bounds kPlenty = {1000, 1'000'000};

SharedPacket numbered(int number) {
  return encode_event("/", "n", std::to_string(number));
}
Texts taken(SentPackets& sent) {
  Texts texts;
  for (const SharedPacket& packet : sent.take()) texts.emplace_back(packet->frames[0]->payload());
  return texts;
}

TEST_CASE("sent packets are kept until they are confirmed") {
  SentPackets sent;
  CHECK(sent.empty());
  CHECK(sent.has_all_behind(0));
  CHECK(!sent.has_all_behind(1));
  for (int i = 1; i <= 4; ++i) sent.push(numbered(i), 10 * i, kPlenty);
  sent.confirm(9);
  CHECK(sent.has_all_behind(0));
  sent.confirm(25);
  CHECK(!sent.has_all_behind(1));
  CHECK(sent.has_all_behind(2));
  CHECK(sent.has_all_behind(4));
  CHECK(!sent.has_all_behind(5));
  CHECK(sent.count() == 4);
  CHECK(taken(sent) == Texts{R"(42["n",3])", R"(42["n",4])"});
  CHECK(sent.empty());
  CHECK(!sent.has_all_behind(3));
  CHECK(sent.has_all_behind(4));
}

TEST_CASE("what the client has is forgotten, the rest is sent with new marks") {
  SentPackets sent;
  for (int i = 1; i <= 4; ++i) sent.push(numbered(i), i, kPlenty);
  sent.push(numbered(5), SentPackets::kUnsent, kPlenty);
  sent.forget(3);
  std::uint64_t mark = 0;
  Texts texts;
  sent.resend([&](const SharedPacket& packet) {
    texts.emplace_back(packet->frames[0]->payload());
    return ++mark;
  });
  CHECK(texts == Texts{R"(42["n",4])", R"(42["n",5])"});
  sent.confirm(1);
  CHECK(taken(sent) == Texts{R"(42["n",5])"});
}

TEST_CASE("the bounds take the oldest") {
  SentPackets sent;
  for (int i = 1; i <= 9; ++i) sent.push(numbered(i), i, {3, 1'000'000});
  CHECK(!sent.has_all_behind(5));
  CHECK(sent.has_all_behind(6));
  CHECK(taken(sent) == Texts{R"(42["n",7])", R"(42["n",8])", R"(42["n",9])"});
  const std::size_t each = numbered(1)->bytes();
  for (int i = 1; i <= 9; ++i) sent.push(numbered(i), i, {1000, 2 * each});
  CHECK(taken(sent) == Texts{R"(42["n",8])", R"(42["n",9])"});
  sent.push(numbered(1), 1, {1000, each - 1});
  CHECK(sent.empty());
  CHECK(!sent.has_all_behind(18));
}

TEST_CASE("what the bounds took away is missed unless the client has it") {
  constexpr SentPackets::Bounds kTwo = {2, 1'000'000};
  SentPackets sent;
  for (int i = 1; i <= 2; ++i) sent.push(numbered(i), i, kTwo);
  CHECK(sent.is_whole());
  sent.push(numbered(3), 3, kTwo);
  CHECK(!sent.is_whole());
  sent.confirm(1);
  CHECK(sent.is_whole());
  for (int i = 4; i <= 6; ++i) sent.push(numbered(i), SentPackets::kUnsent, kTwo);
  sent.confirm(6);
  CHECK(!sent.is_whole());
  sent.forget(5);
  CHECK(sent.is_whole());
}

TEST_CASE("packets are let go of as they are confirmed") {
  SentPackets sent;
  const SharedPacket packet = numbered(1);
  for (int i = 1; i <= 100; ++i) {
    sent.push(packet, i, kPlenty);
    if (i > 10) sent.confirm(i - 10);
    CHECK(packet.use_count() == 1 + std::min(i, 10));
  }
  sent.confirm(100);
  CHECK(packet.use_count() == 1);
}

}  // namespace
}  // namespace tandem
