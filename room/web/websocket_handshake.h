// The HTTP side of a WebSocket (RFC 6455, 4.2): whether a request asks for one, whether it does so
// soundly, and what is answered. Texts in, texts out. No subprotocol and no extension is agreed to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tandem {

class HttpReader;

enum class WebSocketHandshake : std::uint8_t {
  none,  // an ordinary request
  sound,
  wrong_version,  // 426, with the one that is spoken
  malformed,      // 400
};

[[nodiscard]] WebSocketHandshake judge_handshake(const HttpReader& request);

// The 101 to a sound one; `key` is its Sec-WebSocket-Key.
[[nodiscard]] std::string handshake_reply(std::string_view key);

// Sec-WebSocket-Accept (RFC 6455, 1.3).
[[nodiscard]] std::string websocket_accept(std::string_view key);

}  // namespace tandem
