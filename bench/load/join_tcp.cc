#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "bench/load/route.h"

namespace tandem::bench {
namespace {

// So many are joined at once: a path's round trips are paid by the chunk and not by the pair, and
// no backlog overflows.
constexpr std::size_t kChunk = 64;
constexpr int kBacklog = 1024;

// What a dialling end says first on the direct route and through a proxy, so that its counterpart
// knows the pair whatever the order in which they come in.
constexpr std::string_view kHello = "tandem-bench ";
constexpr std::size_t kHelloSize = 24;

std::string hello(std::size_t pair) {
  std::string text = std::string(kHello) + std::to_string(pair);
  text.resize(kHelloSize - 1, ' ');
  return text + '\n';
}

std::size_t pair_of(std::string_view text) {
  std::size_t pair = 0;
  const auto digits = text.substr(kHello.size());
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pair);
  if (!text.starts_with(kHello) || error != std::errc{}) {
    throw std::runtime_error("a stranger connected to the sink");
  }
  return pair;
}

// The pairs [first, first + count) of all.
struct Chunk {
  std::span<SocketPair> pairs;
  std::size_t first;
};

void dial_a(const RouteOptions& route, Chunk chunk) {
  for (std::size_t i = 0; i < chunk.pairs.size(); ++i) {
    chunk.pairs[i].a = tcp_connect(route.target);
    send_all(chunk.pairs[i].a.fd(), hello(chunk.first + i));
  }
}

// The next `count` to come, whichever pairs they are of.
void accept_b(const Door& door, std::span<SocketPair> all, std::size_t count) {
  for (std::size_t accepted = 0; accepted < count; ++accepted) {
    Socket socket = tcp_accept(door.listener.fd());
    const auto pair = pair_of(receive_exactly(socket.fd(), kHelloSize, "the dialling end"));
    if (pair >= all.size() || all[pair].b.open()) {
      throw std::runtime_error("a stranger connected to the sink");
    }
    all[pair].b = std::move(socket);
  }
}

// Calls `act` with each end that is here: its socket and whether it is A's.
template <typename Act>
void for_each_end(Ends ends, std::span<SocketPair> pairs, Act act) {
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (ends != Ends::b) act(i, pairs[i].a, Slot::a);
    if (ends != Ends::a) act(i, pairs[i].b, Slot::b);
  }
}

void join_through_relay(const RouteOptions& route, Ends ends, Chunk chunk) {
  for_each_end(ends, chunk.pairs, [&](std::size_t i, Socket& socket, Slot slot) {
    const TokenPair& tokens = route.tokens.at(chunk.first + i);
    socket = tcp_connect(route.target);
    send_all(socket.fd(), join_line(slot == Slot::a ? tokens.a : tokens.b));
  });
  const auto relay = to_string(route.target);
  for_each_end(ends, chunk.pairs, [&](std::size_t, const Socket& socket, Slot) {
    while (read_join_answer(socket.fd(), relay) != JoinAnswer::paired) {
    }
  });
}

void join_by_greeting(const RouteOptions& route, Ends ends, Chunk chunk) {
  for_each_end(ends, chunk.pairs, [&](std::size_t i, Socket& socket, Slot slot) {
    const Greeting& greeting = route.greetings.at(chunk.first + i);
    socket = tcp_connect(route.target);
    send_all(socket.fd(), slot == Slot::a ? greeting.a : greeting.b);
  });
  const auto relay = "the relay " + to_string(route.target);
  for_each_end(ends, chunk.pairs, [&](std::size_t i, const Socket& socket, Slot slot) {
    const Greeting& greeting = route.greetings.at(chunk.first + i);
    const auto& expected = slot == Slot::a ? greeting.expected_by_a : greeting.expected_by_b;
    if (receive_exactly(socket.fd(), expected.size(), relay) != expected) {
      throw std::runtime_error("the relay's answer to the greeting of pair " +
                               std::to_string(chunk.first + i) + " is not the expected one");
    }
  });
}

}  // namespace

Door open_tcp_door(const RouteOptions& route, const SocketAddress& address) {
  const bool proxied = route.kind == RouteKind::proxy;
  return {.listener = tcp_listen(proxied ? route.sink : address, kBacklog), .sockets = {}};
}

std::vector<SocketPair> join_tcp_pairs(const RouteOptions& route, std::size_t count, Ends ends,
                                       Door door) {
  std::vector<SocketPair> pairs(count);
  for (std::size_t first = 0; first < count; first += kChunk) {
    const Chunk chunk{std::span(pairs).subspan(first, std::min(kChunk, count - first)), first};
    switch (route.kind) {
      case RouteKind::direct:
      case RouteKind::proxy:
        // A proxy's backlog is not ours: the connections are not dialled faster than they come in.
        if (ends != Ends::b) dial_a(route, chunk);
        if (ends != Ends::a) accept_b(door, pairs, chunk.pairs.size());
        break;
      case RouteKind::relay:
        join_through_relay(route, ends, chunk);
        break;
      case RouteKind::greeted:
        join_by_greeting(route, ends, chunk);
        break;
    }
  }
  return pairs;
}

}  // namespace tandem::bench
