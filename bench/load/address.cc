#include "bench/load/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <stdexcept>

#include "bench/load/socket.h"

namespace tandem::bench {
namespace {

struct HostAndPort {
  std::string host;
  std::string port;
};

bool is_decimal(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// An IPv6 address without brackets has more than one colon and no port.
HostAndPort split(const std::string& text) {
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string::npos) throw std::invalid_argument("no ']' in " + text);
    const auto rest = text.substr(end + 1);
    if (!rest.empty() && rest[0] != ':') throw std::invalid_argument("not HOST:PORT: " + text);
    return {text.substr(1, end - 1), rest.empty() ? "" : rest.substr(1)};
  }
  if (is_decimal(text)) return {"", text};
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || text.find(':') != colon) return {text, ""};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

std::uint16_t parse_port(const std::string& digits, const std::string& text) {
  std::uint16_t port = 0;
  const auto* end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, port);
  if (error != std::errc{} || rest != end) throw std::invalid_argument("no port in " + text);
  return port;
}

SocketAddress look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error != 0) throw std::runtime_error("no such host: " + host + ": " + ::gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  SocketAddress address;
  address.size = found->ai_addrlen;
  std::copy_n(reinterpret_cast<const char*>(found->ai_addr), found->ai_addrlen,
              reinterpret_cast<char*>(&address.storage));
  return address;
}

}  // namespace

// The sockets API is defined in terms of these casts.
const sockaddr* SocketAddress::get() const {
  return reinterpret_cast<const sockaddr*>(&storage);
}
sockaddr* SocketAddress::get() {
  return reinterpret_cast<sockaddr*>(&storage);
}

// The port is at the same place in both families.
std::uint16_t SocketAddress::port() const {
  return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
}

SocketAddress SocketAddress::with_port(std::uint16_t port) const {
  SocketAddress changed = *this;
  reinterpret_cast<sockaddr_in&>(changed.storage).sin_port = htons(port);
  return changed;
}

bool SocketAddress::is_loopback() const {
  if (family() == AF_INET6) {
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr);
  }
  return ntohl(reinterpret_cast<const sockaddr_in&>(storage).sin_addr.s_addr) >> 24 == 127;
}

SocketAddress parse_address(const std::string& text, AddressDefaults defaults) {
  auto [host, port] = split(text);
  if (host.empty()) host = defaults.host;
  if (host.empty()) throw std::invalid_argument("no host in " + text);
  if (port.empty() && defaults.port == 0) throw std::invalid_argument("no port in " + text);
  const auto number = port.empty() ? defaults.port : parse_port(port, text);
  return look_up(host).with_port(number);
}

SocketAddress address_of(std::uint32_t host_order, std::uint16_t port) {
  SocketAddress address;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v4.sin_addr.s_addr = htonl(host_order);
  address.size = sizeof v4;
  return address;
}

std::string to_string(const SocketAddress& address) {
  char host[INET6_ADDRSTRLEN] = {};
  ::getnameinfo(address.get(), address.size, host, sizeof host, nullptr, 0, NI_NUMERICHOST);
  const char* form = address.family() == AF_INET6 ? "[{}]:{}" : "{}:{}";
  return fmt::format(fmt::runtime(form), host, address.port());
}

SocketAddress local_address(int fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  require(::getsockname(fd, address.get(), &address.size), "getsockname");
  return address;
}

SocketAddress peer_address(int fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  require(::getpeername(fd, address.get(), &address.size), "getpeername");
  return address;
}

}  // namespace tandem::bench
