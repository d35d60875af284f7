// What a measured server uses, CPU and memory: of processes on this machine, or as its metrics page
// tells it (process_cpu_seconds_total and process_resident_memory_bytes).
#pragma once

#include <optional>
#include <string>

#include "bench/load/cpu_account.h"

namespace tandem::bench {

struct ServerReading {
  std::chrono::steady_clock::time_point at{};
  double cpu_s = 0;
  double resident_bytes = 0;
};

class ServerWatch {
 public:
  // The processes where there are any, else the page; neither where both are empty.
  ServerWatch(const CpuAccount& account, std::string metrics_url)
      : account_(account), metrics_url_(std::move(metrics_url)) {}

  // Nothing where nobody is watched. Throws std::runtime_error where the page cannot be read or
  // does not tell.
  [[nodiscard]] std::optional<ServerReading> read() const;

 private:
  [[nodiscard]] ServerReading read_page() const;

  const CpuAccount& account_;
  std::string metrics_url_;
};

// Of one core, between two readings; NaN where there are none.
[[nodiscard]] double cpu_percent(const std::optional<ServerReading>& from,
                                 const std::optional<ServerReading>& to);

}  // namespace tandem::bench
