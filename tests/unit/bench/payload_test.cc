#include "bench/load/rooms/payload.h"

#include <doctest/doctest.h>

namespace tandem::bench {
namespace {

std::string payload_of(const MessageMark& mark, std::size_t size) {
  std::string text;
  append_payload(text, mark, size);
  return text;
}

std::optional<MessageMark> read(const std::string& text, std::size_t size) {
  const auto json = scan_json(text, 4);
  return json ? read_payload(*json, size) : std::nullopt;
}

constexpr std::uint64_t kMost = ~std::uint64_t{0};

TEST_CASE("a payload is JSON of its size, and tells its mark") {
  for (const std::size_t size : {kMessageBytesMin, std::size_t{65}, std::size_t{128},
                                 std::size_t{200}, std::size_t{1000}, kMessageBytesMax}) {
    for (const MessageMark mark :
         {MessageMark{0, 1}, MessageMark{9, 10}, MessageMark{99'999, 12'345'678},
          MessageMark{kMost / 10, kMost / 10}}) {
      CAPTURE(size);
      CAPTURE(mark.room);
      const auto text = payload_of(mark, size);
      CHECK(text.size() == size);
      CHECK(read(text, size) == mark);
    }
  }
}

TEST_CASE("it is put behind what is there") {
  std::string text = "before";
  append_payload(text, {1, 2}, kMessageBytesMin);
  CHECK(text.starts_with("before{"));
}

TEST_CASE("another order of the members and white space are no damage") {
  const auto text = payload_of({7, 8}, 100);
  const auto letters = text.substr(text.find("\"p\":"));
  const auto moved = "{ " + letters.substr(0, letters.size() - 1) + " , \"n\" : 8, \"r\":7 }";
  CHECK(read(moved, 100) == MessageMark{7, 8});
}

TEST_CASE("each altered character is damage") {
  const auto text = payload_of({7, 8}, 100);
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto altered = text;
    altered[i] = altered[i] == 'x' ? 'y' : 'x';
    CAPTURE(i);
    CHECK_FALSE(read(altered, 100));
  }
}

TEST_CASE("letters of another mark, too few and too many are damage") {
  const auto text = payload_of({7, 8}, 100);
  auto other = text;
  other.at(other.find('8')) = '9';
  CHECK_FALSE(read(other, 100));
  CHECK_FALSE(read(payload_of({7, 8}, 99), 100));
  CHECK_FALSE(read(payload_of({7, 8}, 101), 100));
}

TEST_CASE("what is no payload") {
  for (const std::string text : {"null", "[]", "{}", R"({"r":1,"n":2})", R"({"r":1,"n":2,"p":""})",
                                 R"({"r":"1","n":2,"p":"A"})", R"({"r":-1,"n":2,"p":"A"})"}) {
    CAPTURE(text);
    CHECK_FALSE(read(text, 100));
  }
}

}  // namespace
}  // namespace tandem::bench
