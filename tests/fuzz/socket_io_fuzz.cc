// Texts of Socket.IO packets: what is accepted keeps its bounds and can be written again, and comes
// out as it went in; a binary packet's placeholders all name an attachment, as nlohmann reads it.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/assert.h"
#include "room/socket_io/socket_io.h"

namespace tandem {
namespace {

using Json = nlohmann::json;

bool is_binary(SocketPacketType type) {
  return type == SocketPacketType::binary_event || type == SocketPacketType::binary_ack;
}

// What the reference's decoder would do with it.
void check_placeholders(const Json& value, std::uint32_t attachments) {
  if (value.is_object() && value.contains("_placeholder"))
    TANDEM_CHECK(value["_placeholder"] == true && value["num"].is_number_unsigned() &&
                 value["num"].get<std::uint64_t>() < attachments);
  if (value.is_structured())
    for (const Json& element : value) check_placeholders(element, attachments);
}

void check_arguments(const SocketFrame& frame) {
  SocketArguments split;
  split_arguments(frame, split);
  TANDEM_CHECK(split.arguments.size() <= kEventArgumentsMax);
  const bool named =
      frame.type == SocketPacketType::event || frame.type == SocketPacketType::binary_event;
  TANDEM_CHECK(named || split.name.empty());
  std::size_t elements = 0;
  JsonElements walk(*frame.data);
  for (JsonSpan element; walk.next(element); ++elements)
    if (elements >= named) TANDEM_CHECK(split.arguments.at(elements - named).text == element.text);
  TANDEM_CHECK(elements == split.arguments.size() + named);
}

void check_bounds(const SocketFrame& frame) {
  TANDEM_CHECK(frame.attachments <= kSocketAttachmentsMax);
  TANDEM_CHECK(frame.attachments == 0 || is_binary(frame.type));
  TANDEM_CHECK(frame.nsp.starts_with('/') && frame.nsp.size() <= kNamespaceBytesMax);
  TANDEM_CHECK(frame.nsp.find(',') == std::string_view::npos);
}

void check(std::string_view text) {
  const auto frame = decode_socket_frame(text);
  if (!frame) return;
  check_bounds(*frame);
  std::string again =
      socket_frame_head(frame->type, frame->attachments, frame->nsp, frame->ack_id).substr(1);
  if (frame->data) again += frame->data->text;
  const auto second = decode_socket_frame(again);
  TANDEM_CHECK(second && second->type == frame->type && second->nsp == frame->nsp);
  TANDEM_CHECK(second->attachments == frame->attachments && second->ack_id == frame->ack_id);
  TANDEM_CHECK(second->data.has_value() == frame->data.has_value());
  if (!frame->data) return;
  TANDEM_CHECK(second->data->text == frame->data->text);
  if (frame->data->kind == JsonKind::array) check_arguments(*frame);
  const Json json = Json::parse(frame->data->text, nullptr, false);
  if (is_binary(frame->type) && !json.is_discarded()) check_placeholders(json, frame->attachments);
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tandem::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
