// One WebSocket message of ours, encoded once (RFC 6455, 5.2: a server does not mask) and shared by
// everyone that it goes to. Immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tandem {

enum class WebSocketOpcode : std::uint8_t { text = 1, binary = 2 };

class WebSocketMessage {
 public:
  WebSocketMessage(WebSocketOpcode opcode, std::string_view payload)
      : WebSocketMessage(opcode, payload, {}) {}
  // Two pieces, one after the other: what is the same for all and what is not need no copy first.
  WebSocketMessage(WebSocketOpcode opcode, std::string_view head, std::string_view tail);

  [[nodiscard]] WebSocketOpcode opcode() const { return opcode_; }
  // The frame: header and payload.
  [[nodiscard]] std::string_view wire() const { return wire_; }
  [[nodiscard]] std::string_view payload() const { return wire().substr(header_size_); }

 private:
  std::string wire_;
  std::uint8_t header_size_;
  WebSocketOpcode opcode_;
};

using SharedMessage = std::shared_ptr<const WebSocketMessage>;

}  // namespace tandem
