// Owns how the two ends of a measured pair come to be joined: straight, through a plain proxy that
// forwards to a sink of ours, through a Tandem relay, or through another relay that pairs by a
// greeting. Both ends may be in this process, or one of them on another host. Knows nothing of the
// load.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/relay_client.h"
#include "bench/load/socket.h"

namespace tandem::bench {

enum class RouteKind { direct, proxy, relay, greeted };
[[nodiscard]] std::string_view name_of(RouteKind kind);

// What the ends of one pair say to a relay of another protocol, and what they get for it.
struct Greeting {
  std::string a;
  std::string b;
  std::string expected_by_a;
  std::string expected_by_b;
};
// One JSON object a line: {"a", "b", "expect_a", "expect_b"}, each hex. Throws
// std::invalid_argument with the line's number.
[[nodiscard]] std::vector<Greeting> parse_greetings(std::string_view text);

struct TokenPair {
  TokenBytes a;
  TokenBytes b;
};

struct RouteOptions {
  RouteKind kind = RouteKind::direct;
  // The proxy's or the relay's; where the ends are on two hosts, on the direct route the other's.
  SocketAddress target{};
  SocketAddress sink{};  // where the proxy forwards to
  // The proxy forwards each UDP client to its own port number on the sink's address, so that a pair
  // has two sockets of its own.
  bool sink_mirrors_port = false;
  std::vector<TokenPair> tokens = {};         // relay: one a pair
  std::vector<Greeting> greetings = {};       // greeted: one a pair
  std::vector<std::uint16_t> udp_ports = {};  // direct: B's, one a pair
};

// Which ends of the pairs are in this process.
enum class Ends { both, a, b };

// Where B's ends come in on the direct route and through a proxy. It is made first, so that its
// ports can be told to the host that has A.
struct Door {
  Socket listener;              // TCP
  std::vector<Socket> sockets;  // UDP: one a pair, or one alone that all of them come to
};
[[nodiscard]] Door open_tcp_door(const RouteOptions& route, const SocketAddress& address);
[[nodiscard]] Door open_udp_door(const RouteOptions& route, const SocketAddress& address,
                                 std::size_t count);

struct SocketPair {
  Socket a;  // not open where it is on the other host
  Socket b;
  DataHeaderBytes header{};  // what the pair's datagrams begin with, on the relay's route
};

// `count` pairs, joined and ready for their first byte; UDP sockets are connected. Throws where the
// route does not join them in kSetupTimeoutMs. Where the ends are on two hosts, both have to join
// at the same time. `door` is for the routes that have one, where B is here.
[[nodiscard]] std::vector<SocketPair> join_tcp_pairs(const RouteOptions& route, std::size_t count,
                                                     Ends ends, Door door);
// `until`: a descriptor whose being readable tells a lone B that A has joined; else negative.
[[nodiscard]] std::vector<SocketPair> join_udp_pairs(const RouteOptions& route, std::size_t count,
                                                     Ends ends, Door door, int until = -1);

}  // namespace tandem::bench
