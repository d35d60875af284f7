// A client's WebSocket frames from bytes as they come (RFC 6455, 5): a pure function with a memory.
// Knows no connection and sends nothing.
//
// Why not Boost.Beast's websocket::stream, which speaks it well: it is a stream with its own
// buffers, operations and timer for each connection. A server made of it holds 6.8 kB for an idle
// client, and that is most of what a client may cost here; it frames a message anew for each of
// those that it goes to, and writes one message at a time. An idle connection of this one is a null
// pointer, one encoded frame is shared by all recipients, and many leave in one write.
//
// Extensions are never granted, so reserved bits are an error. Frames whose sizes are not in the
// shortest form are refused like those of a client that does not mask.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "room/web/websocket_message.h"

namespace tandem {

struct WebSocketInput {
  enum class Kind : std::uint8_t { need_more, message, ping, pong, close, fault };

  Kind kind = Kind::need_more;
  WebSocketOpcode opcode = WebSocketOpcode::text;  // of a message
  // Of a message, ping or pong, and the reason of a close: good until the next call.
  std::string_view payload = {};
  // Of a close what came, 1005 where none did. Of a fault what to close with: 1002 (protocol),
  // 1007 (text that is no UTF-8) or 1009 (larger than message_bytes_max).
  std::uint16_t code = 0;
};

class WebSocketReader {
 public:
  WebSocketReader();
  ~WebSocketReader();
  WebSocketReader(const WebSocketReader&) = delete;
  WebSocketReader& operator=(const WebSocketReader&) = delete;

  // Takes the next thing from the front of `bytes` and moves that past it; need_more has taken them
  // all. Unmasks where they lie, and keeps what is unfinished. After a close or a fault nothing
  // more may come.
  [[nodiscard]] WebSocketInput next(std::span<char>& bytes, std::uint64_t message_bytes_max);

  // Nothing unfinished is kept.
  [[nodiscard]] bool idle() const { return unfinished_ == nullptr; }

 private:
  struct Unfinished;
  WebSocketInput next_whole(std::span<char>& bytes, std::uint64_t message_bytes_max);
  WebSocketInput next_unfinished(std::span<char>& bytes, std::uint64_t message_bytes_max);

  std::unique_ptr<Unfinished> unfinished_;
  bool release_ = false;  // what it holds was handed out by the last call
};

}  // namespace tandem
