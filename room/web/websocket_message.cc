#include "room/web/websocket_message.h"

#include "room/web/websocket_frame.h"

namespace tandem {

WebSocketMessage::WebSocketMessage(WebSocketOpcode opcode, std::string_view head,
                                   std::string_view tail)
    : opcode_(opcode) {
  const WebSocketFrameHeader header =
      frame_header(static_cast<WebSocketFrame>(opcode), head.size() + tail.size());
  header_size_ = header.size;
  wire_.reserve(header.size + head.size() + tail.size());
  wire_.append(header.text()).append(head).append(tail);
}

}  // namespace tandem
