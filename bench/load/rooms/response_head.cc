#include "bench/load/rooms/response_head.h"

#include <algorithm>
#include <charconv>

namespace tandem::bench {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

// "HTTP/1.1 101 Switching Protocols"
bool read_status_line(std::string_view line, ResponseHead& head) {
  constexpr std::string_view kVersion = "HTTP/1.";
  constexpr std::size_t kStatusAt = kVersion.size() + 2;
  constexpr std::size_t kStatusSize = 3;
  if (!line.starts_with(kVersion) || line.size() < kStatusAt + kStatusSize) return false;
  if (line[kStatusAt - 1] != ' ') return false;
  return read_number(line.substr(kStatusAt, kStatusSize), head.status) && head.status >= 100;
}

bool read_field(std::string_view line, ResponseHead& head) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const auto name = line.substr(0, colon);
  const auto value = trimmed(line.substr(colon + 1));
  if (same_word(name, "content-length")) {
    std::uint64_t length = 0;
    if (!read_number(value, length)) return false;
    head.content_length = length;
  } else if (same_word(name, "connection")) {
    head.close = same_word(value, "close");
  } else if (same_word(name, "sec-websocket-accept")) {
    head.websocket_accept = value;
  }
  return true;
}

}  // namespace

HeadOutcome read_response_head(std::string_view bytes, ResponseHead& head) {
  head = {};
  const auto end = bytes.substr(0, kResponseHeadMax).find("\r\n\r\n");
  if (end == std::string_view::npos) {
    return bytes.size() >= kResponseHeadMax ? HeadOutcome::malformed : HeadOutcome::partial;
  }
  auto rest = bytes.substr(0, end + kLineEnd.size());
  for (bool first = true; !rest.empty(); first = false) {
    const auto line_end = rest.find(kLineEnd);
    const auto line = rest.substr(0, line_end);
    rest.remove_prefix(line_end + kLineEnd.size());
    if (!(first ? read_status_line(line, head) : read_field(line, head))) {
      return HeadOutcome::malformed;
    }
  }
  head.size = end + 2 * kLineEnd.size();
  return HeadOutcome::whole;
}

}  // namespace tandem::bench
