// Owns the UDP loads: scattered (many pairs, one datagram each in turn), trains (back to back on
// one pair after the other), and messages (timed). Open loop at a fixed rate, or closed loop: then
// a window of datagrams is under way, so the route runs at its own limit and queues are never what
// loses them. All spin; their CPU says little.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "bench/load/datagram_check.h"
#include "bench/load/load.h"
#include "bench/load/route.h"
#include "bench/load/tcp_load.h"

namespace tandem::bench {

struct UdpOptions {
  Direction direction = Direction::forward;
  DatagramShape shape{.sizes = {200}};
  double per_second = 0;     // datagrams, all flows of the load together; 0: closed loop
  std::size_t window = 512;  // closed loop: datagrams under way at most
  std::size_t batch = 64;    // scattered: datagrams in one system call
  std::size_t train = 32;    // trains: datagrams in one send, at most 64 (UDP_MAX_SEGMENTS)
  Verify verify = Verify::sampled;
};

// A closed loop needs both ends here. `first_pair` is the number of
// the first of the pairs among all of the run.
[[nodiscard]] std::unique_ptr<Load> make_udp_scattered(std::vector<SocketPair> pairs,
                                                       std::size_t first_pair, Ends ends,
                                                       const UdpOptions& options);
// All datagrams have one size; forward only.
[[nodiscard]] std::unique_ptr<Load> make_udp_trains(std::vector<SocketPair> pairs,
                                                    std::size_t first_pair, Ends ends,
                                                    const UdpOptions& options);

// Timed datagrams, open loop; forward only. Where B is on another host that echoes (echo_load.h), A
// receives what it sent.
[[nodiscard]] std::unique_ptr<Load> make_udp_messages(std::vector<SocketPair> pairs,
                                                      const MessageOptions& options,
                                                      std::size_t first_pair = 0);

}  // namespace tandem::bench
