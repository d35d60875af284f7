#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "bench/load/datagram_check.h"
#include "bench/load/route.h"

namespace tandem::bench {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::uint32_t kClientHost = 0x7f000001;
constexpr int kReceiveBuffer = 1 << 20;
constexpr auto kRetryAfter = 250ms;
constexpr auto kTimeout = std::chrono::milliseconds(kSetupTimeoutMs);
// So many are bound at once: no socket buffer of the relay's overflows.
constexpr std::size_t kChunk = 64;

SocketAddress any_of(int family) {
  SocketAddress any;
  any.storage.ss_family = static_cast<sa_family_t>(family);
  any.size = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  return any;
}

Socket udp_client(const SocketAddress& to) {
  Socket socket = udp_bind(any_of(to.family()));
  udp_connect(socket.fd(), to);
  return socket;
}

// ---- the direct route and proxies: a hello each way ----

// The first datagrams of a pair: its number goes to B, which connects to whoever sent it and sends
// it back. So nothing is sent in earnest to anyone who does not take part.

std::optional<std::size_t> pair_of(std::string_view text) {
  if (!text.starts_with(kHello)) return std::nullopt;
  const auto digits = text.substr(kHello.size());
  std::size_t pair = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pair);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return pair;
}

class Hellos {
 public:
  Hellos(std::vector<SocketPair>& pairs, Ends ends, Door& door, const SocketAddress& target)
      : pairs_(pairs), ends_(ends), target_(target) {
    shared_ = door.sockets.size() == 1 && pairs.size() > 1;
    if (shared_) {
      door_ = std::move(door.sockets.front());
    } else {
      for (std::size_t i = 0; i < door.sockets.size(); ++i) {
        pairs_[i].b = std::move(door.sockets[i]);
      }
    }
    answered_.resize(pairs.size());
    connected_.resize(pairs.size());
  }

  void run(int until);

 private:
  bool done(int until) const;
  void send_missing();
  void wait(int until);
  void answer(int fd);
  void take_answer(std::size_t pair);

  std::vector<SocketPair>& pairs_;
  Ends ends_;
  SocketAddress target_;  // of A's datagrams
  bool shared_ = false;
  Socket door_;
  std::vector<bool> answered_;   // A has B's hello
  std::vector<bool> connected_;  // B knows A's address
};

bool is_readable(int fd) {
  pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
  return poll_some(std::span(&waiting, 1), 0) > 0;
}

// A is done when it was answered; B, alone, when it is told so.
bool Hellos::done(int until) const {
  const auto all = [](const std::vector<bool>& flags) {
    return std::ranges::all_of(flags, std::identity());
  };
  if (ends_ == Ends::b) return all(connected_) && is_readable(until);
  return all(answered_);
}

void Hellos::run(int until) {
  const auto deadline = Clock::now() + kTimeout;
  auto send_at = Clock::now();
  while (!done(until)) {
    const auto now = Clock::now();
    if (now >= deadline)
      throw std::runtime_error(
          (ends_ == Ends::b ? "no datagram of A's came"
                            : "no datagram comes through " + to_string(target_) + " and back") +
          " in " + std::to_string(kSetupTimeoutMs / 1000) + " s");
    if (ends_ != Ends::b && now >= send_at) {
      send_missing();
      send_at = now + kRetryAfter;
    }
    wait(until);
  }
}

void Hellos::send_missing() {
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    if (answered_[i]) continue;
    const auto text = std::string(kHello) + std::to_string(i);
    // An ICMP refusal of an earlier one is reported here; the next try tells.
    if (::send(pairs_[i].a.fd(), text.data(), text.size(), 0) < 0 && errno != ECONNREFUSED) {
      throw_errno("sending a datagram");
    }
    if (ends_ == Ends::both) answer(shared_ ? door_.fd() : pairs_[i].b.fd());
  }
}

void Hellos::wait(int until) {
  std::vector<pollfd> waiting;
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    if (ends_ != Ends::b && !answered_[i]) waiting.push_back({pairs_[i].a.fd(), POLLIN, 0});
    // B answers until A is done: its answer may have been lost.
    if (pairs_[i].b.open()) waiting.push_back({pairs_[i].b.fd(), POLLIN, 0});
  }
  if (door_.open()) waiting.push_back({door_.fd(), POLLIN, 0});
  if (until >= 0) waiting.push_back({until, POLLIN, 0});
  poll_some(waiting, static_cast<int>(kRetryAfter / 1ms));
  if (door_.open()) answer(door_.fd());
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    if (pairs_[i].b.open()) answer(pairs_[i].b.fd());
    if (ends_ != Ends::b && !answered_[i]) take_answer(i);
  }
}

// At B: whoever says hello is the pair's other side.
void Hellos::answer(int fd) {
  std::array<char, 2048> text;
  SocketAddress from;
  for (;;) {
    from.size = sizeof from.storage;
    const auto got = ::recvfrom(fd, text.data(), text.size(), MSG_DONTWAIT, from.get(), &from.size);
    if (got < 0 && (errno == EAGAIN || errno == ECONNREFUSED)) return;
    if (got < 0) throw_errno("receiving a datagram");
    const auto pair = pair_of({text.data(), static_cast<std::size_t>(got)});
    if (!pair || *pair >= pairs_.size()) continue;
    Socket& b = pairs_[*pair].b;
    if (!b.open()) {
      // Beside the shared one, which goes on taking whoever has no socket yet.
      b = udp_bind(local_address(fd), Sharing::address);
    }
    if (!connected_[*pair]) udp_connect(b.fd(), from);
    connected_[*pair] = true;
    (void)::send(b.fd(), text.data(), static_cast<std::size_t>(got), 0);  // A asks again
  }
}

