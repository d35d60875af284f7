// What a room service may send to a load generator's client: heads of HTTP responses, WebSocket
// frames, packets and messages' payloads. Whatever they hold is read to its end or refused, what
// was read lies in what came, and a payload that is taken for whole is one that was written so.
#include <string>
#include <string_view>

#include "bench/load/rooms/frames.h"
#include "bench/load/rooms/packets.h"
#include "bench/load/rooms/payload.h"
#include "bench/load/rooms/response_head.h"
#include "common/assert.h"

namespace tandem::bench {
namespace {

constexpr std::size_t kPayloadMax = 1 << 16;

bool lies_in(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check_payload(JsonSpan data) {
  for (const std::size_t size : {kMessageBytesMin, std::size_t{128}}) {
    const auto mark = read_payload(data, size);
    if (!mark) continue;
    std::string written;
    append_payload(written, *mark, size);
    TANDEM_CHECK(written.size() == size);
    const auto again = scan_json(written, 1);
    TANDEM_CHECK(again && read_payload(*again, size) == mark);
  }
}

void check_packet(std::string_view text) {
  const Packet packet = read_packet(text);
  TANDEM_CHECK(lies_in(packet.event, text));
  if (packet.kind == PacketKind::ack) TANDEM_CHECK(packet.ack_id.has_value());
  if (packet.kind != PacketKind::event && packet.kind != PacketKind::ack) return;
  if (packet.argument.kind != JsonKind::null) TANDEM_CHECK(lies_in(packet.argument.text, text));
  for (const auto* name : {"data", "room", "error", "seq"}) {
    const auto member = member_of(packet.argument, name);
    if (!member) continue;
    TANDEM_CHECK(lies_in(member->text, text));
    (void)text_of(packet.argument, name);
    check_payload(*member);
  }
}

void check_frames(std::string_view bytes) {
  Frame frame;
  while (read_frame(bytes, kPayloadMax, frame) == FrameOutcome::frame) {
    TANDEM_CHECK(frame.size >= 2 && frame.size <= bytes.size());
    TANDEM_CHECK(frame.payload.size() <= kPayloadMax && lies_in(frame.payload, bytes));
    check_packet(frame.payload);
    bytes.remove_prefix(frame.size);
  }
}

std::string_view after_head(std::string_view bytes) {
  ResponseHead head;
  switch (read_response_head(bytes, head)) {
    case HeadOutcome::whole:
      TANDEM_CHECK(head.size <= bytes.size() && head.status >= 100 && head.status <= 999);
      TANDEM_CHECK(lies_in(head.websocket_accept, bytes));
      return bytes.substr(head.size);
    case HeadOutcome::partial:
      TANDEM_CHECK(bytes.size() < kResponseHeadMax);
      break;
    case HeadOutcome::malformed:
      break;
  }
  return bytes;
}

}  // namespace
}  // namespace tandem::bench

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tandem::bench;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_frames(after_head(bytes));
  check_packet(bytes);
  return 0;
}
