// One WebSocket of an Engine.IO session, or one that wants to become that. For engine_server's own
// files.
#pragma once

#include "room/socket_io/deadline_list.h"
#include "room/socket_io/engine_server.h"

namespace tandem {

inline constexpr std::string_view kEngineClosePacket = "1";
inline constexpr std::string_view kEngineNoopPacket = "6";

// Close codes (RFC 6455, 7.4.1).
inline constexpr std::uint16_t kNormalClosure = 1000;
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kProtocolError = 1002;
inline constexpr std::uint16_t kPolicyViolation = 1008;

// Lives as long as the WebSocket; frees itself when that has gone.
class EngineLink final : public WebSocketEvents, public DeadlineEntry {
 public:
  EngineLink(EngineServer& server, EngineSession* session, WebSocket& socket)
      : server_(server), session_(session), socket_(socket) {}

  void on_message(WebSocketOpcode opcode, std::string_view payload) override {
    if (session_ == nullptr) return;  // it is over, this was still on its way
    if (session_->link_ == this) {
      server_.on_frame(*session_, opcode, payload);
    } else {
      server_.on_probe(*this, opcode, payload);
    }
  }
  void on_closed(WebSocketEnd end) override {
    server_.on_link_closed(*this, end);
    unlist();
    delete this;
  }

 private:
  friend class EngineServer;

  EngineServer& server_;
  EngineSession* session_;  // null once that has nothing to do with it any more
  WebSocket& socket_;
  bool probed_ = false;
};

}  // namespace tandem
