// Engine.IO v4 (protocol revision 4): sessions over long-polling and WebSocket, the upgrade between
// them, heartbeats. Knows HTTP requests and WebSockets as web_server.h has them, and no namespaces
// or events: what a message says is its owner's business. One thread; time comes with the calls.
//
// What is due at the end of a turn of the loop (answers to parked polls, on_close()) happens in
// flush(). The server asks for that once a turn with `ask_flush`, so that what a turn sends to a
// polling client goes out in one reply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "common/address_counts.h"
#include "common/clock.h"
#include "common/counters.h"
#include "common/endpoint.h"
#include "common/metrics.h"
#include "room/socket_io/deadline_list.h"
#include "room/socket_io/random_id.h"
#include "room/web/web_server.h"

namespace tandem {

struct EngineOptions {
  std::string path = "/socket.io/";
  Nanos ping_interval = 25 * kNanosPerSecond;
  Nanos ping_timeout = 30 * kNanosPerSecond;
  Nanos upgrade_timeout = 10 * kNanosPerSecond;
  std::uint64_t max_payload = 1024 * 1024;       // bytes of a polling body and of a message
  std::uint64_t send_queue_bytes = 1024 * 1024;  // unsent ones of a session; past it it is closed
  std::size_t sessions_max = 10'000;             // one more: 503
  // Of one client's real IPv4 address or IPv6 /64; one more: 429. 0: no limit. A polling session
  // holds no connection, so a limit on those is none on sessions: without this one, a single
  // address would take all of them in a second and give them back at their ping timeout.
  std::size_t sessions_per_address = 0;
};

enum class EngineEnd : std::uint8_t {
  transport_closed,  // the connection went
  transport_error,   // what came was no Engine.IO, or was too large
  ping_timeout,
  client_close,  // a close packet
  server_close,  // close(), or drop()
  overflow,      // send_queue_bytes
};
inline constexpr std::size_t kEngineEnds = 6;

class EngineSession;

// Whoever uses sessions hangs its own state on each, in `user`, with on_open(); on_close() is the
// last call for a session and never comes from within a call to it.
class EngineEvents {
 public:
  virtual void on_open(EngineSession& session) = 0;
  virtual void on_text(EngineSession& session, std::string_view message) = 0;
  virtual void on_binary(EngineSession& session, std::string_view message) = 0;
  // The client answered a ping: confirmed() may have grown.
  virtual void on_confirmed(EngineSession& session) = 0;
  virtual void on_close(EngineSession& session, EngineEnd end) = 0;

 protected:
  ~EngineEvents() = default;
};

class EngineServer;
class EngineLink;  // one WebSocket
struct EnginePacket;

class EngineSession : private DeadlineEntry {
 public:
  [[nodiscard]] std::string_view sid() const { return text_of(sid_); }
  // Where the session was opened from.
  [[nodiscard]] const IpAddress& client() const { return client_; }
  // The name or address by which it came, without a port; empty where it told none.
  [[nodiscard]] const std::string& host() const { return host_; }
  [[nodiscard]] bool is_websocket() const { return link_ != nullptr; }
  // Until close(), drop() or the end that on_close() will tell of.
  [[nodiscard]] bool is_open() const { return state_ == State::open; }

  // An Engine.IO packet as it goes over WebSocket: text with the leading '4', or binary as it is.
  // Over polling text goes the same and binary becomes base64. The message is shared, not copied.
  // Nothing happens where the session is not open any more.
  void send(const SharedMessage& message);
  // Behind what is queued: over polling a close packet, over WebSocket its own close, as clients
  // expect it; then the end. on_close() comes later, never from within.
  void close();
  // The transport alone goes, without a word: the client sees a lost connection and comes back. A
  // polling one fetches what is queued before.
  void drop();

  // The user's own, null at first.
  void* user = nullptr;

  // How many messages the client has surely got: those sent before a ping that it answered. Counts
  // every send() from 1.
  [[nodiscard]] std::uint64_t confirmed() const { return confirmed_; }
  [[nodiscard]] std::uint64_t sent() const { return sent_; }

 private:
  friend class EngineServer;
  friend class EngineLink;
  friend class DeadlineList<EngineSession>;
  enum class State : std::uint8_t {
    open,
    closing,  // a polling client has yet to fetch what is queued
    ended,    // no transport and no name any more; the next flush() frees it
  };

  EngineSession(EngineServer& server, const HttpRequest& request)
      : server_(server), host_(host_of(request.host)), sid_(random_id()), client_(request.client) {}

  EngineServer& server_;
  EngineLink* link_ = nullptr;   // null: polling
  EngineLink* probe_ = nullptr;  // a WebSocket that the session is about to be upgraded to
  std::optional<HttpResponder> poll_;
  std::vector<SharedMessage> queue_;  // for polls to come
  std::uint64_t queued_bytes_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t confirmed_ = 0;
  std::uint64_t sent_before_ping_ = 0;
  std::string host_;
  RandomId sid_;
  IpAddress client_;
  State state_ = State::open;
  EngineEnd end_ = EngineEnd::server_close;
  bool awaits_pong_ = false;
  bool pending_ = false;     // flush() has something to do for it
  bool told_open_ = false;   // on_open() was called and on_close() is due
  bool says_close_ = false;  // closing: a close packet is the last
};

class EngineServer {
 public:
  // `ask_flush` is called from within anything here that leaves something to flush(), once until
  // that; the owner calls flush() at the end of the turn (asio::post does).
  EngineServer(EngineOptions options, EngineEvents& events, std::function<void()> ask_flush);
  ~EngineServer();
  EngineServer(const EngineServer&) = delete;
  EngineServer& operator=(const EngineServer&) = delete;

