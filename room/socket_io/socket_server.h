// Socket.IO v5 over Engine.IO sessions: namespaces, events, acknowledgements, binary attachments,
// CONNECT_ERROR, connection state recovery. Knows no event by name but the one of the recovery, and
// no room. One thread.
//
// **Recovery.** A stock client remembers the last argument of any event, where that is a string, as
// its offset, and shows it with its pid when it connects again. Appended to the application's
// events it would be an argument too many for clients without recovery, so it has an event of its
// own: ["offset","<n>"], n the number of packets that the socket was ever sent, behind those of a
// turn of the loop and at most once a turn. So no event of the application's is called that, and
// none of them ends with a string. Every socket keeps what it was sent until the client
// has answered a later ping.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "common/clock.h"
#include "common/counters.h"
#include "common/endpoint.h"
#include "common/metrics.h"
#include "common/siphash.h"
#include "room/socket_io/engine_server.h"
#include "room/socket_io/random_id.h"
#include "room/socket_io/socket_io.h"
#include "room/socket_io/socket_packet.h"
#include "room/text/json_scan.h"

namespace tandem {

struct SocketEvent {
  std::string_view name;                      // escapes undone
  std::vector<JsonSpan> arguments;            // behind the name
  std::vector<std::string_view> attachments;  // of a binary event; placeholders name them
  std::optional<std::uint64_t> ack_id;        // set: the client waits for an acknowledgement
};

enum class SocketEnd : std::uint8_t {
  client_disconnect,  // a DISCONNECT packet: it means to go
  server_disconnect,  // disconnect()
  transport_lost,     // the connection went without one: it may come back
  ping_timeout,       // the same
  overflow,           // it read too slowly
  bad_packet,         // what it sent was no Socket.IO
};

class SocketServer;
struct PartialPacket;
struct SocketNamespace;
struct SocketPeer;  // an Engine.IO session's sockets

// One client in one namespace. Made at CONNECT; ends with SocketApp::on_disconnect() unless that
// parks it.
class Socket {
 public:
  // What the client calls socket.id.
  [[nodiscard]] std::string_view id() const { return text_of(id_); }
  [[nodiscard]] std::string_view nsp() const;
  [[nodiscard]] const IpAddress& client() const { return client_; }
  // EngineSession::host(); empty while parked.
  [[nodiscard]] std::string_view host() const;
  // False while parked, and before on_connected().
  [[nodiscard]] bool is_connected() const { return state_ == State::connected; }

  // While parked it is kept for the client's return, up to the recovery's bounds.
  void emit(const SharedPacket& packet);
  // [argument...] as for encode_event().
  void acknowledge(std::uint64_t ack_id, std::string_view arguments,
                   std::span<const std::string_view> attachments = {});
  // A DISCONNECT packet; `close_session` then closes the Engine.IO session too. on_disconnect()
  // comes later, never from within.
  void disconnect(bool close_session);
  // The transport goes without a DISCONNECT, so the client comes back by itself; so do the other
  // sockets of its session. on_disconnect() comes later, never from within.
  void drop();

  // The user's own, null at first; a recovered socket keeps it.
  void* user = nullptr;

 private:
  friend class SocketServer;
  enum class State : std::uint8_t {
    fresh,  // on_connect() has it
    connected,
    leaving,  // disconnect() was called, on_disconnect() is due
    parked,
  };
  static constexpr std::uint32_t kNotDue = UINT32_MAX;

  Socket(SocketServer& server, const SocketNamespace& nsp, const IpAddress& client)
      : server_(server), nsp_(&nsp), id_(random_id()), client_(client) {}

  SocketServer& server_;
  const SocketNamespace* nsp_;
  SocketPeer* peer_ = nullptr;   // while connected
  Socket* next_ = nullptr;       // of the peer's
  SentPackets sent_;             // what a recovery may have to send again
  std::uint32_t due_ = kNotDue;  // where it stands among those whose offset is due
  RandomId id_;
  State state_ = State::fresh;
  IpAddress client_;
  std::array<std::uint8_t, 16> identity_{};  // a keyed hash of it
};

struct ConnectRefusal {
  std::string message;
  std::string data;  // JSON of its data, "" where there is none
};

// Keeps what was sent to a parked socket, and what may be lost of before. Past the bounds of a
// socket the oldest is forgotten; a client that missed that is not recovered, but there is
// take_missed().
struct RecoveryOptions {
  bool enabled = true;
  std::size_t packets_max = 512;
  std::size_t bytes_max = 256 * 1024;
};

struct SocketOptions {
  EngineOptions engine;
  RecoveryOptions recovery;
  std::vector<std::string> namespaces = {"/"};
  // For a session that is in no namespace; then it is closed.
  Nanos connect_timeout = 45 * kNanosPerSecond;
  // From the text of a binary packet to its last attachment, which together are no more than the
  // engine's max_payload.
  Nanos attachments_timeout = 30 * kNanosPerSecond;
  // Of all packets that wait for attachments; past it the oldest of them makes room.
  std::size_t attachment_bytes_max = 64 * 1024 * 1024;
};

// What a client may not have got, in order.
struct MissedPackets {
  std::vector<SharedPacket> packets;
  bool all = true;  // false: there was more than the recovery's bounds hold
};

enum class Parting : std::uint8_t { gone, parked };

class SocketApp {
 public:
  // CONNECT. `auth` is its payload, an object or nothing. Nothing returned: it is let in.
  // `user` of the socket may be set here. For a client that shows the pid of a parked socket it is
  // called too, with a fresh Socket; the parked one takes its place where both have the same
  // `identity`, which this sets. One that still looks connected does so too (the client was the
  // first to notice), after on_disconnect() has parked it: who lets an identity in once only, ends
  // its older socket in on_connected() and not here.
  virtual std::optional<ConnectRefusal> on_connect(Socket& socket, std::optional<JsonSpan> auth,
                                                   std::string& identity) = 0;
  // It has its CONNECT reply; from here on it may be sent to.
  virtual void on_connected(Socket& socket) = 0;
  // A parked socket has its client again, with what it missed behind the CONNECT reply. The fresh
  // Socket of on_connect() is no more.
  virtual void on_recovered(Socket& socket) = 0;
  virtual void on_event(Socket& socket, const SocketEvent& event) = 0;
  // `parked`: it stays, not connected, until discard() or its client's return. Else it is gone when
  // this returns.
  virtual Parting on_disconnect(Socket& socket, SocketEnd end) = 0;

