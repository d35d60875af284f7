// Bodies of Engine.IO's long-polling and text frames: a body is read the same whole and packet by
// packet, what is read and written again is the same text, and so is base64.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/assert.h"
#include "room/socket_io/engine_io.h"

namespace tandem {
namespace {

void check_frame(std::string_view text) {
  const auto packet = decode_engine_packet(text);
  if (!packet) return;
  TANDEM_CHECK(!packet->binary && packet->data.size() + 1 == text.size());
  TANDEM_CHECK('0' + static_cast<int>(packet->type) == text[0]);
}

std::string written(const EnginePacket& packet) {
  std::string text;
  if (packet.binary) {
    append_engine_binary(text, packet.data);
  } else {
    text += static_cast<char>('0' + static_cast<int>(packet.type));
    text += packet.data;
  }
  return text;
}

// The packet that `piece`, which has no separator, is by itself; "bad" where it is none.
std::string alone(std::string_view piece) {
  EnginePayload payload(piece);
  EnginePacket packet;
  if (payload.next(packet) != EnginePayload::Step::packet) return "bad";
  std::string text = written(packet);
  TANDEM_CHECK(text == piece);
  TANDEM_CHECK(payload.next(packet) == EnginePayload::Step::end);
  return text;
}

void check_body(std::string_view body) {
  EnginePayload payload(body);
  std::string again;
  std::string_view rest = body;
  for (bool ended = false;;) {
    EnginePacket packet;
    const auto step = payload.next(packet);
    if (step == EnginePayload::Step::end) {
      TANDEM_CHECK(ended && again == body);
      return;
    }
    const std::size_t end = rest.find(kEngineSeparator);
    const std::string_view piece = rest.substr(0, end);
    if (step == EnginePayload::Step::bad) {
      TANDEM_CHECK(alone(piece) == "bad");
      TANDEM_CHECK(payload.next(packet) == EnginePayload::Step::end);
      return;
    }
    const std::string text = written(packet);
    TANDEM_CHECK(text == alone(piece));
    append_engine_text(again, text);
    ended = end == std::string_view::npos;
    if (!ended) rest.remove_prefix(end + 1);
  }
}

void check_base64(std::string_view bytes) {
  std::string text;
  append_base64(text, bytes);
  std::string again;
  TANDEM_CHECK(append_base64_decoded(again, text) && again == bytes);
  std::string decoded;
  if (!append_base64_decoded(decoded, bytes)) return;
  std::string encoded;
  append_base64(encoded, decoded);
  TANDEM_CHECK(encoded == bytes);
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  tandem::check_frame(text);
  tandem::check_body(text);
  tandem::check_base64(text);
  return 0;
}
