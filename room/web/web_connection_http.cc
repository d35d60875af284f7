// A connection's HTTP: requests to the application, its answers to the client.
#include <exception>
#include <utility>

#include "common/log.h"
#include "room/web/forwarded.h"
#include "room/web/web_connection.h"
#include "room/web/web_server_impl.h"
#include "room/web/websocket_handshake.h"

namespace tandem {
namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kSpokenVersion = "Sec-WebSocket-Version: 13\r\n";

// What a client is told about a request that could not be read.
HttpReply refusal_of(HttpProgress progress) {
  switch (progress) {
    case HttpProgress::need_more:
    case HttpProgress::wants_continue:
    case HttpProgress::complete:
      return http_error(408, "the request did not come in time");
    case HttpProgress::bad:
      return http_error(400, "this is not an HTTP request");
    case HttpProgress::no_host:
      return http_error(400, "HTTP/1.1 wants a Host header");
    case HttpProgress::head_too_large:
      return http_error(431, "the request's head is too large");
    case HttpProgress::body_too_large:
      return http_error(413, "the request's body is too large");
  }
  return http_error(400, "this is not an HTTP request");
}

HttpReply unanswered() {
  return http_error(500, "this request could not be answered");
}

void log_failure(std::string_view component, const std::exception& thrown) {
  log(LogLevel::error, component, "request failed", {{"reason", thrown.what()}});
}

bool is_preflight(const HttpReader& request) {
  return request.method() == "OPTIONS" && !request.field("Origin").empty() &&
         !request.field("Access-Control-Request-Method").empty();
}

}  // namespace

// One after the other; what was pipelined behind too many waits for the next turn.
void WebConnection::take_requests(HttpProgress progress) {
  for (int answered = 0; answered < WebServer::Impl::kTurnRequests;) {
    switch (progress) {
      case HttpProgress::need_more:
        if (!http_->has_begun()) http_.reset();
        return;
      case HttpProgress::wants_continue:
        // A body over the bound was refused with its head, so what waits for this may come.
        out_.push(std::string(kContinue));
        server_.call_at_end_of_turn(*this);
        break;
      case HttpProgress::complete:
        answer();
        ++answered;
        if (!after_answer()) return;
        break;
      case HttpProgress::bad:
      case HttpProgress::no_host:
      case HttpProgress::head_too_large:
      case HttpProgress::body_too_large:
        return refuse(progress);
    }
    if (answered < WebServer::Impl::kTurnRequests) progress = http_->put({});
  }
  server_.call_next_turn(*this);
}

// Whether the next request is to be taken from what came with the last one.
bool WebConnection::after_answer() {
  if (phase_ == Phase::websocket || phase_ == Phase::closing) {
    std::string rest = http_->take_rest();
    http_.reset();
    take_frames(rest);
    return false;
  }
  const bool goes_on = phase_ == Phase::request || phase_ == Phase::thinking;
  if (!goes_on || !http_->has_rest()) {
    http_.reset();
    return false;
  }
  http_->next();
  if (phase_ == Phase::thinking || is_blocked()) return false;
  set_deadline(WebDeadline::request);
  return true;
}

void WebConnection::answer() {
  const std::string_view origin = http_->field("Origin");
  const auto exchange = std::make_shared<HttpResponder::Exchange>();
  exchange->connection = this;
  exchange->frame = {.version_1_0 = http_->is_version_1_0(),
                     .keep_alive = http_->keep_alive(),
                     .with_body = http_->method() != "HEAD"};
  exchange->more_headers = server_.cors().headers(origin);
  exchange_ = exchange;
  phase_ = Phase::thinking;
  set_deadline(WebDeadline::none);
  server_.may_not_be_evicted(*this);

  HttpRequest request{.method = http_->method(),
                      .target = http_->target(),
                      .authorization = http_->field("Authorization"),
                      .content_type = http_->field("Content-Type"),
                      .origin = origin,
                      .host = http_->field("Host"),
                      .body = http_->body(),
                      .client = client_};
  if (trusted_) {
    request.client = forwarded_client(client_, http_->joined_field("X-Forwarded-For"),
                                      server_.options().trusted_proxies);
    if (!admit_forwarded(request.client))
      return reply_now(http_error(429, "too many connections from this address"));
  }
  if (server_.cors().enabled() && is_preflight(*http_)) {
    exchange->more_headers = server_.cors().preflight_headers(origin);
    return reply_now({.status = 204, .body = {}, .allow = {}});
  }
  switch (judge_handshake(*http_)) {
    case WebSocketHandshake::none:
      return answer_request(exchange, request);
    case WebSocketHandshake::sound:
      return answer_handshake(request);
    case WebSocketHandshake::malformed:
      return reply_now(http_error(400, "this is no sound WebSocket handshake"));
    case WebSocketHandshake::wrong_version:
      return reply_now(http_error(426, "WebSocket version 13 is spoken here"), kSpokenVersion);
  }
}

