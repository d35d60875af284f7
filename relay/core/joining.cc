#include "relay/core/joining.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tandem {
namespace {

uint64_t session_id_of(const ClaimsBytes& claims) {
  constexpr size_t kSessionIdOffset = 8;
  return load_big_endian<uint64_t>(claims.data() + kSessionIdOffset);
}

}  // namespace

void Joining::on_accepted(const StreamEvent& event) {
  Stream& stream = state_.streams.open(event.stream);
  stream.remote = event.remote;
  state_.counters.connections.add();
  state_.counters.streams.set(state_.streams.size());
  if (!state_.settings->proxy_protocol) {
    if (admit_address(stream) == Arrival::refused) return;
    if (begin(stream, StreamStage::joining, event.local)) read_more(stream);
    return;
  }
  const auto& trusted = state_.settings->trusted_proxies;
  if (std::none_of(trusted.begin(), trusted.end(), [&](const Network& network) {
        return network.contains(event.remote.address);
      })) {
    state_.counters.joins[JoinOutcome::not_allowed].add();
    state_.tell(LogEvent{LogKind::bad_request, event.remote.address, 0, "untrusted_proxy", 0});
    return lifecycle_.drop(stream, Lifecycle::Manner::reset);
  }
  if (begin(stream, StreamStage::proxy, event.local)) read_more(stream);
}

void Joining::on_accept_failed(int error) {
  if (error == ENOTCONN) {  // a probe that ended before it was looked at
    state_.counters.connections.add();
    return state_.counters.joins[JoinOutcome::health_check].add();
  }
  state_.counters.accept_failures.add();
  state_.tell(LogEvent{LogKind::accept_failed, {}, 0, "accept", static_cast<uint64_t>(error)});
  state_.timers.schedule(state_.accept_timer(), state_.now + kAcceptRetry);
}

void Joining::on_handed_over(StreamId id, const Endpoint& remote, const LocalAddress& local,
                             std::span<const uint8_t> read) {
  Stream& stream = state_.streams.open(id);
  stream.remote = remote;
  state_.counters.streams.set(state_.streams.size());
  // Whether there was room for it was judged where it arrived; here it only counts.
  stream.exempt = state_.blocklist.is_exempt(remote.address);
  if (!stream.exempt) {
    state_.shared.connections.add(remote.address);
    state_.shared.half_open.add(remote.address);
    stream.counted = stream.counted_half_open = true;
  }
  if (!begin(stream, StreamStage::joining, local)) return;
  // A block may have come while it was on its way, when no shard had it.
  if (!stream.exempt && state_.blocked(remote.address))
    return lifecycle_.refuse(stream, ErrorCode::blocked);
  Greeting& greeting = state_.greetings[stream.greeting];
  const std::span<uint8_t> bytes = state_.greetings.bytes(stream.greeting);
  TANDEM_CHECK(read.size() <= bytes.size());
  std::copy(read.begin(), read.end(), bytes.begin());
  greeting.end = static_cast<uint16_t>(read.size());
  understand(stream);
}

Joining::Arrival Joining::admit_address(Stream& stream) {
  const IpAddress& address = stream.remote.address;
  const ShardSettings& settings = *state_.settings;
  stream.exempt = state_.blocklist.is_exempt(address);
  if (stream.exempt) return Arrival::welcome;
  if (state_.blocked(address)) {
    lifecycle_.refuse(stream, ErrorCode::blocked);
    return Arrival::refused;
  }
  if (state_.shared.arrivals.charge(state_.arrival_rate, address, state_.now, kArrivalUnits) ==
      RateVerdict::over) {
    refuse_offender(stream, ErrorCode::rate_limited, "connections_per_minute");
    return Arrival::refused;
  }
  const uint32_t connections = state_.shared.connections.add(address);
  const uint32_t half_open = state_.shared.half_open.add(address);
  stream.counted = stream.counted_half_open = true;
  const bool over_connections =
      settings.connections_per_address != 0 && connections > settings.connections_per_address;
  const bool over_half_open =
      settings.half_open_per_address != 0 && half_open > settings.half_open_per_address;
  if (over_connections || over_half_open) {
    state_.tell(LogEvent{LogKind::rate_limited, address, 0,
                         over_connections ? "connections_per_address" : "half_open_per_address",
                         0});
    lifecycle_.refuse(stream, ErrorCode::rate_limited);
    leave_half_open(stream);
    return Arrival::refused;
  }
  return Arrival::welcome;
}

