// Owns where the load generator's sockets are and go: an IPv4 or IPv6 address with a port, in the
// kernel's form, and how a person writes it. Names are looked up here. Knows no socket.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace tandem::bench {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  [[nodiscard]] const sockaddr* get() const;
  [[nodiscard]] sockaddr* get();
  [[nodiscard]] int family() const { return storage.ss_family; }
  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] SocketAddress with_port(std::uint16_t port) const;
  [[nodiscard]] bool is_loopback() const;
};

// "relay.example:7777", "127.0.0.1:7777", "[::1]:7777", or a port or a host alone where the other
// has a default. Throws std::invalid_argument for what is none, std::runtime_error where a name is
// unknown.
struct AddressDefaults {
  std::string_view host;   // empty: a host must be given
  std::uint16_t port = 0;  // 0: a port must be given
};
[[nodiscard]] SocketAddress parse_address(const std::string& text, AddressDefaults defaults = {});

// `host_order` is an IPv4 address such as 0x7f000001.
[[nodiscard]] SocketAddress address_of(std::uint32_t host_order, std::uint16_t port);
[[nodiscard]] std::string to_string(const SocketAddress& address);
[[nodiscard]] SocketAddress local_address(int fd);
[[nodiscard]] SocketAddress peer_address(int fd);  // of a connected socket

}  // namespace tandem::bench
