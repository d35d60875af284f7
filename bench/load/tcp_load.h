// Owns the two TCP loads: bulk (as much as the route takes) and messages (small ones at a fixed
// rate, timed). One thread; sockets come joined from route.h.
#pragma once

#include <cstddef>

#include "bench/load/cpu_account.h"
#include "bench/load/pattern.h"
#include "bench/load/report.h"
#include "bench/load/route.h"

namespace tandem::bench {

enum class Direction { one_way, both_ways };

struct TcpLoadOptions {
  RouteOptions route;
  std::size_t pairs = 8;
  Direction direction = Direction::one_way;
  double warm_up_s = 0.5;
  double seconds = 5;
  // Bulk.
  std::size_t chunk = 64 * 1024;  // bytes in one send or receive; see bench/README.md
  int socket_buffer = 0;          // 0: the kernel's tuning
  Verify verify = Verify::sampled;
  // Messages.
  std::size_t message_size = 0;  // bytes, at least 16; 0 is bulk
  double rate = 0;               // messages a second, all pairs together
};

enum class Integrity { intact, damaged };

// Runs, drains and reports. Damaged: bytes were lost, repeated, out of order or another flow's.
Integrity run_tcp_bulk(const TcpLoadOptions& options, const CpuAccount& account, Report& report);
Integrity run_tcp_messages(const TcpLoadOptions& options, const CpuAccount& account,
                           Report& report);

}  // namespace tandem::bench