bool Joining::begin(Stream& stream, StreamStage stage, const LocalAddress& local) {
  const auto greeting = state_.greetings.acquire();
  if (!greeting) {
    state_.counters.joins[JoinOutcome::over_capacity].add();
    lifecycle_.drop(stream, Lifecycle::Manner::reset);
    return false;
  }
  stream.greeting = greeting->index;
  stream.stage = stage;
  state_.greetings[stream.greeting].local = local;
  state_.counters.streams_half_open.set(state_.greetings.size());
  state_.timers.schedule(state_.stream_timer(stream.id.index),
                         state_.now + state_.settings->handshake_timeout);
  return true;
}

void Joining::read_more(Stream& stream) {
  Greeting& greeting = state_.greetings[stream.greeting];
  // What was understood makes room: a header, a line and a proof may together be more than fit.
  const std::span<uint8_t> bytes = state_.greetings.bytes(stream.greeting);
  std::memmove(bytes.data(), bytes.data() + greeting.begin, greeting.end - greeting.begin);
  greeting.end = static_cast<uint16_t>(greeting.end - greeting.begin);
  greeting.begin = 0;
  state_.act({.kind = StreamAction::Kind::read_line,
              .stream = stream.id,
              .bytes = static_cast<uint32_t>(std::min(kJoinLineMax, bytes.size() - greeting.end)),
              .into = bytes.data() + greeting.end});
}

void Joining::on_line(Stream& stream, uint32_t bytes) {
  Greeting& greeting = state_.greetings[stream.greeting];
  if (bytes == 0) {
    // Nothing said at all: whoever looks whether the port is open does so.
    const bool silent = greeting.end == 0 && stream.stage != StreamStage::proving;
    state_.counters.joins[silent ? JoinOutcome::health_check : JoinOutcome::gone].add();
    return lifecycle_.drop(stream, Lifecycle::Manner::quiet);
  }
  greeting.end = static_cast<uint16_t>(greeting.end + bytes);
  understand(stream);
}

void Joining::understand(Stream& stream) {
  if (stream.stage == StreamStage::proxy && !take_proxy_header(stream)) return;
  switch (stream.stage) {
    case StreamStage::joining:
      return take_first_line(stream);
    case StreamStage::proving:
      return take_proof(stream);
    case StreamStage::none:
    case StreamStage::proxy:
    case StreamStage::waiting:
    case StreamStage::paired:
    case StreamStage::refused:
    case StreamStage::closing:
      return;
  }
}

bool Joining::take_proxy_header(Stream& stream) {
  Greeting& greeting = state_.greetings[stream.greeting];
  const ProxyHeader header = parse_proxy_header(state_.greetings.unread(stream.greeting));
  switch (header.progress) {
    case ProxyProgress::need_more:
      read_more(stream);
      return false;
    case ProxyProgress::bad:
      state_.tell(LogEvent{LogKind::bad_request, stream.remote.address, 0, "proxy_header", 0});
      lifecycle_.refuse(stream, ErrorCode::bad_request);
      return false;
    case ProxyProgress::complete:
      break;
  }
  if (header.kind == ProxySource::local) {
    state_.counters.joins[JoinOutcome::health_check].add();
    lifecycle_.drop(stream, Lifecycle::Manner::quiet);
    return false;
  }
  greeting.begin = static_cast<uint16_t>(greeting.begin + header.consumed);
  if (header.kind == ProxySource::proxied) stream.remote = header.source;
  stream.stage = StreamStage::joining;
  if (admit_address(stream) == Arrival::refused) return false;
  if (greeting.begin != greeting.end) return true;
  read_more(stream);
  return false;
}

