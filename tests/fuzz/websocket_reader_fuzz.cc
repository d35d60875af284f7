// WebSocket frames of a client: what is read of them does not depend on how the bytes were cut,
// text is UTF-8, nothing is larger than it may be, and nothing is kept behind a whole message.
#include <string>
#include <vector>

#include "common/assert.h"
#include "room/web/utf8_check.h"
#include "room/web/websocket_frame.h"
#include "room/web/websocket_reader.h"
#include "tests/fuzz/fuzz_input.h"

namespace tandem {
namespace {

using Kind = WebSocketInput::Kind;

struct Taken {
  Kind kind;
  WebSocketOpcode opcode;
  std::string payload;
  std::uint16_t code;
  bool operator==(const Taken&) const = default;
};

void check(const WebSocketInput& input, std::uint64_t bytes_max) {
  const bool control = input.kind == Kind::ping || input.kind == Kind::pong;
  if (control) TANDEM_CHECK(input.payload.size() <= kControlPayloadMax);
  if (input.kind == Kind::close) TANDEM_CHECK(is_utf8(input.payload) && input.code >= 1000);
  if (input.kind == Kind::message) {
    TANDEM_CHECK(input.payload.size() <= bytes_max);
    TANDEM_CHECK(input.opcode == WebSocketOpcode::binary || is_utf8(input.payload));
  }
  if (input.kind == Kind::fault)
    TANDEM_CHECK(input.code == 1002 || input.code == 1007 || input.code == 1009);
}

// Pieces of lengths that `seed` tells; 0: one piece.
std::vector<Taken> take(std::span<const uint8_t> bytes, std::uint64_t bytes_max, uint32_t seed) {
  WebSocketReader reader;
  std::vector<Taken> taken;
  while (!bytes.empty()) {
    seed = seed == 0 ? 0 : seed * 1'664'525 + 1'013'904'223;
    const size_t size = seed == 0 ? bytes.size() : std::min<size_t>(bytes.size(), seed >> 28);
    std::string piece(reinterpret_cast<const char*>(bytes.data()), size);
    bytes = bytes.subspan(size);
    std::span<char> left(piece);
    for (;;) {
      const WebSocketInput input = reader.next(left, bytes_max);
      check(input, bytes_max);
      if (input.kind == Kind::need_more) break;
      taken.push_back({input.kind, input.opcode, std::string(input.payload), input.code});
      if (input.kind == Kind::close || input.kind == Kind::fault) return taken;
    }
    TANDEM_CHECK(left.empty());
  }
  return taken;
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tandem::fuzz::Input input(data, size);
  const auto seed = input.take<uint32_t>();
  const auto bytes_max = input.take<uint8_t>();
  const auto whole = tandem::take(input.rest(), bytes_max, 0);
  TANDEM_CHECK(whole == tandem::take(input.rest(), bytes_max, seed | 1));
  return 0;
}
