#include "room/web/http_message.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace tandem {
namespace {

std::string_view error_code(unsigned status) {
  switch (status) {
    case 400:
      return "BAD_REQUEST";
    case 401:
      return "AUTH_FAILED";
    case 403:
      return "FORBIDDEN";
    case 404:
      return "NOT_FOUND";
    case 405:
      return "METHOD_NOT_ALLOWED";
    case 408:
      return "TIMEOUT";
    case 413:
      return "CONTENT_TOO_LARGE";
    case 426:
      return "UPGRADE_REQUIRED";
    case 429:
      return "RATE_LIMITED";
    case 431:
      return "HEADERS_TOO_LARGE";
    case 503:
      return "OVER_CAPACITY";
    default:
      return "INTERNAL";
  }
}

int hex_digit(char letter) {
  if (letter >= '0' && letter <= '9') return letter - '0';
  if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
  if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
  return -1;
}

// The byte that an escape at the front of `text` stands for, or -1.
int escaped_byte(std::string_view text) {
  if (text.size() < 3 || text[0] != '%') return -1;
  const int high = hex_digit(text[1]);
  const int low = hex_digit(text[2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

}  // namespace

std::string_view path_of(std::string_view target) {
  if (const std::size_t scheme = target.find("://");
      scheme != std::string_view::npos && !target.starts_with('/')) {
    const std::size_t path = target.find('/', scheme + 3);
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  return target.substr(0, target.find_first_of("?#"));
}

std::string_view query_value(std::string_view target, std::string_view name) {
  target = target.substr(0, target.find('#'));
  const std::size_t mark = target.find('?');
  std::string_view query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) == name) return equals == pair.size() ? "" : pair.substr(equals + 1);
  }
  return {};
}

std::string url_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (const int byte = escaped_byte(text.substr(at)); byte >= 0) {
      decoded += static_cast<char>(byte);
      at += 2;
    } else {
      decoded += text[at] == '+' ? ' ' : text[at];
    }
  }
  return decoded;
}

HttpReply http_error(unsigned status, std::string_view code, std::string_view message) {
  const nlohmann::ordered_json body = {{"error", {{"code", code}, {"message", message}}}};
  // A message may name what a client sent.
  return {.status = status,
          .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
          .allow = {}};
}

std::string_view host_of(std::string_view header) {
  constexpr std::size_t kNameMax = 253;  // RFC 1035, 2.3.4, as text
  std::string_view host = header.substr(0, header.rfind(':'));
  if (header.starts_with('[')) {
    const std::size_t end = header.find(']');
    host = end == std::string_view::npos ? "" : header.substr(1, end - 1);
  } else if (header.find(':') == std::string_view::npos) {
    host = header;
  }
  const bool is_name = std::ranges::all_of(host, [](char letter) {
    return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') ||
           (letter >= 'A' && letter <= 'Z') || letter == '.' || letter == '-' || letter == ':' ||
           letter == '_';
  });
  return is_name && host.size() <= kNameMax ? host : "";
}

HttpReply http_error(unsigned status, std::string_view message) {
  return http_error(status, error_code(status), message);
}

}  // namespace tandem
