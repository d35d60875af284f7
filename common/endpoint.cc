#include "common/endpoint.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace tandem {
namespace {

// Digits only, no leading zeros, at most `most`.
std::optional<unsigned> parse_decimal(std::string_view text, unsigned most) {
  unsigned value = 0;
  const char* const end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), end, value);
  const bool has_leading_zero = text.size() > 1 && text[0] == '0';
  if (error != std::errc{} || after != end || has_leading_zero || value > most) return std::nullopt;
  return value;
}

IpAddress cut_to_prefix(IpAddress address, unsigned prefix) {
  for (unsigned i = 0; i < address.bytes.size(); ++i) {
    const unsigned kept = std::clamp(prefix, 8 * i, 8 * i + 8) - 8 * i;
    address.bytes[i] = static_cast<std::uint8_t>(address.bytes[i] & (0xff00u >> kept));
  }
  return address;
}

constexpr unsigned kV4PrefixOffset = 96;

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  // inet_pton wants a terminated string; one with a zero inside would end early and pass
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof terminated || text.find('\0') != text.npos) return std::nullopt;
  std::ranges::copy(text, terminated);
  terminated[text.size()] = '\0';

  in_addr four{};
  if (::inet_pton(AF_INET, terminated, &four) == 1) return from_v4(ntohl(four.s_addr));
  IpAddress address;
  if (::inet_pton(AF_INET6, terminated, address.bytes.data()) == 1) return address;
  return std::nullopt;
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  // brackets are for what has colons, and that needs them: "::1:5" could be either
  if (bracketed != host.contains(':')) return std::nullopt;
  const auto address = IpAddress::parse(host);
  const auto port = parse_decimal(text.substr(colon + 1), 0xffff);
  if (!address || !port) return std::nullopt;
  return Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

std::optional<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view host = text.substr(0, slash);
  const auto address = IpAddress::parse(host);
  if (!address) return std::nullopt;
  // the notation decides what the prefix counts: ::ffff:10.0.0.0/104 has the long form's
  const unsigned offset = host.contains(':') ? 0 : kV4PrefixOffset;
  unsigned prefix = 128;
  if (slash != text.npos) {
    const auto written = parse_decimal(text.substr(slash + 1), 128 - offset);
    if (!written) return std::nullopt;
    prefix = *written + offset;
  }
  return Network{cut_to_prefix(*address, prefix), static_cast<std::uint8_t>(prefix)};
}

bool Network::contains(const IpAddress& address) const {
  return address.is_v4() == base.is_v4() && cut_to_prefix(address, prefix) == base;
}

IpAddress rate_scope(const IpAddress& address) {
  return address.is_v4() ? address : cut_to_prefix(address, 64);
}

std::string to_string(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN];
  const auto& bytes = address.bytes;
  const bool v4 = address.is_v4();
  ::inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &bytes[12] : &bytes[0], text, sizeof text);
  return text;
}

std::string to_string(const Endpoint& endpoint) {
  const std::string host = to_string(endpoint.address);
  return endpoint.address.is_v4() ? fmt::format("{}:{}", host, endpoint.port)
                                  : fmt::format("[{}]:{}", host, endpoint.port);
}

std::string to_string(const Network& network) {
  const unsigned offset = network.base.is_v4() ? kV4PrefixOffset : 0;
  return fmt::format("{}/{}", to_string(network.base), network.prefix - offset);
}

}  // namespace tandem
