// An HTTP request as its handler sees it, and a reply as a value. Knows no socket and no HTTP
// library: framing, HEAD's missing body and the headers common to all replies are web_server's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/endpoint.h"

namespace tandem {

// Texts live as long as the call that brings them.
struct HttpRequest {
  std::string_view method;              // "GET"
  std::string_view target;              // as on the request line: path and query, or a whole URI
  std::string_view authorization = {};  // that header, empty where there is none
  std::string_view content_type = {};   // the same
  std::string_view origin = {};         // the same
  std::string_view host = {};           // the same: by which name or address the client came
  std::string_view body = {};
  // The real one: behind a trusted proxy what PROXY protocol or X-Forwarded-For says.
  IpAddress client = {};
};

struct HttpReply {
  unsigned status = 200;
  std::string_view content_type = "application/json";
  std::string body;
  std::string_view allow;           // the Allow header of a 405
  std::string_view challenge = {};  // the WWW-Authenticate header of a 401
  std::uint32_t retry_after_s = 0;  // the Retry-After header; 0: none
  // Of a page; replies that are none let nothing run.
  std::string_view content_security_policy = "default-src 'none'; frame-ancestors 'none'";
};

// The path of an origin-form or absolute-form target (RFC 9112, 3.2), without its query; a server
// has to take both.
[[nodiscard]] std::string_view path_of(std::string_view target);
// The value of a query parameter as it stands there, empty where there is none.
[[nodiscard]] std::string_view query_value(std::string_view target, std::string_view name);
// Percent-encoding and + undone (application/x-www-form-urlencoded); what is no escape stays.
[[nodiscard]] std::string url_decode(std::string_view text);

// A Host header's name or address, without port and brackets; empty where it holds neither.
[[nodiscard]] std::string_view host_of(std::string_view header);

// {"error":{"code":"NOT_FOUND","message":"..."}} with the code that goes with the status, or with
// one of its own.
[[nodiscard]] HttpReply http_error(unsigned status, std::string_view message);
[[nodiscard]] HttpReply http_error(unsigned status, std::string_view code,
                                   std::string_view message);

}  // namespace tandem
