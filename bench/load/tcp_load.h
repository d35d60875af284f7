// Owns the two TCP loads: bulk (as much as the route takes, or a fixed rate) and messages (small
// ones at a fixed rate, timed). Sockets come joined from route.h.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "bench/load/load.h"
#include "bench/load/pattern.h"
#include "bench/load/route.h"

namespace tandem::bench {

enum class Direction { forward, reverse, both };

struct BulkOptions {
  Direction direction = Direction::forward;
  std::size_t chunk = 64 * 1024;     // bytes in one send or receive; see bench/README.md
  double bytes_per_second_each = 0;  // of each pair and direction; 0: as much as the route takes
  int socket_buffer = 0;             // bytes; 0: the kernel's tuning
  Verify verify = Verify::sampled;
};

// `first_pair` is the number of the first of the pairs among all of the run.
[[nodiscard]] std::unique_ptr<Load> make_tcp_bulk(std::vector<SocketPair> pairs,
                                                  std::size_t first_pair,
                                                  const BulkOptions& options);

inline constexpr std::size_t kMessageSizeMin = 16;

struct MessageOptions {
  std::size_t size = 128;  // bytes, kMessageSizeMin to 64 KiB
  double per_second = 0;   // all pairs of the load together
};

// Open loop: a message that the socket does not take waits, and its latency counts from when it was
// due. Where B is on another host that echoes (echo_load.h), A receives what it sent.
[[nodiscard]] std::unique_ptr<Load> make_tcp_messages(std::vector<SocketPair> pairs,
                                                      const MessageOptions& options,
                                                      std::size_t first_pair = 0);

}  // namespace tandem::bench
