// Engine.IO v4 as bytes: packets, payloads of long-polling, the handshake. Pure; knows no session
// and no request. (github.com/socketio/engine.io-protocol, revision 4)
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tandem {

enum class EnginePacketType : std::uint8_t { open, close, ping, pong, message, upgrade, noop };

// Over WebSocket a text frame is one packet and a binary frame one binary message. Over polling a
// body is packets with a separator between them, and a binary message is 'b' and its base64.
struct EnginePacket {
  EnginePacketType type = EnginePacketType::noop;
  bool binary = false;    // a message's
  std::string_view data;  // behind the type
};

inline constexpr char kEngineSeparator = '\x1e';

// A text frame. Nothing where it has no known type.
[[nodiscard]] std::optional<EnginePacket> decode_engine_packet(std::string_view text);

// A polling body, packet by packet.
class EnginePayload {
 public:
  explicit EnginePayload(std::string_view body) : rest_(body) {}

  enum class Step : std::uint8_t { packet, end, bad };
  // A binary packet's data lives until the next call. After `bad` there is nothing more. An empty
  // body is bad: a packet has a type at least.
  [[nodiscard]] Step next(EnginePacket& packet);

 private:
  std::string_view rest_;
  std::string binary_;
  bool ended_ = false;
};

// Appends a message, with the separator where `body` is not empty: text as it goes over WebSocket,
// type included, and binary as base64.
void append_engine_text(std::string& body, std::string_view packet);
void append_engine_binary(std::string& body, std::string_view message);

struct EngineHandshake {
  std::string_view sid;
  bool upgrades = false;  // to WebSocket
  std::int64_t ping_interval_ms = 0;
  std::int64_t ping_timeout_ms = 0;
  std::uint64_t max_payload = 0;
};
// The open packet. `sid` needs no escapes.
[[nodiscard]] std::string encode_engine_open(const EngineHandshake& handshake);

// base64 (RFC 4648, 4), with padding, strictly: no white space, unused bits zero.
[[nodiscard]] bool append_base64_decoded(std::string& into, std::string_view text);
void append_base64(std::string& into, std::string_view bytes);

}  // namespace tandem
