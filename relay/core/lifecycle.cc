#include "relay/core/lifecycle.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace tandem {
namespace {

constexpr Nanos kNever = std::numeric_limits<Nanos>::max();

// The smaller of two caps, 0 standing for none.
template <class Cap>
Cap tighter(Cap a, Cap b) {
  if (a == 0) return b;
  if (b == 0) return a;
  return std::min(a, b);
}

// What a client should wait before it tries again; 0 where trying again is no use.
uint32_t retry_after_s(ErrorCode code) {
  switch (code) {
    case ErrorCode::over_capacity:
      return 5;
    case ErrorCode::draining:
    case ErrorCode::rate_limited:
    case ErrorCode::timeout:
      return 1;
    case ErrorCode::bad_token:
    case ErrorCode::expired:
    case ErrorCode::session_full:
    case ErrorCode::not_allowed:
    case ErrorCode::kicked:
    case ErrorCode::blocked:  // a datagram says for how long; a line, made once, cannot
    case ErrorCode::bad_request:
    case ErrorCode::bad_version:
      return 0;
  }
  return 0;
}

// The ERR line of a code: made once, so that it lasts however long it takes to be sent.
std::string_view err_line(ErrorCode code) {
  struct Line {
    std::array<uint8_t, kErrLineMax> bytes;
    size_t length = 0;
  };
  static std::array<Line, 256> lines = [] {
    std::array<Line, 256> made{};
    for (const ErrorCode each :
         {ErrorCode::bad_token, ErrorCode::expired, ErrorCode::session_full,
          ErrorCode::over_capacity, ErrorCode::draining, ErrorCode::rate_limited,
          ErrorCode::not_allowed, ErrorCode::kicked, ErrorCode::blocked, ErrorCode::bad_request,
          ErrorCode::bad_version, ErrorCode::timeout}) {
      Line& line = made[static_cast<size_t>(each)];
      line.length = write_err_line(line.bytes, each, retry_after_s(each));
    }
    return made;
  }();
  const Line& line = lines[static_cast<size_t>(code)];
  return {reinterpret_cast<const char*>(line.bytes.data()), line.length};
}

}  // namespace

JoinOutcome outcome_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::bad_token:
      return JoinOutcome::bad_token;
    case ErrorCode::expired:
      return JoinOutcome::expired;
    case ErrorCode::session_full:
      return JoinOutcome::session_full;
    case ErrorCode::over_capacity:
      return JoinOutcome::over_capacity;
    case ErrorCode::draining:
      return JoinOutcome::draining;
    case ErrorCode::rate_limited:
      return JoinOutcome::rate_limited;
    case ErrorCode::not_allowed:
      return JoinOutcome::not_allowed;
    case ErrorCode::kicked:
      return JoinOutcome::kicked;
    case ErrorCode::blocked:
      return JoinOutcome::blocked;
    case ErrorCode::bad_request:
      return JoinOutcome::bad_request;
    case ErrorCode::bad_version:
      return JoinOutcome::bad_version;
    case ErrorCode::timeout:
      return JoinOutcome::timeout;
  }
  return JoinOutcome::bad_request;
}

// ---- sessions ----

