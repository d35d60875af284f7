#include "relay/core/stun.h"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "common/hex.h"

namespace tandem {
namespace {

std::vector<uint8_t> from_hex(std::string_view text) {
  std::vector<uint8_t> bytes(text.size() / 2);
  REQUIRE(hex_decode(text, bytes));
  return bytes;
}

std::string hex(std::span<const uint8_t> bytes) {
  std::string text(2 * bytes.size(), '\0');
  hex_encode(bytes, text);
  return text;
}

const Endpoint kV4{IpAddress::v4(192, 0, 2, 1), 32853};
const std::string kCookieAndId = "2112a442b7e7a701bc34d686fa87dfae";

struct Answer {
  StunVerdict verdict;
  std::string bytes;
};
Answer answer(std::span<const uint8_t> request, const Endpoint& client = kV4) {
  std::array<uint8_t, kStunReplyMax> out;
  out.fill(0xee);
  const StunAnswer got = answer_stun(request, client, out);
  return {got.verdict, hex(std::span(out).first(got.length))};
}
Answer answer(std::string_view request, const Endpoint& client = kV4) {
  return answer(from_hex(request), client);
}

// The request of RFC 5769, 2.1: its FINGERPRINT is right, and PRIORITY (0x0024) is one of its
// attributes, which a server without ICE does not understand.
const std::string kRfc5769Request =
    "00010058"
    "2112a442"
    "b7e7a701bc34d686fa87dfae"
    "80220010"
    "5354554e207465737420636c69656e74"
    "00240004"
    "6e0001ff"
    "80290008"
    "932ff9b151263b36"
    "00060009"
    "6576746a3a68367659202020"
    "00080014"
    "9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004"
    "e57a3bcf";

TEST_CASE("a bare Binding request") {
  const auto [verdict, bytes] = answer("00010000" + kCookieAndId);
  CHECK(verdict == StunVerdict::answered);
  CHECK(bytes == "0101000c" + kCookieAndId + "002000080001a147e112a643");
}

TEST_CASE("XOR-MAPPED-ADDRESS as in RFC 5769, 2.2 and 2.3") {
  const auto v4 = answer("00010000" + kCookieAndId);
  CHECK(v4.bytes.substr(40) ==
        "00200008"
        "0001a147e112a643");
  const Endpoint v6{*IpAddress::parse("2001:db8:1234:5678:11:2233:4455:6677"), 32853};
  const auto v6_answer = answer("00010000" + kCookieAndId, v6);
  CHECK(v6_answer.bytes.substr(40) ==
        "00200014"
        "0002a147"
        "0113a9faa5d3f179bc25f4b5bed2b9d9");
}

TEST_CASE("RFC 5769's request: its FINGERPRINT holds and PRIORITY is not understood") {
  const auto [verdict, bytes] = answer(kRfc5769Request);
  CHECK(verdict == StunVerdict::refused);
  CHECK(bytes.starts_with("01110018" + kCookieAndId +
                          "00090004"
                          "00000414"
                          "000a0002"
                          "00240000"
                          "80280004"));
  auto wrong = from_hex(kRfc5769Request);
  wrong[wrong.size() - 1] ^= 1;
  CHECK(answer(wrong).verdict == StunVerdict::malformed);
  wrong = from_hex(kRfc5769Request);
  wrong[30] ^= 1;
  CHECK(answer(wrong).verdict == StunVerdict::malformed);
}

TEST_CASE("a fingerprinted request has a fingerprinted answer that is itself right") {
  // An answer's fingerprint covers its bytes as a request's does: made a request, it is taken.
  auto request = from_hex("00010008" + kCookieAndId +
                          "80280004"
                          "00000000");
  CHECK(answer(request).verdict == StunVerdict::malformed);
  auto reply = from_hex(answer(kRfc5769Request).bytes);
  CHECK(hex(std::span(reply).last(8).first(4)) == "80280004");
  // CRC-32 by the definition, bit by bit.
  uint32_t crc = 0xffffffff;
  for (const uint8_t byte : std::span(reply).first(reply.size() - 8)) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  crc = ~crc ^ 0x5354554e;
  const std::vector<uint8_t> told(reply.end() - 4, reply.end());
  CHECK(told == std::vector<uint8_t>{static_cast<uint8_t>(crc >> 24),
                                     static_cast<uint8_t>(crc >> 16),
                                     static_cast<uint8_t>(crc >> 8), static_cast<uint8_t>(crc)});
}

TEST_CASE("optional and known attributes do not matter") {
  CHECK(answer("0001000c" + kCookieAndId +
               "80220005"
               "4142434445000000")
            .verdict == StunVerdict::answered);
  CHECK(answer("00010008" + kCookieAndId +
               "00060001"
               "41000000")
            .verdict == StunVerdict::answered);
}

TEST_CASE("what follows MESSAGE-INTEGRITY is ignored") {
  const std::string integrity = "00080014" + std::string(40, '0');
  CHECK(answer("00010020" + kCookieAndId + integrity +
               "00030004"
               "00000002")
            .verdict == StunVerdict::answered);
  CHECK(answer("00010020" + kCookieAndId +
               "00030004"
               "00000002" +
               integrity)
            .verdict == StunVerdict::refused);
}

TEST_CASE("a 420 names as many types as it has room for") {
  std::string attributes;
  for (int i = 0; i < 40; ++i)
    attributes += "7f" + hex(std::array{static_cast<uint8_t>(i)}) + "0000";
  const auto [verdict, bytes] = answer("000100a0" + kCookieAndId + attributes);
  CHECK(verdict == StunVerdict::refused);
  CHECK(bytes.size() == 2 * (20 + 8 + 4 + 32));
  CHECK(bytes.ends_with("7f0e7f0f"));

  const auto odd = answer("0001000c" + kCookieAndId + "7f0000007f0100007f020000");
  CHECK(odd.bytes == "01110014" + kCookieAndId +
                         "00090004"
                         "00000414"
                         "000a0006"
                         "7f007f017f020000");
}

TEST_CASE("other methods and classes have no answer") {
  for (const char* type : {"0011", "0101", "0111", "0003", "0004", "03ff"}) {
    const auto [verdict, bytes] = answer(std::string(type) + "0000" + kCookieAndId);
    INFO(type);
    CHECK(verdict == StunVerdict::unexpected_method);
    CHECK(bytes.empty());
  }
}

TEST_CASE("what is malformed has no answer") {
  const std::string id = kCookieAndId;
  for (const std::string& request : {
           std::string(),
           std::string("0001"),
           "00010000" + id.substr(2),
           "00010000" + id + "00",
           "00010004" + id,
           "00010000" + id + "80220000",
           "00010002" + id + "8022",
           "00010004" + id + "80220001",
           "00010008" + id + "8022000500000000",
           "00010004" + id + "8022ffff",
           "00010000"
           "2112a443" +
               id.substr(8),
           "40010000" + id,
           "0001000c" + id +
               "80280004"
               "00000000"
               "80220000",
           "00010004" + id + "80280000",
           "0001000c" + id +
               "80280008"
               "0000000000000000",
       }) {
    INFO(request);
    const auto [verdict, bytes] = answer(request);
    CHECK(verdict == StunVerdict::malformed);
    CHECK(bytes.empty());
  }
  std::vector<uint8_t> large = from_hex("00010000" + id);
  large.resize(kStunRequestMax + 4);
  large[2] = static_cast<uint8_t>((large.size() - 20) >> 8);
  large[3] = static_cast<uint8_t>(large.size() - 20);
  CHECK(answer(large).verdict == StunVerdict::malformed);
}

}  // namespace
}  // namespace tandem
