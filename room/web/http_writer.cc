#include "room/web/http_writer.h"

#include <fmt/format.h>
#include <time.h>

#include <boost/beast/http/status.hpp>
#include <iterator>

namespace tandem {
namespace {

namespace http = boost::beast::http;

std::string_view reason_of(unsigned status) {
  const auto reason = http::obsolete_reason(http::int_to_status(status));
  return {reason.data(), reason.size()};
}

void append(std::string& into, std::string_view name, std::string_view value) {
  if (!value.empty()) into.append(name).append(": ").append(value).append("\r\n");
}

// RFC 9110, 8.6: these have no Content-Length.
bool has_content(unsigned status) {
  return status >= 200 && status != 204 && status != 304;
}

}  // namespace

// The process never leaves the C locale, so the names are English.
std::string http_date(UnixSeconds now) {
  const time_t seconds = now;
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  return {text, ::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

std::string write_reply(const HttpReply& reply, ReplyFrame frame, std::string_view more,
                        UnixSeconds now) {
  std::string wire;
  wire.reserve(512 + more.size() + (frame.with_body ? reply.body.size() : 0));
  fmt::format_to(std::back_inserter(wire), "HTTP/1.{} {} {}\r\n", frame.version_1_0 ? 0 : 1,
                 reply.status, reason_of(reply.status));
  append(wire, "Date", http_date(now));
  append(wire, "Cache-Control", "no-store");
  append(wire, "X-Content-Type-Options", "nosniff");
  append(wire, "X-Frame-Options", "DENY");
  append(wire, "Content-Security-Policy", reply.content_security_policy);
  append(wire, "Referrer-Policy", "no-referrer");
  append(wire, "Allow", reply.allow);
  append(wire, "WWW-Authenticate", reply.challenge);
  if (reply.retry_after_s > 0)
    fmt::format_to(std::back_inserter(wire), "Retry-After: {}\r\n", reply.retry_after_s);
  wire += more;
  if (!frame.keep_alive)
    wire += "Connection: close\r\n";
  else if (frame.version_1_0)
    wire += "Connection: keep-alive\r\n";
  if (has_content(reply.status)) {
    append(wire, "Content-Type", reply.content_type);
    fmt::format_to(std::back_inserter(wire), "Content-Length: {}\r\n", reply.body.size());
  }
  wire += "\r\n";
  if (frame.with_body && has_content(reply.status)) wire += reply.body;
  return wire;
}

}  // namespace tandem