Lifecycle::Opened Lifecycle::open(const TokenClaims& claims) {
  if (state_.revocations.judge(claims.session_id, state_.unix_now) == RevocationVerdict::revoked) {
    return {Opening::revoked, kNone};
  }
  uint32_t index = state_.sessions.find(claims.session_id);
  const bool known = index != kNone;
  if (!known) {
    if (state_.draining) return {Opening::draining, kNone};
    // Counted before it is opened, so that shards cannot pass the limit together.
    if (state_.shared.sessions.fetch_add(1, std::memory_order_relaxed) >=
        state_.settings->max_sessions) {
      state_.shared.sessions.fetch_sub(1, std::memory_order_relaxed);
      return {Opening::over_capacity, kNone};
    }
    index = state_.sessions.open(claims.session_id);
    if (index == kNone) {
      state_.shared.sessions.fetch_sub(1, std::memory_order_relaxed);
      return {Opening::over_capacity, kNone};
    }
    Session& session = state_.sessions[index];
    session.opened_s = state_.seconds();
    touch(session);
    state_.counters.sessions_opened.add();
    state_.counters.sessions.set(state_.sessions.size());
  }
  Session& session = state_.sessions[index];
  session.lanes_max = tighter(session.lanes_max, claims.lanes_max);
  const auto rate = state_.rates.number_of(
      tighter(state_.rates.kbps(session.rate), claims.rate_kbps), *state_.settings);
  if (!rate) {
    state_.tell(LogEvent{LogKind::table_full, {}, session.id, "session_rates", 0});
    settle(index);
    return {Opening::over_capacity, kNone};
  }
  session.rate = *rate;
  settle(index);
  return {known ? Opening::known : Opening::opened, index};
}

void Lifecycle::end(uint32_t index, CloseReason reason, LaneEnd lane_end) {
  Session& session = state_.sessions[index];
  while (session.streams != kNone) end_lane(state_.streams[session.streams], lane_end);
  if (UdpPath* path = state_.sessions.path_of(session)) {
    for (const uint8_t slot : kSlots) {
      if (path->ends[slot].bound()) tell_close(*path, slot, reason);
    }
  }
  if (session.counted_paired) {
    state_.counters.sessions_paired.set(state_.counters.sessions_paired.load() - 1);
  }
  state_.tell(LogEvent{LogKind::session_ended,
                       {},
                       session.id,
                       lane_end_text(lane_end),
                       session.bytes[0] + session.bytes[1]});
  state_.timers.cancel(state_.session_timer(index));
  state_.sessions.close(index);
  state_.shared.sessions.fetch_sub(1, std::memory_order_relaxed);
  state_.counters.sessions_closed.add();
  state_.counters.sessions.set(state_.sessions.size());
}

void Lifecycle::settle(uint32_t index) {
  Session& session = state_.sessions[index];
  const UdpPath* path = state_.sessions.path_of(session);
  bool paired = path != nullptr && path->paired();
  for (uint32_t at = session.streams; at != kNone && !paired; at = state_.streams[at].next) {
    paired = state_.streams[at].stage == StreamStage::paired;
  }
  if (paired != session.counted_paired) {
    session.counted_paired = paired;
    const uint64_t count = state_.counters.sessions_paired.load();
    state_.counters.sessions_paired.set(paired ? count + 1 : count - 1);
    if (paired) state_.tell(LogEvent{LogKind::session_paired, {}, session.id, {}, 0});
  }
  const Due due = next_due(session);
  if (due.at == kNever) {
    state_.timers.cancel(state_.session_timer(index));
  } else {
    state_.timers.schedule(state_.session_timer(index), due.at);
  }
}

Lifecycle::Due Lifecycle::next_due(const Session& session) {
  const ShardSettings& settings = *state_.settings;
  const auto after = [&](Millis since, Nanos span) {
    return state_.now - state_.elapsed(since) + span;
  };
  Due due{kNever, CloseReason::idle, -1};
  const auto consider = [&](Nanos at, CloseReason reason, int slot) {
    if (at < due.at) due = {at, reason, slot};
  };
  if (settings.max_lifetime != 0) {
    consider(state_.opened(session) + settings.max_lifetime, CloseReason::over_quota, -1);
  }
  const UdpPath* path = state_.sessions.path_of(session);
  if (path != nullptr) {
    for (const uint8_t slot : kSlots) {
      const UdpEnd& end = path->ends[slot];
      if (!end.bound()) continue;
      consider(after(end.last_seen, settings.keepalive_timeout), CloseReason::idle, slot);
      const UdpEnd& other = path->ends[1 - slot];
      if (other.bound()) continue;
      if (other.ever_bound) {
        consider(after(path->alone_since, settings.session_timeout), CloseReason::peer_gone, slot);
      } else {
        consider(after(path->alone_since, settings.pair_timeout), CloseReason::peer_never_came,
                 slot);
      }
    }
  }
  if (session.streams == kNone && (path == nullptr || !path->any_bound())) {
    // A drain does not wait for whoever might come back.
    consider(after(session.last_live, state_.draining ? 0 : settings.session_timeout),
             CloseReason::idle, -1);
  }
  return due;
}

