#include "room/web/websocket_reader.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>

#include "room/web/utf8_check.h"
#include "room/web/websocket_frame.h"

namespace tandem {
namespace {

using Kind = WebSocketInput::Kind;

constexpr std::uint16_t kProtocolError = 1002;
constexpr std::uint16_t kNoCode = 1005;
constexpr std::uint16_t kNotUtf8 = 1007;
constexpr std::uint16_t kTooLarge = 1009;

constexpr std::size_t kHeaderMax = 14;  // with an eight-byte size and a mask

using Mask = std::array<char, 4>;

struct FrameHead {
  bool final = false;
  WebSocketFrame kind = WebSocketFrame::continuation;
  std::uint64_t payload_size = 0;
  Mask mask{};
};

bool is_control(WebSocketFrame kind) {
  return kind >= WebSocketFrame::close;
}

WebSocketInput fault(std::uint16_t code) {
  return {.kind = Kind::fault, .code = code};
}

std::uint8_t byte_at(std::span<const char> bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}

std::optional<WebSocketFrame> frame_kind(unsigned opcode) {
  switch (opcode) {
    case 0:
    case 1:
    case 2:
    case 8:
    case 9:
    case 10:
      return static_cast<WebSocketFrame>(opcode);
    default:
      return std::nullopt;
  }
}

// Of a masked frame by its second byte.
std::size_t header_size(std::uint8_t second) {
  const unsigned size = second & 0x7f;
  return 2 + (size == 126 ? 2 : size == 127 ? 8 : 0) + sizeof(Mask);
}

// What the first two bytes tell; the payload's size where it is in them.
std::optional<FrameHead> judge_first_bytes(std::uint8_t first, std::uint8_t second,
                                           bool in_message) {
  const bool masked = (second & 0x80) != 0;
  const bool reserved = (first & 0x70) != 0;
  const auto kind = frame_kind(first & 0x0f);
  if (!masked || reserved || !kind) return std::nullopt;
  const FrameHead head{
      .final = (first & 0x80) != 0, .kind = *kind, .payload_size = second & 0x7fu, .mask = {}};
  if (is_control(*kind)) {
    if (!head.final || head.payload_size > kControlPayloadMax) return std::nullopt;
    return head;
  }
  if ((*kind == WebSocketFrame::continuation) != in_message) return std::nullopt;
  return head;
}

// Nothing where the size is not in its shortest form or has its highest bit set.
std::optional<std::uint64_t> long_size(std::span<const char> bytes) {
  std::uint64_t size = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) size = size << 8 | byte_at(bytes, at);
  const std::uint64_t least = bytes.size() == 2 ? 126 : 0x10000;
  if (size < least || size >> 63 != 0) return std::nullopt;
  return size;
}

// Of a whole header, header_size() bytes.
std::optional<FrameHead> read_head(std::span<const char> header, bool in_message) {
  auto head = judge_first_bytes(byte_at(header, 0), byte_at(header, 1), in_message);
  if (!head) return std::nullopt;
  const std::span<const char> size = header.subspan(2, header.size() - 2 - sizeof(Mask));
  if (!size.empty()) {
    const auto payload_size = long_size(size);
    if (!payload_size) return std::nullopt;
    head->payload_size = *payload_size;
  }
  std::ranges::copy(header.last(sizeof(Mask)), head->mask.begin());
  return head;
}

// `offset` is where in the payload these bytes are.
void unmask(std::span<char> bytes, const Mask& mask, std::uint64_t offset) {
  std::array<char, 8> pattern;
  for (std::size_t i = 0; i < pattern.size(); ++i) pattern[i] = mask[(offset + i) % mask.size()];
  std::uint64_t key;
  std::memcpy(&key, pattern.data(), sizeof key);
  char* at = bytes.data();
  char* const end = at + bytes.size();
  for (; end - at >= 8; at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    word ^= key;
    std::memcpy(at, &word, sizeof word);
  }
  for (std::size_t i = 0; at != end; ++at, ++i) *at = static_cast<char>(*at ^ pattern[i]);
}

std::string_view view(std::span<const char> bytes) {
  return {bytes.data(), bytes.size()};
}

// RFC 6455, 7.4, and what IANA registered since (1012 to 1014).
bool may_be_sent(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

WebSocketInput judge_close(std::string_view payload) {
  if (payload.empty()) return {.kind = Kind::close, .code = kNoCode};
  if (payload.size() == 1) return fault(kProtocolError);
  const auto code = static_cast<std::uint16_t>(static_cast<std::uint8_t>(payload[0]) << 8 |
                                               static_cast<std::uint8_t>(payload[1]));
  if (!may_be_sent(code)) return fault(kProtocolError);
  if (!is_utf8(payload.substr(2))) return fault(kNotUtf8);
  return {.kind = Kind::close, .payload = payload.substr(2), .code = code};
}

WebSocketInput control_input(WebSocketFrame kind, std::string_view payload) {
  if (kind == WebSocketFrame::close) return judge_close(payload);
  return {.kind = kind == WebSocketFrame::ping ? Kind::ping : Kind::pong, .payload = payload};
}

WebSocketInput message_input(WebSocketOpcode opcode, std::string_view payload) {
  return {.kind = Kind::message, .opcode = opcode, .payload = payload};
}

}  // namespace

// A frame that has not come whole, or a message of several frames.
struct WebSocketReader::Unfinished {
  // The frame: its header, then its payload.
  std::array<char, kHeaderMax> header{};
  std::size_t header_taken = 0;
  std::optional<FrameHead> frame;  // once the header is whole
  std::uint64_t payload_taken = 0;
  std::string control;  // the payload of a control frame

