#include "room/socket_io/socket_server.h"

#include <utility>

#include "common/assert.h"
#include "room/socket_io/socket_peer.h"

namespace tandem {
namespace {

SocketPeer& peer_of(EngineSession& session) {
  TANDEM_CHECK(session.user != nullptr);
  return *static_cast<SocketPeer*>(session.user);
}

SocketEnd end_of(EngineEnd end, const SocketPeer& peer) {
  switch (end) {
    case EngineEnd::transport_closed:
    case EngineEnd::client_close:  // without a DISCONNECT before it
      return SocketEnd::transport_lost;
    case EngineEnd::transport_error:
      return SocketEnd::bad_packet;
    case EngineEnd::ping_timeout:
      return SocketEnd::ping_timeout;
    case EngineEnd::server_close:
      return peer.end;
    case EngineEnd::overflow:
      return SocketEnd::overflow;
  }
  return SocketEnd::transport_lost;
}

}  // namespace

SocketServer::SocketServer(SocketOptions options, SocketApp& app, std::function<void()> ask_flush)
    : options_(std::move(options)),
      app_(app),
      ask_flush_(std::move(ask_flush)),
      pid_key_(random_key()),
      identity_key_(random_key()),
      engine_(options_.engine, *this, [this] { ask(); }) {
  for (const std::string& name : options_.namespaces) {
    auto made = std::make_unique<SocketNamespace>();
    made->name = name;
    made->disconnect = encode_disconnect(name);
    namespaces_.push_back(std::move(made));
  }
}

SocketServer::~SocketServer() {
  for (Socket* socket : sockets_) {
    if (socket->peer_ != nullptr) detach(*socket);
    delete socket;
  }
  while (SocketPeer* peer = unconnected_.front()) {
    end_partial(*peer);
    peer->unlist();
    delete peer;
  }
}

void SocketServer::ask() {
  if (!std::exchange(flush_asked_, true)) ask_flush_();
}

// Offsets first: a ping that goes out behind them confirms what they stand for.
void SocketServer::tick(Nanos now) {
  flush();
  engine_.tick(now);
  while (SocketPeer* peer = unconnected_.pop_due(engine_.now())) {
    unconnected_.push_back(*peer, engine_.now() + options_.connect_timeout);
    fail(*peer, SocketEnd::server_disconnect);
  }
  while (PartialPacket* partial = partials_.pop_due(engine_.now()))
    fail(partial->peer, SocketEnd::bad_packet);
  flush();
}

void SocketServer::flush() {
  flush_asked_ = true;
  do {
    for (Socket* socket : std::exchange(leaving_, {})) part(*socket, SocketEnd::server_disconnect);
    send_offsets();
    engine_.flush();
  } while (!leaving_.empty() || !offsets_due_.empty());
  flush_asked_ = false;
}

void SocketServer::on_open(EngineSession& session) {
  auto* peer = new SocketPeer(session);
  session.user = peer;
  unconnected_.push_back(*peer, engine_.now() + options_.connect_timeout);
}

void SocketServer::on_close(EngineSession& session, EngineEnd end) {
  SocketPeer& peer = peer_of(session);
  end_partial(peer);
  while (Socket* socket = peer.first) {
    detach(*socket);
    part(*socket, end_of(end, peer));
  }
  peer.unlist();
  session.user = nullptr;
  delete &peer;
}

void SocketServer::on_confirmed(EngineSession& session) {
  for (Socket* socket = peer_of(session).first; socket != nullptr; socket = socket->next_)
    socket->sent_.confirm(session.confirmed());
}

void SocketServer::fail(SocketPeer& peer, SocketEnd end) {
  if (end == SocketEnd::bad_packet) ++bad_packets_;
  peer.end = end;
  end_partial(peer);
  peer.session.close();
}

void SocketServer::on_text(EngineSession& session, std::string_view message) {
  SocketPeer& peer = peer_of(session);
  const auto frame = decode_socket_frame(message);
  if (!frame || peer.partial) return fail(peer, SocketEnd::bad_packet);
  if (frame->attachments > 0) return begin_partial(peer, message, frame->attachments);
  on_frame(peer, *frame, {});
}

void SocketServer::begin_partial(SocketPeer& peer, std::string_view text,
                                 std::uint32_t attachments) {
  peer.partial = std::make_unique<PartialPacket>(peer);
  peer.partial->text = text;
  peer.partial->wanted = attachments;
  peer.partial->bytes = text.size();
  partial_bytes_ += text.size();
  partials_.push_back(*peer.partial, engine_.now() + options_.attachments_timeout);
  bound_partials();
}

void SocketServer::end_partial(SocketPeer& peer) {
  if (!peer.partial) return;
  partial_bytes_ -= peer.partial->bytes;
  peer.partial->unlist();
  peer.partial.reset();
}

void SocketServer::bound_partials() {
  while (partial_bytes_ > options_.attachment_bytes_max) {
    PartialPacket* oldest = partials_.front();
    TANDEM_CHECK(oldest != nullptr);
    ++partials_evicted_;
    fail(oldest->peer, SocketEnd::bad_packet);
  }
}

void SocketServer::on_binary(EngineSession& session, std::string_view message) {
  SocketPeer& peer = peer_of(session);
  PartialPacket* partial = peer.partial.get();
  if (partial == nullptr || partial->bytes + message.size() > options_.engine.max_payload)
    return fail(peer, SocketEnd::bad_packet);
  partial->attachments.emplace_back(message);
  partial->bytes += message.size();
  partial_bytes_ += message.size();
  if (partial->attachments.size() < partial->wanted) return bound_partials();
  const std::string text = std::move(partial->text);
  const std::vector<std::string> attachments = std::move(partial->attachments);
  end_partial(peer);
  const auto frame = decode_socket_frame(text);
  TANDEM_CHECK(frame.has_value());
  const std::vector<std::string_view> views(attachments.begin(), attachments.end());
  on_frame(peer, *frame, views);
}

void SocketServer::on_frame(SocketPeer& peer, const SocketFrame& frame,
                            std::span<const std::string_view> attachments) {
  if (frame.type == SocketPacketType::connect) return on_connect(peer, frame);
  const SocketNamespace* nsp = find_namespace(frame.nsp);
  Socket* socket = peer.first;
  while (socket != nullptr && socket->nsp_ != nsp) socket = socket->next_;
  if (socket == nullptr) {
    // What was on its way when the server ended a socket is no fault.
    if (nsp == nullptr || !peer.was_connected) return fail(peer, SocketEnd::bad_packet);
    ++stray_packets_;
    return;
  }
  switch (frame.type) {
    case SocketPacketType::connect:
    case SocketPacketType::connect_error:  // a server's
      return fail(peer, SocketEnd::bad_packet);
    case SocketPacketType::disconnect:
      detach(*socket);
      return part(*socket, SocketEnd::client_disconnect);
    case SocketPacketType::event:
    case SocketPacketType::binary_event:
      return on_event(*socket, frame, attachments);
    case SocketPacketType::ack:
    case SocketPacketType::binary_ack:  // nothing here asks for one
      ++stray_packets_;
      return;
  }
}

void SocketServer::on_event(Socket& socket, const SocketFrame& frame,
                            std::span<const std::string_view> attachments) {
  ++events_received_;
  split_arguments(frame, arguments_);
  event_.name = arguments_.name;
  std::swap(event_.arguments, arguments_.arguments);
  event_.attachments.assign(attachments.begin(), attachments.end());
  event_.ack_id = frame.ack_id;
  app_.on_event(socket, event_);
}

const SocketNamespace* SocketServer::find_namespace(std::string_view name) const {
  for (const auto& nsp : namespaces_)
    if (nsp->name == name) return nsp.get();
  return nullptr;
}

}  // namespace tandem