void Lifecycle::on_session_timer(uint32_t index) {
  const Due due = next_due(state_.sessions[index]);
  if (due.at > state_.now) {  // something came meanwhile
    settle(index);
    return;
  }
  if (due.slot < 0) {
    end(index, due.reason,
        due.reason == CloseReason::over_quota ? LaneEnd::lifetime : LaneEnd::finished);
    return;
  }
  Session& session = state_.sessions[index];
  unbind(*state_.sessions.path_of(session), static_cast<uint8_t>(due.slot), due.reason);
}

uint32_t Lifecycle::connections(const Session& session, uint8_t slot) {
  const UdpPath* path = state_.sessions.path_of(session);
  const bool bound = path != nullptr && path->ends[slot].bound();
  return session.stream_count[slot] + (bound ? 1u : 0u);
}

uint16_t Lifecycle::lanes_max(const Session& session) const {
  const auto most = static_cast<uint16_t>(connections_per_slot());
  return session.lanes_max == 0 ? most : std::min(session.lanes_max, most);
}

// ---- UDP bindings ----

void Lifecycle::unbind(UdpPath& path, uint8_t slot, CloseReason reason) {
  UdpEnd& end = path.ends[slot];
  Session& session = state_.sessions[path.session];
  // One that left says so itself and waits for no answer.
  if (reason != CloseReason::left) tell_close(path, slot, reason);
  end.remote = {};
  path.alone_since = state_.millis();
  touch(session);
  const auto other = static_cast<uint8_t>(1 - slot);
  if (path.ends[other].bound()) {
    tell_bound(path, other);
    state_.counters.notices.add();
  }
  settle(path.session);
}

void Lifecycle::reply_to(const UdpEnd& end, std::span<const uint8_t> bytes) {
  Reply reply;
  reply.destination = end.remote;
  reply.source = state_.locals[end.local];
  reply.length = static_cast<uint8_t>(bytes.size());
  std::memcpy(reply.bytes, bytes.data(), bytes.size());
  state_.out.replies.push_back(reply);
}

void Lifecycle::tell_bound(const UdpPath& path, uint8_t slot) {
  const UdpEnd& end = path.ends[slot];
  const UdpEnd& other = path.ends[1 - slot];
  const uint16_t max_payload =
      other.bound() ? std::min(end.max_payload, other.max_payload) : end.max_payload;
  std::array<uint8_t, kBoundSize> bytes;
  write_bound(bytes, {.shard_key = static_cast<uint8_t>(state_.sessions[path.session].id),
                      .state = path.paired() ? BoundState::paired : BoundState::waiting,
                      .slot = slot,
                      .nonce = end.nonce,
                      .channel_id = path.channel_id,
                      .keepalive_s = static_cast<uint16_t>(state_.settings->keepalive_interval /
                                                           kNanosPerSecond),
                      .max_payload = max_payload,
                      .observed = end.remote});
  reply_to(end, bytes);
}

void Lifecycle::tell_close(const UdpPath& path, uint8_t slot, CloseReason reason) {
  std::array<uint8_t, kCloseSize> bytes;
  write_close(bytes, {.shard_key = static_cast<uint8_t>(state_.sessions[path.session].id),
                      .reason = reason,
                      .channel_id = path.channel_id,
                      .nonce = path.ends[slot].nonce});
  reply_to(path.ends[slot], bytes);
  state_.counters.notices.add();
}