  // The message: what has come of all its frames.
  bool in_message = false;
  WebSocketOpcode opcode = WebSocketOpcode::text;
  std::string message;
  Utf8Check utf8;

  // Either what is wrong with the header, or nothing; then `frame` tells whether it is whole.
  std::optional<WebSocketInput> take_header(std::span<char>& bytes, std::uint64_t bytes_max);
  std::optional<WebSocketInput> begin_frame(std::uint64_t bytes_max);
  std::optional<WebSocketInput> take_payload(std::span<char>& bytes);
  [[nodiscard]] bool frame_is_whole() const {
    return frame && payload_taken == frame->payload_size;
  }
  // What there is to hand out, or nothing where the message goes on.
  std::optional<WebSocketInput> end_frame();
};

std::optional<WebSocketInput> WebSocketReader::Unfinished::take_header(std::span<char>& bytes,
                                                                       std::uint64_t bytes_max) {
  while (!bytes.empty()) {
    header[header_taken++] = bytes.front();
    bytes = bytes.subspan(1);
    if (header_taken < 2) continue;
    if (header_taken == 2 && !judge_first_bytes(byte_at(header, 0), byte_at(header, 1), in_message))
      return fault(kProtocolError);
    if (header_taken == header_size(byte_at(header, 1))) return begin_frame(bytes_max);
  }
  return std::nullopt;
}

std::optional<WebSocketInput> WebSocketReader::Unfinished::begin_frame(std::uint64_t bytes_max) {
  frame = read_head(std::span<const char>(header).first(header_taken), in_message);
  if (!frame) return fault(kProtocolError);
  payload_taken = 0;
  if (is_control(frame->kind)) {
    control.clear();
    return std::nullopt;
  }
  if (bytes_max < message.size() || frame->payload_size > bytes_max - message.size())
    return fault(kTooLarge);
  if (!in_message) {
    in_message = true;
    opcode = static_cast<WebSocketOpcode>(frame->kind);
  }
  return std::nullopt;
}

std::optional<WebSocketInput> WebSocketReader::Unfinished::take_payload(std::span<char>& bytes) {
  const std::uint64_t wanted = frame->payload_size - payload_taken;
  const std::span<char> piece =
      bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), wanted)));
  bytes = bytes.subspan(piece.size());
  unmask(piece, frame->mask, payload_taken);
  payload_taken += piece.size();
  if (is_control(frame->kind)) {
    control.append(view(piece));
    return std::nullopt;
  }
  if (opcode == WebSocketOpcode::text && !utf8.add(view(piece))) return fault(kNotUtf8);
  message.append(view(piece));
  return std::nullopt;
}

std::optional<WebSocketInput> WebSocketReader::Unfinished::end_frame() {
  const FrameHead ended = *frame;
  frame.reset();
  header_taken = 0;
  if (is_control(ended.kind)) return control_input(ended.kind, control);
  if (!ended.final) return std::nullopt;
  in_message = false;
  if (opcode == WebSocketOpcode::text && !utf8.complete()) return fault(kNotUtf8);
  return message_input(opcode, message);
}

WebSocketReader::WebSocketReader() = default;
WebSocketReader::~WebSocketReader() = default;

WebSocketInput WebSocketReader::next(std::span<char>& bytes, std::uint64_t message_bytes_max) {
  if (release_) {
    unfinished_.reset();
    release_ = false;
  }
  return unfinished_ ? next_unfinished(bytes, message_bytes_max)
                     : next_whole(bytes, message_bytes_max);
}

// Where the frame is all of the message and has come whole, nothing is copied.
WebSocketInput WebSocketReader::next_whole(std::span<char>& bytes,
                                           std::uint64_t message_bytes_max) {
  if (bytes.empty()) return {};
  const std::size_t head_size = bytes.size() < 2 ? kHeaderMax : header_size(byte_at(bytes, 1));
  const auto head =
      bytes.size() < head_size ? std::nullopt : read_head(bytes.first(head_size), false);
  const bool whole = head && bytes.size() - head_size >= head->payload_size;
  if (!whole || !head->final) {
    unfinished_ = std::make_unique<Unfinished>();
    return next_unfinished(bytes, message_bytes_max);
  }
  const std::span<char> payload =
      bytes.subspan(head_size, static_cast<std::size_t>(head->payload_size));
  if (!is_control(head->kind) && payload.size() > message_bytes_max) return fault(kTooLarge);
  bytes = bytes.subspan(head_size + payload.size());
  unmask(payload, head->mask, 0);
  if (is_control(head->kind)) return control_input(head->kind, view(payload));
  if (head->kind == WebSocketFrame::text && !is_utf8(view(payload))) return fault(kNotUtf8);
  return message_input(static_cast<WebSocketOpcode>(head->kind), view(payload));
}

WebSocketInput WebSocketReader::next_unfinished(std::span<char>& bytes,
                                                std::uint64_t message_bytes_max) {
  Unfinished& unfinished = *unfinished_;
  for (;;) {
    if (!unfinished.frame)
      if (const auto wrong = unfinished.take_header(bytes, message_bytes_max)) return *wrong;
    if (!unfinished.frame) return {};
    if (const auto wrong = unfinished.take_payload(bytes)) return *wrong;
    if (!unfinished.frame_is_whole()) return {};
    if (const auto input = unfinished.end_frame()) {
      release_ = !unfinished.in_message;
      return *input;
    }
  }
}

}  // namespace tandem
