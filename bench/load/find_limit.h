// The mode find-limit: the highest rate of datagrams that a route carries without loss (NDR) and
// with little (PDR), for each size. After RFC 2544, 26.1: trials at a fixed rate, and bisection.
#pragma once

#include <string>
#include <vector>

#include "bench/load/report.h"
#include "bench/load/scene.h"

namespace tandem::bench {

struct FindLimitOptions {
  std::vector<std::string> sizes{"64", "200", "512", "1200", "imix"};
  std::size_t repeat = 3;            // searches for each size
  double resolution = 0.02;          // of the rate: how close the bisection comes
  double lost_fraction_max = 0.005;  // what PDR allows
};

Integrity run_find_limit(const Scene& scene, const FindLimitOptions& options, Report& report);

}  // namespace tandem::bench