void Joining::take_first_line(Stream& stream) {
  const JoinLineResult result = parse_join_line(state_.greetings.unread(stream.greeting));
  switch (result.progress) {
    case LineProgress::need_more:
      return read_more(stream);
    case LineProgress::bad_request:
    case LineProgress::too_long:
    case LineProgress::not_tandem_first_byte:
      return refuse_offender(stream, ErrorCode::bad_request, "first_line");
    case LineProgress::bad_version:
      return lifecycle_.refuse(stream, ErrorCode::bad_version);
    case LineProgress::bad_token:
      return refuse_offender(stream, ErrorCode::bad_token, "token");
    case LineProgress::complete:
      break;
  }
  const JoinLine& line = result.line;
  if (belongs_elsewhere(stream, line)) return;
  Greeting& taken = state_.greetings[stream.greeting];
  taken.begin = static_cast<uint16_t>(taken.begin + result.consumed);
  taken.takeover = line.takeover ? 1 : 0;
  taken.lane = line.lane;
  taken.claims = line.claims;
  if (line.verb == JoinVerb::prove) return challenge(stream);
  TokenClaims judged;
  const TokenVerdict verdict = state_.verifier.judge(line.claims, line.secret, state_.unix_now,
                                                     state_.settings->token_max_age_s, judged);
  if (verdict == TokenVerdict::ok && (judged.flags & kTokenProve) != 0) {
    return lifecycle_.refuse(stream, ErrorCode::not_allowed);
  }
  take_verdict(stream, verdict, judged);
}

// A token that does not verify goes nowhere, and is refused here; whoever will PROVE it has shown
// nothing yet.
bool Joining::belongs_elsewhere(Stream& stream, const JoinLine& line) {
  const uint32_t owner = state_.owner(session_id_of(line.claims));
  if (owner == state_.place.index) return false;
  const auto secret = state_.verifier.secret_of(line.claims);
  if (!secret) return false;
  if (line.verb == JoinVerb::join && !constant_time_equal(*secret, line.secret)) return false;
  state_.counters.joins[JoinOutcome::handed_over].add();
  state_.act({.kind = StreamAction::Kind::hand_over, .stream = stream.id, .bytes = owner});
  return true;
}

void Joining::challenge(Stream& stream) {
  Greeting& greeting = state_.greetings[stream.greeting];
  state_.environment.random(state_.environment.context, greeting.nonce);
  const auto line = state_.streams.nonce_line(stream);
  write_nonce_line(line, greeting.nonce);
  stream.stage = StreamStage::proving;
  pair_.say(stream, {reinterpret_cast<const char*>(line.data()), line.size()});
  if (greeting.begin != greeting.end) return take_proof(stream);
  read_more(stream);
}

void Joining::take_proof(Stream& stream) {
  Greeting& greeting = state_.greetings[stream.greeting];
  const ProofLineResult result = parse_proof_line(state_.greetings.unread(stream.greeting));
  if (result.progress == LineProgress::need_more) return read_more(stream);
  if (result.progress != LineProgress::complete) {
    return refuse_offender(stream, ErrorCode::bad_request, "proof_line");
  }
  greeting.begin = static_cast<uint16_t>(greeting.begin + result.consumed);
  const auto secret = state_.verifier.secret_of(greeting.claims);
  std::array<uint8_t, kLineNonceSize + kClaimsSize + 2> proven;
  auto to = std::copy(greeting.nonce.begin(), greeting.nonce.end(), proven.begin());
  to = std::copy(greeting.claims.begin(), greeting.claims.end(), to);
  *to++ = static_cast<uint8_t>(greeting.lane);
  *to = greeting.takeover;
  if (!secret || !constant_time_equal(mac16(*secret, proven), result.proof)) {
    return refuse_offender(stream, ErrorCode::bad_token, "proof");
  }
  TokenClaims judged;
  const TokenVerdict verdict =
      judge_claims(greeting.claims, state_.unix_now, state_.settings->token_max_age_s, judged);
  take_verdict(stream, verdict, judged);
}

void Joining::take_verdict(Stream& stream, TokenVerdict verdict, const TokenClaims& claims) {
  switch (verdict) {
    case TokenVerdict::bad_token:
      return refuse_offender(stream, ErrorCode::bad_token, "token");
    case TokenVerdict::expired:
      return lifecycle_.refuse(stream, ErrorCode::expired);
    case TokenVerdict::ok:
      return join(stream, claims);
  }
}