void Hellos::take_answer(std::size_t pair) {
  std::array<char, 2048> text;
  const auto got = ::recv(pairs_[pair].a.fd(), text.data(), text.size(), MSG_DONTWAIT);
  if (got < 0) return;  // nothing yet, or refused: the deadline tells
  if (pair_of({text.data(), static_cast<std::size_t>(got)}) == pair) answered_[pair] = true;
}

// ---- the relay ----

struct BindingEnd {
  int fd;
  Binding binding;
  Clock::time_point retry_at{};
};

void take_answers(BindingEnd& end, const std::string& relay) {
  std::array<std::uint8_t, 2048> datagram;
  for (;;) {
    const auto got = ::recv(end.fd, datagram.data(), datagram.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) throw_errno("is " + relay + " a relay? BIND");
    const auto before = end.binding.state();
    const auto state =
        end.binding.on_answer(std::span(datagram).first(static_cast<std::size_t>(got)));
    if (state == Binding::State::refused) {
      throw std::runtime_error("the relay " + relay +
                               " refused a BIND: " + std::string(end.binding.refusal()));
    }
    if (state == Binding::State::challenged && state != before) end.retry_at = {};
  }
}

// Repeats each BIND, since a datagram may be lost, until the relay has paired all.
void bind_all(std::vector<BindingEnd>& ends, const std::string& relay) {
  const auto is_paired = [](const BindingEnd& end) {
    return end.binding.state() == Binding::State::paired;
  };
  const auto deadline = Clock::now() + kTimeout;
  std::vector<pollfd> waiting;
  for (const auto& end : ends) waiting.push_back({end.fd, POLLIN, 0});
  while (!std::ranges::all_of(ends, is_paired)) {
    const auto now = Clock::now();
    if (now >= deadline) {
      throw std::runtime_error("is " + relay + " a relay? BIND has not paired all in " +
                               std::to_string(kSetupTimeoutMs / 1000) + " s");
    }
    for (auto& end : ends) {
      if (is_paired(end) || now < end.retry_at) continue;
      const auto request = end.binding.request();
      if (::send(end.fd, request.data(), request.size(), 0) < 0) {
        throw_errno("is " + relay + " a relay? BIND");
      }
      end.retry_at = now + kRetryAfter;
    }
    poll_some(waiting, static_cast<int>(kRetryAfter / 1ms));
    for (auto& end : ends) take_answers(end, relay);
  }
}

void bind_chunk(const RouteOptions& route, std::span<const TokenPair> tokens, Ends ends,
                std::span<SocketPair> pairs) {
  std::vector<BindingEnd> binding;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto add = [&](Socket& socket, const TokenBytes& token) {
      socket = udp_client(route.target);
      binding.push_back({socket.fd(), Binding(token, random_session_base())});
    };
    if (ends != Ends::b) add(pairs[i].a, tokens[i].a);
    if (ends != Ends::a) add(pairs[i].b, tokens[i].b);
  }
  bind_all(binding, to_string(route.target));
  const std::size_t ends_here = ends == Ends::both ? 2 : 1;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i].header = binding[i * ends_here].binding.data_header();
  }
}

// A free port of the client's address that is free on the sink's too.
SocketPair sockets_of_one_port(const SocketAddress& sink) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    Socket a = udp_bind(address_of(kClientHost, 0));
    try {
      Socket b = udp_bind(sink.with_port(local_address(a.fd()).port()));
      return {.a = std::move(a), .b = std::move(b), .header = {}};
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::address_in_use) throw;
    }
  }
  throw std::runtime_error("no free UDP port on both addresses");
}

void open_a(const RouteOptions& route, std::vector<SocketPair>& pairs) {
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (route.sink_mirrors_port) {
      pairs[i] = sockets_of_one_port(route.sink);
      udp_connect(pairs[i].a.fd(), route.target);
    } else {
      const bool direct = route.kind == RouteKind::direct;
      pairs[i].a =
          udp_client(direct ? route.target.with_port(route.udp_ports.at(i)) : route.target);
    }
  }
}

}  // namespace

Door open_udp_door(const RouteOptions& route, const SocketAddress& address, std::size_t count) {
  Door door;
  if (route.kind == RouteKind::proxy) {
    if (!route.sink_mirrors_port) door.sockets.push_back(udp_bind(route.sink, Sharing::address));
    return door;
  }
  for (std::size_t i = 0; i < count; ++i) {
    door.sockets.push_back(udp_bind(address.with_port(0)));
  }
  return door;
}

std::vector<SocketPair> join_udp_pairs(const RouteOptions& route, std::size_t count, Ends ends,
                                       Door door, int until) {
  std::vector<SocketPair> pairs(count);
  switch (route.kind) {
    case RouteKind::direct:
    case RouteKind::proxy:
      if (ends != Ends::b) open_a(route, pairs);
      Hellos(pairs, ends, door, route.target).run(until);
      break;
    case RouteKind::relay:
      for (std::size_t first = 0; first < count; first += kChunk) {
        const auto size = std::min(kChunk, count - first);
        bind_chunk(route, std::span(route.tokens).subspan(first, size), ends,
                   std::span(pairs).subspan(first, size));
      }
      break;
    case RouteKind::greeted:
      throw std::runtime_error("a relay that pairs by a greeting has no UDP");
  }
  for (const auto& pair : pairs) {
    if (pair.a.open()) set_buffers(pair.a.fd(), 0, kReceiveBuffer);
    if (pair.b.open()) set_buffers(pair.b.fd(), 0, kReceiveBuffer);
  }
  return pairs;
}

}  // namespace tandem::bench
