// Owns how the two ends of a measured pair come to be joined: straight, through a plain proxy that
// forwards to a sink of ours, or through a relay that both ends dial. Knows nothing of the load.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/relay_client.h"
#include "bench/load/socket.h"

namespace tandem::bench {

enum class RouteKind { direct, proxy, relay };

struct RouteOptions {
  RouteKind kind = RouteKind::direct;
  SocketAddress target{};  // the proxy's or the relay's
  SocketAddress sink{};    // where the proxy forwards to
  std::string key_file;    // the relay's
};

[[nodiscard]] std::string_view name_of(RouteKind kind);

struct SocketPair {
  Socket a;  // the client: what it sends, b receives
  Socket b;
};

// `count` TCP pairs, joined and ready for their first byte, one after the other so that the n-th
// connection accepted is the n-th dialled. Throws where the route does not join them.
[[nodiscard]] std::vector<SocketPair> join_tcp_pairs(const RouteOptions& route, std::size_t count);

struct DatagramPair {
  Socket a;  // connected
  Socket b;
  DataHeaderBytes header{};  // what a's datagrams begin with, on the relay's route
};

// `count` UDP pairs; each end has a socket of its own. Through a proxy, client and sink have the
// same port on different addresses, so a proxy that forwards to <sink address>:<client port>
// reaches each client's own sink.
[[nodiscard]] std::vector<DatagramPair> join_udp_pairs(const RouteOptions& route, std::size_t count,
                                                       int receive_buffer);

}  // namespace tandem::bench