// Behind a proxy an address has as many connections as requests that are being answered.
bool WebConnection::admit_forwarded(const IpAddress& client) {
  if (is_trusted(client, server_.options().trusted_proxies)) return true;
  counted_client_ = client;
  counted_ = server_.add_address(client);
  return counted_;
}

void WebConnection::answer_request(const std::shared_ptr<HttpResponder::Exchange>& exchange,
                                   const HttpRequest& request) {
  try {
    server_.app().on_request(request, HttpResponder(exchange));
  } catch (const std::exception& thrown) {
    // The responder is gone with it, and so has answered.
    log_failure(server_.options().name, thrown);
  }
}

void WebConnection::answer_handshake(const HttpRequest& request) {
  if (!server_.cors().admits(request.origin, http_->field("Host")))
    return reply_now(http_error(403, "pages of this origin may not come in"));
  flush();
  if (gone()) return;
  // Nobody sends a handshake behind requests whose replies do not leave.
  if (!out_.empty()) return reply_now(http_error(400, "this is no sound WebSocket handshake"));
  out_.push(handshake_reply(http_->field("Sec-WebSocket-Key")));
  phase_ = Phase::websocket;
  HttpReply refusal = http_error(404, "there is no WebSocket here");
  WebSocketEvents* events = nullptr;
  try {
    events = server_.app().on_websocket(request, *this, refusal);
  } catch (const std::exception& thrown) {
    log_failure(server_.options().name, thrown);
    refusal = unanswered();
  }
  if (events == nullptr) {
    if (gone()) return;
    out_.clear();
    phase_ = Phase::thinking;
    return reply_now(std::move(refusal));
  }
  exchange_->connection = nullptr;
  exchange_.reset();
  events_ = events;
  server_.websocket_begins();
  server_.call_at_end_of_turn(*this);
}

void WebConnection::refuse(HttpProgress progress) {
  queue_reply(refusal_of(progress),
              {.version_1_0 = http_->is_version_1_0(),
               .keep_alive = false,
               .with_body = http_->method() != "HEAD"},
              server_.cors().headers(http_->field("Origin")));
  http_.reset();
}

void WebConnection::reply_now(HttpReply reply_of_ours, std::string_view more_headers) {
  exchange_->more_headers += more_headers;
  reply(*exchange_, std::move(reply_of_ours));
}

void WebConnection::reply(HttpResponder::Exchange& exchange, HttpReply reply_of_app) {
  const auto answered = std::move(exchange_);
  exchange.connection = nullptr;
  if (trusted_ && counted_) {
    server_.remove_address(counted_client_);
    counted_ = false;
  }
  queue_reply(reply_of_app, exchange.frame, exchange.more_headers);
  server_.may_be_evicted(*this);
}

void WebConnection::queue_reply(const HttpReply& reply_of_app, ReplyFrame frame,
                                std::string_view more_headers) {
  ++server_.counters().requests[reply_of_app.status];
  out_.push(write_reply(reply_of_app, frame, more_headers, unix_now()));
  phase_ = frame.keep_alive ? Phase::request : Phase::ending;
  set_deadline(frame.keep_alive ? WebDeadline::idle : WebDeadline::request);
  server_.call_at_end_of_turn(*this);
}

// Where the client has finished already there may be nothing more to hear of it.
void WebConnection::watch_for_abandonment() {
  if (phase_ == Phase::thinking && peer_finished_) server_.call_at_end_of_turn(*this);
}

HttpResponder::HttpResponder(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
HttpResponder::HttpResponder(HttpResponder&&) noexcept = default;

HttpResponder& HttpResponder::operator=(HttpResponder&& other) noexcept {
  if (this != &other) {
    if (exchange_) reply(unanswered());
    exchange_ = std::move(other.exchange_);
  }
  return *this;
}

HttpResponder::~HttpResponder() {
  if (exchange_) reply(unanswered());
}

void HttpResponder::reply(HttpReply reply) {
  const auto exchange = std::move(exchange_);
  if (!exchange) return;
  exchange->abandoned = nullptr;
  if (exchange->connection != nullptr) exchange->connection->reply(*exchange, std::move(reply));
}

void HttpResponder::on_abandoned(std::function<void()> callback) {
  if (!exchange_) return;
  if (exchange_->connection == nullptr) return callback();
  exchange_->abandoned = std::move(callback);
  exchange_->connection->watch_for_abandonment();
}

}  // namespace tandem
