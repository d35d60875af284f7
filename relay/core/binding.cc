#include "relay/core/binding.h"

#include <algorithm>
#include <cstring>

namespace tandem {

void Binding::on_bind(const Datagram& from, std::span<const uint8_t> datagram) {
  const auto bind = parse_bind(datagram);
  if (!bind) return state_.drop(DropReason::malformed);
  // The last byte of session_id, which is what the kernel steers by.
  constexpr size_t kSessionIdLast = 15;
  if (bind->shard_key != bind->claims[kSessionIdLast]) {
    return state_.drop(DropReason::wrong_shard_key);
  }
  const CookieVerdict cookie =
      state_.cookies.judge(bind->cookie, from.source, bind->claims, state_.cookie_now());
  if (cookie != CookieVerdict::valid) return challenge(from, *bind);

  // From here on the address is proven, and forged traffic has no part in its budget.
  if (state_.blocked(from.source.address)) {
    return refuse(from, *bind, ErrorCode::blocked, BindOutcome::blocked);
  }
  if (!state_.blocklist.is_exempt(from.source.address) &&
      state_.validated.charge(from.source.address, state_.now) != BudgetVerdict::allowed) {
    return state_.drop(DropReason::over_packet_rate);
  }
  TokenClaims claims;
  switch (judge(*bind, claims)) {
    case Standing::bad_token:
      state_.offence(from.source.address);
      state_.tell(LogEvent{LogKind::authentication_failed, from.source.address, 0, "bind", 0});
      return refuse(from, *bind, ErrorCode::bad_token, BindOutcome::bad_token);
    case Standing::expired:
      return refuse(from, *bind, ErrorCode::expired, BindOutcome::expired);
    case Standing::proven:
      return admit(from, *bind, claims);
  }
}

// A forged cookie gets a new one too: a client cannot tell it from one made before the relay was
// restarted.
void Binding::challenge(const Datagram& from, const Bind& bind) {
  if (state_.blocked(from.source.address)) return state_.drop(DropReason::blocked);
  if (!state_.blocklist.is_exempt(from.source.address)) {
    switch (state_.unvalidated.charge(from.source.address, state_.now)) {
      case BudgetVerdict::allowed:
        break;
      case BudgetVerdict::source_over:
        return state_.drop(DropReason::unvalidated_source_budget);
      case BudgetVerdict::shard_over:
        return state_.drop(DropReason::unvalidated_shard_budget);
    }
  }
  Reply reply;
  reply.destination = from.source;
  reply.source = from.local;
  reply.length = kChallengeSize;
  const auto cookie = state_.cookies.make(from.source, bind.claims, state_.cookie_now());
  write_challenge(
      std::span(reply.bytes).first<kChallengeSize>(),
      {.shard_key = bind.shard_key,
       .features_granted = static_cast<uint16_t>(bind.features_offered & kFeaturesKnown),
       .nonce = bind.nonce,
       .cookie = cookie});
  state_.out.replies.push_back(reply);
  state_.counters.datagrams_replied.add();
  state_.counters.binds[BindOutcome::challenged].add();
}

void Binding::refuse(const Datagram& from, const Bind& bind, ErrorCode code, BindOutcome outcome) {
  lifecycle_.tell_error(from, bind.shard_key, bind.nonce, code, 0);
  state_.counters.datagrams_replied.add();
  state_.counters.binds[outcome].add();
}

Binding::Standing Binding::judge(const Bind& bind, TokenClaims& claims) {
  ClaimsBytes bytes;
  std::copy(bind.claims.begin(), bind.claims.end(), bytes.begin());
  const auto secret = state_.verifier.secret_of(bytes);
  if (!secret || !constant_time_equal(mac16(*secret, bind.proven), bind.proof)) {
    return Standing::bad_token;
  }
  switch (judge_claims(bytes, state_.unix_now, state_.settings->token_max_age_s, claims)) {
    case TokenVerdict::ok:
      return Standing::proven;
    case TokenVerdict::bad_token:
      return Standing::bad_token;
    case TokenVerdict::expired:
      return Standing::expired;
  }
  return Standing::bad_token;
}

void Binding::admit(const Datagram& from, const Bind& bind, const TokenClaims& claims) {
  if ((claims.flags & kTokenUdp) == 0) {
    return refuse(from, bind, ErrorCode::not_allowed, BindOutcome::not_allowed);
  }
  const Lifecycle::Opened opened = lifecycle_.open(claims);
  switch (opened.outcome) {
    case Lifecycle::Opening::revoked:
      return refuse(from, bind, ErrorCode::kicked, BindOutcome::kicked);
    case Lifecycle::Opening::draining:
      return refuse(from, bind, ErrorCode::draining, BindOutcome::draining);
    case Lifecycle::Opening::over_capacity:
      return refuse(from, bind, ErrorCode::over_capacity, BindOutcome::over_capacity);
    case Lifecycle::Opening::opened:
    case Lifecycle::Opening::known:
      break;
  }
  Session& session = state_.sessions[opened.session];
  UdpPath* path = state_.sessions.path_of(session);
  if (path == nullptr) {
    path = &state_.sessions.open_path(opened.session, state_.channels.next());
  }
  const uint8_t slot = claims.slot;
  const UdpEnd& end = path->ends[slot];
  if (path->ends[1 - slot].remote == from.source) {
    return refuse(from, bind, ErrorCode::session_full, BindOutcome::session_full);
  }
  if (end.remote == from.source) return refresh(bind, *path, slot);
  if (!end.bound() && lifecycle_.connections(session, slot) >= lifecycle_.connections_per_slot()) {
    return refuse(from, bind, ErrorCode::session_full, BindOutcome::session_full);
  }
  // A delayed BIND, or one replayed from where the client was before, does not win back. A client
  // that moved gets a cookie that does, from the next second on: so one move a second.
  if (end.bound() && cookie_issue_time(bind.cookie) <= end.cookie_time) {
    state_.counters.binds[BindOutcome::stale_move].add();
    if (state_.cookie_now() > end.cookie_time) return challenge(from, bind);
    return state_.drop(DropReason::roam_too_soon);
  }
  bind_slot(from, bind, *path, slot);
}

void Binding::bind_slot(const Datagram& from, const Bind& bind, UdpPath& path, uint8_t slot) {
  const auto local = state_.locals.number_of(from.local);
  if (!local) return refuse(from, bind, ErrorCode::over_capacity, BindOutcome::over_capacity);
  UdpEnd& end = path.ends[slot];
  const auto other = static_cast<uint8_t>(1 - slot);
  const bool moved = end.bound();
  if (moved) lifecycle_.tell_close(path, slot, CloseReason::replaced);
  const bool was_alone = path.ends[other].bound() != end.bound();

  end.remote = from.source;
  end.local = *local;
  // What passes both the route and our own cap.
  end.max_payload =
      std::min(state_.environment.max_payload(state_.environment.context, from.source, from.local),
               static_cast<uint16_t>(state_.settings->max_packet_size - kDataHeaderSize));
  end.exempt = state_.blocklist.is_exempt(from.source.address);
  end.ever_bound = true;
  end.cookie_time = cookie_issue_time(bind.cookie);
  end.last_seen = state_.millis();
  std::copy(bind.nonce.begin(), bind.nonce.end(), end.nonce.begin());
  if (!was_alone) path.alone_since = state_.millis();

  lifecycle_.touch(state_.sessions[path.session]);
  lifecycle_.tell_bound(path, slot);
  state_.counters.datagrams_replied.add();
  if (path.paired()) {
    lifecycle_.tell_bound(path, other);
    state_.counters.notices.add();
  }
  state_.counters
      .binds[moved           ? BindOutcome::moved
             : path.paired() ? BindOutcome::paired
                             : BindOutcome::waiting]
      .add();
  lifecycle_.settle(path.session);
}

void Binding::refresh(const Bind& bind, UdpPath& path, uint8_t slot) {
  UdpEnd& end = path.ends[slot];
  end.last_seen = state_.millis();
  end.cookie_time = std::max(end.cookie_time, cookie_issue_time(bind.cookie));
  std::copy(bind.nonce.begin(), bind.nonce.end(), end.nonce.begin());
  lifecycle_.tell_bound(path, slot);
  state_.counters.datagrams_replied.add();
  state_.counters.binds[BindOutcome::refreshed].add();
}

}  // namespace tandem