void Joining::join(Stream& stream, const TokenClaims& claims) {
  if ((claims.flags & kTokenTcp) == 0) return lifecycle_.refuse(stream, ErrorCode::not_allowed);
  const Lifecycle::Opened opened = lifecycle_.open(claims);
  switch (opened.outcome) {
    case Lifecycle::Opening::revoked:
      return lifecycle_.refuse(stream, ErrorCode::kicked);
    case Lifecycle::Opening::draining:
      return lifecycle_.refuse(stream, ErrorCode::draining);
    case Lifecycle::Opening::over_capacity:
      return lifecycle_.refuse(stream, ErrorCode::over_capacity);
    case Lifecycle::Opening::opened:
    case Lifecycle::Opening::known:
      break;
  }
  Session& session = state_.sessions[opened.session];
  const uint16_t lane = state_.greetings[stream.greeting].lane;
  if (lane >= lifecycle_.lanes_max(session)) {
    return lifecycle_.refuse(stream, ErrorCode::not_allowed);
  }
  if (!clear_lane(stream, session, claims)) return;
  if (lifecycle_.connections(session, claims.slot) >= lifecycle_.connections_per_slot()) {
    return lifecycle_.refuse(stream, ErrorCode::session_full);
  }
  leave_half_open(stream);
  lifecycle_.attach(stream, opened.session, claims.slot, lane);
  meet(stream);
}

// Whether the lane's slot is free now: a newcomer replaces who holds it if it says so, or if the
// holder has sent its FIN without ever having been paired, as one does that closed.
bool Joining::clear_lane(Stream& stream, Session& session, const TokenClaims& claims) {
  const Greeting& greeting = state_.greetings[stream.greeting];
  Stream* const holder = lifecycle_.holder(session, claims.slot, greeting.lane);
  if (holder == nullptr) return true;
  const bool left = holder->stage == StreamStage::waiting && holder->half_closed;
  if (greeting.takeover == 0 && !left) {
    lifecycle_.refuse(stream, ErrorCode::session_full);
    return false;
  }
  lifecycle_.end_lane(*holder, LaneEnd::takeover);
  return true;
}

void Joining::meet(Stream& stream) {
  Session& session = state_.sessions[stream.session];
  Stream* const peer =
      lifecycle_.holder(session, static_cast<uint8_t>(1 - stream.slot), stream.lane);
  if (peer != nullptr && peer->stage == StreamStage::waiting) {
    state_.counters.joins[JoinOutcome::paired].add();
    pair_.join(stream, *peer);
    lifecycle_.settle(stream.session);
    return;
  }
  state_.counters.joins[JoinOutcome::waiting].add();
  stream.stage = StreamStage::waiting;
  state_.timers.schedule(state_.stream_timer(stream.id.index),
                         state_.now + state_.settings->pair_timeout);
  pair_.say(stream, kWaitLine);
  stream.watched = true;  // for a FIN too
  state_.act({.kind = StreamAction::Kind::watch, .stream = stream.id, .bytes = 1});
}

void Joining::on_timeout(Stream& stream) {
  switch (stream.stage) {
    case StreamStage::proxy:
    case StreamStage::joining:
    case StreamStage::proving:
    case StreamStage::waiting:
      return lifecycle_.refuse(stream, ErrorCode::timeout);
    case StreamStage::refused:  // the ERR had its time
      return lifecycle_.drop(stream, Lifecycle::Manner::quiet);
    case StreamStage::paired:
      return pair_.on_timer(stream);
    case StreamStage::none:
    case StreamStage::closing:
      return;
  }
}

void Joining::refuse_offender(Stream& stream, ErrorCode code, std::string_view detail) {
  const LogKind kind = code == ErrorCode::bad_token      ? LogKind::authentication_failed
                       : code == ErrorCode::rate_limited ? LogKind::rate_limited
                                                         : LogKind::bad_request;
  state_.tell(LogEvent{kind, stream.remote.address, 0, detail, 0});
  state_.offence(stream.remote.address);
  lifecycle_.refuse(stream, code);
}

void Joining::leave_half_open(Stream& stream) {
  if (!stream.counted_half_open) return;
  state_.shared.half_open.remove(stream.remote.address);
  stream.counted_half_open = false;
}

void Joining::on_closed(Stream& stream) {
  lifecycle_.detach(stream);
  lifecycle_.release_greeting(stream);
  state_.timers.cancel(state_.stream_timer(stream.id.index));
  leave_half_open(stream);
  if (stream.counted) state_.shared.connections.remove(stream.remote.address);
  state_.streams.close(stream);
  state_.counters.streams.set(state_.streams.size());
  state_.counters.streams_half_open.set(state_.greetings.size());
}

}  // namespace tandem
