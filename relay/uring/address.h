// Between the project's endpoints and the kernel's sockaddr, for both families.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "common/endpoint.h"

namespace tandem::uring {

inline void to_sockaddr(const Endpoint& endpoint, sockaddr_in& name) {
  name.sin_family = AF_INET;
  name.sin_port = htons(endpoint.port);
  std::memcpy(&name.sin_addr, &endpoint.address.bytes[12], 4);
  std::memset(name.sin_zero, 0, sizeof name.sin_zero);
}

inline void to_sockaddr(const Endpoint& endpoint, sockaddr_in6& name) {
  name.sin6_family = AF_INET6;
  name.sin6_port = htons(endpoint.port);
  name.sin6_flowinfo = 0;
  std::memcpy(&name.sin6_addr, endpoint.address.bytes.data(), 16);
  name.sin6_scope_id = 0;
}

// Room for either; the family is the endpoint's.
struct SocketName {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  socklen_t length = sizeof v6;

  SocketName() : v6{} {}
  explicit SocketName(const Endpoint& endpoint) : v6{} {
    if (endpoint.address.is_v4()) {
      to_sockaddr(endpoint, v4);
      length = sizeof v4;
    } else {
      to_sockaddr(endpoint, v6);
    }
  }
};

inline IpAddress address_of(const in_addr& address) {
  return IpAddress::from_v4(ntohl(address.s_addr));
}
inline IpAddress address_of(const in6_addr& address) {
  IpAddress result;
  std::memcpy(result.bytes.data(), &address, 16);
  return result;
}

inline Endpoint to_endpoint(const sockaddr_in& name) {
  return {address_of(name.sin_addr), ntohs(name.sin_port)};
}
inline Endpoint to_endpoint(const sockaddr_in6& name) {
  return {address_of(name.sin6_addr), ntohs(name.sin6_port)};
}
inline Endpoint to_endpoint(const SocketName& name) {
  return name.any.sa_family == AF_INET ? to_endpoint(name.v4) : to_endpoint(name.v6);
}

// 0.0.0.0 or ::
inline bool is_wildcard(const IpAddress& address) {
  return address == IpAddress{} || address == IpAddress::from_v4(0);
}

}  // namespace tandem::uring
