#include "room/web/web_connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <utility>

#include "common/log.h"
#include "common/proxy_protocol.h"
#include "room/web/forwarded.h"
#include "room/web/web_server_impl.h"

namespace tandem {
namespace {

using Kind = IoOutcome::Kind;

constexpr std::uint32_t kLingerBytesMax = 1024 * 1024;
constexpr std::size_t kPiecesMax = 64;  // of one write

IoOutcome outcome_of(ssize_t result) {
  if (result > 0) return {Kind::some, static_cast<std::size_t>(result)};
  if (result == 0) return {Kind::end};
  return {errno == EAGAIN || errno == EINTR ? Kind::later : Kind::broken};
}

}  // namespace

WebConnection::WebConnection(WebServer::Impl& server, int descriptor, const IpAddress& peer)
    : server_(server), descriptor_(descriptor), client_(peer) {}

WebConnection::~WebConnection() {
  if (counted_) server_.remove_address(counted_client_);
  tls_.reset();
  ::close(descriptor_);
}

bool WebConnection::start() {
  set_deadline(WebDeadline::request);
  if (!server_.readiness().add(descriptor_, *this)) return false;
  if (server_.options().proxy_protocol && is_trusted(client_, server_.options().trusted_proxies)) {
    phase_ = Phase::proxy_header;
    return true;
  }
  return admit_client() && begin_serving();
}

bool WebConnection::admit_client() {
  trusted_ = is_trusted(client_, server_.options().trusted_proxies);
  if (trusted_) return true;
  counted_client_ = client_;
  counted_ = server_.add_address(client_);
  return counted_;
}

bool WebConnection::begin_serving() {
  phase_ = Phase::request;
  if (server_.certificate() == nullptr) return true;
  tls_ = server_.certificate()->begin(descriptor_);
  return tls_ != nullptr;
}

// ---- input ----

void WebConnection::on_ready(Readiness readiness) {
  if (gone()) return;
  if (readiness.broken) return give_up(WebSocketEnd::lost);
  peer_finished_ |= readiness.finished;
  // TLS may wait to write before it can read, and the other way round.
  const bool either = tls_ != nullptr;
  readable_ |= readiness.readable || readiness.finished || either;
  if ((readiness.writable || either) && !std::exchange(writable_, true))
    server_.call_at_end_of_turn(*this);
  if (readiness.finished) watch_for_abandonment();
  take_input();
}

void WebConnection::on_next_turn() {
  if (phase_ == Phase::request && http_ && http_->has_rest() && !is_blocked()) {
    if (deadline() != WebDeadline::request) set_deadline(WebDeadline::request);
    take_requests(http_->put({}));
  }
  take_input();
}

bool WebConnection::wants_input() const {
  switch (phase_) {
    case Phase::proxy_header:
    case Phase::websocket:
    case Phase::closing:
    case Phase::lingering:
      return true;
    case Phase::request:
      return !is_blocked() && !(http_ && ListHook<HasNextTurn>::linked());
    case Phase::thinking:
    case Phase::ending:
    case Phase::gone:
      return false;
  }
  return false;
}

void WebConnection::take_input() {
  std::size_t left = WebServer::Impl::kTurnBytes;
  while (readable_ && wants_input()) {
    if (phase_ == Phase::proxy_header) {
      if (!take_proxy_header()) return;
      continue;
    }
    if (left == 0) return server_.call_next_turn(*this);
    const std::span<char> into = server_.scratch().first(left);
    const IoOutcome got = read(into);
    switch (got.kind) {
      case Kind::some:
        left -= got.bytes;
        // A short read has emptied the socket, and what comes later is told; a record of TLS says
        // nothing of the next one.
        if (!tls_ && got.bytes < into.size() && !peer_finished_) readable_ = false;
        on_bytes(into.first(got.bytes));
        break;
      case Kind::later:
        readable_ = false;
        break;
      case Kind::end:
        readable_ = false;
        on_end();
        break;
      case Kind::broken:
        give_up(WebSocketEnd::lost);
        break;
    }
  }
}

IoOutcome WebConnection::read(std::span<char> into) {
  if (tls_ && phase_ != Phase::lingering) return tls_->read(into);
  return outcome_of(::recv(descriptor_, into.data(), into.size(), 0));
}

void WebConnection::on_bytes(std::span<char> bytes) {
  if (phase_ == Phase::lingering) {
    linger_bytes_ += static_cast<std::uint32_t>(bytes.size());
    if (linger_bytes_ > kLingerBytesMax) give_up(WebSocketEnd::lost);
    return;
  }
  if (phase_ != Phase::request) return take_frames(bytes);
  if (!http_)
    http_ = std::make_unique<HttpReader>(server_.limits().header_bytes_max,
                                         server_.limits().body_bytes_max);
  if (deadline() != WebDeadline::request) set_deadline(WebDeadline::request);
  take_requests(http_->put({bytes.data(), bytes.size()}));
}

// The other side sends no more, but may still read.
void WebConnection::on_end() {
  input_ended_ = true;
  if (phase_ != Phase::request) return give_up(WebSocketEnd::lost);
  if (http_ && http_->finish() != HttpProgress::need_more) return refuse(HttpProgress::bad);
  if (out_.empty()) return give_up(WebSocketEnd::lost);
  phase_ = Phase::ending;
  server_.call_at_end_of_turn(*this);
}

// Looked at where it lies: what follows it is not to be taken yet, and TLS reads the socket itself.
bool WebConnection::take_proxy_header() {
  std::array<std::uint8_t, kProxyHeaderMax> bytes;
  const IoOutcome seen = outcome_of(::recv(descriptor_, bytes.data(), bytes.size(), MSG_PEEK));
  if (seen.kind == Kind::later) {
    readable_ = false;
    return false;
  }
  const ProxyHeader header = parse_proxy_header(std::span(bytes).first(seen.bytes));
  if (seen.kind == Kind::some && header.progress == ProxyProgress::need_more &&
      seen.bytes < bytes.size() && !peer_finished_) {
    readable_ = false;
    return false;
  }
  const bool taken = header.progress == ProxyProgress::complete &&
                     ::recv(descriptor_, bytes.data(), header.consumed, 0) ==
                         static_cast<ssize_t>(header.consumed);
  if (seen.kind == Kind::some && !taken) ++server_.counters().refused_proxy_header;
  if (taken && header.kind == ProxySource::proxied) client_ = header.source.address;
  if (taken && admit_client() && begin_serving()) return true;
  give_up(WebSocketEnd::lost);
  return false;
}

// ---- output ----

bool WebConnection::is_blocked() const {
  return out_.bytes() > WebServer::Impl::kTurnBytes;
}

void WebConnection::flush() {
  while (!gone() && writable_ && !out_.empty()) {
    const IoOutcome written = write_some();
    switch (written.kind) {
      case Kind::some:
        out_.consume(written.bytes);
        break;
      case Kind::later:
        writable_ = false;
        break;
      case Kind::end:
      case Kind::broken:
        give_up(WebSocketEnd::lost);
        break;
    }
  }
}

IoOutcome WebConnection::write_some() {
  if (tls_) return tls_->write(out_.gather(server_.tls_scratch()));
  std::array<iovec, kPiecesMax> room;
  const std::span<iovec> pieces = out_.gather(room);
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  return outcome_of(::sendmsg(descriptor_, &message, MSG_NOSIGNAL));
}

void WebConnection::on_end_of_turn() {
  const bool had_output = !out_.empty();
  flush();
  tell_closed();
  if (gone()) return;
  if (phase_ == Phase::ending && out_.empty()) return begin_linger();
  if (phase_ == Phase::request && had_output) await_taking();
  if (phase_ == Phase::thinking && peer_finished_ && exchange_->abandoned)
    give_up(WebSocketEnd::lost);
}

// A reply has its time to be taken; once it is, the next request is awaited.
void WebConnection::await_taking() {
  if (!out_.empty()) {
    if (deadline() != WebDeadline::request) set_deadline(WebDeadline::request);
    return;
  }
  if (!http_ && deadline() == WebDeadline::request) set_deadline(WebDeadline::idle);
  if (readable_ || (http_ && http_->has_rest())) server_.call_next_turn(*this);
}

// Closing over unread bytes makes the kernel reset the connection, and what was sent last may be
// lost with it: take what still comes, within bounds.
void WebConnection::begin_linger() {
  if (tls_) tls_->finish();
  ::shutdown(descriptor_, SHUT_WR);
  if (input_ended_) return give_up(WebSocketEnd::lost);
  phase_ = Phase::lingering;
  set_deadline(WebDeadline::linger);
  if (readable_) server_.call_next_turn(*this);
}

// ---- the end ----

void WebConnection::set_deadline(WebDeadline kind) {
  server_.set_deadline(*this, kind);
}

void WebConnection::on_deadline() {
  if (phase_ == Phase::request && out_.empty() && http_ && http_->has_begun()) {
    refuse(HttpProgress::need_more);
    flush();
  }
  give_up(WebSocketEnd::lost);
}

void WebConnection::give_up(WebSocketEnd end) {
  if (gone()) return;
  if (!end_) end_ = end;
  phase_ = Phase::gone;
  if (exchange_) exchange_->connection = nullptr;
  server_.leaves(*this);
  server_.call_at_end_of_turn(*this);
}

void WebConnection::bury() {
  tell_closed();
  if (!exchange_) return;
  const auto abandoned = std::move(exchange_->abandoned);
  if (!abandoned) return;
  try {
    abandoned();
  } catch (const std::exception& thrown) {
    log(LogLevel::error, server_.options().name, "an abandoned request failed",
        {{"reason", thrown.what()}});
  }
}

}  // namespace tandem
