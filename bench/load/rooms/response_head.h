// The head of an HTTP/1.1 response (RFC 9112), as far as a client wants to know it that logs in and
// opens a WebSocket: a pure function over bytes. Knows no socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tandem::bench {

struct ResponseHead {
  unsigned status = 0;
  std::size_t size = 0;  // with the empty line behind it
  std::optional<std::uint64_t> content_length;
  bool close = false;                 // "Connection: close"
  std::string_view websocket_accept;  // empty where there is none
};

inline constexpr std::size_t kResponseHeadMax = 16 * 1024;

enum class HeadOutcome : std::uint8_t { whole, partial, malformed };

[[nodiscard]] HeadOutcome read_response_head(std::string_view bytes, ResponseHead& head);

}  // namespace tandem::bench
