// Which pages of other origins may use the server, and how they are told (the Fetch standard's CORS
// protocol). Text in, text out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tandem {

class CorsPolicy {
 public:
  CorsPolicy() = default;
  // "*", or origins as browsers write them ("https://play.example.org"); case and a slash at the
  // end do not matter. Credentials are allowed to those alone that are listed by name.
  explicit CorsPolicy(const std::vector<std::string>& origins);

  // Whether a page of `origin` may open a WebSocket, to which a browser applies no CORS of its own.
  // A client without an Origin is no page, and a page of the server's own `host` is at home.
  [[nodiscard]] bool admits(std::string_view origin, std::string_view host) const;

  // Header lines with their CR LF, for any reply; empty where the list is.
  [[nodiscard]] std::string headers(std::string_view origin) const;
  // The same for the answer to a preflight request.
  [[nodiscard]] std::string preflight_headers(std::string_view origin) const;

  [[nodiscard]] bool enabled() const { return any_ || !named_.empty(); }

 private:
  [[nodiscard]] bool is_named(std::string_view origin) const;

  bool any_ = false;
  std::vector<std::string> named_;  // lower case, without a slash at the end
};

}  // namespace tandem
