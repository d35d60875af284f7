// Owns what a run has to say: its figures, what it delivered second by second, its latencies, the
// limits it found, the steps it climbed, its errors, what the relay's own metrics tell of it, and
// its warnings. Plain values; how they are written is report_text, report_json, report_csv and
// report_html's. Knows nothing of how they came about.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "bench/load/cpu_account.h"
#include "bench/load/histogram.h"
#include "bench/load/machine.h"

namespace tandem::bench {

// Named figures in the order in which they were added. Units are the end of the key:
// throughput_gbit_s, relay_cpu_s_per_gb.
class Figures {
 public:
  using Value = std::variant<std::string, double, std::uint64_t>;

  void add(std::string key, std::string value) { add_value(std::move(key), std::move(value)); }
  void add(std::string key, double value) { add_value(std::move(key), value); }
  void add(std::string key, std::uint64_t value) { add_value(std::move(key), value); }
  // The seconds of a measured interval, and who used them.
  void add_use(const CpuUse& use);

  [[nodiscard]] const std::vector<std::pair<std::string, Value>>& all() const { return figures_; }

 private:
  // Not inline: g++ 12 takes the value that is moved for one that was never set.
  void add_value(std::string key, Value value);
  std::vector<std::pair<std::string, Value>> figures_;
};

// What was delivered between two moments of a run, in seconds from the end of its warm-up.
struct Interval {
  double from_s = 0;
  double to_s = 0;
  std::uint64_t bytes = 0;    // payload, as its receiver saw it
  std::uint64_t packets = 0;  // datagrams or messages; 0 in bulk
  std::uint64_t lost = 0;     // known to be lost by its end
  double relay_cpu_s = 0;
  double generator_cpu_s = 0;
  double machine_cpu_s = 0;

  [[nodiscard]] double gbit_s() const;
  [[nodiscard]] double kpps() const;
};

struct Latencies {
  std::string name;  // the route: "relay", "proxy", "direct"
  Histogram histogram;
  double jitter_ns = 0;  // mean of the flows' smoothed differences (RFC 3550, 6.4.1)
};

// One try of find-limit.
struct LimitTrial {
  double offered_kpps = 0;
  double delivered_kpps = 0;
  double lost_fraction = 0;
};
// The highest rate without loss (non-drop rate) and with at most 0.5 % (partial drop rate) for one
// size: the median of the repetitions with the least and the most.
struct Limit {
  struct Rate {
    double kpps = 0;
    double low = 0;
    double high = 0;
  };
  std::string size;  // "200", "imix"
  Rate ndr;
  Rate pdr;
  std::vector<LimitTrial> trials;
};

// A room service with so many clients connected, as it climbs. NaN: not measured.
struct RampStep {
  std::uint64_t clients = 0;
  std::uint64_t rooms = 0;
  double resident_bytes = 0;  // of the server
  double cpu_percent = 0;     // of the server, 100 a core
  double sent_per_s = 0;      // events
  double delivered_per_s = 0;
  double p50_us = 0;  // of a message, from when it was due to a recipient
  double p95_us = 0;
  double p99_us = 0;
  std::uint64_t errors = 0;
};

// What the relay counted during the run, from its metrics page.
struct RelayTold {
  // Up to (le) and count, not summed up.
  std::vector<std::pair<std::string, std::uint64_t>> batch_sizes;
  std::optional<double> zero_copy_share;                       // of the bytes sent; none: no bytes
  std::vector<std::pair<std::string, std::uint64_t>> dropped;  // by reason
};

struct Report {
  std::string mode;        // the subcommand
  std::string started_at;  // ISO 8601, UTC
  bool interrupted = false;
  Machine machine;
  Figures options;
  Figures summary;
  std::vector<Interval> intervals;
  std::vector<Latencies> latencies;
  std::vector<Limit> limits;
  std::vector<RampStep> steps;
  std::vector<std::pair<std::string, std::uint64_t>> errors;  // by code
  std::optional<RelayTold> relay;
  std::vector<std::string> warnings;
};

// The whole report as one table for a terminal, without the intervals (those were printed as they
// passed).
[[nodiscard]] std::string to_text(const Report& report);
// One JSON object on one line; docs/BENCHMARKING.md has its layout. What is not a number (NaN,
// infinity) is null.
[[nodiscard]] std::string to_json(const Report& report);
// RFC 4180: a line an interval, then a line with the sum; with limits, a line a size instead, with
// steps a line a step; with none of them, one line of the summary.
[[nodiscard]] std::string to_csv(const Report& report);
// One page that needs nothing else.
[[nodiscard]] std::string to_html(const Report& report);

// 0 where nothing was counted, so that an empty run prints zeros and not infinities.
[[nodiscard]] double ratio(double amount, double per);

}  // namespace tandem::bench
