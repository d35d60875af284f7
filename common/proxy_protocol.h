// The header that a trusted load balancer puts before a connection's first byte: the PROXY
// protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt). Owns the format. Must not know who
// is trusted.
//
// Version 2's TLVs are skipped unread; a CRC32c among them is not verified, since TCP has a
// checksum and the balancer is trusted or the header is not read at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/endpoint.h"

namespace tandem {

inline constexpr size_t kProxyV1Max = 107;      // with CR LF
inline constexpr size_t kProxyHeaderMax = 512;  // version 2 with its TLVs

enum class ProxyProgress : uint8_t { need_more, complete, bad };

enum class ProxySource : uint8_t {
  proxied,  // `source` is the client
  local,    // the balancer itself: a health check
  unknown,  // a client of a family that it does not tell (UNKNOWN, AF_UNSPEC)
};

struct ProxyHeader {
  ProxyProgress progress = ProxyProgress::need_more;
  ProxySource kind = ProxySource::unknown;
  Endpoint source{};    // where proxied
  size_t consumed = 0;  // where complete: the header's bytes; what follows is the client's
};

// May be called again with a longer buffer as bytes arrive. Refused: what is no PROXY header, UNIX
// sockets, datagrams, and a header above kProxyV1Max or kProxyHeaderMax.
[[nodiscard]] ProxyHeader parse_proxy_header(std::span<const uint8_t> buffer);

}  // namespace tandem
