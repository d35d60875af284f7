// What the kernel tells about this process (proc(5)): a sample, and the process_* metrics that
// every Prometheus client exposes under the same names. Knows nothing of relay or room.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/metrics.h"

namespace tandem {

// A figure that could not be read is 0. Bytes and seconds.
struct ProcessSample {
  double cpu_seconds = 0;  // user and system, all threads
  double start_time = 0;   // Unix time
  std::uint64_t threads = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t virtual_bytes_max = 0;
  std::uint64_t descriptors_open = 0;
  std::uint64_t descriptors_max = 0;
  std::uint64_t host_memory_bytes = 0;
  std::uint64_t host_memory_available_bytes = 0;
};

// The fields of /proc/self/stat that are used, in the kernel's units (ticks, pages).
struct ProcessStat {
  std::uint64_t user_ticks = 0;
  std::uint64_t system_ticks = 0;
  std::uint64_t threads = 0;
  std::uint64_t start_ticks = 0;  // since boot
  std::uint64_t virtual_bytes = 0;
  std::uint64_t resident_pages = 0;
};
[[nodiscard]] std::optional<ProcessStat> parse_process_stat(std::string_view text);

// The number after `key` at a line's start ("MemTotal:", "btime"), as in /proc/meminfo and
// /proc/stat.
[[nodiscard]] std::optional<std::uint64_t> find_figure(std::string_view text, std::string_view key);

// Some 50 us: five small files of /proc.
[[nodiscard]] ProcessSample sample_process();

void append_process_metrics(const ProcessSample& sample, Metrics& into);

}  // namespace tandem
