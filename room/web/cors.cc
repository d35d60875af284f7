#include "room/web/cors.h"

#include <fmt/format.h>

#include <algorithm>

namespace tandem {
namespace {

char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

bool same_text(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view authority_of(std::string_view origin) {
  const std::size_t scheme = origin.find("://");
  return scheme == std::string_view::npos ? std::string_view() : origin.substr(scheme + 3);
}

}  // namespace

CorsPolicy::CorsPolicy(const std::vector<std::string>& origins) {
  for (std::string origin : origins) {
    if (origin.ends_with('/')) origin.pop_back();
    std::ranges::transform(origin, origin.begin(), lower);
    if (origin == "*")
      any_ = true;
    else if (!origin.empty())
      named_.push_back(std::move(origin));
  }
}

bool CorsPolicy::is_named(std::string_view origin) const {
  return std::ranges::any_of(named_, [&](const auto& name) { return same_text(name, origin); });
}

bool CorsPolicy::admits(std::string_view origin, std::string_view host) const {
  if (origin.empty() || any_ || is_named(origin)) return true;
  const std::string_view authority = authority_of(origin);
  return !authority.empty() && same_text(authority, host);
}

std::string CorsPolicy::headers(std::string_view origin) const {
  if (!enabled()) return {};
  // What is said depends on who asks, unless it is the same for all.
  const std::string_view vary = named_.empty() ? "" : "Vary: Origin\r\n";
  // The name is one of the list, so a client's bytes never become a header.
  if (!origin.empty() && is_named(origin))
    return fmt::format(
        "Access-Control-Allow-Origin: {}\r\nAccess-Control-Allow-Credentials: true\r\n{}", origin,
        vary);
  if (any_) return fmt::format("Access-Control-Allow-Origin: *\r\n{}", vary);
  return std::string(vary);
}

std::string CorsPolicy::preflight_headers(std::string_view origin) const {
  std::string lines = headers(origin);
  if (lines.find("Access-Control-Allow-Origin") == std::string::npos) return lines;
  lines +=
      "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\r\n"
      "Access-Control-Allow-Headers: Authorization, Content-Type\r\n"
      "Access-Control-Max-Age: 7200\r\n";
  return lines;
}

}  // namespace tandem
