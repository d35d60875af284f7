// Owns reading a metrics page (Prometheus text format, version 0.0.4): a pure function over bytes,
// and what the load generator wants to know of two such pages. Knows no HTTP.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bench/load/report.h"
#include "common/result.h"

namespace tandem::bench {

struct MetricSample {
  std::string name;
  std::vector<std::pair<std::string, std::string>> labels;
  double value = 0;

  [[nodiscard]] std::string_view label(std::string_view key) const;  // empty where there is none
};

// Comments and time stamps are skipped; the error names the line.
[[nodiscard]] Result<std::vector<MetricSample>, std::string> parse_metrics(std::string_view page);

// What the relay counted between two pages, over all shards.
[[nodiscard]] RelayTold told_between(const std::vector<MetricSample>& before,
                                     const std::vector<MetricSample>& after);

}  // namespace tandem::bench
