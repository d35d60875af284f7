// Where a peer is: addresses, address and port, networks. Values only; no sockaddr, no look-ups, no
// names: converting to the kernel's structs is the back ends' business.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tandem {

// An IPv6 address in network order; IPv4 is held as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), so that one
// comparison and one hash serve both families.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};

  // host order: 0x7f000001 is 127.0.0.1
  [[nodiscard]] static constexpr IpAddress from_v4(std::uint32_t value) {
    return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, static_cast<std::uint8_t>(value >> 24),
             static_cast<std::uint8_t>(value >> 16), static_cast<std::uint8_t>(value >> 8),
             static_cast<std::uint8_t>(value)}};
  }
  [[nodiscard]] static constexpr IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c,
                                              std::uint8_t d) {
    return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}};
  }
  // Exactly what inet_pton takes: four decimal octets, or RFC 4291 text without a zone.
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);

  [[nodiscard]] constexpr bool is_v4() const {
    for (std::size_t i = 0; i < 10; ++i)
      if (bytes[i] != 0) return false;
    return bytes[10] == 0xff && bytes[11] == 0xff;
  }
  // The IPv4 address in host order; meaningful only where is_v4().
  [[nodiscard]] constexpr std::uint32_t v4_value() const {
    return std::uint32_t{bytes[12]} << 24 | std::uint32_t{bytes[13]} << 16 |
           std::uint32_t{bytes[14]} << 8 | bytes[15];
  }

  friend constexpr bool operator==(const IpAddress&, const IpAddress&) = default;
  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;  // host order

  // "1.2.3.4:5" or "[::1]:5"; the port is decimal without sign or leading zeros.
  [[nodiscard]] static std::optional<Endpoint> parse(std::string_view text);

  friend constexpr bool operator==(const Endpoint&, const Endpoint&) = default;
  friend constexpr auto operator<=>(const Endpoint&, const Endpoint&) = default;
};
// Millions of these lie in tables: no padding.
static_assert(sizeof(Endpoint) == 18 && alignof(Endpoint) == 2);

struct Network {
  IpAddress base;           // bits after the prefix are 0
  std::uint8_t prefix = 0;  // 0..128, of the mapped form: 10.0.0.0/8 has 104

  // "10.0.0.0/8", "2001:db8::/32", or a bare address for itself alone. Bits after the prefix are
  // cleared: 10.1.2.3/8 is 10.0.0.0/8.
  [[nodiscard]] static std::optional<Network> parse(std::string_view text);

  // An IPv6 network never contains an IPv4 address: "::/0" is all of IPv6, not the mapped ones too.
  [[nodiscard]] bool contains(const IpAddress& address) const;

  friend constexpr bool operator==(const Network&, const Network&) = default;
  friend constexpr auto operator<=>(const Network&, const Network&) = default;
};

// What a budget or a count is kept by: the IPv4 address, or the IPv6 /64, since a single subscriber
// commonly has the whole of one and could have a fresh address for every packet.
[[nodiscard]] IpAddress rate_scope(const IpAddress& address);

// The text that parse() takes, IPv6 as RFC 5952 has it.
[[nodiscard]] std::string to_string(const IpAddress& address);
[[nodiscard]] std::string to_string(const Endpoint& endpoint);
[[nodiscard]] std::string to_string(const Network& network);

}  // namespace tandem
