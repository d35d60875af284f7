#include "room/socket_io/engine_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/assert.h"
#include "room/socket_io/engine_io.h"
#include "room/socket_io/engine_link.h"
#include "room/web/utf8_check.h"

namespace tandem {
namespace {

constexpr std::string_view kPollText = "text/plain; charset=UTF-8";

HttpReply poll_reply(std::string body) {
  HttpReply reply;
  reply.content_type = kPollText;
  reply.body = std::move(body);
  return reply;
}

std::string_view without_slash(std::string_view path) {
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path;
}

}  // namespace

EngineServer::EngineServer(EngineOptions options, EngineEvents& events,
                           std::function<void()> ask_flush)
    : options_(std::move(options)),
      base_path_(without_slash(options_.path)),
      events_(events),
      ask_flush_(std::move(ask_flush)),
      ping_packet_(std::make_shared<WebSocketMessage>(WebSocketOpcode::text, "2")),
      probe_answer_(std::make_shared<WebSocketMessage>(WebSocketOpcode::text, "3probe")) {}

EngineServer::~EngineServer() {
  for (EngineSession* session : pending_)
    if (session->state_ == EngineSession::State::ended) delete session;
  for (EngineSession* session : sessions_) {
    session->unlist();
    for (EngineLink* link : {session->link_, session->probe_})
      if (link != nullptr) link->session_ = nullptr;
    delete session;
  }
}

EngineSession* EngineServer::find(std::string_view sid) {
  const auto found = sessions_.find(sid);
  return found == sessions_.end() ? nullptr : *found;
}

bool EngineServer::serves(std::string_view path) const {
  return without_slash(path) == base_path_;
}

HttpReply EngineServer::refuse(Refusal reason) {
  refusals_[reason].add();
  HttpReply reply;
  switch (reason) {
    case Refusal::over_capacity:
    case Refusal::draining:
      reply = http_error(503, "this server takes no more sessions now");
      reply.retry_after_s = 5;
      return reply;
    case Refusal::too_many_of_address:
      reply = http_error(429, "RATE_LIMITED", "there are too many sessions of this address");
      reply.retry_after_s = 5;
      return reply;
    case Refusal::too_large:
      return http_error(413, "the request's body is too large");
    case Refusal::unknown_transport:
    case Refusal::unknown_sid:
    case Refusal::bad_handshake_method:
    case Refusal::bad_request:
    case Refusal::forbidden:
    case Refusal::unsupported_version:
      break;
  }
  static constexpr std::array<std::string_view, 6> kMessages = {
      "Transport unknown", "Session ID unknown", "Bad handshake method",
      "Bad request",       "Forbidden",          "Unsupported protocol version"};
  const auto code = static_cast<std::size_t>(reason);
  reply.status = reason == Refusal::forbidden ? 403 : 400;
  reply.body = fmt::format(R"({{"code":{},"message":"{}"}})", code, kMessages[code]);
  return reply;
}

// Of a request without a sid, by either transport.
std::optional<EngineServer::Refusal> EngineServer::judge_newcomer(
    const HttpRequest& request) const {
  if (request.method != "GET") return Refusal::bad_handshake_method;
  if (query_value(request.target, "EIO") != "4") return Refusal::unsupported_version;
  if (draining_) return Refusal::draining;
  if (sessions_.size() >= options_.sessions_max) return Refusal::over_capacity;
  if (options_.sessions_per_address != 0 &&
      addresses_.estimate(request.client) >= options_.sessions_per_address)
    return Refusal::too_many_of_address;
  return std::nullopt;
}

EngineSession& EngineServer::open(const HttpRequest& request) {
  auto* session = new EngineSession(*this, request);
  sessions_.insert(session);
  addresses_.add(session->client_);
  to_ping_.push_back(*session, now_ + options_.ping_interval);
  ++opened_;
  return *session;
}

std::string EngineServer::handshake_of(const EngineSession& session) const {
  return encode_engine_open({.sid = session.sid(),
                             .upgrades = !session.is_websocket(),
                             .ping_interval_ms = options_.ping_interval / kNanosPerMillisecond,
                             .ping_timeout_ms = options_.ping_timeout / kNanosPerMillisecond,
                             .max_payload = options_.max_payload});
}

void EngineServer::on_request(const HttpRequest& request, HttpResponder responder, Nanos now) {
  expire(now);
  const std::string_view transport = query_value(request.target, "transport");
  if (transport != "polling" && transport != "websocket")
    return responder.reply(refuse(Refusal::unknown_transport));
  const std::string_view sid = query_value(request.target, "sid");
  if (sid.empty()) {
    if (const auto reason = judge_newcomer(request)) return responder.reply(refuse(*reason));
    if (transport != "polling") return responder.reply(refuse(Refusal::bad_request));
    return open_polling(request, std::move(responder));
  }
  EngineSession* session = find(sid);
  if (session == nullptr) return responder.reply(refuse(Refusal::unknown_sid));
  if (session->is_websocket() || transport != "polling")
    return responder.reply(refuse(Refusal::bad_request));
  if (request.method == "GET") return on_poll(*session, std::move(responder));
  if (request.method == "POST") return responder.reply(on_post(*session, request));
  responder.reply(refuse(Refusal::bad_request));
}

void EngineServer::open_polling(const HttpRequest& request, HttpResponder responder) {
  EngineSession& session = open(request);
  // What on_open() sends follows it in the same reply.
  enqueue(session,
          std::make_shared<WebSocketMessage>(WebSocketOpcode::text, handshake_of(session)));
  session.poll_ = std::move(responder);
  session.told_open_ = true;
  events_.on_open(session);
  if (session.poll_) answer_poll(session);  // it may have been closed at once
}

void EngineServer::on_poll(EngineSession& session, HttpResponder responder) {
  if (session.poll_) {
    end(session, EngineEnd::transport_error);
    return responder.reply(refuse(Refusal::bad_request));
  }
  session.poll_ = std::move(responder);
  if (session.state_ == EngineSession::State::closing) {
    answer_poll(session, session.says_close_ ? kEngineClosePacket : "");
    return end(session, session.end_);
  }
  if (!session.queue_.empty()) return answer_poll(session);
  if (session.probe_ != nullptr && session.probe_->probed_)
    return answer_poll(session, kEngineNoopPacket);
  session.poll_->on_abandoned(
      [&session] { session.server_.end(session, EngineEnd::transport_closed); });
}

HttpReply EngineServer::on_post(EngineSession& session, const HttpRequest& request) {
  if (request.body.size() > options_.max_payload) return refuse(Refusal::too_large);
  const bool is_text = !request.content_type.starts_with("application/octet-stream");
  bool sound = is_text && is_utf8(request.body);
  EnginePayload payload(request.body);
  EnginePacket packet;
  while (sound && session.is_open()) {
    const auto step = payload.next(packet);
    if (step == EnginePayload::Step::end) break;
    sound = step == EnginePayload::Step::packet && on_packet(session, packet);
  }
  if (sound) return poll_reply("ok");
  end(session, EngineEnd::transport_error);
  return refuse(Refusal::bad_request);
}

bool EngineServer::on_packet(EngineSession& session, const EnginePacket& packet) {
  switch (packet.type) {
    case EnginePacketType::message:
      if (packet.binary) {
        events_.on_binary(session, packet.data);
      } else {
        events_.on_text(session, packet.data);
      }
      return true;
    case EnginePacketType::pong:
      on_pong(session);
      return true;
    case EnginePacketType::close:
      end(session, EngineEnd::client_close);
      return true;
    case EnginePacketType::upgrade:  // too late or too early, and no harm
    case EnginePacketType::noop:
      return true;
    case EnginePacketType::open:
    case EnginePacketType::ping:  // the client's in revision 3, the server's since
      return false;
  }
  return false;
}

HttpResponder EngineServer::take_poll(EngineSession& session) {
  TANDEM_CHECK(session.poll_.has_value());
  HttpResponder poll = std::move(*session.poll_);
  session.poll_.reset();
  return poll;
}

void EngineServer::answer_poll(EngineSession& session, std::string_view last_packet) {
  std::string body;
  body.reserve(session.queued_bytes_ + last_packet.size() + 1);
  for (const SharedMessage& message : session.queue_) {
    if (message->opcode() == WebSocketOpcode::text) {
      append_engine_text(body, message->payload());
    } else {
      append_engine_binary(body, message->payload());
    }
  }
  if (!last_packet.empty()) append_engine_text(body, last_packet);
  std::vector<SharedMessage>().swap(session.queue_);
  session.queued_bytes_ = 0;
  take_poll(session).reply(poll_reply(std::move(body)));
}

}  // namespace tandem
