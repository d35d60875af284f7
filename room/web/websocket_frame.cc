#include "room/web/websocket_frame.h"

#include "common/assert.h"

namespace tandem {
namespace {

constexpr unsigned kFinal = 0x80;
constexpr std::uint16_t kNoCode = 1005;

std::string control_frame(WebSocketFrame kind, std::string_view payload) {
  TANDEM_CHECK(payload.size() <= kControlPayloadMax);
  std::string frame(frame_header(kind, payload.size()).text());
  frame += payload;
  return frame;
}

}  // namespace

WebSocketFrameHeader frame_header(WebSocketFrame kind, std::uint64_t payload_size) {
  WebSocketFrameHeader header;
  const auto append = [&](std::uint64_t byte) {
    header.bytes[header.size++] = static_cast<char>(byte & 0xff);
  };
  append(kFinal | static_cast<unsigned>(kind));
  int size_bytes = 0;
  if (payload_size < 126) {
    append(payload_size);
  } else if (payload_size <= 0xffff) {
    append(126);
    size_bytes = 2;
  } else {
    append(127);
    size_bytes = 8;
  }
  while (size_bytes > 0) append(payload_size >> (8 * --size_bytes));
  return header;
}

std::string pong_frame(std::string_view payload) {
  return control_frame(WebSocketFrame::pong, payload);
}

std::string close_frame(std::uint16_t code) {
  if (code == kNoCode) return control_frame(WebSocketFrame::close, {});
  const char payload[] = {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  return control_frame(WebSocketFrame::close, {payload, sizeof payload});
}

}  // namespace tandem
