#include "room/web/http_reader.h"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace tandem {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}
beast::string_view beast_view(std::string_view text) {
  return {text.data(), text.size()};
}

// What a chunked body ends with, "0\r\n\r\n". Beast asserts that it has as much of a last chunk
// that it sees again, which is not so where the body's only chunk trickles in; and since all of it
// is still to come until the body is complete, nothing waits for less in vain.
constexpr std::size_t kLastChunkSize = 5;

HttpProgress progress_of(error_code fault) {
  if (fault == http::error::need_more) return HttpProgress::need_more;
  if (fault == http::error::header_limit) return HttpProgress::head_too_large;
  if (fault == http::error::body_limit) return HttpProgress::body_too_large;
  return HttpProgress::bad;
}

}  // namespace

struct HttpReader::Parsing {
  http::request_parser<http::string_body> parser;
  std::uint64_t head_bytes = 0;
  bool head_judged = false;

  const auto& request() const { return parser.get(); }
};

HttpReader::HttpReader(std::uint32_t header_bytes_max, std::uint64_t body_bytes_max)
    : header_bytes_max_(header_bytes_max), body_bytes_max_(body_bytes_max) {
  next();
}
HttpReader::~HttpReader() = default;

void HttpReader::next() {
  parsing_ = std::make_unique<Parsing>();
  parsing_->parser.header_limit(header_bytes_max_);
  parsing_->parser.body_limit(body_bytes_max_);
}

HttpProgress HttpReader::put(std::string_view bytes) {
  if (rest_.empty()) return parse(bytes);
  rest_ += bytes;
  const std::string whole = std::move(rest_);
  rest_.clear();
  return parse(whole);
}

HttpProgress HttpReader::parse(std::string_view bytes) {
  HttpProgress progress = HttpProgress::need_more;
  while (!bytes.empty() && progress == HttpProgress::need_more) {
    const std::size_t before = bytes.size();
    progress = advance(bytes);
    if (bytes.size() == before) break;
  }
  rest_ = bytes;
  // A chunk's extensions and the trailer have no bound of Beast's.
  const bool more = progress == HttpProgress::need_more || progress == HttpProgress::wants_continue;
  if (more && rest_.size() > 2 * std::size_t{header_bytes_max_})
    return HttpProgress::head_too_large;
  return progress;
}

// The head first, so that it is judged before the body is taken.
HttpProgress HttpReader::advance(std::string_view& bytes) {
  auto& parser = parsing_->parser;
  const bool in_head = !parser.is_header_done();
  if (!in_head && parser.chunked() && bytes.size() < kLastChunkSize) return HttpProgress::need_more;
  error_code fault;
  const std::size_t taken = parser.put({bytes.data(), bytes.size()}, fault);
  bytes.remove_prefix(taken);
  if (in_head) {
    // Beast's own bound is for what lies before it at once, not for what it has taken.
    parsing_->head_bytes += taken;
    const bool unfinished = fault == http::error::need_more;
    if (parsing_->head_bytes + (unfinished ? bytes.size() : 0) > header_bytes_max_)
      return HttpProgress::head_too_large;
  }
  if (fault) return progress_of(fault);
  if (parser.is_header_done() && !parsing_->head_judged) {
    parsing_->head_judged = true;
    parser.eager(true);
    if (const HttpProgress judged = judge_head(); judged != HttpProgress::need_more) return judged;
  }
  return parser.is_done() ? HttpProgress::complete : HttpProgress::need_more;
}

HttpProgress HttpReader::judge_head() const {
  const auto& request = parsing_->request();
  const auto hosts = request.count(http::field::host);
  if (hosts > 1) return HttpProgress::bad;
  if (request.version() >= 11 && hosts == 0) return HttpProgress::no_host;
  if (request.count(http::field::transfer_encoding) > 0 && !parsing_->parser.chunked())
    return HttpProgress::bad;
  if (parsing_->parser.is_done()) return HttpProgress::complete;
  const bool asks = beast::iequals(request[http::field::expect], "100-continue");
  return asks && request.version() >= 11 ? HttpProgress::wants_continue : HttpProgress::need_more;
}

HttpProgress HttpReader::finish() {
  return has_begun() ? HttpProgress::bad : HttpProgress::need_more;
}

bool HttpReader::has_begun() const {
  return has_rest() || (parsing_->parser.got_some() && !parsing_->parser.is_done());
}

std::string_view HttpReader::method() const {
  return view(parsing_->request().method_string());
}
std::string_view HttpReader::target() const {
  return view(parsing_->request().target());
}
std::string_view HttpReader::body() const {
  return parsing_->request().body();
}
bool HttpReader::is_version_1_0() const {
  return parsing_->request().version() == 10;
}
bool HttpReader::keep_alive() const {
  return parsing_->request().keep_alive();
}

std::string_view HttpReader::field(std::string_view name) const {
  return view(parsing_->request()[beast_view(name)]);
}

std::string HttpReader::joined_field(std::string_view name) const {
  std::string joined;
  const auto [first, last] = parsing_->request().equal_range(beast_view(name));
  for (auto field = first; field != last; ++field) {
    if (!joined.empty()) joined += ',';
    joined += view(field->value());
  }
  return joined;
}

}  // namespace tandem
