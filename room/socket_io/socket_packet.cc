#include "room/socket_io/socket_packet.h"

#include <algorithm>
#include <optional>
#include <string>

#include "common/assert.h"
#include "room/socket_io/socket_io.h"
#include "room/text/json_scan.h"

namespace tandem {
namespace {

SharedPacket to_packet(std::string_view text, std::span<const std::string_view> attachments) {
  auto packet = std::make_shared<SocketPacket>();
  packet->frames.reserve(1 + attachments.size());
  packet->frames.push_back(std::make_shared<WebSocketMessage>(WebSocketOpcode::text, text));
  for (const std::string_view attachment : attachments)
    packet->frames.push_back(
        std::make_shared<WebSocketMessage>(WebSocketOpcode::binary, attachment));
  return packet;
}

SharedMessage to_message(SocketPacketType type, std::string_view nsp, std::string_view json) {
  return std::make_shared<WebSocketMessage>(WebSocketOpcode::text,
                                            socket_frame_head(type, 0, nsp, std::nullopt), json);
}

}  // namespace

std::size_t SocketPacket::bytes() const {
  std::size_t sum = 0;
  for (const SharedMessage& frame : frames) sum += frame->wire().size();
  return sum;
}

SharedPacket encode_event(std::string_view nsp, std::string_view name, std::string_view arguments,
                          std::span<const std::string_view> attachments) {
  const auto type = attachments.empty() ? SocketPacketType::event : SocketPacketType::binary_event;
  std::string text = socket_frame_head(type, attachments.size(), nsp, std::nullopt);
  text.reserve(text.size() + name.size() + arguments.size() + 8);
  text += '[';
  append_json_string(text, name);
  if (!arguments.empty()) text += ',';
  text += arguments;
  text += ']';
  return to_packet(text, attachments);
}

SharedPacket encode_ack(std::string_view nsp, std::uint64_t ack_id, std::string_view arguments,
                        std::span<const std::string_view> attachments) {
  const auto type = attachments.empty() ? SocketPacketType::ack : SocketPacketType::binary_ack;
  std::string text = socket_frame_head(type, attachments.size(), nsp, ack_id);
  text.reserve(text.size() + arguments.size() + 2);
  text += '[';
  text += arguments;
  text += ']';
  return to_packet(text, attachments);
}

SharedMessage encode_connect(std::string_view nsp, std::string_view sid, std::string_view pid) {
  std::string json = R"({"sid":")";
  json += sid;
  if (!pid.empty()) {
    json += R"(","pid":")";
    json += pid;
  }
  json += "\"}";
  return to_message(SocketPacketType::connect, nsp, json);
}

SharedMessage encode_disconnect(std::string_view nsp) {
  return to_message(SocketPacketType::disconnect, nsp, {});
}

SharedMessage encode_connect_error(std::string_view nsp, std::string_view message,
                                   std::string_view data) {
  std::string json = R"({"message":)";
  append_json_string(json, message);
  if (!data.empty()) {
    json += R"(,"data":)";
    json += data;
  }
  json += '}';
  return to_message(SocketPacketType::connect_error, nsp, json);
}

void SentPackets::push(SharedPacket packet, std::uint64_t mark, const Bounds& bounds) {
  bytes_ += packet->bytes();
  kept_.push_back({std::move(packet), mark});
  ++count_;
  while (!empty() && (kept_.size() - first_ > bounds.packets || bytes_ > bounds.bytes)) {
    lost_ = kept_[first_].mark;
    pop();
  }
  tidy();
}

void SentPackets::confirm(std::uint64_t mark) {
  while (!empty() && kept_[first_].mark <= mark) pop();
  if (lost_ <= mark) lost_ = 0;
  tidy();
}

bool SentPackets::has_all_behind(std::uint64_t count) const {
  return count <= count_ && count_ - count <= kept_.size() - first_;
}

void SentPackets::forget(std::uint64_t count) {
  TANDEM_CHECK(has_all_behind(count));
  while (count_ - count < kept_.size() - first_) pop();
  lost_ = 0;
  tidy();
}

std::vector<SharedPacket> SentPackets::take() {
  std::vector<SharedPacket> packets;
  packets.reserve(kept_.size() - first_);
  for (; !empty(); pop()) packets.push_back(kept_[first_].packet);
  tidy();
  return packets;
}

void SentPackets::pop() {
  bytes_ -= kept_[first_].packet->bytes();
  kept_[first_++].packet.reset();
}

// Moves what is left to the front once as many have gone, so that each is moved once on average.
void SentPackets::tidy() {
  if (empty()) {
    std::vector<Kept>().swap(kept_);
    first_ = 0;
  } else if (first_ > kept_.size() / 2) {
    kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

}  // namespace tandem
