#include "bench/load/rooms/packets.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

namespace tandem::bench {
namespace {

constexpr std::size_t kDepthMax = 64;

// Digits before the payload: an acknowledgement's number.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

Packet with_data(PacketKind kind, std::string_view text) {
  if (text.empty()) return {.kind = kind};
  const auto data = scan_json(text, kDepthMax);
  if (!data) return {};
  return {.kind = kind, .argument = *data};
}

Packet with_arguments(PacketKind kind, std::string_view text) {
  Packet packet{.kind = kind, .ack_id = take_number(text)};
  if (kind == PacketKind::ack && !packet.ack_id) return {};
  const auto array = scan_json(text, kDepthMax);
  if (!array || array->kind != JsonKind::array) return {};
  JsonElements elements(*array);
  if (kind == PacketKind::event) {
    JsonSpan name;
    if (!elements.next(name) || name.kind != JsonKind::string) return {};
    packet.event = name.text.substr(1, name.text.size() - 2);
  }
  (void)elements.next(packet.argument);  // it may have none
  return packet;
}

Packet read_socket_packet(std::string_view text) {
  if (text.empty()) return {};
  const char type = text.front();
  text.remove_prefix(1);
  switch (type) {
    case '0':
      return with_data(PacketKind::connected, text);
    case '1':
      return {.kind = PacketKind::disconnected};
    case '2':
      return with_arguments(PacketKind::event, text);
    case '3':
      return with_arguments(PacketKind::ack, text);
    case '4':
      return with_data(PacketKind::connect_error, text);
    case '5':
    case '6':
      return {.kind = PacketKind::other};
    default:
      return {};
  }
}

}  // namespace

Packet read_packet(std::string_view text) {
  if (text.empty()) return {};
  const char type = text.front();
  text.remove_prefix(1);
  switch (type) {
    case '0':
      return with_data(PacketKind::open, text);
    case '1':
      return {.kind = PacketKind::close};
    case '2':
      return {.kind = PacketKind::ping};
    case '3':
    case '6':
      return {.kind = PacketKind::other};
    case '4':
      return read_socket_packet(text);
    default:
      return {};
  }
}

std::string connect_packet(std::string_view token) {
  std::string packet = R"(40{"token":)";
  append_json_string(packet, token);
  packet += '}';
  return packet;
}

void write_event(std::string& into, std::string_view event, std::string_view argument,
                 std::optional<std::uint64_t> ack_id) {
  into.assign("42");
  if (ack_id) fmt::format_to(std::back_inserter(into), "{}", *ack_id);
  into.append("[\"").append(event).append("\",").append(argument).append("]");
}

std::optional<JsonSpan> member_of(JsonSpan object, std::string_view name) {
  if (object.kind != JsonKind::object) return std::nullopt;
  std::optional<JsonSpan> found;
  JsonMembers members(object);
  JsonSpan key;
  JsonSpan value;
  while (members.next(key, value)) {
    if (json_plain_text(key) == name) found = value;
  }
  return found;
}

std::string_view text_of(JsonSpan object, std::string_view name) {
  const auto member = member_of(object, name);
  if (!member || member->kind != JsonKind::string) return {};
  return json_plain_text(*member).value_or(std::string_view());
}

}  // namespace tandem::bench
