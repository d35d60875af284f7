// Owns the two UDP loads: scattered (many pairs, one datagram each in turn) and trains (one pair,
// one destination, back to back). One thread, closed loop: a window of datagrams is under way, so
// the route runs at its own limit and queues are never what loses them. It spins; its own CPU is no
// figure here.
#pragma once

#include <cstddef>

#include "bench/load/cpu_account.h"
#include "bench/load/pattern.h"
#include "bench/load/report.h"
#include "bench/load/route.h"
#include "bench/load/tcp_load.h"

namespace tandem::bench {

enum class UdpShape { scattered, trains };

struct UdpLoadOptions {
  RouteOptions route;
  UdpShape shape = UdpShape::scattered;
  std::size_t pairs = 1000;   // trains: always 1
  std::size_t payload = 200;  // bytes, at least kStampSize; the relay's header comes on top
  std::size_t window = 512;   // datagrams under way at most
  std::size_t batch = 64;     // scattered: datagrams in one system call
  std::size_t train = 32;     // trains: datagrams in one send, at most 64 (UDP_MAX_SEGMENTS)
  double warm_up_s = 0.5;
  double seconds = 5;
  Verify verify = Verify::sampled;
};

// Damaged: a datagram was altered, doubled or another pair's. Loss and reordering are figures.
Integrity run_udp_scattered(const UdpLoadOptions& options, const CpuAccount& account,
                            Report& report);
Integrity run_udp_trains(const UdpLoadOptions& options, const CpuAccount& account, Report& report);

}  // namespace tandem::bench
