// HTTP requests as the web server reads them: what they say does not depend on how the bytes were
// cut, bounds hold, and a request is judged a WebSocket's handshake without a fault.
#include <string>
#include <vector>

#include "common/assert.h"
#include "room/web/http_reader.h"
#include "room/web/websocket_handshake.h"
#include "tests/fuzz/fuzz_input.h"

namespace tandem {
namespace {

constexpr std::uint32_t kHeaderMax = 600;
constexpr std::uint64_t kBodyMax = 100;

struct Request {
  std::string text;
  WebSocketHandshake handshake;
  bool operator==(const Request&) const = default;
};

struct Conversation {
  std::vector<Request> requests;
  HttpProgress end = HttpProgress::need_more;
  bool operator==(const Conversation&) const = default;
};

Request request_of(const HttpReader& reader) {
  TANDEM_CHECK(reader.body().size() <= kBodyMax);
  TANDEM_CHECK(reader.target().size() <= kHeaderMax);
  Request request{.text = std::string(reader.method()), .handshake = judge_handshake(reader)};
  request.text.append("|").append(reader.target()).append("|").append(reader.body());
  request.text.append("|").append(reader.joined_field("X-Forwarded-For"));
  request.text.append(reader.keep_alive() ? "|1" : "|0");
  if (request.handshake == WebSocketHandshake::sound)
    TANDEM_CHECK(handshake_reply(reader.field("Sec-WebSocket-Key")).ends_with("\r\n\r\n"));
  return request;
}

// False where nothing more is to be read.
bool take_all(HttpReader& reader, HttpProgress progress, Conversation& conversation) {
  for (;;) {
    switch (progress) {
      case HttpProgress::need_more:
        return true;
      case HttpProgress::wants_continue:
        break;
      case HttpProgress::complete:
        conversation.requests.push_back(request_of(reader));
        reader.next();
        break;
      case HttpProgress::bad:
      case HttpProgress::no_host:
      case HttpProgress::head_too_large:
      case HttpProgress::body_too_large:
        conversation.end = progress;
        return false;
    }
    progress = reader.put({});
  }
}

// Pieces of lengths that `seed` tells; 0: one piece.
Conversation talk(std::span<const uint8_t> bytes, uint32_t seed) {
  HttpReader reader(kHeaderMax, kBodyMax);
  Conversation conversation;
  while (!bytes.empty()) {
    seed = seed == 0 ? 0 : seed * 1'664'525 + 1'013'904'223;
    const size_t size = seed == 0 ? bytes.size() : std::min<size_t>(bytes.size(), seed >> 27);
    const std::string piece(reinterpret_cast<const char*>(bytes.data()), size);
    bytes = bytes.subspan(size);
    if (!take_all(reader, reader.put(piece), conversation)) return conversation;
  }
  conversation.end = reader.finish();
  return conversation;
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tandem;
  fuzz::Input input(data, size);
  const auto seed = input.take<uint32_t>();
  const Conversation whole = talk(input.rest(), 0);
  const Conversation cut = talk(input.rest(), seed | 1);
  TANDEM_CHECK(whole.requests == cut.requests);
  // A head that is too large may be found to be no request first, or the other way round.
  const bool refused = whole.end != HttpProgress::need_more;
  TANDEM_CHECK(refused == (cut.end != HttpProgress::need_more));
  return 0;
}
