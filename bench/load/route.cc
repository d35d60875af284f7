#include "bench/load/route.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <optional>
#include <stdexcept>
#include <system_error>

namespace tandem::bench {
namespace {

constexpr std::uint32_t kClientHost = 0x7f000001;
constexpr std::uint32_t kSinkHost = 0x7f000002;
constexpr int kBacklog = 64;

void send_line(int fd, const std::string& line) {
  if (::send(fd, line.data(), line.size(), MSG_NOSIGNAL) != std::ssize(line)) throw_errno("JOIN");
}

SocketPair join_through_relay(const RouteOptions& route, const TokenMint& mint,
                              std::uint64_t session_id) {
  SocketPair pair{tcp_connect(route.target), tcp_connect(route.target)};
  send_line(pair.a.fd(), join_line(mint.mint_for(session_id, Slot::a)));
  send_line(pair.b.fd(), join_line(mint.mint_for(session_id, Slot::b)));
  for (const int fd : {pair.a.fd(), pair.b.fd()}) {
    while (read_join_answer(fd) != JoinAnswer::paired) {
    }
  }
  return pair;
}

// Repeats the BIND, since a datagram may be lost, until the relay has judged it.
void bind_until(int fd, Binding& binding, Binding::State wanted) {
  constexpr int kAttempts = 20;
  constexpr int kAnswerTimeoutMs = 250;
  std::array<std::uint8_t, 2048> answer;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const auto request = binding.request();
    if (::send(fd, request.data(), request.size(), 0) < 0) throw_errno("BIND");
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    while (require(::poll(&waiting, 1, kAnswerTimeoutMs), "poll") > 0) {
      const auto got = ::recv(fd, answer.data(), answer.size(), 0);
      if (got < 0) throw_errno("waiting for BOUND");
      const auto before = binding.state();
      const auto state = binding.on_answer(std::span(answer).first(static_cast<std::size_t>(got)));
      if (state == wanted) return;
      if (state == Binding::State::refused) throw std::runtime_error("the relay refused a BIND");
      if (state != before && state == Binding::State::challenged) break;
    }
  }
  throw std::runtime_error("the relay did not answer BIND");
}

void bind_pair(const RouteOptions& route, const TokenMint& mint, std::uint64_t session_id,
               DatagramPair& pair) {
  Binding a(mint.mint_for(session_id, Slot::a), session_id);
  Binding b(mint.mint_for(session_id, Slot::b), ~session_id);
  udp_connect(pair.a.fd(), route.target);
  udp_connect(pair.b.fd(), route.target);
  bind_until(pair.a.fd(), a, Binding::State::waiting);
  bind_until(pair.b.fd(), b, Binding::State::paired);
  bind_until(pair.a.fd(), a, Binding::State::paired);
  pair.header = a.data_header();
}

// A free port of the client's address that is free on the sink's too.
DatagramPair sockets_of_one_port() {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    Socket a = udp_bind(address_of(kClientHost, 0));
    SocketAddress same = address_of(kSinkHost, ntohs(local_address(a.fd()).sin_port));
    try {
      return {.a = std::move(a), .b = udp_bind(same), .header = {}};
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::address_in_use) throw;
    }
  }
  throw std::runtime_error("no free UDP port on both addresses");
}

}  // namespace

std::string_view name_of(RouteKind kind) {
  switch (kind) {
    case RouteKind::direct:
      return "direct";
    case RouteKind::proxy:
      return "proxy";
    case RouteKind::relay:
      return "relay";
  }
  return "";
}

std::vector<SocketPair> join_tcp_pairs(const RouteOptions& route, std::size_t count) {
  std::vector<SocketPair> pairs;
  if (route.kind == RouteKind::relay) {
    const TokenMint mint(route.key_file);
    const auto base = random_session_base();
    for (std::size_t i = 0; i < count; ++i) {
      pairs.push_back(join_through_relay(route, mint, session_id_of(base, i)));
    }
    return pairs;
  }
  const bool direct = route.kind == RouteKind::direct;
  const Socket listener = tcp_listen(direct ? address_of(kClientHost, 0) : route.sink, kBacklog);
  const auto target = direct ? local_address(listener.fd()) : route.target;
  for (std::size_t i = 0; i < count; ++i) {
    Socket client = tcp_connect(target);
    pairs.push_back({std::move(client), tcp_accept(listener.fd())});
  }
  return pairs;
}

std::vector<DatagramPair> join_udp_pairs(const RouteOptions& route, std::size_t count,
                                         int receive_buffer) {
  std::optional<TokenMint> mint;
  if (route.kind == RouteKind::relay) mint.emplace(route.key_file);
  const auto base = random_session_base();
  std::vector<DatagramPair> pairs;
  for (std::size_t i = 0; i < count; ++i) {
    auto pair = sockets_of_one_port();
    set_buffers(pair.b.fd(), 0, receive_buffer);
    switch (route.kind) {
      case RouteKind::direct:
        udp_connect(pair.a.fd(), local_address(pair.b.fd()));
        break;
      case RouteKind::proxy:
        udp_connect(pair.a.fd(), route.target);
        break;
      case RouteKind::relay:
        bind_pair(route, *mint, session_id_of(base, i), pair);
        break;
    }
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

}  // namespace tandem::bench
