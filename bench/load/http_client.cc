#include "bench/load/http_client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <optional>
#include <stdexcept>

namespace tandem::bench {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

constexpr std::uint64_t kBodyMax = 16 << 20;

// As it stands in a request: an IPv6 address in brackets (RFC 3986, 3.2.2).
std::string authority_of(const Url& url) {
  const bool v6 = url.host.find(':') != std::string::npos;
  return (v6 ? '[' + url.host + ']' : url.host) + ':' + url.port;
}

}  // namespace

Url parse_url(const std::string& text) {
  constexpr std::string_view kScheme = "http://";
  if (!text.starts_with(kScheme)) throw std::invalid_argument("not an http:// address: " + text);
  const auto rest = text.substr(kScheme.size());
  const auto slash = rest.find('/');
  const auto authority = rest.substr(0, slash);
  const auto colon = authority.rfind(':');
  const bool has_port =
      colon != std::string::npos && authority.find(']', colon) == std::string::npos;
  Url url{.host = authority.substr(0, has_port ? colon : std::string::npos),
          .port = has_port ? authority.substr(colon + 1) : "80",
          .path = slash == std::string::npos ? "/" : rest.substr(slash)};
  if (url.host.starts_with('[') && url.host.ends_with(']')) {
    url.host = url.host.substr(1, url.host.size() - 2);
  }
  if (url.host.empty() || url.port.empty()) throw std::invalid_argument("no host in " + text);
  return url;
}

// Beast's timeouts hold for asynchronous operations alone, so each step is one, run to its end.
class HttpClient::Impl {
 public:
  Impl(const Url& url, std::chrono::milliseconds timeout)
      : host_(authority_of(url)), timeout_(timeout), stream_(context_) {
    error_code error;
    const auto found = asio::ip::tcp::resolver(context_).resolve(url.host, url.port, error);
    if (error) throw std::runtime_error("no such host: " + url.host);
    run("connect", [&](auto done) {
      stream_.async_connect(found, [done](error_code e, const auto&) { done(e); });
    });
  }

  Answer exchange(http::request<http::string_body> request) {
    request.version(11);
    request.keep_alive(true);
    request.set(http::field::host, host_);
    request.prepare_payload();
    run("send", [&](auto done) {
      http::async_write(stream_, request, [done](error_code e, std::size_t) { done(e); });
    });
    http::response_parser<http::string_body> parser;
    parser.body_limit(kBodyMax);
    run("receive", [&](auto done) {
      http::async_read(stream_, buffer_, parser, [done](error_code e, std::size_t) { done(e); });
    });
    return {.status = parser.get().result_int(), .body = std::move(parser.get().body())};
  }

 private:
  template <typename Start>
  void run(std::string_view what, Start start) {
    std::optional<error_code> outcome;
    stream_.expires_after(timeout_);
    start([&outcome](error_code error) { outcome = error; });
    context_.restart();
    context_.run();
    if (!outcome || *outcome) {
      throw std::runtime_error("http://" + host_ + ": " + std::string(what) + ": " +
                               (outcome ? outcome->message() : "no answer"));
    }
  }

  std::string host_;
  std::chrono::milliseconds timeout_;
  asio::io_context context_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
};

HttpClient::HttpClient(const Url& url, std::chrono::milliseconds timeout)
    : impl_(std::make_unique<Impl>(url, timeout)) {}
HttpClient::~HttpClient() = default;

HttpClient::Answer HttpClient::get(const std::string& path) {
  return impl_->exchange({http::verb::get, path, 11});
}

HttpClient::Answer HttpClient::post(const std::string& path, const std::string& json,
                                    std::string_view token) {
  http::request<http::string_body> request{http::verb::post, path, 11, json};
  request.set(http::field::content_type, "application/json");
  if (!token.empty()) request.set(http::field::authorization, "Bearer " + std::string(token));
  return impl_->exchange(std::move(request));
}

}  // namespace tandem::bench
