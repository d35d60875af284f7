#include "relay/core/join_line.h"

#include <doctest/doctest.h>

#include <numeric>
#include <string>

namespace tandem {
namespace {

const std::string kToken = "AQEAA3Db2IABI0VniavN7wAAAAAAAAAAqRKgsjVY4T58CiMJ_oxbGg";
const std::string kClaims = kToken.substr(0, 32);

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

JoinLineResult parse(std::string_view text) {
  return parse_join_line(bytes_of(text));
}
LineProgress progress(std::string_view text) {
  return parse(text).progress;
}

TEST_CASE("JOIN with a token and nothing else") {
  const auto result = parse("TANDEM/1 JOIN " + kToken + "\n");
  REQUIRE(result.progress == LineProgress::complete);
  CHECK(result.consumed == 14 + 54 + 1);
  CHECK(result.line.verb == JoinVerb::join);
  CHECK(result.line.lane == 0);
  CHECK(!result.line.takeover);
  const auto token = parse_token_text(kToken);
  REQUIRE(token.has_value());
  CHECK(result.line.claims == claims_of(*token));
  CHECK(result.line.secret == secret_of(*token));
}

TEST_CASE("PROVE carries the claims and no secret") {
  const auto result = parse("TANDEM/1 PROVE " + kClaims + " lane=2 takeover=1\n");
  REQUIRE(result.progress == LineProgress::complete);
  CHECK(result.line.verb == JoinVerb::prove);
  CHECK(result.line.lane == 2);
  CHECK(result.line.takeover);
  CHECK(result.line.claims == claims_of(*parse_token_text(kToken)));
  CHECK(result.line.secret == Secret{});
}

TEST_CASE("what follows the line is the stream's") {
  for (const std::string end : {"\n", "\r\n"}) {
    const std::string line = "TANDEM/1 JOIN " + kToken + end;
    const auto result = parse(line + "early\ndata");
    CHECK(result.progress == LineProgress::complete);
    CHECK(result.consumed == line.size());
  }
}

TEST_CASE("the verdict does not depend on how the bytes were cut") {
  const std::string inputs[] = {
      "TANDEM/1 JOIN " + kToken + " lane=3 takeover=1\r\nrest",
      "TANDEM/1 PROVE " + kClaims + "\n",
      "TANDEM/2 JOIN x\n",
      "TANDEM/1 JOIN x\ty\n",
      "TANDEM/1 JOIN " + kToken + "\rx\n",
      "GET / HTTP/1.1\r\n",
      "TANDEM/1 " + std::string(300, 'a'),
  };
  for (const std::string& input : inputs) {
    const LineProgress whole = progress(input);
    REQUIRE(whole != LineProgress::need_more);
    for (size_t size = 0; size < input.size(); ++size) {
      const LineProgress part = progress(input.substr(0, size));
      REQUIRE((part == LineProgress::need_more || part == whole));
    }
  }
}

TEST_CASE("what cannot become a line of ours is refused at its first wrong byte") {
  CHECK(progress("") == LineProgress::need_more);
  CHECK(progress("\x16") == LineProgress::not_tandem_first_byte);
  CHECK(progress("t") == LineProgress::not_tandem_first_byte);
  CHECK(progress("\n") == LineProgress::not_tandem_first_byte);
  CHECK(progress("T") == LineProgress::need_more);
  CHECK(progress("TX") == LineProgress::bad_request);
  CHECK(progress("TANDEM ") == LineProgress::bad_request);
  CHECK(progress("TANDEM/") == LineProgress::need_more);
  CHECK(progress("TANDEM/2") == LineProgress::bad_version);
  CHECK(progress("TANDEM/2 ") == LineProgress::bad_version);
  CHECK(progress("TANDEM/1") == LineProgress::need_more);
  CHECK(progress("TANDEM/10") == LineProgress::bad_version);
  CHECK(progress("TANDEM/1\n") == LineProgress::bad_request);
  CHECK(progress("TANDEM/x") == LineProgress::bad_request);
  CHECK(progress(std::string_view("TANDEM/1 \0", 10)) == LineProgress::bad_request);
}

TEST_CASE("a line has at most 256 bytes, its end included") {
  const std::string start = "TANDEM/1 JOIN " + kToken + " pad=";
  const std::string fits = start + std::string(255 - start.size(), 'x') + "\n";
  REQUIRE(fits.size() == kJoinLineMax);
  CHECK(progress(fits) == LineProgress::complete);
  CHECK(progress(fits.substr(0, 255)) == LineProgress::need_more);
  const std::string over = start + std::string(256 - start.size(), 'x') + "\n";
  CHECK(progress(over.substr(0, 256)) == LineProgress::too_long);
  CHECK(progress(over) == LineProgress::too_long);
}

TEST_CASE("options") {
  const auto with = [](std::string_view options) {
    return parse("TANDEM/1 JOIN " + kToken + std::string(options) + "\n");
  };
  CHECK(with(" lane=0").line.lane == 0);
  CHECK(with(" lane=65535").line.lane == 65535);
  CHECK(with(" takeover=1 lane=7").line.lane == 7);
  CHECK(with(" takeover=1 lane=7").line.takeover);
  CHECK(with(" takeover=0").progress == LineProgress::complete);
  CHECK(!with(" takeover=0").line.takeover);
  CHECK(with(" colour=red lane=1 empty=").progress == LineProgress::complete);
  CHECK(with(" a=b=c").progress == LineProgress::complete);

  for (const char* bad : {" lane=", " lane=01", " lane=00", " lane=65536", " lane=-1", " lane=+1",
                          " lane=1x", " lane=0x1", " lane=99999999999999999999", " lane=1 lane=1",
                          " takeover=2", " takeover=", " takeover=01", " takeover=1 takeover=0",
                          " word", " =x", " ", "  lane=1", " lane=1 "}) {
    INFO(bad);
    CHECK(with(bad).progress == LineProgress::bad_request);
  }
}

TEST_CASE("a lane that a proof cannot tell from another is not proved") {
  CHECK(progress("TANDEM/1 PROVE " + kClaims + " lane=255\n") == LineProgress::complete);
  CHECK(progress("TANDEM/1 PROVE " + kClaims + " lane=256\n") == LineProgress::bad_request);
  CHECK(progress("TANDEM/1 JOIN " + kToken + " lane=256\n") == LineProgress::complete);
}

TEST_CASE("a line without its words is a bad request, one with a strange token a bad token") {
  for (const char* bad : {"\n", "JOIN\n", "JOIN \n", "JOIN  x\n", "join x\n", "PROOF x\n", "x\n"}) {
    INFO(bad);
    CHECK(progress("TANDEM/1 " + std::string(bad)) == LineProgress::bad_request);
  }
  const std::string unused_bits = kToken.substr(0, 53) + "h";
  for (const std::string& token :
       {std::string("x"), kToken.substr(1), kToken + "A", kToken.substr(0, 53) + "=",
        kToken.substr(0, 53) + "+", unused_bits, kClaims}) {
    INFO(token);
    CHECK(progress("TANDEM/1 JOIN " + token + "\n") == LineProgress::bad_token);
  }
  CHECK(progress("TANDEM/1 PROVE " + kToken + "\n") == LineProgress::bad_token);
}

TEST_CASE("PROOF") {
  const std::string digits = "2479c3f82700b26241cf6cc1f4b127b3";
  const std::string line = "TANDEM/1 PROOF " + digits + "\r\n";
  const auto result = parse_proof_line(bytes_of(line + "rest"));
  REQUIRE(result.progress == LineProgress::complete);
  CHECK(result.consumed == line.size());

  // The published vector: the proof that the token's holder computes for this line.
  const auto token = *parse_token_text(kToken);
  std::array<uint8_t, 16 + 24 + 2> message{};
  std::iota(message.begin(), message.begin() + 16, uint8_t{0});
  std::ranges::copy(claims_of(token), &message[16]);
  message[40] = 2;
  CHECK(result.proof == mac16(secret_of(token), message));

  const auto verdict = [](const std::string& text) {
    return parse_proof_line(bytes_of(text)).progress;
  };
  CHECK(verdict("TANDEM/1 PROOF " + digits) == LineProgress::need_more);
  CHECK(verdict("TANDEM/1 PROOF " + digits + " \n") == LineProgress::bad_request);
  CHECK(verdict("TANDEM/1 PROOF " + digits.substr(2) + "\n") == LineProgress::bad_request);
  CHECK(verdict("TANDEM/1 PROOF\n") == LineProgress::bad_request);
  CHECK(verdict("TANDEM/1 JOIN x\n") == LineProgress::bad_request);
  CHECK(verdict("GET") == LineProgress::not_tandem_first_byte);
}

TEST_CASE("what the relay writes") {
  CHECK(kWaitLine == "TANDEM/1 WAIT\n");
  CHECK(kPairedLine == "TANDEM/1 PAIRED\n");

  std::array<uint8_t, kLineNonceSize> nonce;
  std::iota(nonce.begin(), nonce.end(), uint8_t{0});
  std::array<uint8_t, kNonceLineSize> line;
  write_nonce_line(line, nonce);
  CHECK(std::string(line.begin(), line.end()) ==
        "TANDEM/1 NONCE 000102030405060708090a0b0c0d0e0f\n");
}

TEST_CASE("every ERR line fits, and says its code, when to come again, and why") {
  for (const ErrorCode code :
       {ErrorCode::bad_token, ErrorCode::expired, ErrorCode::session_full, ErrorCode::over_capacity,
        ErrorCode::draining, ErrorCode::rate_limited, ErrorCode::not_allowed, ErrorCode::kicked,
        ErrorCode::blocked, ErrorCode::bad_request, ErrorCode::bad_version, ErrorCode::timeout}) {
    for (const uint32_t retry : {0u, 5u, UINT32_MAX}) {
      std::array<uint8_t, kErrLineMax> out;
      const size_t size = write_err_line(out, code, retry);
      REQUIRE(size <= out.size());
      const std::string text(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size));
      std::string head = "TANDEM/1 ERR " + std::string(error_code_text(code));
      if (retry != 0) head += " retry=" + std::to_string(retry);
      CHECK(text.starts_with(head + " "));
      CHECK(text.size() > head.size() + 2);
      CHECK(text.find('\n') == text.size() - 1);
    }
  }
}

}  // namespace
}  // namespace tandem
