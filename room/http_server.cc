#include "room/http_server.h"

#include <fmt/format.h>
#include <time.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <exception>
#include <list>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "common/log.h"
#include "room/metrics_page.h"

namespace tandem {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

// Of the other end; none where it has gone again.
IpAddress address_of(const tcp::socket& socket) {
  error_code fault;
  const asio::ip::address address = socket.remote_endpoint(fault).address();
  if (fault) return {};
  if (address.is_v4()) return IpAddress::from_v4(address.to_v4().to_uint());
  IpAddress result;
  result.bytes = address.to_v6().to_bytes();
  return result;
}

// IMF-fixdate (RFC 9110, 5.6.7). The process never leaves the C locale, so the names are English.
std::string http_date() {
  const time_t now = unix_now();
  tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  return {text, ::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

// What a client is told about a request that could not be read, or nothing where it has gone.
std::optional<HttpReply> reply_to(error_code fault) {
  if (fault == http::error::end_of_stream) return std::nullopt;
  if (fault == http::error::header_limit || fault == http::error::buffer_overflow)
    return http_error(431, "the request's head is too large");
  if (fault == http::error::body_limit) return http_error(413, "the request's body is too large");
  if (fault.category() == http::make_error_code(http::error::bad_method).category())
    return http_error(400, "this is not an HTTP request");
  return std::nullopt;
}

http::response<http::string_body> to_beast(HttpReply reply, unsigned version, bool keep_alive,
                                           bool with_body) {
  http::response<http::string_body> response;
  response.version(version);
  response.result(reply.status);
  response.keep_alive(keep_alive);
  response.set(http::field::date, http_date());
  response.set(http::field::cache_control, "no-store");
  response.set("X-Content-Type-Options", "nosniff");
  response.set("X-Frame-Options", "DENY");
  response.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  response.set("Referrer-Policy", "no-referrer");
  const auto set = [&](http::field name, std::string_view value) {
    if (!value.empty()) response.set(name, beast::string_view(value.data(), value.size()));
  };
  set(http::field::content_type, reply.content_type);
  set(http::field::allow, reply.allow);
  set(http::field::www_authenticate, reply.challenge);
  response.content_length(reply.body.size());
  if (with_body) response.body() = std::move(reply.body);
  return response;
}

class Connection;
using Connections = std::list<std::shared_ptr<Connection>>;

}  // namespace

class HttpServer::Impl {
 public:
  Impl(asio::io_context& context, HttpLimits limits, Handler handler)
      : limits_(limits), handler_(std::move(handler)), acceptor_(context), retry_(context) {}

  Result<void, std::string> listen(const Endpoint& endpoint);
  std::uint16_t port() const;
  void collect(Metrics& into) const;

  const HttpLimits& limits() const { return limits_; }
  HttpReply answer(const HttpRequest& request);
  void count(unsigned status) { ++requests_by_status_[status]; }
  // It goes to the end of the queue of those that have to make room.
  void answered(Connections::iterator connection) {
    connections_.splice(connections_.end(), connections_, connection);
  }
  void forget(Connections::iterator connection) { connections_.erase(connection); }

 private:
  void accept();
  void accept_later();
  void admit(tcp::socket socket);

  HttpLimits limits_;
  Handler handler_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  Connections connections_;
  std::map<unsigned, std::uint64_t> requests_by_status_;
};

namespace {

// One client: a request at a time, pipelined ones wait in the buffer.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(HttpServer::Impl& server, tcp::socket socket)
      : server_(server),
        client_(address_of(socket)),
        stream_(std::move(socket)),
        buffer_(2 * std::size_t{server.limits().header_bytes_max}) {}

  void start(Connections::iterator place) {
    place_ = place;
    set_deadline(server_.limits().request_deadline);
    await_request();
  }

  // Its operations end with an error and let go of it.
  void close() {
    if (place_) server_.forget(*std::exchange(place_, std::nullopt));
    stream_.close();
  }

 private:
  void set_deadline(Nanos nanos) { stream_.expires_after(std::chrono::nanoseconds(nanos)); }

  void await_request() {
    if (buffer_.size() > 0) return read_head();
    stream_.async_read_some(buffer_.prepare(2048),
                            [self = shared_from_this()](error_code fault, std::size_t count) {
                              if (fault) return self->close();
                              self->buffer_.commit(count);
                              if (self->answered_one_)
                                self->set_deadline(self->server_.limits().request_deadline);
                              self->read_head();
                            });
  }

  void read_head() {
    parser_.emplace();
    parser_->header_limit(server_.limits().header_bytes_max);
    parser_->body_limit(server_.limits().body_bytes_max);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](error_code fault, std::size_t) {
                              if (fault) return self->refuse(fault);
                              self->read_body();
                            });
  }

  void read_body() {
    const auto& head = parser_->get();
    if (head.version() >= 11 && head.find(http::field::host) == head.end())
      return send(http_error(400, "HTTP/1.1 wants a Host header"), KeepAlive::no);
    if (head.version() >= 11 && beast::iequals(head[http::field::expect], "100-continue"))
      return ask_for_body();
    read_rest();
  }

  // A body over the bound was refused with its head, so what waits for this may come.
  void ask_for_body() {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(stream_, asio::buffer(kContinue.data(), kContinue.size()),
                      [self = shared_from_this()](error_code fault, std::size_t) {
                        if (fault) return self->close();
                        self->read_rest();
                      });
  }

  void read_rest() {
    http::async_read(
        stream_, buffer_, *parser_, [self = shared_from_this()](error_code fault, std::size_t) {
          if (fault) return self->refuse(fault);
          self->answer(self->parser_->get().keep_alive() ? KeepAlive::yes : KeepAlive::no);
        });
  }

