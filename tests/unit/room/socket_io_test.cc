#include "room/socket_io/socket_io.h"

#include <doctest/doctest.h>

#include <string>

namespace tandem {
namespace {

bool is_bad(std::string_view text) {
  return !decode_socket_frame(text).has_value();
}

TEST_CASE("each type as the protocol writes it") {
  auto frame = decode_socket_frame("0");
  REQUIRE(frame);
  CHECK(frame->type == SocketPacketType::connect);
  CHECK(frame->nsp == "/");
  CHECK(!frame->data);

  frame = decode_socket_frame(R"(0/admin,{"token":"123"})");
  REQUIRE(frame);
  CHECK(frame->nsp == "/admin");
  CHECK(frame->data->text == R"({"token":"123"})");

  frame = decode_socket_frame("1/admin,");
  REQUIRE(frame);
  CHECK(frame->type == SocketPacketType::disconnect);
  CHECK(frame->nsp == "/admin");

  frame = decode_socket_frame(R"(2/admin,456["project:delete",123])");
  REQUIRE(frame);
  CHECK(frame->type == SocketPacketType::event);
  CHECK(frame->nsp == "/admin");
  CHECK(frame->ack_id == 456);
  CHECK(frame->data->text == R"(["project:delete",123])");

  frame = decode_socket_frame("3/admin,456[]");
  REQUIRE(frame);
  CHECK(frame->type == SocketPacketType::ack);
  CHECK(frame->ack_id == 456);

  frame = decode_socket_frame(R"(4{"message":"Not authorized"})");
  REQUIRE(frame);
  CHECK(frame->type == SocketPacketType::connect_error);

  frame = decode_socket_frame(R"(51-/admin,456["x",{"_placeholder":true,"num":0}])");
  REQUIRE(frame);
  CHECK(frame->type == SocketPacketType::binary_event);
  CHECK(frame->attachments == 1);
  CHECK(frame->nsp == "/admin");
  CHECK(frame->ack_id == 456);

  frame = decode_socket_frame(R"(61-456[{"_placeholder":true,"num":0}])");
  REQUIRE(frame);
  CHECK(frame->type == SocketPacketType::binary_ack);
}

TEST_CASE("a namespace may end with the text") {
  CHECK(decode_socket_frame("0/custom")->nsp == "/custom");
  CHECK(decode_socket_frame("1/custom")->nsp == "/custom");
  CHECK(is_bad("2/custom"));
}

TEST_CASE("what is not Socket.IO") {
  for (const char* bad : {"",           "7",           "abc",         "-1",          " 0",
                          "0[]",        "0\"x\"",      "0{}x",        "0{",          "07",
                          "1{}",        "17",          "2",           "2{}",         "2[]",
                          "2[null]",    "2[{}]",       "2[[\"x\"]]",  "2abc[\"x\"]", "2[\"x\"",
                          "2[\"x\"]]",  "21",          "2 1[\"x\"]",  "2-1[\"x\"]",  "2+1[\"x\"]",
                          "201[\"x\"]", "3[]",         "3",           "31",          "31{}",
                          "4",          "4[]",         "41{}",        "5[\"x\"]",    "5-[\"x\"]",
                          "51[\"x\"]",  "501-[\"x\"]", "5 1-[\"x\"]", "533-[\"x\"]", "5-1-[\"x\"]",
                          "61-[]"}) {
    CAPTURE(bad);
    CHECK(is_bad(bad));
  }
}

TEST_CASE("names that have a meaning of their own are no events") {
  for (const char* name : {"connect", "connect_error", "disconnect", "disconnecting", "newListener",
                           "removeListener", "c\\u006fnnect"})
    CHECK(is_bad("2[\"" + std::string(name) + "\"]"));
  CHECK(!is_bad(R"(2["connected"])"));
}

TEST_CASE("numbers: as large as an ack id can be, and no larger") {
  CHECK(decode_socket_frame(R"(218446744073709551615["x"])")->ack_id == UINT64_MAX);
  CHECK(is_bad(R"(218446744073709551616["x"])"));
  CHECK(decode_socket_frame(R"(20["x"])")->ack_id == 0);
}

TEST_CASE("everything has a bound") {
  const auto event_named = [](std::size_t size) { return "2[\"" + std::string(size, 'n') + "\"]"; };
  CHECK(!is_bad(event_named(kEventNameBytesMax)));
  CHECK(is_bad(event_named(kEventNameBytesMax + 1)));
  const auto connect_to = [](std::size_t size) { return "0/" + std::string(size - 1, 'n') + ","; };
  CHECK(!is_bad(connect_to(kNamespaceBytesMax)));
  CHECK(is_bad(connect_to(kNamespaceBytesMax + 1)));
  const auto with_arguments = [](std::size_t count) {
    std::string text = "2[\"x\"";
    for (std::size_t i = 0; i < count; ++i) text += ",0";
    return text + "]";
  };
  CHECK(!is_bad(with_arguments(kEventArgumentsMax)));
  CHECK(is_bad(with_arguments(kEventArgumentsMax + 1)));
  const auto nested = [](std::size_t depth) {
    return "2[\"x\"," + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "]";
  };
  CHECK(!is_bad(nested(kSocketJsonDepthMax)));
  CHECK(is_bad(nested(kSocketJsonDepthMax + 1)));
  CHECK(!is_bad(R"(532-["x"])"));
}

TEST_CASE("placeholders name attachments of their own packet") {
  const auto event = [](std::string_view argument, char attachments = '2') {
    return std::string("5") + attachments + "-[\"x\"," + std::string(argument) + "]";
  };
  for (const char* good :
       {R"({"_placeholder":true,"num":0})", R"({"num":1,"_placeholder":true})",
        R"( { "_placeholder" : true , "num" : 1 } )", R"({"a":[{"_placeholder":true,"num":1}]})",
        R"({"num":7})", R"({"num":1.5})", R"("_placeholder")", R"(["_placeholder",true])",
        R"({"_placeholder":false,"_placeholder":true,"num":9,"num":0})", "null",
        R"({"a":"}{\"","b":{"_placeholder":true,"num":0}})"}) {
    CAPTURE(good);
    CHECK(!is_bad(event(good)));
  }
  for (const char* bad :
       {R"({"_placeholder":true,"num":2})", R"({"_placeholder":true})",
        R"({"_placeholder":1,"num":0})", R"({"_placeholder":"x","num":99})",
        R"({"_placeholder":true,"num":-0})", R"({"_placeholder":true,"num":0.5})",
        R"({"_placeholder":true,"num":1e0})", R"({"_placeholder":true,"num":"0"})",
        R"({"_placeholder":true,"num":18446744073709551616})",
        R"({"\u005fplaceholder":true,"num":2})", R"({"_placeholder":true,"n\u0075m":2,"x":0})",
        R"({"a":{"b":[0,{"_placeholder":true,"num":5}]}})",
        R"({"_placeholder":true,"num":0,"num":2})", R"({"_placeholder":true,"a":{"num":0}})"}) {
    CAPTURE(bad);
    CHECK(is_bad(event(bad)));
  }
  CHECK(is_bad(event(R"({"_placeholder":true,"num":0})", '0')));
  // Nothing is put in their place in an event without attachments.
  CHECK(!is_bad(R"(2["x",{"_placeholder":true,"num":5}])"));
  CHECK(is_bad(R"(61-1[{"_placeholder":true,"num":1}])"));
}

TEST_CASE("an event's name and arguments") {
  SocketArguments split;
  split_arguments(*decode_socket_frame(R"(2["a\nb", 1 ,{"c":[2]},"d"])"), split);
  CHECK(split.name == "a\nb");
  REQUIRE(split.arguments.size() == 3);
  CHECK(split.arguments[0].text == "1");
  CHECK(split.arguments[1].text == R"({"c":[2]})");
  CHECK(split.arguments[1].kind == JsonKind::object);
  CHECK(split.arguments[2].text == R"("d")");
  split_arguments(*decode_socket_frame(R"(2["plain"])"), split);
  CHECK(split.name == "plain");
  CHECK(split.arguments.empty());
  split_arguments(*decode_socket_frame("2[7,8]"), split);
  CHECK(split.name == "7");
  CHECK(split.arguments.size() == 1);
  split_arguments(*decode_socket_frame(R"(31["x",2])"), split);
  CHECK(split.name.empty());
  CHECK(split.arguments.size() == 2);
}

TEST_CASE("what stands before the JSON") {
  using enum SocketPacketType;
  CHECK(socket_frame_head(event, 0, "/", std::nullopt) == "42");
  CHECK(socket_frame_head(connect, 0, "/admin", std::nullopt) == "40/admin,");
  CHECK(socket_frame_head(ack, 0, "/", 12) == "4312");
  CHECK(socket_frame_head(binary_event, 2, "/admin", 7) == "452-/admin,7");
  CHECK(socket_frame_head(binary_ack, 1, "/", 0) == "461-0");
}

}  // namespace
}  // namespace tandem
