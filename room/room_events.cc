// What a client's events do, and what becomes of it: the part of RoomSockets that every event runs
// through.
#include <fmt/format.h>

#include "common/log.h"
#include "room/lobby/message.h"
#include "room/room_sockets.h"
#include "room/room_sockets_client.h"
#include "room/room_storage.h"

namespace tandem {
namespace {

constexpr std::string_view kNamespace = "/";

LimitScope limit_scope(EventClass of) {
  switch (of) {
    case EventClass::request:
      return LimitScope::request;
    case EventClass::message:
      return LimitScope::message;
    case EventClass::signal:
      return LimitScope::signal;
  }
  return LimitScope::request;
}

const RoomName* code_asked_for(const RoomRequest& request) {
  const auto* const join = std::get_if<JoinRoom>(&request);
  return join != nullptr && !join->room.code.empty() ? &join->room : nullptr;
}

std::string password_of(const RoomRequest& request) {
  if (const auto* create = std::get_if<CreateRoom>(&request)) return create->password;
  if (const auto* update = std::get_if<UpdateRoom>(&request)) return update->password.value_or("");
  return {};
}

void set_verifier(RoomRequest& request, std::string verifier) {
  if (auto* create = std::get_if<CreateRoom>(&request)) create->verifier = std::move(verifier);
  if (auto* update = std::get_if<UpdateRoom>(&request)) update->verifier = std::move(verifier);
}

// Two mints and two events each.
constexpr std::size_t kRelaysReplacedPerTick = 64;

const ApiError kTooManyPasswords{ErrorCode::over_capacity,
                                 "too many passwords are being checked: try again", 1};
const ApiError kNoToken{ErrorCode::internal, "this node has no key that mints a token"};

}  // namespace

void RoomSockets::on_event(Socket& socket, const SocketEvent& event) {
  auto* const client = static_cast<Client*>(socket.user);
  if (client == nullptr) return;
  const Moment now = moment_now();
  if (const auto refusal = over_limit(socket, client->key, event.name, now.mono))
    return refuse(socket, event.ack_id, *refusal);
  const auto request = parse_request(event.name, event.arguments, event.attachments.size(),
                                     {.max_players = config_.room.max_players});
  if (!request) return refuse(socket, event.ack_id, request.error());
  if (code_asked_for(*request) != nullptr) {
    const auto verdict = parts_.address_limits.charge_code_lookup(socket.client(), now.mono);
    if (!verdict.allowed()) {
      parts_.stats.record_limited(LimitScope::code);
      return refuse(socket, event.ack_id,
                    {ErrorCode::rate_limited, "too many codes tried", verdict.retry_after_s});
    }
  }
  const Question question{now, client->key, client->number, event.ack_id};
  run(question, *request, event.attachments);
  parts_.stats.record_event(event_type(event.name), monotonic_now() - now.mono);
}

std::optional<ApiError> RoomSockets::over_limit(Socket& socket, ClientKey client,
                                                std::string_view event, Nanos now) {
  const EventClass of = event_class(event);
  LimitScope scope = limit_scope(of);
  LimitVerdict verdict =
      parts_.client_limits.charge(parts_.registry.client_id(client), of, config_.room, now);
  if (verdict.allowed() && of == EventClass::request) {
    scope = LimitScope::address;
    verdict =
        parts_.address_limits.charge_request(config_.room.address_rate_limit, socket.client(), now);
  }
  if (verdict.allowed()) return std::nullopt;
  parts_.stats.record_limited(scope);
  if (verdict.outcome == LimitOutcome::exceeded) log_rate_limit_exceeded("room", socket.client());
  return ApiError{ErrorCode::rate_limited, "Too many requests", verdict.retry_after_s};
}

void RoomSockets::run(const Question& question, const RoomRequest& request,
                      std::span<const std::string_view> attachments) {
  outcome_.clear();
  parts_.registry.apply(question.now, question.from, request, outcome_);
  switch (outcome_.password) {
    case PasswordWork::none:
      break;
    case PasswordWork::derive:
      return derive(question, request);
    case PasswordWork::check:
      return check(question, std::get<JoinRoom>(request), outcome_.verifier);
  }
  count(request);
  if (outcome_.error) parts_.stats.record_error(error_code_name(outcome_.error->code));
  if (outcome_.relay) {
    const RelayWanted wanted = *outcome_.relay;
    keep(outcome_);
    return give_relay(question, wanted);
  }
  answer(question);
  deliver(outcome_, attachments);
  keep(outcome_);
}

void RoomSockets::count(const RoomRequest& request) {
  if (outcome_.error) return;
  if (const auto* success = std::get_if<ReportP2pSuccess>(&request))
    parts_.stats.record_p2p_success(connection_type(success->connection_type));
  if (std::holds_alternative<ReportP2pFailure>(request)) parts_.stats.record_p2p_failure();
}

void RoomSockets::derive(const Question& question, RoomRequest request) {
  std::string password = password_of(request);
  const auto queued = parts_.passwords.make(
      std::move(password), [this, question, request = std::move(request)](std::string verifier) {
        RoomRequest again = request;
        set_verifier(again, std::move(verifier));
        Question later = question;
        later.now = moment_now();
        if (!parts_.registry.client_id(later.from).empty()) run(later, again, {});
      });
  if (queued == PasswordWorker::Outcome::queued) return;
  if (Socket* const socket = socket_of(question.from))
    refuse(*socket, question.ack_id, kTooManyPasswords);
}

void RoomSockets::check(const Question& question, JoinRoom request, std::string verifier) {
  std::string password = request.password;
  const auto queued = parts_.passwords.check(
      std::move(password), verifier,
      [this, question, request = std::move(request), verifier](PasswordVerdict verdict) {
        JoinRoom again = request;
        again.checked.emplace(verifier, verdict == PasswordVerdict::right);
        Question later = question;
        later.now = moment_now();
        if (!parts_.registry.client_id(later.from).empty()) run(later, again, {});
      });
  if (queued == PasswordWorker::Outcome::queued) return;
  if (Socket* const socket = socket_of(question.from))
    refuse(*socket, question.ack_id, kTooManyPasswords);
}

// Where the client has come back with another socket meanwhile, nobody there waits for it.
void RoomSockets::answer(const Question& question) {
  if (!question.ack_id) return;
  Socket* const socket = socket_of(question.from);
  if (socket == nullptr || static_cast<Client*>(socket->user)->number != question.number) return;
  socket->acknowledge(*question.ack_id, outcome_.acknowledgement());
}

void RoomSockets::refuse(Socket& socket, std::optional<std::uint64_t> ack_id,
                         const ApiError& error) {
  parts_.stats.record_error(error_code_name(error.code));
  text_.clear();
  append_error(text_, error);
  socket.emit(encode_event(kNamespace, "error", text_));
  if (!ack_id) return;
  text_.clear();
  append_failure(text_, error);
  socket.acknowledge(*ack_id, text_);
}

// ---- relays ----

// A relay that drains or is gone: its pairs get another one unasked, some at a time.
void RoomSockets::replace_lost_relays(Moment now) {
  if (auto stranded = parts_.relays.take_stranded()) stranded_ = std::move(*stranded);
  for (std::size_t i = 0; i < kRelaysReplacedPerTick && !stranded_.empty(); ++i) {
    const std::uint64_t session = stranded_.back();
    stranded_.pop_back();
    outcome_.clear();
    if (!parts_.registry.relay_lost(session, outcome_)) continue;
    const RelayWanted wanted = *outcome_.relay;
    give_relay({.now = now, .from = {}, .number = 0, .ack_id = std::nullopt}, wanted);
  }
}

void RoomSockets::give_relay(const Question& question, const RelayWanted& wanted) {
  RelayAllocator& relays = parts_.relays;
  const auto known = wanted.session_id ? wanted.session_id : wanted.replaces;
  // Whoever says that its relay is out of reach gets another one; where there is none, the one
  // that it had is better than nothing.
  Result<std::uint64_t, AllocationFault> session = unexpected(AllocationFault::no_relay);
  if (wanted.session_id && relays.is_usable(*wanted.session_id)) {
    session = *wanted.session_id;
  } else {
    session = relays.open(wanted.region, parts_.registry.beacons(wanted.first),
                          parts_.registry.beacons(wanted.second),
                          known ? relays.relay_of(*known) : std::string_view{});
    if (!session && known && relays.is_usable(*known)) session = *known;
  }
  outcome_.clear();
  if (!session) {
    ++parts_.stats.relay_sessions_refused;
    parts_.registry.relay_refused(wanted.room, wanted.first, wanted.second);
    const bool draining = session.error() == AllocationFault::draining;
    const ApiError error{draining ? ErrorCode::draining : ErrorCode::no_relay,
                         draining ? "this node drains and there is no other"
                                  : "there is no relay with room for this pair"};
    if (Socket* const socket = socket_of(question.from)) refuse(*socket, question.ack_id, error);
    return;
  }
  if (session != known) ++parts_.stats.relay_sessions_allocated;
  if (!parts_.registry.relay_granted(question.now, wanted.room, wanted.first, wanted.second,
                                     *session, outcome_))
    return relays.revoke(*session);  // the pair is no more
  send_relay(wanted.first, wanted.second, wanted, 0, *session, question);
  send_relay(wanted.second, wanted.first, wanted, 1, *session, question);
  settle(outcome_);
}

// Where it came to us; of one that is away, where its peer did.
std::string_view RoomSockets::reached_host(const Socket& socket, ClientKey peer) const {
  if (!socket.host().empty()) return socket.host();
  const Socket* const other = socket_of(peer);
  return other == nullptr ? std::string_view() : other->host();
}

void RoomSockets::send_relay(ClientKey to, ClientKey peer, const RelayWanted& wanted,
                             std::uint8_t slot, std::uint64_t session_id,
                             const Question& question) {
  Socket* const socket = socket_of(to);
  if (socket == nullptr) return;
  const auto ticket = parts_.relays.grant(session_id, slot, question.now.wall / 1000);
  if (!ticket) {
    if (to == question.from) refuse(*socket, question.ack_id, kNoToken);
    return;
  }
  const auto room = parts_.registry.room_id(wanted.room);
  const RelayGrant grant{
      .room_id = room,
      .peer_client_id = parts_.registry.client_id(peer),
      .server = ticket->server.empty() ? reached_host(*socket, peer) : ticket->server,
      .port = ticket->port,
      .token = ticket->token,
      .session_id = session_id,
      .slot = slot,
      .tcp = ticket->tcp,
      .udp = ticket->udp,
      .expires_at = ticket->expires_at,
      .region = ticket->region,
      .e2e_key = ticket->e2e_key};
  text_.clear();
  append_use_relay(text_, grant);
  socket->emit(encode_event(kNamespace, "use:relay", text_));
  if (to != question.from || !question.ack_id) return;
  text_.clear();
  append_use_relay_acknowledgement(text_, grant);
  socket->acknowledge(*question.ack_id, text_);
}

// ---- what came of it ----

void RoomSockets::deliver(const Outcome& outcome, std::span<const std::string_view> attachments) {
  for (std::size_t i = 0; i < outcome.event_count(); ++i) {
    const RoomEvent event = outcome.event(i);
    const auto packet =
        encode_event(kNamespace, room_event_name(event.name), event.arguments,
                     event.attachments ? attachments : std::span<const std::string_view>{});
    for (const ClientKey key : event.to)
      if (Socket* const socket = socket_of(key)) socket->emit(packet);
  }
}

void RoomSockets::keep(Outcome& outcome) {
  for (const RoomNotice& notice : outcome.notices) {
    for (StoreWrite& write : store_writes(notice)) parts_.store.post(std::move(write));
  }
  for (const std::uint64_t session : outcome.revoked) parts_.relays.revoke(session);
  outcome.notices.clear();
  outcome.revoked.clear();
}

void RoomSockets::settle(Outcome& outcome) {
  deliver(outcome, {});
  keep(outcome);
}

}  // namespace tandem
