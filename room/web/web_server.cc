#include "room/web/web_server.h"

#include <sys/random.h>
#include <unistd.h>

#include <utility>

#include "common/assert.h"
#include "common/siphash.h"
#include "room/web/web_server_impl.h"

namespace tandem {
namespace {

constexpr Nanos kLingerDeadline = 2 * kNanosPerSecond;

SipKey random_key() {
  SipKey key;
  TANDEM_CHECK(::getrandom(key.data(), key.size(), 0) == static_cast<ssize_t>(key.size()));
  return key;
}

// None where the options name none.
Result<std::shared_ptr<TlsCertificate>, std::string> load_certificate(const WebOptions& options) {
  if (options.tls_cert.empty()) return std::shared_ptr<TlsCertificate>();
  return TlsCertificate::load(options.tls_cert, options.tls_key);
}

}  // namespace

WebServer::Impl::Impl(boost::asio::io_context& context, WebOptions options, WebApp& app)
    : options_(std::move(options)),
      app_(app),
      cors_(options_.cors_origins),
      addresses_(random_key()),
      deadlines_(spans_of(options_.limits)),
      loop_(context, readiness_.descriptor(),
            {.ready = [this] { on_ready(); },
             .turn_end = [this] { on_turn_end(); },
             .deadline = [this] { on_deadline(); }}) {}

WebServer::Impl::~Impl() {
  in_turn_ = true;
  listeners_.clear();
  while (WebConnection* const connection = every_.front()) {
    connection->give_up(WebSocketEnd::evicted);
    end_turn();
  }
}

WebDeadlines::Spans WebServer::Impl::spans_of(const WebLimits& limits) {
  WebDeadlines::Spans spans{};
  const auto set = [&](WebDeadline kind, Nanos span) {
    spans[static_cast<std::size_t>(kind)] = span;
  };
  set(WebDeadline::request, limits.request_deadline);
  set(WebDeadline::idle, limits.idle_deadline);
  set(WebDeadline::close, limits.request_deadline);
  set(WebDeadline::linger, kLingerDeadline);
  return spans;
}

Result<void, std::string> WebServer::Impl::listen(const Endpoint& endpoint) {
  if (!certificate_) {
    auto loaded = load_certificate(options_);
    if (!loaded) return unexpected(loaded.error());
    certificate_ = std::move(*loaded);
  }
  auto listener = std::make_unique<WebListener>(*this);
  if (const auto opened = listener->open(endpoint); !opened) return unexpected(opened.error());
  listeners_.push_back(std::move(listener));
  return {};
}

std::uint16_t WebServer::Impl::port() const {
  return listeners_.empty() ? std::uint16_t{0} : listeners_.front()->port();
}

Result<void, std::string> WebServer::Impl::apply(const WebOptions& options) {
  auto loaded = load_certificate(options);
  if (!loaded) return unexpected(loaded.error());
  certificate_ = std::move(*loaded);
  std::string name = std::move(options_.name);
  options_ = options;
  options_.name = std::move(name);
  cors_ = CorsPolicy(options_.cors_origins);
  deadlines_.set_spans(spans_of(options_.limits));
  if (const auto next = deadlines_.next()) loop_.call_deadline(*next);
  return {};
}

// ---- the turn ----

void WebServer::Impl::on_ready() {
  in_turn_ = true;
  readiness_.call_ready();
  end_turn();
  in_turn_ = false;
}

void WebServer::Impl::on_turn_end() {
  in_turn_ = true;
  // Those that ask again from within come in the turn after.
  LinkedList<WebConnection, HasNextTurn> now;
  while (WebConnection* const connection = next_turn_.front()) now.push_back(*connection);
  while (WebConnection* const connection = now.front()) {
    static_cast<ListHook<HasNextTurn>*>(connection)->unlink();
    connection->on_next_turn();
  }
  end_turn();
  in_turn_ = false;
}

void WebServer::Impl::on_deadline() {
  in_turn_ = true;
  const Nanos now = monotonic_now();
  while (DeadlineHook* const due = deadlines_.pop_due(now))
    static_cast<WebConnection*>(due)->on_deadline();
  for (const auto& listener : listeners_) listener->on_deadline(now);
  if (const auto next = deadlines_.next()) loop_.call_deadline(*next);
  end_turn();
  in_turn_ = false;
}

// What a connection has to do may give others something to do.
void WebServer::Impl::end_turn() {
  while (WebConnection* const connection = end_of_turn_.front()) {
    static_cast<ListHook<HasEndOfTurn>*>(connection)->unlink();
    connection->on_end_of_turn();
    if (connection->gone()) bury(*connection);
  }
}

void WebServer::Impl::bury(WebConnection& connection) {
  connection.bury();
  delete &connection;
}

void WebServer::Impl::call_at_end_of_turn(WebConnection& connection) {
  if (!static_cast<ListHook<HasEndOfTurn>&>(connection).linked())
    end_of_turn_.push_back(connection);
  if (!in_turn_) loop_.call_turn_end();
}

void WebServer::Impl::call_next_turn(WebConnection& connection) {
  if (!static_cast<ListHook<HasNextTurn>&>(connection).linked()) next_turn_.push_back(connection);
  loop_.call_turn_end();
}

void WebServer::Impl::set_deadline(WebConnection& connection, WebDeadline kind) {
  if (kind == WebDeadline::none)
    static_cast<DeadlineHook&>(connection).unlink();
  else
    loop_.call_deadline(deadlines_.set(connection, kind, monotonic_now()));
}

// ---- who may be here ----

void WebServer::Impl::admit(int descriptor, const IpAddress& peer) {
  ++counters_.accepted;
  if (connections_ >= limits().connections_max && !make_room()) {
    ++counters_.refused_full;
    ::close(descriptor);
    return;
  }
  auto* const connection = new WebConnection(*this, descriptor, peer);
  ++connections_;
  every_.push_back(*connection);
  may_be_evicted(*connection);
  if (!connection->start()) connection->give_up(WebSocketEnd::evicted);
}

bool WebServer::Impl::make_room() {
  WebConnection* const longest_unanswered = unanswered_longest_.front();
  if (longest_unanswered == nullptr) return false;
  ++counters_.evicted;
  longest_unanswered->give_up(WebSocketEnd::evicted);
  return true;
}

void WebServer::Impl::may_not_be_evicted(WebConnection& connection) {
  static_cast<ListHook<UnansweredLongest>&>(connection).unlink();
}

void WebServer::Impl::leaves(WebConnection& connection) {
  may_not_be_evicted(connection);
  set_deadline(connection, WebDeadline::none);
  --connections_;
}

bool WebServer::Impl::add_address(const IpAddress& address) {
  const std::size_t most = limits().connections_per_address;
  if (const std::uint32_t count = addresses_.add(address); most == 0 || count <= most) return true;
  addresses_.remove(address);
  ++counters_.refused_address;
  return false;
}

void WebServer::Impl::websocket_ends(WebSocketEnd end) {
  --websockets_;
  ++counters_.closed[static_cast<std::size_t>(end)];
}

// ---- for the others ----

WebServer::WebServer(boost::asio::io_context& context, WebOptions options, WebApp& app)
    : impl_(std::make_unique<Impl>(context, std::move(options), app)) {}
WebServer::~WebServer() = default;

Result<void, std::string> WebServer::listen(const Endpoint& endpoint) {
  return impl_->listen(endpoint);
}
std::uint16_t WebServer::port() const {
  return impl_->port();
}
Result<void, std::string> WebServer::apply(const WebOptions& options) {
  return impl_->apply(options);
}
std::size_t WebServer::connections() const {
  return impl_->connections();
}
std::uint64_t WebServer::websockets_opened() const {
  return impl_->websockets_opened();
}
std::size_t WebServer::websockets() const {
  return impl_->websockets();
}
void WebServer::collect(Metrics& into) const {
  impl_->collect(into);
}

}  // namespace tandem
