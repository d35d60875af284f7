#include "relay/uring/path_mtu.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "relay/uring/address.h"
#include "relay/uring/listen.h"

namespace tandem::uring {
namespace {

constexpr Nanos kKept = kNanosPerMinute;
constexpr uint16_t kAnyPort = 9;  // nothing is sent there

uint32_t ask(const IpAddress& to, const IpAddress& from) {
  const bool v4 = to.is_v4();
  const uint32_t fallback = v4 ? 1500 : 1280;
  const Descriptor socket(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const SocketName local(Endpoint{from, 0});
  const SocketName remote(Endpoint{to, kAnyPort});
  int mtu = 0;
  socklen_t bytes = sizeof mtu;
  const bool asked =
      socket.open() && ::bind(socket.get(), &local.any, local.length) == 0 &&
      ::connect(socket.get(), &remote.any, remote.length) == 0 &&
      ::getsockopt(socket.get(), v4 ? SOL_IP : SOL_IPV6, v4 ? IP_MTU : IPV6_MTU, &mtu, &bytes) == 0;
  return asked && mtu > 0 ? static_cast<uint32_t>(mtu) : fallback;
}

}  // namespace

uint32_t PathMtu::find(const IpAddress& to, const IpAddress& from, Nanos now) {
  uint32_t hash = 0;
  for (const uint8_t byte : to.bytes) hash = hash * 31 + byte;
  Entry& entry = entries_[hash % entries_.size()];
  if (entry.mtu == 0 || entry.expires <= now || entry.to != to || entry.from != from)
    entry = {to, from, ask(to, from), now + kKept};
  return entry.mtu;
}

}  // namespace tandem::uring