 protected:
  ~SocketApp() = default;
};

class SocketServer final : private EngineEvents {
 public:
  // `ask_flush` as for EngineServer; it is for both.
  SocketServer(SocketOptions options, SocketApp& app, std::function<void()> ask_flush);
  ~SocketServer();
  SocketServer(const SocketServer&) = delete;
  SocketServer& operator=(const SocketServer&) = delete;

  // For requests to its path, bounds and draining. tick() and flush() are this one's, not its.
  [[nodiscard]] EngineServer& engine() { return engine_; }
  void tick(Nanos now);
  // At the end of a turn of the loop: on_disconnect() where it is due, offsets, parked polls.
  void flush();

  // It is forgotten here, so what the client missed until now is no longer recovered.
  [[nodiscard]] MissedPackets take_missed(Socket& socket);
  // The end of a parked socket.
  void discard(Socket& socket);

  [[nodiscard]] std::size_t connected() const { return sockets_.size() - parked_; }
  [[nodiscard]] std::size_t parked() const { return parked_; }
  void collect(Metrics& into) const;

 private:
  friend class Socket;

  enum class Recovery : std::uint8_t { recovered, unknown, other_identity, too_old };

  struct IdHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view id) const { return hash_of_id(id); }
    std::size_t operator()(const Socket* socket) const { return (*this)(socket->id()); }
  };
  struct SameId {
    using is_transparent = void;
    static std::string_view id_of(std::string_view id) { return id; }
    static std::string_view id_of(const Socket* socket) { return socket->id(); }
    bool operator()(const auto& a, const auto& b) const { return id_of(a) == id_of(b); }
  };

  void on_open(EngineSession& session) override;
  void on_text(EngineSession& session, std::string_view message) override;
  void on_binary(EngineSession& session, std::string_view message) override;
  void on_confirmed(EngineSession& session) override;
  void on_close(EngineSession& session, EngineEnd end) override;

  void on_frame(SocketPeer& peer, const SocketFrame& frame,
                std::span<const std::string_view> attachments);
  void on_event(Socket& socket, const SocketFrame& frame,
                std::span<const std::string_view> attachments);
  void fail(SocketPeer& peer, SocketEnd end);
  void begin_partial(SocketPeer& peer, std::string_view text, std::uint32_t attachments);
  void end_partial(SocketPeer& peer);
  void bound_partials();

  void on_connect(SocketPeer& peer, const SocketFrame& frame);
  // True where the socket whose pid `auth` shows has its client back.
  [[nodiscard]] bool recover(const Socket& fresh, JsonSpan auth, SocketPeer& peer);
  [[nodiscard]] Recovery judge(const Socket& fresh, const Socket* old, std::uint64_t offset) const;
  [[nodiscard]] Socket* find_by_pid(std::string_view pid) const;
  void park_abandoned(Socket& socket);
  void resume(Socket& socket, SocketPeer& peer);
  void attach(Socket& socket, SocketPeer& peer);
  void detach(Socket& socket);
  // on_disconnect(), and the end where that does not park it.
  void part(Socket& socket, SocketEnd end);
  void free(Socket& socket);
  [[nodiscard]] const SocketNamespace* find_namespace(std::string_view name) const;

  void emit(Socket& socket, const SharedPacket& packet);
  [[nodiscard]] std::uint64_t send(Socket& socket, const SharedPacket& packet);
  void disconnect(Socket& socket, bool close_session);
  void set_offset_due(Socket& socket);
  void send_offsets();
  void ask();
  [[nodiscard]] std::string pid_of(const Socket& socket) const;

  SocketOptions options_;
  SocketApp& app_;
  std::function<void()> ask_flush_;
  bool flush_asked_ = false;
  std::vector<std::unique_ptr<const SocketNamespace>> namespaces_;
  SipKey pid_key_;
  SipKey identity_key_;

  // All that on_connect() let in, the parked ones too.
  std::unordered_set<Socket*, IdHash, SameId> sockets_;
  std::size_t parked_ = 0;
  std::vector<Socket*> leaving_;
  std::vector<Socket*> offsets_due_;
  DeadlineList<SocketPeer> unconnected_;
  DeadlineList<PartialPacket> partials_;
  std::size_t partial_bytes_ = 0;
  SocketEvent event_;          // used again and again
  SocketArguments arguments_;  // the same

  std::uint64_t events_received_ = 0;
  std::uint64_t packets_sent_ = 0;
  std::uint64_t connects_ = 0;
  std::uint64_t connects_refused_ = 0;
  std::uint64_t bad_packets_ = 0;
  std::uint64_t stray_packets_ = 0;
  std::uint64_t partials_evicted_ = 0;
  CounterArray<Recovery, 4> recoveries_;

  EngineServer engine_;
};

}  // namespace tandem
