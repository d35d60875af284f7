// A socket's life: CONNECT, what is sent to it, parting, and its client's return.
#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "common/assert.h"
#include "common/base64url.h"
#include "common/hmac.h"
#include "room/socket_io/socket_peer.h"
#include "room/socket_io/socket_server.h"

namespace tandem {
namespace {

constexpr std::size_t kMacBytes = 16;
constexpr std::size_t kMacChars = base64url_size(kMacBytes);
constexpr std::size_t kIdSize = std::tuple_size_v<RandomId>;
constexpr std::size_t kPidSize = kIdSize + kMacChars;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// What a client shows of an earlier connection.
struct Claim {
  std::string pid;
  // Of packets that it has; one that saw no offset has none. Past all counts where it is no number:
  // then it is another server's.
  std::uint64_t offset = 0;
};

std::uint64_t to_offset(std::string_view text) {
  std::uint64_t count = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), count);
  return fault == std::errc{} && end == text.data() + text.size() ? count : UINT64_MAX;
}

std::optional<Claim> claim_in(JsonSpan auth) {
  Claim claim;
  JsonMembers members(auth);
  JsonSpan name;
  JsonSpan value;
  while (members.next(name, value)) {
    if (value.kind != JsonKind::string) continue;
    if (name.text == R"("pid")") claim.pid = json_text(value);
    if (name.text == R"("offset")") claim.offset = to_offset(json_text(value));
  }
  if (claim.pid.empty()) return std::nullopt;
  return claim;
}

}  // namespace

std::string_view Socket::host() const {
  return peer_ == nullptr ? std::string_view() : peer_->session.host();
}

std::string_view Socket::nsp() const {
  return nsp_->name;
}
void Socket::emit(const SharedPacket& packet) {
  server_.emit(*this, packet);
}
void Socket::disconnect(bool close_session) {
  server_.disconnect(*this, close_session);
}
void Socket::drop() {
  if (peer_ != nullptr) peer_->session.drop();
}
void Socket::acknowledge(std::uint64_t ack_id, std::string_view arguments,
                         std::span<const std::string_view> attachments) {
  if (state_ != State::connected) return;
  const SharedPacket packet = encode_ack(nsp(), ack_id, arguments, attachments);
  for (const SharedMessage& frame : packet->frames) peer_->session.send(frame);
}

void SocketServer::on_connect(SocketPeer& peer, const SocketFrame& frame) {
  const SocketNamespace* nsp = find_namespace(frame.nsp);
  if (nsp == nullptr) {
    ++connects_refused_;
    return peer.session.send(encode_connect_error(frame.nsp, "Invalid namespace", {}));
  }
  for (Socket* socket = peer.first; socket != nullptr; socket = socket->next_) {
    if (socket->nsp_ != nsp) continue;
    ++stray_packets_;  // a client that called connect() twice
    return;
  }
  auto fresh = std::unique_ptr<Socket>(new Socket(*this, *nsp, peer.session.client()));
  std::string identity;
  if (const auto refusal = app_.on_connect(*fresh, frame.data, identity)) {
    ++connects_refused_;
    return peer.session.send(encode_connect_error(nsp->name, refusal->message, refusal->data));
  }
  fresh->identity_ = siphash24_128(identity_key_, bytes_of(identity));
  ++connects_;
  if (options_.recovery.enabled && frame.data && recover(*fresh, *frame.data, peer)) return;
  Socket& socket = *fresh.release();
  sockets_.insert(&socket);
  attach(socket, peer);
  app_.on_connected(socket);
}

// The id with a MAC of it: others may know an id, and nothing has to be kept to know a pid again.
std::string SocketServer::pid_of(const Socket& socket) const {
  std::string pid(socket.id());
  pid.resize(kPidSize);
  const auto mac = siphash24_128(pid_key_, bytes_of(socket.id()));
  base64url_encode(mac, std::span(pid).last(kMacChars));
  return pid;
}

Socket* SocketServer::find_by_pid(std::string_view pid) const {
  if (pid.size() != kPidSize) return nullptr;
  const auto found = sockets_.find(pid.substr(0, kIdSize));
  if (found == sockets_.end()) return nullptr;
  return constant_time_equal(bytes_of(pid), bytes_of(pid_of(**found))) ? *found : nullptr;
}

SocketServer::Recovery SocketServer::judge(const Socket& fresh, const Socket* old,
                                           std::uint64_t offset) const {
  if (old == nullptr || old->nsp_ != fresh.nsp_ || old->state_ == Socket::State::leaving)
    return Recovery::unknown;
  if (old->identity_ != fresh.identity_) return Recovery::other_identity;
  return old->sent_.has_all_behind(offset) ? Recovery::recovered : Recovery::too_old;
}

