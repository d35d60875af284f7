// Owns the echo: the B ends of a latency run on two hosts, which send back whatever comes. So the
// other host measures round trips by its own clock.
#pragma once

#include <memory>
#include <vector>

#include "bench/load/load.h"
#include "bench/load/route.h"

namespace tandem::bench {

[[nodiscard]] std::unique_ptr<Load> make_tcp_echo(std::vector<SocketPair> pairs);
// Datagrams go back as they are: both sides of a relay's session have the same channel.
[[nodiscard]] std::unique_ptr<Load> make_udp_echo(std::vector<SocketPair> pairs);

}  // namespace tandem::bench
