// Owns what all modes have in common: the route, how many pairs, who is measured, and the legs made
// of them. A leg's B ends are in this process, or at a `tandem-bench -s` on another host.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "bench/load/leg.h"
#include "bench/load/tcp_load.h"
#include "bench/load/tokens.h"
#include "bench/load/udp_load.h"

namespace tandem::bench {

// Damaged: bytes were lost, repeated, out of order or another flow's, or a datagram was altered or
// doubled.
enum class Integrity { intact, damaged };
enum class Transport { tcp, udp };
[[nodiscard]] std::string_view name_of(Transport transport);

struct Scene {
  RouteOptions route;  // its tokens are made when a leg is
  TokenSource tokens;
  std::size_t pairs = 1;
  std::optional<SocketAddress> far_host;  // its control port; none: B is here
  std::size_t threads = 1;
  std::vector<int> cpus;
  Timing timing;
  CpuAccount account{{}};
  const Interrupt* interrupt = nullptr;  // never null in use
  Tell tell;                             // of each interval as it passes
  std::function<void(const std::string&)>
      note;  // of whatever else a person waits for; may be empty

  // The same pairs joined straight.
  [[nodiscard]] Scene direct() const;
};

[[nodiscard]] Leg bulk_leg(const Scene& scene, const BulkOptions& options);
enum class UdpShape { scattered, trains };
[[nodiscard]] Leg datagram_leg(const Scene& scene, UdpShape shape, const UdpOptions& options);
// Messages are echoed where B is on another host: their latency is the round trip then.
[[nodiscard]] Leg message_leg(const Scene& scene, Transport transport,
                              const MessageOptions& options);

}  // namespace tandem::bench
