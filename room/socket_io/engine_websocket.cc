// Sessions on WebSockets, and the upgrade of a polling one to one.
#include <utility>

#include "room/socket_io/engine_io.h"
#include "room/socket_io/engine_link.h"
#include "room/socket_io/engine_server.h"

namespace tandem {
namespace {

EngineEnd end_of(WebSocketEnd end) {
  switch (end) {
    case WebSocketEnd::closed:
    case WebSocketEnd::lost:
    case WebSocketEnd::evicted:
      return EngineEnd::transport_closed;
    case WebSocketEnd::protocol:
      return EngineEnd::transport_error;
    case WebSocketEnd::overflow:
      return EngineEnd::overflow;
  }
  return EngineEnd::transport_closed;
}

}  // namespace

WebSocketEvents* EngineServer::on_websocket(const HttpRequest& request, WebSocket& socket,
                                            HttpReply& refusal, Nanos now) {
  expire(now);
  const auto refused = [&](Refusal reason) {
    refusal = refuse(reason);
    return nullptr;
  };
  if (query_value(request.target, "transport") != "websocket")
    return refused(Refusal::unknown_transport);
  const std::string_view sid = query_value(request.target, "sid");
  if (sid.empty()) {
    if (const auto reason = judge_newcomer(request)) return refused(*reason);
    return open_websocket(request, socket);
  }
  EngineSession* session = find(sid);
  if (session == nullptr) return refused(Refusal::unknown_sid);
  return begin_upgrade(*session, socket);
}

EngineLink* EngineServer::open_websocket(const HttpRequest& request, WebSocket& socket) {
  EngineSession& session = open(request);
  auto* link = new EngineLink(*this, &session, socket);
  session.link_ = link;
  ++websockets_;
  socket.send(std::make_shared<WebSocketMessage>(WebSocketOpcode::text, handshake_of(session)));
  session.told_open_ = true;
  events_.on_open(session);
  return link;
}

// One that comes too late, or beside another, is let in and closed: that is what clients expect,
// and the session goes on undisturbed.
EngineLink* EngineServer::begin_upgrade(EngineSession& session, WebSocket& socket) {
  if (!session.is_open() || session.is_websocket() || session.probe_ != nullptr) {
    refusals_[Refusal::bad_request].add();
    socket.close(kPolicyViolation);
    return new EngineLink(*this, nullptr, socket);
  }
  session.probe_ = new EngineLink(*this, &session, socket);
  probing_.push_back(*session.probe_, now_ + options_.upgrade_timeout);
  return session.probe_;
}

void EngineServer::on_frame(EngineSession& session, WebSocketOpcode opcode,
                            std::string_view payload) {
  bool sound = payload.size() <= options_.max_payload;
  if (sound && opcode == WebSocketOpcode::binary) {
    events_.on_binary(session, payload);
  } else if (sound) {
    const auto packet = decode_engine_packet(payload);
    sound = packet && on_packet(session, *packet);
  }
  if (!sound) end(session, EngineEnd::transport_error);
}

void EngineServer::on_probe(EngineLink& probe, WebSocketOpcode opcode, std::string_view payload) {
  EngineSession& session = *probe.session_;
  if (opcode == WebSocketOpcode::text && payload == "2probe" && !probe.probed_) {
    probe.probed_ = true;
    probe.socket_.send(probe_answer_);
    // The client stops polling before it upgrades, and waits for this one.
    if (session.poll_) answer_poll(session, session.queue_.empty() ? kEngineNoopPacket : "");
  } else if (opcode == WebSocketOpcode::text && payload == "5" && probe.probed_) {
    complete_upgrade(probe);
  } else {
    abandon_upgrade(session, Upgrade::abandoned);
  }
}

void EngineServer::complete_upgrade(EngineLink& probe) {
  EngineSession& session = *probe.session_;
  probe.unlist();
  session.link_ = std::exchange(session.probe_, nullptr);
  ++websockets_;
  upgrades_[Upgrade::completed].add();
  std::vector<SharedMessage> queue = std::exchange(session.queue_, {});
  session.queued_bytes_ = 0;
  if (session.poll_) answer_poll(session, kEngineNoopPacket);
  for (const SharedMessage& message : queue) probe.socket_.send(message);
}

// The session goes on by polling.
void EngineServer::abandon_upgrade(EngineSession& session, Upgrade outcome) {
  EngineLink* probe = std::exchange(session.probe_, nullptr);
  if (probe == nullptr) return;
  upgrades_[outcome].add();
  probe->unlist();
  probe->session_ = nullptr;
  probe->socket_.close(kNormalClosure);
}

void EngineServer::on_link_closed(EngineLink& link, WebSocketEnd closed) {
  EngineSession* session = std::exchange(link.session_, nullptr);
  if (session == nullptr) return;
  if (session->link_ == &link) {
    session->link_ = nullptr;
    --websockets_;
    return end(*session, end_of(closed));
  }
  session->probe_ = nullptr;
  upgrades_[Upgrade::abandoned].add();
}

}  // namespace tandem
