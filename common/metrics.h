// One sample for the metrics page. Whoever owns a figure names it; the page only writes it down.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/counters.h"

namespace tandem {

enum class MetricType : uint8_t { counter, gauge, histogram };

// Samples of one name follow each other. `labels` is what stands between the braces, escaped.
struct Metric {
  std::string_view name;
  std::string_view help;
  MetricType type = MetricType::counter;
  std::string labels;
  double value = 0;
  std::string_view suffix = {};  // of a histogram's samples: "_bucket", "_sum", "_count"
};
using Metrics = std::vector<Metric>;

// A SizeHistogram as Prometheus has it: each bucket counts those before it too, and the last one,
// le="+Inf", is the count.
void append_histogram(Metrics& into, std::string_view name, std::string_view help,
                      const std::string& labels, std::span<const Counter> buckets, uint64_t sum);

// The same for bounds of any kind: counts[i] is of what is at most bounds[i] and above the one
// before, one more count of all that is larger. The sum is in the bounds' unit.
void append_histogram(Metrics& into, std::string_view name, std::string_view help,
                      const std::string& labels, std::span<const double> bounds,
                      std::span<const uint64_t> counts, double sum);

}  // namespace tandem
