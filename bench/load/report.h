// Owns how a run's figures are printed: a short table, or one JSON object. Knows nothing of what
// they mean.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "bench/load/cpu_account.h"

namespace tandem::bench {

enum class ReportFormat { text, json };

class Report {
 public:
  // Units are the end of the key: throughput_gbit_s, relay_cpu_s_per_gb.
  void add(std::string key, std::string value);
  void add(std::string key, double value);
  void add(std::string key, std::uint64_t value);
  // The seconds of a measured interval, and who used them.
  void add_use(const CpuUse& use);

  void print(ReportFormat format) const;

 private:
  using Value = std::variant<std::string, double, std::uint64_t>;
  std::vector<std::pair<std::string, Value>> figures_;
};

// 0 where nothing was counted, so that an empty run prints zeros and not infinities.
[[nodiscard]] double ratio(double amount, double per);

}  // namespace tandem::bench
