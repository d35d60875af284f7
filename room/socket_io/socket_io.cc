#include "room/socket_io/socket_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "common/assert.h"

namespace tandem {
namespace {

bool is_binary(SocketPacketType type) {
  return type == SocketPacketType::binary_event || type == SocketPacketType::binary_ack;
}
bool is_digit(char letter) {
  return letter >= '0' && letter <= '9';
}

// Takes a decimal number from the front; nothing where there is none, or it is not the shortest
// form, or too large.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto size = static_cast<std::size_t>(end - text.data());
  if (fault != std::errc{} || (size > 1 && text[0] == '0')) return std::nullopt;
  text.remove_prefix(size);
  return value;
}

bool take_attachments(std::string_view& text, SocketFrame& frame) {
  const auto count = take_number(text);
  if (!count || *count > kSocketAttachmentsMax || !text.starts_with('-')) return false;
  frame.attachments = static_cast<std::uint32_t>(*count);
  text.remove_prefix(1);
  return true;
}

// Up to the comma, or all where there is none.
bool take_namespace(std::string_view& text, SocketFrame& frame) {
  if (!text.starts_with('/')) return true;
  frame.nsp = text.substr(0, text.find(','));
  text.remove_prefix(std::min(text.size(), frame.nsp.size() + 1));
  return frame.nsp.size() <= kNamespaceBytesMax;
}

bool take_ack_id(std::string_view& text, SocketFrame& frame) {
  if (text.empty() || !is_digit(text[0])) return true;
  frame.ack_id = take_number(text);
  return frame.ack_id.has_value();
}

// Names with a meaning of their own for the clients, which refuse to emit them.
bool is_reserved(std::string_view name) {
  constexpr std::array<std::string_view, 6> kReserved = {
      "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"};
  return std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

// A name is a string; a client may emit a number as well, which is then its own text.
bool is_name(JsonSpan name) {
  if (name.text.size() > kEventNameBytesMax + 2) return false;
  if (name.kind == JsonKind::number) return true;
  return name.kind == JsonKind::string && !is_reserved(json_text(name));
}

bool are_elements(JsonSpan array, bool with_name) {
  JsonElements elements(array);
  JsonSpan element;
  if (with_name && !(elements.next(element) && is_name(element))) return false;
  std::size_t count = 0;
  while (elements.next(element)) ++count;
  return count <= kEventArgumentsMax;
}

// Do an object's members make a placeholder, and is it a sound one?
struct OpenObject {
  bool is_placeholder = false;  // it has that member at all
  bool is_true = false;
  std::optional<std::uint64_t> num;
};

std::size_t past_text(std::string_view json, std::size_t at) {
  for (++at; json[at] != '"'; ++at)
    if (json[at] == '\\') ++at;
  return at + 1;
}
std::size_t past_white(std::string_view json, std::size_t at) {
  while (json[at] == ' ' || json[at] == '\t' || json[at] == '\n' || json[at] == '\r') ++at;
  return at;
}

// `at` is on a member's value.
void read_member(OpenObject& object, std::string_view json, JsonSpan name, std::size_t at) {
  const std::string spelled = json_plain_text(name) ? std::string() : json_text(name);
  const std::string_view text = json_plain_text(name).value_or(spelled);
  if (text == "_placeholder") {
    object.is_placeholder = true;
    object.is_true = json.substr(at).starts_with("true");
  } else if (text == "num") {
    std::size_t end = at;
    while (is_digit(json[end])) ++end;
    std::string_view digits = json.substr(at, end - at);
    const bool whole = json.find_first_of(".eE", end) != end;
    object.num = whole ? take_number(digits) : std::nullopt;
  }
}

// Of JSON that scan_json() accepted within the depth. One pass: looking at members level by level
// would take a time that grows with the depth. Clients reject a packet with a placeholder that
// names nothing, and some take any true value for true, so both are refused.
bool placeholders_are_sound(std::string_view json, std::uint32_t attachments) {
  std::array<OpenObject, kSocketJsonDepthMax + 1> open;
  std::size_t depth = 0;
  for (std::size_t at = 0; at < json.size();) {
    const char letter = json[at];
    if (letter == '"') {
      const std::size_t end = past_text(json, at);
      const std::size_t colon = end < json.size() ? past_white(json, end) : end;
      if (colon < json.size() && json[colon] == ':')
        read_member(open[depth], json, {JsonKind::string, json.substr(at, end - at)},
                    past_white(json, colon + 1));
      at = end;
      continue;
    }
    ++at;
    if (letter == '{' || letter == '[') open[++depth] = {};
    if (letter != '}' && letter != ']') continue;
    const OpenObject& closed = open[depth--];
    if (closed.is_placeholder && !(closed.is_true && closed.num && *closed.num < attachments))
      return false;
  }
  return true;
}

bool fits_type(const SocketFrame& frame) {
  const bool has_array = frame.data && frame.data->kind == JsonKind::array;
  switch (frame.type) {
    case SocketPacketType::connect:
      return !frame.ack_id && (!frame.data || frame.data->kind == JsonKind::object);
    case SocketPacketType::disconnect:
      return !frame.ack_id && !frame.data;
    case SocketPacketType::connect_error:
      return !frame.ack_id && frame.data &&
             (frame.data->kind == JsonKind::object || frame.data->kind == JsonKind::string);
    case SocketPacketType::event:
      return has_array && are_elements(*frame.data, true);
    case SocketPacketType::binary_event:
      return has_array && are_elements(*frame.data, true) &&
             placeholders_are_sound(frame.data->text, frame.attachments);
    case SocketPacketType::ack:
      return frame.ack_id && has_array && are_elements(*frame.data, false);
    case SocketPacketType::binary_ack:
      return frame.ack_id && has_array && are_elements(*frame.data, false) &&
             placeholders_are_sound(frame.data->text, frame.attachments);
  }
  return false;
}

}  // namespace

std::optional<SocketFrame> decode_socket_frame(std::string_view text) {
  if (text.empty() || text[0] < '0' || text[0] > '6') return std::nullopt;
  SocketFrame frame{.type = static_cast<SocketPacketType>(text[0] - '0'), .ack_id = {}, .data = {}};
  text.remove_prefix(1);
  if (is_binary(frame.type) && !take_attachments(text, frame)) return std::nullopt;
  if (!take_namespace(text, frame) || !take_ack_id(text, frame)) return std::nullopt;
  if (!text.empty()) {
    frame.data = scan_json(text, kSocketJsonDepthMax);
    if (!frame.data) return std::nullopt;
  }
  if (!fits_type(frame)) return std::nullopt;
  return frame;
}

void split_arguments(const SocketFrame& frame, SocketArguments& into) {
  TANDEM_CHECK(frame.data && frame.data->kind == JsonKind::array);
  into.name = {};
  into.arguments.clear();
  JsonElements elements(*frame.data);
  JsonSpan element;
  const bool named =
      frame.type == SocketPacketType::event || frame.type == SocketPacketType::binary_event;
  if (named && elements.next(element)) {
    if (element.kind == JsonKind::number) {
      into.name = element.text;
    } else if (const auto plain = json_plain_text(element)) {
      into.name = *plain;
    } else {
      into.storage = json_text(element);
      into.name = into.storage;
    }
  }
  while (elements.next(element)) into.arguments.push_back(element);
}

std::string socket_frame_head(SocketPacketType type, std::size_t attachments, std::string_view nsp,
                              std::optional<std::uint64_t> ack_id) {
  std::string head = {'4', static_cast<char>('0' + static_cast<int>(type))};
  auto into = std::back_inserter(head);
  if (is_binary(type)) fmt::format_to(into, "{}-", attachments);
  if (nsp != "/") fmt::format_to(into, "{},", nsp);
  if (ack_id) fmt::format_to(into, "{}", *ack_id);
  return head;
}

}  // namespace tandem
