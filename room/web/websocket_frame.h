// The header of a WebSocket frame as a server sends it (RFC 6455, 5.2): whole, not masked. Knows no
// connection.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tandem {

// All there are, RFC 6455, 11.8.
enum class WebSocketFrame : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
};

inline constexpr std::size_t kControlPayloadMax = 125;  // RFC 6455, 5.5

struct WebSocketFrameHeader {
  std::array<char, 10> bytes{};
  std::uint8_t size = 0;

  [[nodiscard]] std::string_view text() const { return {bytes.data(), size}; }
};

[[nodiscard]] WebSocketFrameHeader frame_header(WebSocketFrame kind, std::uint64_t payload_size);

// At most kControlPayloadMax bytes.
[[nodiscard]] std::string pong_frame(std::string_view payload);
// 1005 says nothing, so its frame is empty (RFC 6455, 7.1.5).
[[nodiscard]] std::string close_frame(std::uint16_t code);

}  // namespace tandem
