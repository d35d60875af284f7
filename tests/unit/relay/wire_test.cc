#include "relay/core/wire.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <vector>

#include "common/hex.h"
#include "common/hmac.h"
#include "common/token.h"

namespace tandem {
namespace {

std::vector<uint8_t> counted(size_t size, uint8_t first) {
  std::vector<uint8_t> bytes(size);
  std::iota(bytes.begin(), bytes.end(), first);
  return bytes;
}

std::string hex(std::span<const uint8_t> bytes) {
  std::string text(2 * bytes.size(), '\0');
  hex_encode(bytes, text);
  return text;
}

std::vector<uint8_t> from_hex(std::string_view text) {
  std::vector<uint8_t> bytes(text.size() / 2);
  REQUIRE(hex_decode(text, bytes));
  return bytes;
}

const std::vector<uint8_t> kNonceBytes = counted(kClientNonceSize, 0xa0);
const auto kNonce = std::span(kNonceBytes).first<kClientNonceSize>();

TEST_CASE("the first byte tells what a datagram is") {
  const std::array<DatagramClass, 8> by_type = {DatagramClass::bind,
                                                DatagramClass::tandem_unexpected,
                                                DatagramClass::tandem_unexpected,
                                                DatagramClass::data,
                                                DatagramClass::ping,
                                                DatagramClass::tandem_unexpected,
                                                DatagramClass::close,
                                                DatagramClass::tandem_unexpected};
  for (unsigned first = 0; first < 256; ++first) {
    const std::array<uint8_t, 1> datagram = {static_cast<uint8_t>(first)};
    const bool ours = first >= 0x05 && first <= 0x0C;
    CHECK(classify(datagram) == (ours ? by_type[first - 5] : DatagramClass::unknown));
  }
  CHECK(classify({}) == DatagramClass::empty);
}

TEST_CASE("STUN needs the magic cookie and a first byte of 0 to 3") {
  auto datagram = from_hex(
      "00010000"
      "2112a442");
  CHECK(classify(datagram) == DatagramClass::stun);
  CHECK(classify(std::span(datagram).first(7)) == DatagramClass::unknown);
  datagram[0] = 3;
  CHECK(classify(datagram) == DatagramClass::stun);
  datagram[0] = 4;
  CHECK(classify(datagram) == DatagramClass::unknown);
  datagram[0] = 0;
  datagram[7] ^= 1;
  CHECK(classify(datagram) == DatagramClass::unknown);
}

TEST_CASE("the fields of a BIND lie where the protocol says") {
  auto datagram = counted(kBindMin, 0);
  datagram[0] = 0x05;
  const auto bind = parse_bind(datagram);
  REQUIRE(bind.has_value());
  CHECK(bind->shard_key == 1);
  CHECK(bind->features_offered == 0x0203);
  CHECK(bind->nonce[0] == 4);
  CHECK(bind->claims[0] == 12);
  CHECK(bind->cookie[0] == 36);
  CHECK(bind->proof[0] == 52);
  CHECK(bind->proven.data() == datagram.data());
  CHECK(bind->proven.size() == 52);
}

TEST_CASE("a BIND of the published vector has the published proof") {
  const auto token = parse_token_text("AQEAA3Db2IABI0VniavN7wAAAAAAAAAAqRKgsjVY4T58CiMJ_oxbGg");
  REQUIRE(token.has_value());
  std::vector<uint8_t> datagram(kBindMin);
  datagram[0] = 0x05;
  datagram[1] = 0xef;
  std::ranges::copy(counted(8, 0), &datagram[4]);
  std::ranges::copy(claims_of(*token), &datagram[12]);
  std::ranges::copy(counted(16, 0x10), &datagram[36]);
  const auto bind = parse_bind(datagram);
  REQUIRE(bind.has_value());
  CHECK(hex(mac16(secret_of(*token), bind->proven)) == "9688537303d4e2a812c85ff973f0c54a");
}

TEST_CASE("lengths are judged to the byte") {
  struct Bounds {
    uint8_t type;
    size_t least;
    size_t most;
    size_t (*parse)(std::span<const uint8_t>);  // 1 = taken
  };
  const Bounds all[] = {
      {0x05, 96, 1500, [](auto d) { return size_t{parse_bind(d).has_value()}; }},
      {0x08, 8, 1500, [](auto d) { return size_t{parse_data_header(d).has_value()}; }},
      {0x09, 16, 1200, [](auto d) { return size_t{parse_ping(d).has_value()}; }},
      {0x0B, 16, 16, [](auto d) { return size_t{parse_close(d).has_value()}; }},
  };
  for (const auto& [type, least, most, parse] : all) {
    for (size_t size = 0; size <= 1500; ++size) {
      std::vector<uint8_t> datagram(size);
      if (size != 0) datagram[0] = type;
      REQUIRE(parse(datagram) == (size >= least && size <= most ? 1 : 0));
      if (size != 0) datagram[0] = 0x06;
      REQUIRE(parse(datagram) == 0);
    }
  }
}

TEST_CASE("only an unbound PING is bounded") {
  std::vector<uint8_t> ping(1400);
  ping[0] = 0x09;
  CHECK(parse_ping(ping).error() == WireError::too_long);
  ping[7] = 1;
  REQUIRE(parse_ping(ping).has_value());
  CHECK(parse_ping(ping)->channel_id == 1);
}

TEST_CASE("a CLOSE keeps a reason without a name") {
  const auto datagram = from_hex(
      "0bef"
      "2a00"
      "01020304"
      "a0a1a2a3a4a5a6a7");
  const auto close = parse_close(datagram);
  REQUIRE(close.has_value());
  CHECK(close->shard_key == 0xef);
  CHECK(close->reason == 42);
  CHECK(close->channel_id == 0x01020304);
  CHECK(std::ranges::equal(close->nonce, kNonce));
}

TEST_CASE("what the relay writes, byte for byte") {
  const auto cookie = counted(kCookieSize, 0x10);

  std::array<uint8_t, kChallengeSize> challenge;
  write_challenge(challenge, {.shard_key = 0xef,
                              .features_granted = 0,
                              .nonce = kNonce,
                              .cookie = std::span(cookie).first<kCookieSize>()});
  CHECK(hex(challenge) == "06ef0000a0a1a2a3a4a5a6a7101112131415161718191a1b1c1d1e1f");

  std::array<uint8_t, kBoundSize> bound;
  BoundFields fields{.shard_key = 0xef,
                     .state = BoundState::paired,
                     .slot = 1,
                     .nonce = kNonce,
                     .channel_id = 0x01020304,
                     .keepalive_s = 15,
                     .max_payload = 1464,
                     .observed = {IpAddress::v4(192, 0, 2, 1), 0x1f90}};
  bound.fill(0xff);
  write_bound(bound, fields);
  CHECK(hex(bound) ==
        "07ef0101a0a1a2a3a4a5a6a701020304000f05b804001f90"
        "00000000000000000000ffffc0000201");
  fields.observed.address = *IpAddress::parse("2001:db8::1");
  write_bound(bound, fields);
  CHECK(hex(std::span(bound).subspan(20)) == "06001f9020010db8000000000000000000000001");

  std::array<uint8_t, kCloseSize> close;
  close.fill(0xff);
  write_close(close, {0xef, CloseReason::replaced, 0x01020304, kNonce});
  CHECK(hex(close) == "0bef060001020304a0a1a2a3a4a5a6a7");

  std::array<uint8_t, kErrorSize> error;
  error.fill(0xff);
  write_error(error, {0xef, ErrorCode::draining, kNonce, 300});
  CHECK(hex(error) == "0cef0500a0a1a2a3a4a5a6a7012c");
}

TEST_CASE("a PONG is its PING with another type, and the clock where there is room") {
  constexpr uint64_t kClock = 0x1112131415161718;
  auto ping = from_hex("09ef000001020304a0a1a2a3a4a5a6a7ffffffffffffffffff");
  auto pong = ping;
  write_pong_in_place(pong, PongBinding::bound, kClock);
  CHECK(hex(pong) == "0aef000001020304a0a1a2a3a4a5a6a71112131415161718ff");

  pong.assign(ping.begin(), ping.begin() + 23);
  write_pong_in_place(pong, PongBinding::unbound, kClock);
  CHECK(hex(pong) == "0aef000000000000a0a1a2a3a4a5a6a7ffffffffffffff");
}

TEST_CASE("each code has the page's number and text") {
  const std::string_view texts[] = {"BAD_TOKEN",     "EXPIRED",  "SESSION_FULL",
                                    "OVER_CAPACITY", "DRAINING", "RATE_LIMITED",
                                    "NOT_ALLOWED",   "KICKED",   "BLOCKED"};
  for (uint8_t number = 1; number <= 9; ++number) {
    CHECK(error_code_text(ErrorCode{number}) == texts[number - 1]);
    CHECK(has_datagram_form(ErrorCode{number}));
  }
  CHECK(error_code_text(ErrorCode::bad_request) == "BAD_REQUEST");
  CHECK(error_code_text(ErrorCode::bad_version) == "BAD_VERSION");
  CHECK(error_code_text(ErrorCode::timeout) == "TIMEOUT");
  for (const ErrorCode code : {ErrorCode::bad_request, ErrorCode::bad_version, ErrorCode::timeout})
    CHECK(!has_datagram_form(code));
}

TEST_CASE("nothing that answers a BIND is longer than one") {
  CHECK(std::max({kChallengeSize, kBoundSize, kErrorSize, kCloseSize}) <= kBindMin);
}

}  // namespace
}  // namespace tandem
