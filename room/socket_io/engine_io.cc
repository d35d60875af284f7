#include "room/socket_io/engine_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tandem {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoDigit = 0xff;

constexpr std::array<std::uint8_t, 256> kDigits = [] {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(kNoDigit);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    digits[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  return digits;
}();

std::uint32_t byte_at(std::string_view bytes, std::size_t at) {
  return at < bytes.size() ? static_cast<std::uint8_t>(bytes[at]) : 0u;
}

// Four characters of which the last `padding` are '='; nothing where one of them is no digit.
std::optional<std::uint32_t> decode_quad(std::string_view quad, std::size_t padding) {
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::uint8_t digit =
        i + padding < 4 ? kDigits[static_cast<std::uint8_t>(quad[i])] : std::uint8_t{0};
    if (digit == kNoDigit) return std::nullopt;
    bits = bits << 6 | digit;
  }
  return bits;
}

}  // namespace

bool append_base64_decoded(std::string& into, std::string_view text) {
  if (text.size() % 4 != 0) return false;
  if (text.empty()) return true;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  into.reserve(into.size() + text.size() / 4 * 3);
  for (std::size_t at = 0; at < text.size(); at += 4) {
    const std::size_t missing = at + 4 == text.size() ? padding : 0;
    const auto bits = decode_quad(text.substr(at, 4), missing);
    if (!bits) return false;
    const std::uint32_t unused = missing == 0 ? 0 : *bits & ((1u << (8 * missing)) - 1);
    if (unused != 0) return false;
    for (std::size_t byte = 0; byte < 3 - missing; ++byte)
      into += static_cast<char>(*bits >> (16 - 8 * byte));
  }
  return true;
}

void append_base64(std::string& into, std::string_view bytes) {
  into.reserve(into.size() + (bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::uint32_t bits =
        byte_at(bytes, at) << 16 | byte_at(bytes, at + 1) << 8 | byte_at(bytes, at + 2);
    const std::size_t digits = std::min<std::size_t>(bytes.size() - at, 3) + 1;
    for (std::size_t digit = 0; digit < 4; ++digit)
      into += digit < digits ? kAlphabet[bits >> (18 - 6 * digit) & 63] : '=';
  }
}

std::optional<EnginePacket> decode_engine_packet(std::string_view text) {
  if (text.empty() || text[0] < '0' || text[0] > '6') return std::nullopt;
  return EnginePacket{.type = static_cast<EnginePacketType>(text[0] - '0'), .data = text.substr(1)};
}

EnginePayload::Step EnginePayload::next(EnginePacket& packet) {
  if (ended_) return Step::end;
  const std::size_t end = rest_.find(kEngineSeparator);
  const std::string_view text = rest_.substr(0, end);
  ended_ = end == std::string_view::npos;
  rest_.remove_prefix(ended_ ? rest_.size() : end + 1);
  if (text.starts_with('b')) {
    binary_.clear();
    if (append_base64_decoded(binary_, text.substr(1))) {
      packet = {.type = EnginePacketType::message, .binary = true, .data = binary_};
      return Step::packet;
    }
  } else if (const auto decoded = decode_engine_packet(text)) {
    packet = *decoded;
    return Step::packet;
  }
  ended_ = true;
  return Step::bad;
}

void append_engine_text(std::string& body, std::string_view packet) {
  if (!body.empty()) body += kEngineSeparator;
  body += packet;
}

void append_engine_binary(std::string& body, std::string_view message) {
  if (!body.empty()) body += kEngineSeparator;
  body += 'b';
  append_base64(body, message);
}

std::string encode_engine_open(const EngineHandshake& handshake) {
  return fmt::format(
      R"(0{{"sid":"{}","upgrades":[{}],"pingInterval":{},"pingTimeout":{},"maxPayload":{}}})",
      handshake.sid, handshake.upgrades ? R"("websocket")" : "", handshake.ping_interval_ms,
      handshake.ping_timeout_ms, handshake.max_payload);
}

}  // namespace tandem
