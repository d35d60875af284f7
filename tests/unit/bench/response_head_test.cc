#include "bench/load/rooms/response_head.h"

#include <doctest/doctest.h>

#include <string>

namespace tandem::bench {
namespace {

constexpr std::string_view kUpgrade =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "SEC-WebSocket-Accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \r\n\r\n\x81\x00";

TEST_CASE("the answer to an upgrade") {
  ResponseHead head;
  REQUIRE(read_response_head(kUpgrade, head) == HeadOutcome::whole);
  CHECK(head.status == 101);
  CHECK(head.websocket_accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK_FALSE(head.close);
  CHECK_FALSE(head.content_length);
  CHECK(kUpgrade.substr(head.size) == "\x81");
}

TEST_CASE("the answer to a login") {
  ResponseHead head;
  const std::string text =
      "HTTP/1.1 201 Created\r\ncontent-length: 2\r\nConnection: Close\r\n\r\n{}";
  REQUIRE(read_response_head(text, head) == HeadOutcome::whole);
  CHECK(head.status == 201);
  CHECK(head.content_length == 2);
  CHECK(head.close);
  CHECK(text.substr(head.size) == "{}");
}

TEST_CASE("a status without a reason, and without any field") {
  ResponseHead head;
  REQUIRE(read_response_head("HTTP/1.0 404\r\n\r\n", head) == HeadOutcome::whole);
  CHECK(head.status == 404);
}

TEST_CASE("any beginning wants more") {
  ResponseHead head;
  const auto end = kUpgrade.find("\r\n\r\n") + 4;
  for (std::size_t size = 0; size < end; ++size) {
    CHECK(read_response_head(kUpgrade.substr(0, size), head) == HeadOutcome::partial);
  }
}

TEST_CASE("what is no HTTP") {
  ResponseHead head;
  for (const std::string text :
       {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "HTTP/1.1 200 OK\r\n: x\r\n\r\n"}) {
    CAPTURE(text);
    CHECK(read_response_head(text, head) == HeadOutcome::malformed);
  }
}

TEST_CASE("a head without an end is given up") {
  ResponseHead head;
  CHECK(read_response_head(std::string(kResponseHeadMax - 1, 'x'), head) == HeadOutcome::partial);
  CHECK(read_response_head(std::string(kResponseHeadMax, 'x'), head) == HeadOutcome::malformed);
}

}  // namespace
}  // namespace tandem::bench
