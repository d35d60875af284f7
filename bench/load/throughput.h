// The modes tcp and udp: as much as goes, or a fixed rate, and what it cost.
#pragma once

#include "bench/load/report.h"
#include "bench/load/scene.h"

namespace tandem::bench {

Integrity run_tcp(const Scene& scene, const BulkOptions& options, Report& report);
Integrity run_udp(const Scene& scene, UdpShape shape, const UdpOptions& options, Report& report);

}  // namespace tandem::bench
