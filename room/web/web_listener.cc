#include "room/web/web_listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "common/log.h"
#include "room/web/web_server_impl.h"

namespace tandem {
namespace {

constexpr int kAcceptBatch = 64;  // of one turn: those who are in are served between
constexpr Nanos kPause = 100 * kNanosPerMillisecond;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  sockaddr* pointer() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress socket_address(const Endpoint& endpoint) {
  SocketAddress result;
  if (endpoint.address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    v4.sin_addr.s_addr = htonl(endpoint.address.v4_value());
    std::memcpy(&result.storage, &v4, result.size = sizeof v4);
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    std::ranges::copy(endpoint.address.bytes, v6.sin6_addr.s6_addr);
    std::memcpy(&result.storage, &v6, result.size = sizeof v6);
  }
  return result;
}

Endpoint endpoint_of(const SocketAddress& address) {
  Endpoint endpoint;
  if (address.storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address.storage, sizeof v4);
    endpoint = {IpAddress::from_v4(ntohl(v4.sin_addr.s_addr)), ntohs(v4.sin_port)};
  } else if (address.storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address.storage, sizeof v6);
    std::ranges::copy(v6.sin6_addr.s6_addr, endpoint.address.bytes.begin());
    endpoint.port = ntohs(v6.sin6_port);
  }
  return endpoint;
}

std::string reason(int error) {
  return std::system_category().message(error);
}

// Of accept4(2): what is wrong is the system's want, so that trying again at once would spin. All
// else is one connection's, which is gone.
bool is_want(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

WebListener::~WebListener() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void, std::string> WebListener::open(const Endpoint& endpoint) {
  SocketAddress address = socket_address(endpoint);
  descriptor_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0) return unexpected(reason(errno));
  const int on = 1;
  ::setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(descriptor_, address.pointer(), address.size) != 0 ||
      ::listen(descriptor_, SOMAXCONN) != 0 ||
      !server_.readiness().add_listener(descriptor_, *this))
    return unexpected(reason(errno));
  return {};
}

std::uint16_t WebListener::port() const {
  SocketAddress address;
  if (::getsockname(descriptor_, address.pointer(), &address.size) != 0) return 0;
  return endpoint_of(address).port;
}

void WebListener::on_ready(Readiness) {
  for (int i = 0; i < kAcceptBatch; ++i) {
    SocketAddress peer;
    const int descriptor =
        ::accept4(descriptor_, peer.pointer(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) {
      const int error = errno;
      if (error == EAGAIN) return;
      ++server_.counters().accept_errors;
      if (is_want(error)) return pause(error);
      continue;
    }
    const int on = 1;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    server_.admit(descriptor, endpoint_of(peer).address);
  }
}

void WebListener::pause(int error) {
  log(LogLevel::warn, server_.options().name, "cannot accept a connection",
      {{"reason", reason(error)}});
  server_.readiness().mute(descriptor_, *this, true);
  paused_until_ = monotonic_now() + kPause;
  server_.call_deadline(paused_until_);
}

void WebListener::on_deadline(Nanos now) {
  if (paused_until_ == 0) return;
  if (paused_until_ > now) return server_.call_deadline(paused_until_);
  paused_until_ = 0;
  server_.readiness().mute(descriptor_, *this, false);
}

}  // namespace tandem
