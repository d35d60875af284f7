// A session's life: what is sent to it, its pings, its end.
#include <algorithm>
#include <utility>

#include "room/socket_io/engine_link.h"
#include "room/socket_io/engine_server.h"

namespace tandem {
namespace {

// How long what a session was sent last waits for the poll that fetches it.
constexpr Nanos kClosingTimeout = 30 * kNanosPerSecond;
// A pong's time begins when its ping was due, so that a timeout is what it was said to be; but a
// loop that is later than this is not the client's fault.
constexpr Nanos kPingLateness = 50 * kNanosPerMillisecond;
// Ticks further apart than this: the loop stood still, and what clients sent meanwhile has yet to
// be read.
constexpr Nanos kStandstill = 250 * kNanosPerMillisecond;

}  // namespace

void EngineSession::send(const SharedMessage& message) {
  server_.send(*this, message);
}
void EngineSession::close() {
  server_.close(*this);
}
void EngineSession::drop() {
  server_.drop(*this);
}

void EngineServer::send(EngineSession& session, const SharedMessage& message) {
  if (!session.is_open()) return;
  ++session.sent_;
  enqueue(session, message);
}

void EngineServer::enqueue(EngineSession& session, const SharedMessage& message) {
  if (session.link_ != nullptr) return session.link_->socket_.send(message);
  const std::uint64_t bytes = message->wire().size();
  // One message alone is bounded by whoever made it, and could never be sent otherwise.
  if (!session.queue_.empty() && session.queued_bytes_ + bytes > options_.send_queue_bytes)
    return end(session, EngineEnd::overflow);
  session.queue_.push_back(message);
  session.queued_bytes_ += bytes;
  if (session.poll_) set_pending(session);
}

void EngineServer::close(EngineSession& session) {
  if (!session.is_open()) return;
  if (session.is_websocket()) return end(session, EngineEnd::server_close);
  abandon_upgrade(session, Upgrade::abandoned);
  if (session.poll_) {
    answer_poll(session, kEngineClosePacket);
    return end(session, EngineEnd::server_close);
  }
  session.says_close_ = true;
  await_last_poll(session);
}

// What is queued goes with a poll, the one that waits or the next; the one after it finds the
// session gone.
void EngineServer::drop(EngineSession& session) {
  if (!session.is_open()) return;
  if (EngineLink* link = std::exchange(session.link_, nullptr)) {
    --websockets_;
    link->session_ = nullptr;
    link->socket_.close(kGoingAway);
  }
  if (!session.queue_.empty()) {
    abandon_upgrade(session, Upgrade::abandoned);
    if (!session.poll_) return await_last_poll(session);
    answer_poll(session);
  }
  if (session.poll_) take_poll(session).reply(refuse(Refusal::unknown_sid));
  end(session, EngineEnd::server_close);
}

void EngineServer::await_last_poll(EngineSession& session) {
  session.state_ = EngineSession::State::closing;
  session.end_ = EngineEnd::server_close;
  session.unlist();
  closing_.push_back(session, now_ + kClosingTimeout);
  set_pending(session);
}

void EngineServer::drop_all() {
  const std::vector<EngineSession*> all(sessions_.begin(), sessions_.end());
  for (EngineSession* session : all) drop(*session);
}

// Transport and name go at once, the rest with the next flush().
void EngineServer::end(EngineSession& session, EngineEnd how) {
  if (session.state_ == EngineSession::State::ended) return;
  ends_[how].add();
  session.state_ = EngineSession::State::ended;
  session.end_ = how;
  session.unlist();
  sessions_.erase(&session);
  addresses_.remove(session.client_);
  std::vector<SharedMessage>().swap(session.queue_);
  session.queued_bytes_ = 0;
  abandon_upgrade(session, Upgrade::abandoned);
  end_link(session, how);
  end_poll(session, how);
  set_pending(session);
}

void EngineServer::end_link(EngineSession& session, EngineEnd how) {
  EngineLink* link = std::exchange(session.link_, nullptr);
  if (link == nullptr) return;
  --websockets_;
  link->session_ = nullptr;
  if (how == EngineEnd::ping_timeout) return link->socket_.abort();  // nobody would answer
  link->socket_.close(how == EngineEnd::transport_error ? kProtocolError : kNormalClosure);
}

void EngineServer::end_poll(EngineSession& session, EngineEnd how) {
  if (!session.poll_) return;
  answer_poll(session, how == EngineEnd::client_close ? kEngineNoopPacket : kEngineClosePacket);
}

void EngineServer::set_pending(EngineSession& session) {
  if (!std::exchange(session.pending_, true)) pending_.push_back(&session);
  if (!std::exchange(flush_asked_, true)) ask_flush_();
}

// What callbacks add is done in the same call.
void EngineServer::flush() {
  flush_asked_ = true;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    EngineSession& session = *pending_[i];
    session.pending_ = false;
    if (session.poll_ && !session.queue_.empty()) answer_poll(session);
    if (!session.is_open() && std::exchange(session.told_open_, false))
      events_.on_close(session, session.end_);
    if (session.state_ == EngineSession::State::ended && !session.pending_) delete &session;
  }
  pending_.clear();
  flush_asked_ = false;
}

// A loop that stood still forgives what is overdue until the next tick, but not twice in a row: one
// that is always late has to let go of the dead all the same.
void EngineServer::tick(Nanos now) {
  forgiving_ = now - last_tick_ > kStandstill && last_tick_ != 0 && !forgiving_;
  last_tick_ = std::max(last_tick_, now);
  expire(now);
  flush();
}

void EngineServer::expire(Nanos now) {
  now_ = std::max(now_, now);
  if (!forgiving_ && now_ - last_tick_ <= kStandstill)
    while (EngineSession* session = pinged_.pop_due(now_)) end(*session, EngineEnd::ping_timeout);
  while (EngineSession* session = closing_.pop_due(now_)) end(*session, session->end_);
  while (EngineLink* probe = probing_.pop_due(now_))
    abandon_upgrade(*probe->session_, Upgrade::timed_out);
  while (EngineSession* session = to_ping_.pop_due(now_)) ping(*session);
}

void EngineServer::ping(EngineSession& session) {
  const Nanos since = std::max(session.deadline(), now_ - kPingLateness);
  pinged_.push_back(session, since + options_.ping_timeout);
  session.awaits_pong_ = true;
  session.sent_before_ping_ = session.sent_;
  enqueue(session, ping_packet_);
}

// One that nobody asked for proves nothing and puts nothing off.
void EngineServer::on_pong(EngineSession& session) {
  if (!session.awaits_pong_) return;
  session.awaits_pong_ = false;
  session.unlist();
  to_ping_.push_back(session, now_ + options_.ping_interval);
  session.confirmed_ = session.sent_before_ping_;
  events_.on_confirmed(session);
}

void EngineServer::set_bounds(std::uint64_t send_queue_bytes, std::size_t sessions_max,
                              std::size_t sessions_per_address) {
  options_.send_queue_bytes = send_queue_bytes;
  options_.sessions_max = sessions_max;
  options_.sessions_per_address = sessions_per_address;
}

}  // namespace tandem