  // Is a request with that path for here? With or without the slash behind it.
  [[nodiscard]] bool serves(std::string_view path) const;
  void on_request(const HttpRequest& request, HttpResponder responder, Nanos now);
  // As WebApp::on_websocket().
  [[nodiscard]] WebSocketEvents* on_websocket(const HttpRequest& request, WebSocket& socket,
                                              HttpReply& refusal, Nanos now);
  // Pings and timeouts: every 10 to 50 ms.
  void tick(Nanos now);
  void flush();

  // New sessions are refused with 503 from now on, or taken again; those that are there stay.
  void set_draining(bool draining) { draining_ = draining; }
  // drop() for every session.
  void drop_all();
  // Sessions that are there keep what they were promised: of the options the bounds alone.
  void set_bounds(std::uint64_t send_queue_bytes, std::size_t sessions_max,
                  std::size_t sessions_per_address);

  [[nodiscard]] const EngineOptions& options() const { return options_; }
  // The latest time that a call brought.
  [[nodiscard]] Nanos now() const { return now_; }
  [[nodiscard]] std::size_t sessions() const { return sessions_.size(); }
  void collect(Metrics& into) const;

 private:
  friend class EngineSession;
  friend class EngineLink;

  enum class Refusal : std::uint8_t {
    // The codes of the protocol, in its order.
    unknown_transport,
    unknown_sid,
    bad_handshake_method,
    bad_request,
    forbidden,
    unsupported_version,
    // HTTP's own.
    over_capacity,
    too_many_of_address,
    draining,
    too_large,
  };
  static constexpr std::size_t kRefusals = 10;
  enum class Upgrade : std::uint8_t { completed, abandoned, timed_out };

  struct SidHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view sid) const { return hash_of_id(sid); }
    std::size_t operator()(const EngineSession* session) const { return (*this)(session->sid()); }
  };
  struct SameSid {
    using is_transparent = void;
    static std::string_view sid_of(std::string_view sid) { return sid; }
    static std::string_view sid_of(const EngineSession* session) { return session->sid(); }
    bool operator()(const auto& a, const auto& b) const { return sid_of(a) == sid_of(b); }
  };

  EngineSession* find(std::string_view sid);
  [[nodiscard]] HttpReply refuse(Refusal reason);
  [[nodiscard]] std::optional<Refusal> judge_newcomer(const HttpRequest& request) const;
  EngineSession& open(const HttpRequest& request);
  [[nodiscard]] std::string handshake_of(const EngineSession& session) const;

  void open_polling(const HttpRequest& request, HttpResponder responder);
  [[nodiscard]] EngineLink* open_websocket(const HttpRequest& request, WebSocket& socket);
  [[nodiscard]] EngineLink* begin_upgrade(EngineSession& session, WebSocket& socket);
  void on_poll(EngineSession& session, HttpResponder responder);
  [[nodiscard]] HttpReply on_post(EngineSession& session, const HttpRequest& request);
  // False where what came ends the session.
  [[nodiscard]] bool on_packet(EngineSession& session, const EnginePacket& packet);
  // That of a parked poll, which is none any more.
  [[nodiscard]] static HttpResponder take_poll(EngineSession& session);
  // With all that is queued, and `last_packet` behind it.
  void answer_poll(EngineSession& session, std::string_view last_packet = {});

  void on_frame(EngineSession& session, WebSocketOpcode opcode, std::string_view payload);
  void on_probe(EngineLink& probe, WebSocketOpcode opcode, std::string_view payload);
  void complete_upgrade(EngineLink& probe);
  void abandon_upgrade(EngineSession& session, Upgrade outcome);
  void on_link_closed(EngineLink& link, WebSocketEnd end);

  void send(EngineSession& session, const SharedMessage& message);
  void enqueue(EngineSession& session, const SharedMessage& message);
  void close(EngineSession& session);
  void end(EngineSession& session, EngineEnd end);
  void end_link(EngineSession& session, EngineEnd end);
  void end_poll(EngineSession& session, EngineEnd end);
  void drop(EngineSession& session);
  void await_last_poll(EngineSession& session);
  void set_pending(EngineSession& session);

  void expire(Nanos now);
  void ping(EngineSession& session);
  void on_pong(EngineSession& session);

  EngineOptions options_;
  std::string base_path_;  // without the slash behind it
  EngineEvents& events_;
  std::function<void()> ask_flush_;
  SharedMessage ping_packet_;
  SharedMessage probe_answer_;

  Nanos now_ = 0;
  Nanos last_tick_ = 0;
  bool forgiving_ = false;  // no ping timeouts until the next tick
  std::unordered_set<EngineSession*, SidHash, SameSid> sessions_;
  AddressCounts addresses_{random_key()};
  std::vector<EngineSession*> pending_;
  DeadlineList<EngineSession> to_ping_;
  DeadlineList<EngineSession> pinged_;
  DeadlineList<EngineSession> closing_;
  DeadlineList<EngineLink> probing_;
  bool draining_ = false;
  bool flush_asked_ = false;

  std::size_t websockets_ = 0;
  std::uint64_t opened_ = 0;
  CounterArray<EngineEnd, kEngineEnds> ends_;
  CounterArray<Refusal, kRefusals> refusals_;
  CounterArray<Upgrade, 3> upgrades_;
};

}  // namespace tandem
