// A connection's WebSocket: frames to the application, its messages to the client.
#include <exception>
#include <utility>

#include "common/log.h"
#include "room/web/web_connection.h"
#include "room/web/web_server_impl.h"
#include "room/web/websocket_frame.h"

namespace tandem {
namespace {

constexpr std::uint16_t kInternalError = 1011;

}  // namespace

void WebConnection::take_frames(std::span<char> bytes) {
  // A reader's memory goes with the call after the last, so this ends with need_more.
  while (phase_ == Phase::websocket || phase_ == Phase::closing) {
    const WebSocketInput input = reader_.next(bytes, server_.limits().message_bytes_max);
    switch (input.kind) {
      case WebSocketInput::Kind::need_more:
        return;
      case WebSocketInput::Kind::message:
        deliver(input.opcode, input.payload);
        break;
      case WebSocketInput::Kind::ping:
        queue_frame(pong_frame(input.payload));
        break;
      case WebSocketInput::Kind::pong:
        break;
      case WebSocketInput::Kind::close:
        if (phase_ == Phase::websocket) queue_frame(close_frame(input.code));
        end_websocket(WebSocketEnd::closed);
        break;
      case WebSocketInput::Kind::fault:
        fail(input.code, WebSocketEnd::protocol);
        break;
    }
  }
}

// What comes behind our own close frame is nobody's any more.
void WebConnection::deliver(WebSocketOpcode opcode, std::string_view payload) {
  if (phase_ != Phase::websocket) return;
  ++server_.counters().messages_received;
  server_.counters().message_bytes_received += payload.size();
  try {
    events_->on_message(opcode, payload);
  } catch (const std::exception& thrown) {
    log(LogLevel::error, server_.options().name, "a message failed", {{"reason", thrown.what()}});
    fail(kInternalError, WebSocketEnd::lost);
  }
}

void WebConnection::fail(std::uint16_t code, WebSocketEnd end) {
  if (phase_ == Phase::websocket) queue_frame(close_frame(code));
  end_websocket(end);
}

void WebConnection::end_websocket(WebSocketEnd end) {
  if (gone()) return;
  if (!end_) end_ = end;
  phase_ = Phase::ending;
  set_deadline(WebDeadline::request);
  server_.call_at_end_of_turn(*this);
}

bool WebConnection::has_room_for(std::size_t bytes) {
  const auto fits = [&] {
    return out_.empty() || out_.bytes() + bytes <= server_.limits().send_queue_bytes;
  };
  if (fits()) return true;
  // Much in one turn is no sign of a client that does not read. Before the application has taken
  // the WebSocket, its handshake may still be refused.
  if (events_ != nullptr) flush();
  return fits();
}

void WebConnection::queue_frame(std::string frame) {
  if (phase_ != Phase::websocket) return;
  if (!has_room_for(frame.size())) return give_up(WebSocketEnd::overflow);
  out_.push(std::move(frame));
  server_.call_at_end_of_turn(*this);
}

void WebConnection::send(const SharedMessage& message) {
  if (phase_ != Phase::websocket) return;
  if (!has_room_for(message->wire().size())) return give_up(WebSocketEnd::overflow);
  if (gone()) return;
  ++server_.counters().messages_sent;
  server_.counters().message_bytes_sent += message->payload().size();
  out_.push(message);
  server_.call_at_end_of_turn(*this);
}

void WebConnection::close(std::uint16_t code) {
  if (phase_ != Phase::websocket) return;
  out_.push(close_frame(code));
  phase_ = Phase::closing;
  set_deadline(WebDeadline::close);
  server_.call_at_end_of_turn(*this);
}

void WebConnection::abort() {
  if (phase_ == Phase::websocket || phase_ == Phase::closing) give_up(WebSocketEnd::lost);
}

void WebConnection::tell_closed() {
  if (events_ == nullptr || !end_) return;
  WebSocketEvents* const events = std::exchange(events_, nullptr);
  server_.websocket_ends(*end_);
  try {
    events->on_closed(*end_);
  } catch (const std::exception& thrown) {
    log(LogLevel::error, server_.options().name, "the end of a WebSocket failed",
        {{"reason", thrown.what()}});
  }
}

}  // namespace tandem