void Lifecycle::tell_error(const Datagram& to, uint64_t session_id,
                           std::span<const uint8_t, kClientNonceSize> nonce, ErrorCode code,
                           uint16_t retry_s) {
  Reply reply;
  reply.destination = to.source;
  reply.source = to.local;
  reply.length = kErrorSize;
  const uint32_t wait =
      retry_s != 0 ? retry_s
      : code == ErrorCode::blocked
          ? static_cast<uint32_t>(state_.settings->blacklist_duration / kNanosPerSecond)
          : retry_after_s(code);
  write_error(std::span(reply.bytes).first<kErrorSize>(),
              {.shard_key = static_cast<uint8_t>(session_id),
               .code = code,
               .nonce = nonce,
               .retry_after_s = static_cast<uint16_t>(std::min(wait, 65'535u))});
  state_.out.replies.push_back(reply);
}

// ---- lanes ----

void Lifecycle::attach(Stream& stream, uint32_t session, uint8_t slot, uint16_t lane) {
  Session& of = state_.sessions[session];
  stream.session = session;
  stream.slot = slot;
  stream.lane = lane;
  stream.next = of.streams;
  of.streams = stream.id.index;
  ++of.stream_count[slot];
  touch(of);
}

void Lifecycle::detach(Stream& stream) {
  if (stream.session == kNone) return;
  Session& of = state_.sessions[stream.session];
  uint32_t* link = &of.streams;
  while (*link != stream.id.index) link = &state_.streams[*link].next;
  *link = stream.next;
  --of.stream_count[stream.slot];
  touch(of);
  const uint32_t session = stream.session;
  stream.session = kNone;
  stream.next = kNone;
  settle(session);
}

Stream* Lifecycle::holder(const Session& session, uint8_t slot, uint16_t lane) {
  for (uint32_t at = session.streams; at != kNone; at = state_.streams[at].next) {
    Stream& stream = state_.streams[at];
    if (stream.slot == slot && stream.lane == lane) return &stream;
  }
  return nullptr;
}

void Lifecycle::end_lane(Stream& stream, LaneEnd end) {
  state_.counters.lanes_ended[end].add();
  const bool paired = stream.stage == StreamStage::paired;
  if (paired && stream.peer != kNone) drop(state_.streams[stream.peer], Manner::reset);
  // Before PAIRED the line is still ours to speak; after it every byte would be the peer's.
  if (!paired && end == LaneEnd::kicked) return refuse(stream, ErrorCode::kicked);
  if (!paired && end == LaneEnd::blocked) return refuse(stream, ErrorCode::blocked);
  drop(stream, paired && end != LaneEnd::takeover ? Manner::reset : Manner::quiet);
}

void Lifecycle::refuse(Stream& stream, ErrorCode code) {
  state_.counters.joins[outcome_of(code)].add();
  detach(stream);
  stream.stage = StreamStage::refused;
  stream.early = 0;
  stream.in_flight = 0;
  const std::string_view line = err_line(code);
  state_.act({.kind = StreamAction::Kind::send_bytes,
              .stream = stream.id,
              .bytes = static_cast<uint32_t>(line.size()),
              .data = reinterpret_cast<const uint8_t*>(line.data())});
  state_.act({.kind = StreamAction::Kind::linger_close, .stream = stream.id});
  state_.timers.schedule(state_.stream_timer(stream.id.index), state_.now + kLingerTimeout);
}

void Lifecycle::drop(Stream& stream, Manner manner) {
  detach(stream);
  stream.stage = StreamStage::closing;
  stream.peer = kNone;
  state_.timers.cancel(state_.stream_timer(stream.id.index));
  state_.act(
      {.kind = manner == Manner::reset ? StreamAction::Kind::reset : StreamAction::Kind::close,
       .stream = stream.id});
}

void Lifecycle::release_greeting(Stream& stream) {
  if (stream.greeting == kNone) return;
  state_.greetings.release(stream.greeting);
  stream.greeting = kNone;
}

}  // namespace tandem