bool SocketServer::recover(const Socket& fresh, JsonSpan auth, SocketPeer& peer) {
  const auto claim = claim_in(auth);
  if (!claim) return false;
  Socket* old = find_by_pid(claim->pid);
  Recovery outcome = judge(fresh, old, claim->offset);
  if (outcome == Recovery::recovered && old->state_ == Socket::State::connected) {
    park_abandoned(*old);
    old = find_by_pid(claim->pid);  // it may be gone
    outcome = judge(fresh, old, claim->offset);
  }
  recoveries_[outcome].add();
  if (outcome != Recovery::recovered) return false;
  old->sent_.forget(claim->offset);
  resume(*old, peer);
  return true;
}

// Its client is elsewhere already. Its other namespaces' sockets lose the session too, and come
// back in the same way.
void SocketServer::park_abandoned(Socket& socket) {
  EngineSession& session = socket.peer_->session;
  detach(socket);
  session.drop();
  part(socket, SocketEnd::transport_lost);
}

void SocketServer::resume(Socket& socket, SocketPeer& peer) {
  --parked_;
  socket.client_ = peer.session.client();
  attach(socket, peer);
  socket.sent_.resend([&](const SharedPacket& packet) { return send(socket, packet); });
  set_offset_due(socket);
  app_.on_recovered(socket);
}

void SocketServer::attach(Socket& socket, SocketPeer& peer) {
  socket.peer_ = &peer;
  socket.next_ = std::exchange(peer.first, &socket);
  socket.state_ = Socket::State::connected;
  peer.was_connected = true;
  peer.unlist();
  const std::string pid = options_.recovery.enabled ? pid_of(socket) : std::string();
  peer.session.send(encode_connect(socket.nsp(), socket.id(), pid));
}

void SocketServer::detach(Socket& socket) {
  SocketPeer& peer = *std::exchange(socket.peer_, nullptr);
  Socket** place = &peer.first;
  while (*place != &socket) place = &(*place)->next_;
  *place = std::exchange(socket.next_, nullptr);
  socket.state_ = Socket::State::leaving;
  if (peer.first == nullptr) unconnected_.push_back(peer, engine_.now() + options_.connect_timeout);
}

void SocketServer::part(Socket& socket, SocketEnd end) {
  if (app_.on_disconnect(socket, end) == Parting::gone) return free(socket);
  socket.state_ = Socket::State::parked;
  ++parked_;
}

void SocketServer::free(Socket& socket) {
  if (socket.due_ != Socket::kNotDue) offsets_due_[socket.due_] = nullptr;
  sockets_.erase(&socket);
  delete &socket;
}

void SocketServer::discard(Socket& socket) {
  TANDEM_CHECK(socket.state_ == Socket::State::parked);
  --parked_;
  free(socket);
}

MissedPackets SocketServer::take_missed(Socket& socket) {
  const bool all = socket.sent_.is_whole();
  return {.packets = socket.sent_.take(), .all = all};
}

void SocketServer::disconnect(Socket& socket, bool close_session) {
  if (socket.state_ != Socket::State::connected) return;
  SocketPeer& peer = *socket.peer_;
  peer.session.send(socket.nsp_->disconnect);
  detach(socket);
  leaving_.push_back(&socket);
  ask();
  if (!close_session) return;
  peer.end = SocketEnd::server_disconnect;
  peer.session.close();
}

void SocketServer::emit(Socket& socket, const SharedPacket& packet) {
  const bool connected = socket.state_ == Socket::State::connected;
  if (!connected && socket.state_ != Socket::State::parked) return;
  ++packets_sent_;
  const std::uint64_t mark = connected ? send(socket, packet) : SentPackets::kUnsent;
  if (!options_.recovery.enabled) return;
  socket.sent_.push(packet, mark, {options_.recovery.packets_max, options_.recovery.bytes_max});
  if (connected) set_offset_due(socket);
}

// What a session that is over takes reaches nobody, whatever it was that it counted before.
std::uint64_t SocketServer::send(Socket& socket, const SharedPacket& packet) {
  EngineSession& session = socket.peer_->session;
  for (const SharedMessage& frame : packet->frames) session.send(frame);
  return session.is_open() ? session.sent() : SentPackets::kUnsent;
}

void SocketServer::set_offset_due(Socket& socket) {
  if (socket.due_ != Socket::kNotDue) return;
  socket.due_ = static_cast<std::uint32_t>(offsets_due_.size());
  offsets_due_.push_back(&socket);
  ask();
}

// Members of a room were often sent as much as each other, so the last text may serve again.
void SocketServer::send_offsets() {
  const SocketNamespace* nsp = nullptr;
  std::uint64_t count = 0;
  SharedPacket packet;
  for (Socket* socket : offsets_due_) {
    if (socket == nullptr) continue;
    socket->due_ = Socket::kNotDue;
    if (socket->state_ != Socket::State::connected) continue;
    if (nsp != socket->nsp_ || count != socket->sent_.count()) {
      nsp = socket->nsp_;
      count = socket->sent_.count();
      packet = encode_event(nsp->name, "offset", fmt::format(R"("{}")", count));
    }
    socket->peer_->session.send(packet->frames.front());
  }
  offsets_due_.clear();
}

}  // namespace tandem
