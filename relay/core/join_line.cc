#include "relay/core/join_line.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "common/assert.h"
#include "common/base64url.h"
#include "common/hex.h"

namespace tandem {
namespace {

constexpr std::string_view kGreeting = "TANDEM/1 ";
constexpr size_t kVersionAt = kGreeting.size() - 2;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_printable(char c) {
  return c >= ' ' && c <= '~';
}

// For a byte that is not the greeting's at that place.
LineProgress refusal_at(size_t place, char byte) {
  if (place == 0) return LineProgress::not_tandem_first_byte;
  return place >= kVersionAt && is_digit(byte) ? LineProgress::bad_version
                                               : LineProgress::bad_request;
}

LineProgress judge_greeting(std::string_view text) {
  for (size_t i = 0; i < std::min(text.size(), kGreeting.size()); ++i)
    if (text[i] != kGreeting[i]) return refusal_at(i, text[i]);
  return text.size() < kGreeting.size() ? LineProgress::need_more : LineProgress::complete;
}

struct Line {
  LineProgress progress;
  size_t consumed = 0;
  std::string_view words = {};  // without greeting and line end
};

Line read_line(std::span<const uint8_t> buffer) {
  const std::string_view text(reinterpret_cast<const char*>(buffer.data()),
                              std::min(buffer.size(), kJoinLineMax));
  const LineProgress greeting = judge_greeting(text);
  if (greeting != LineProgress::complete) return {greeting};

  bool after_cr = false;
  for (size_t i = kGreeting.size(); i < text.size(); ++i) {
    if (text[i] == '\n') {
      const size_t end = after_cr ? i - 1 : i;
      return {LineProgress::complete, i + 1, text.substr(kGreeting.size(), end - kGreeting.size())};
    }
    if (after_cr || (text[i] != '\r' && !is_printable(text[i]))) return {LineProgress::bad_request};
    after_cr = text[i] == '\r';
  }
  return {text.size() == kJoinLineMax ? LineProgress::too_long : LineProgress::need_more};
}

// Takes the next word off; nothing where there is none left.
std::optional<std::string_view> next_word(std::optional<std::string_view>& rest) {
  if (!rest) return std::nullopt;
  const size_t space = rest->find(' ');
  const std::string_view word = rest->substr(0, space);
  if (space == std::string_view::npos)
    rest.reset();
  else
    rest->remove_prefix(space + 1);
  return word;
}

std::optional<uint16_t> parse_lane(std::string_view text) {
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  uint16_t lane = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), lane);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return lane;
}

enum class OptionsVerdict : uint8_t { ok, bad };

OptionsVerdict parse_options(std::optional<std::string_view> rest, JoinLine& line) {
  bool lane_seen = false;
  bool takeover_seen = false;
  while (const auto word = next_word(rest)) {
    const size_t equals = word->find('=');
    if (equals == std::string_view::npos || equals == 0) return OptionsVerdict::bad;
    const std::string_view key = word->substr(0, equals);
    const std::string_view value = word->substr(equals + 1);
    if (key == "lane") {
      const auto lane = parse_lane(value);
      if (!lane || std::exchange(lane_seen, true)) return OptionsVerdict::bad;
      line.lane = *lane;
    } else if (key == "takeover") {
      if ((value != "0" && value != "1") || std::exchange(takeover_seen, true))
        return OptionsVerdict::bad;
      line.takeover = value == "1";
    }
  }
  if (line.verb == JoinVerb::prove && line.lane > kProvableLaneMax) return OptionsVerdict::bad;
  return OptionsVerdict::ok;
}

enum class CredentialVerdict : uint8_t { ok, bad };

CredentialVerdict parse_credential(std::string_view text, JoinLine& line) {
  if (line.verb == JoinVerb::prove)
    return base64url_decode(text, line.claims) ? CredentialVerdict::ok : CredentialVerdict::bad;
  TokenBytes token;
  if (!base64url_decode(text, token)) return CredentialVerdict::bad;
  line.claims = claims_of(token);
  line.secret = secret_of(token);
  return CredentialVerdict::ok;
}

