// `tandem-bench -s`: has the B ends of runs whose A ends are on another host. It takes one run
// after another and dials nobody that its own command line does not name: a stranger who reaches
// its port can make it listen, and talk to its own relay, but not to third parties.
#pragma once

#include <optional>
#include <vector>

#include "bench/load/interrupt.h"
#include "bench/load/route.h"

namespace tandem::bench {

inline constexpr std::uint16_t kControlPort = 5201;

struct ServerOptions {
  SocketAddress control;               // where it listens, and on which address its data ports are
  std::optional<SocketAddress> relay;  // B may join there
  std::optional<SocketAddress> pairing;  // or there, by a greeting
  std::optional<SocketAddress> sink;     // B may listen there, for a proxy
  bool once = false;                     // ends after one run
  std::size_t threads = 1;
  std::vector<int> cpus;
};

// Returns when interrupted, or after the one run. Runs that fail are told on standard error and to
// the other host.
void serve(const ServerOptions& options, const Interrupt& interrupt);

}  // namespace tandem::bench
