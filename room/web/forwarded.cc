#include "room/web/forwarded.h"

#include <algorithm>
#include <optional>

namespace tandem {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// "192.0.2.1", "2001:db8::1", "[2001:db8::1]", and the first and the last with ":port".
std::optional<IpAddress> parse_entry(std::string_view text) {
  if (const auto address = IpAddress::parse(text)) return address;
  if (text.starts_with('[') && text.ends_with(']'))
    if (const auto address = IpAddress::parse(text.substr(1, text.size() - 2));
        address && !address->is_v4())
      return address;
  if (const auto endpoint = Endpoint::parse(text)) return endpoint->address;
  return std::nullopt;
}

}  // namespace

bool is_trusted(const IpAddress& address, std::span<const Network> trusted) {
  return std::ranges::any_of(trusted, [&](const Network& net) { return net.contains(address); });
}

IpAddress forwarded_client(const IpAddress& peer, std::string_view header,
                           std::span<const Network> trusted) {
  IpAddress client = peer;
  for (;;) {
    const std::size_t comma = header.rfind(',');
    const auto entry =
        parse_entry(trimmed(comma == std::string_view::npos ? header : header.substr(comma + 1)));
    if (!entry) return client;
    client = *entry;
    if (comma == std::string_view::npos || !is_trusted(client, trusted)) return client;
    header = header.substr(0, comma);
  }
}

}  // namespace tandem