LineProgress parse_join_words(std::string_view words, JoinLine& line) {
  std::optional<std::string_view> rest = words;
  const auto verb = next_word(rest);
  if (verb == "PROVE")
    line.verb = JoinVerb::prove;
  else if (verb != "JOIN")
    return LineProgress::bad_request;

  const auto credential = next_word(rest);
  if (!credential || credential->empty()) return LineProgress::bad_request;
  if (parse_options(rest, line) == OptionsVerdict::bad) return LineProgress::bad_request;
  if (parse_credential(*credential, line) == CredentialVerdict::bad) return LineProgress::bad_token;
  return LineProgress::complete;
}

// For whoever reads the wire or tries it by hand; a program goes by the code.
std::string_view human_text(ErrorCode code) {
  switch (code) {
    case ErrorCode::bad_token:
      return "the token was not made for this relay";
    case ErrorCode::expired:
      return "the token has expired";
    case ErrorCode::session_full:
      return "another connection holds this place";
    case ErrorCode::over_capacity:
      return "the relay is full";
    case ErrorCode::draining:
      return "the relay takes no new sessions";
    case ErrorCode::rate_limited:
      return "too many requests";
    case ErrorCode::not_allowed:
      return "the token does not allow this";
    case ErrorCode::kicked:
      return "the session was ended by an operator";
    case ErrorCode::blocked:
      return "this address is blocked";
    case ErrorCode::bad_request:
      return "the line is not understood";
    case ErrorCode::bad_version:
      return "only version 1 is spoken here";
    case ErrorCode::timeout:
      return "the other side did not come in time";
  }
  TANDEM_CHECK(false);
}

// Appends within a span that is known to be large enough.
class LineWriter {
 public:
  explicit LineWriter(std::span<uint8_t> out) : out_(out) {}

  LineWriter& operator<<(std::string_view text) {
    TANDEM_CHECK(text.size() <= out_.size() - size_);
    std::ranges::copy(text, out_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += text.size();
    return *this;
  }
  LineWriter& operator<<(uint32_t number) {
    char digits[10];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
    return *this << std::string_view(digits, static_cast<size_t>(end - digits));
  }
  [[nodiscard]] size_t size() const { return size_; }

 private:
  std::span<uint8_t> out_;
  size_t size_ = 0;
};

}  // namespace

JoinLineResult parse_join_line(std::span<const uint8_t> buffer) {
  const Line line = read_line(buffer);
  if (line.progress != LineProgress::complete) return {.progress = line.progress};
  JoinLineResult result;
  result.progress = parse_join_words(line.words, result.line);
  if (result.progress != LineProgress::complete) return {.progress = result.progress};
  result.consumed = line.consumed;
  return result;
}

ProofLineResult parse_proof_line(std::span<const uint8_t> buffer) {
  const Line line = read_line(buffer);
  if (line.progress != LineProgress::complete) return {.progress = line.progress};
  constexpr std::string_view kVerb = "PROOF ";
  ProofLineResult result{.progress = LineProgress::complete, .consumed = line.consumed};
  if (!line.words.starts_with(kVerb) || !hex_decode(line.words.substr(kVerb.size()), result.proof))
    return {.progress = LineProgress::bad_request};
  return result;
}

void write_nonce_line(std::span<uint8_t, kNonceLineSize> out,
                      std::span<const uint8_t, kLineNonceSize> nonce) {
  char digits[2 * kLineNonceSize];
  hex_encode(nonce, digits);
  LineWriter line(out);
  line << kGreeting << "NONCE " << std::string_view(digits, sizeof digits) << "\n";
  TANDEM_CHECK(line.size() == kNonceLineSize);
}

size_t write_err_line(std::span<uint8_t, kErrLineMax> out, ErrorCode code, uint32_t retry_after_s) {
  LineWriter line(out);
  line << kGreeting << "ERR " << error_code_text(code);
  if (retry_after_s != 0) line << " retry=" << retry_after_s;
  line << " " << human_text(code) << "\n";
  return line.size();
}

}  // namespace tandem
