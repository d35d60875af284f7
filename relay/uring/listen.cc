#include "relay/uring/listen.h"

#include <fmt/format.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "relay/uring/address.h"

namespace tandem::uring {
namespace {

enum class Transport : uint8_t { udp, tcp };

constexpr int kBindTries = 50;
constexpr int kBindPauseMs = 10;
constexpr int kPortTries = 10;

// What does not matter enough to fail for is left unchecked by its caller.
bool set(int fd, int level, int name, int value) {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

// The filter sees the datagram from its payload on. A jump counts instructions to pass over.
bool steer_by_shard_key(int fd, uint32_t shards) {
  sock_filter code[] = {
      {BPF_LD | BPF_B | BPF_ABS, 0, 0, 0},       {BPF_JMP | BPF_JGE | BPF_K, 0, 4, 0x05},
      {BPF_JMP | BPF_JGT | BPF_K, 3, 0, 0x0c},   {BPF_LD | BPF_B | BPF_ABS, 0, 0, 1},
      {BPF_ALU | BPF_MOD | BPF_K, 0, 0, shards}, {BPF_RET | BPF_A, 0, 0, 0},
      {BPF_RET | BPF_K, 0, 0, 0xffff'ffff},  // no such socket: the kernel falls back to its hash
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(code)), code};
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0;
}

// SO_RCVBUFFORCE needs CAP_NET_ADMIN; the plain option is cut to net.core.rmem_max.
void set_buffer_bytes(int fd, uint32_t bytes) {
  const int value = static_cast<int>(bytes);
  if (!set(fd, SOL_SOCKET, SO_RCVBUFFORCE, value)) set(fd, SOL_SOCKET, SO_RCVBUF, value);
  if (!set(fd, SOL_SOCKET, SO_SNDBUFFORCE, value)) set(fd, SOL_SOCKET, SO_SNDBUF, value);
}

bool configure_datagrams(int fd, const ListenOptions& options, bool v6, bool wildcard) {
  set_buffer_bytes(fd, options.datagram_buffer_bytes);
  set(fd, SOL_UDP, UDP_GRO, 1);
  // DF on every datagram and the path's MTU ignored: the clients probe it themselves (RFC 8899).
  if (v6)
    set(fd, SOL_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
  else
    set(fd, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  if (!wildcard) return true;
  return v6 ? set(fd, SOL_IPV6, IPV6_RECVPKTINFO, 1) : set(fd, SOL_IP, IP_PKTINFO, 1);
}

void configure_connections(int fd, const ListenOptions& options) {
  set(fd, SOL_TCP, TCP_NODELAY, options.tcp_nodelay ? 1 : 0);
  if (options.fastopen) set(fd, SOL_TCP, TCP_FASTOPEN, static_cast<int>(options.backlog));
  if (options.keepalive_interval == 0) return;
  const auto seconds = [](Nanos time) { return static_cast<int>(time / kNanosPerSecond); };
  const int interval = std::max(1, seconds(options.keepalive_interval));
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fd, SOL_TCP, TCP_KEEPIDLE, interval);
  set(fd, SOL_TCP, TCP_KEEPINTVL, interval);
  set(fd, SOL_TCP, TCP_KEEPCNT, std::max(1, seconds(options.keepalive_timeout) / interval));
  // Not TCP_USER_TIMEOUT: it also ends a connection whose peer answers every probe of a closed
  // window.
}

std::string failure(const char* what, Transport transport, const Endpoint& at) {
  const char* name = transport == Transport::udp ? "UDP" : "TCP";
  if (errno == EADDRINUSE)
    return fmt::format("{} port {} is in use on {}: another process listens there", name, at.port,
                       to_string(at.address));
  return fmt::format("{} {} {}: {}", what, name, to_string(at), std::strerror(errno));
}

bool bind_with_patience(int fd, const SocketName& name) {
  for (int attempt = 1;; ++attempt) {
    if (::bind(fd, &name.any, name.length) == 0) return true;
    if (errno != EADDRINUSE || attempt == kBindTries) return false;
    ::poll(nullptr, 0, kBindPauseMs);
  }
}

// SO_REUSEPORT would let a second daemon of the same user into the group, where it would draw
// datagrams and shift every index. So a socket without it asks first whether the port is free.
Result<Descriptor, std::string> claim_port(const Endpoint& at, Transport transport) {
  const int kind = transport == Transport::udp ? SOCK_DGRAM : SOCK_STREAM;
  const bool v6 = !at.address.is_v4();
  Descriptor result(::socket(v6 ? AF_INET6 : AF_INET, kind | SOCK_CLOEXEC, 0));
  if (!result.open()) return unexpected(failure("open", transport, at));
  if (v6) set(result.get(), SOL_IPV6, IPV6_V6ONLY, 1);
  set(result.get(), SOL_IP, IP_FREEBIND, 1);
  // Past connections in TIME_WAIT do not matter, a listener does.
  if (transport == Transport::tcp) set(result.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (!bind_with_patience(result.get(), SocketName(at)))
    return unexpected(failure("bind", transport, at));
  return result;
}

Result<Descriptor, std::string> open_socket(const ListenOptions& options, const Endpoint& at,
                                            Transport transport) {
  const bool v6 = !at.address.is_v4();
  const int kind = transport == Transport::udp ? SOCK_DGRAM : SOCK_STREAM;
  Descriptor result(::socket(v6 ? AF_INET6 : AF_INET, kind | SOCK_CLOEXEC, 0));
  if (!result.open()) return unexpected(failure("open", transport, at));
  const int fd = result.get();
  if (v6) set(fd, SOL_IPV6, IPV6_V6ONLY, 1);
  if (transport == Transport::tcp) set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (!set(fd, SOL_SOCKET, SO_REUSEPORT, 1))
    return unexpected(failure("SO_REUSEPORT on", transport, at));
  if (options.freebind) set(fd, SOL_IP, IP_FREEBIND, 1);
  if (transport == Transport::udp && !configure_datagrams(fd, options, v6, is_wildcard(at.address)))
    return unexpected(failure("PKTINFO on", transport, at));
  if (transport == Transport::tcp) configure_connections(fd, options);
  const SocketName name(at);
  if (::bind(fd, &name.any, name.length) != 0) return unexpected(failure("bind", transport, at));
  if (transport == Transport::tcp && ::listen(fd, static_cast<int>(options.backlog)) != 0)
    return unexpected(failure("listen on", transport, at));
  return result;
}

uint16_t bound_port(int fd) {
  SocketName name;
  ::getsockname(fd, &name.any, &name.length);
  return to_endpoint(name).port;
}

Result<std::vector<ShardSockets>, std::string> open_all(const ListenOptions& options,
                                                        uint32_t shards) {
  std::vector<ShardSockets> result(shards);
  uint16_t port = options.port;
  for (uint32_t shard = 0; shard < shards; ++shard) {
    for (const IpAddress& address : options.addresses) {
      ListenSocket socket{address, port, is_wildcard(address), {}, {}};
      for (const Transport transport : {Transport::udp, Transport::tcp}) {
        if (!(transport == Transport::udp ? options.udp : options.tcp)) continue;
        if (shard == 0 && port != 0) {
          auto claimed = claim_port({address, port}, transport);
          if (!claimed) return unexpected(std::move(claimed.error()));
        }
        auto opened = open_socket(options, {address, port}, transport);
        if (!opened) return unexpected(std::move(opened.error()));
        socket.port = port = bound_port(opened->get());
        if (transport == Transport::udp && shard == 0 && shards > 1 &&
            !steer_by_shard_key(opened->get(), shards))
          return unexpected(fmt::format("steering filter: {}", std::strerror(errno)));
        (transport == Transport::udp ? socket.udp : socket.tcp) = std::move(*opened);
      }
      result[shard].push_back(std::move(socket));
    }
  }
  return result;
}

}  // namespace

void Descriptor::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<std::vector<ShardSockets>, std::string> open_listeners(const ListenOptions& options,
                                                              uint32_t shards) {
  auto opened = open_all(options, shards);
  // The kernel's choice for the first socket may be taken for the next.
  for (int i = 0; options.port == 0 && !opened && i < kPortTries; ++i)
    opened = open_all(options, shards);
  return opened;
}

}  // namespace tandem::uring