  enum class KeepAlive : std::uint8_t { no, yes };

  void answer(KeepAlive keep_alive) {
    const auto& request = parser_->get();
    send(server_.answer({.method = view(request.method_string()),
                         .target = view(request.target()),
                         .authorization = view(request[http::field::authorization]),
                         .body = request.body(),
                         .client = client_}),
         keep_alive);
  }

  void refuse(error_code fault) {
    auto reply = reply_to(fault);
    if (!reply) return close();
    send(std::move(*reply), KeepAlive::no);
  }

  void send(HttpReply reply, KeepAlive keep_alive) {
    server_.count(reply.status);
    const auto& request = parser_->get();
    response_ = to_beast(std::move(reply), request.version() == 10 ? 10 : 11,
                         keep_alive == KeepAlive::yes, request.method() != http::verb::head);
    set_deadline(server_.limits().request_deadline);
    http::async_write(stream_, response_,
                      [self = shared_from_this(), keep_alive](error_code fault, std::size_t) {
                        if (fault) return self->close();
                        if (keep_alive == KeepAlive::no) return self->linger();
                        self->await_next();
                      });
  }

  void await_next() {
    answered_one_ = true;
    if (place_) server_.answered(*place_);
    set_deadline(buffer_.size() > 0 ? server_.limits().request_deadline
                                    : server_.limits().idle_deadline);
    await_request();
  }

  // Closing over unread bytes makes the kernel reset the connection, and the reply may be lost with
  // it: take what still comes, within bounds.
  void linger() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    set_deadline(kLingerDeadline);
    drain(kLingerBytesMax);
  }

  void drain(std::size_t bytes_left) {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(4096), [self = shared_from_this(), bytes_left](
                                                       error_code fault, std::size_t count) {
      if (fault || count >= bytes_left) return self->close();
      self->drain(bytes_left - count);
    });
  }

  static constexpr Nanos kLingerDeadline = 2 * kNanosPerSecond;
  static constexpr std::size_t kLingerBytesMax = 1024 * 1024;

  HttpServer::Impl& server_;
  const IpAddress client_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;  // one a request
  http::response<http::string_body> response_;
  std::optional<Connections::iterator> place_;  // in the server's queue, until it is closed
  bool answered_one_ = false;
};

}  // namespace

Result<void, std::string> HttpServer::Impl::listen(const Endpoint& endpoint) {
  const tcp::endpoint local =
      endpoint.address.is_v4()
          ? tcp::endpoint(asio::ip::address_v4(endpoint.address.v4_value()), endpoint.port)
          : tcp::endpoint(asio::ip::address_v6(endpoint.address.bytes), endpoint.port);
  error_code fault;
  const auto try_to = [&](auto&& step) {
    if (!fault) step();
  };
  acceptor_.open(local.protocol(), fault);
  try_to([&] { acceptor_.set_option(tcp::acceptor::reuse_address(true), fault); });
  try_to([&] { acceptor_.bind(local, fault); });
  try_to([&] { acceptor_.listen(tcp::acceptor::max_listen_connections, fault); });
  if (fault) return unexpected(fault.message());
  accept();
  return {};
}

std::uint16_t HttpServer::Impl::port() const {
  error_code ignored;
  return acceptor_.local_endpoint(ignored).port();
}

void HttpServer::Impl::accept() {
  acceptor_.async_accept([this](error_code fault, tcp::socket socket) {
    if (fault == asio::error::operation_aborted) return;
    if (fault == asio::error::connection_aborted) return accept();
    if (fault) return accept_later();
    admit(std::move(socket));
    accept();
  });
}

// Out of descriptors or memory: the connection stays in the backlog, and at once is too soon.
void HttpServer::Impl::accept_later() {
  retry_.expires_after(std::chrono::milliseconds(100));
  retry_.async_wait([this](error_code fault) {
    if (!fault) accept();
  });
}

void HttpServer::Impl::admit(tcp::socket socket) {
  if (connections_.size() >= limits_.connections_max) {
    const auto longest_unanswered = connections_.front();
    longest_unanswered->close();
  }
  const auto place = connections_.insert(connections_.end(),
                                         std::make_shared<Connection>(*this, std::move(socket)));
  (*place)->start(place);
}

HttpReply HttpServer::Impl::answer(const HttpRequest& request) {
  try {
    return handler_(request);
  } catch (const std::exception& thrown) {
    log(LogLevel::error, "monitoring", "request failed", {{"reason", thrown.what()}});
    return http_error(500, "this request could not be answered");
  }
}

void HttpServer::Impl::collect(Metrics& into) const {
  into.push_back({"tandem_http_connections",
                  "Open connections to the monitoring port.",
                  MetricType::gauge,
                  {},
                  static_cast<double>(connections_.size())});
  for (const auto& [status, requests] : requests_by_status_)
    into.push_back({"tandem_http_requests_total", "Requests answered, by status code.",
                    MetricType::counter, metric_label("status", std::to_string(status)),
                    static_cast<double>(requests)});
}

HttpServer::HttpServer(asio::io_context& context, HttpLimits limits, Handler handler)
    : impl_(std::make_unique<Impl>(context, limits, std::move(handler))) {}
HttpServer::~HttpServer() = default;

Result<void, std::string> HttpServer::listen(const Endpoint& endpoint) {
  return impl_->listen(endpoint);
}
std::uint16_t HttpServer::port() const {
  return impl_->port();
}
void HttpServer::collect(Metrics& into) const {
  impl_->collect(into);
}

}  // namespace tandem
