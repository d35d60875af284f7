// One sample for the metrics page. Whoever owns a figure names it; the page only writes it down.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tandem {

enum class MetricType : uint8_t { counter, gauge };

// Samples of one name follow each other. `labels` is what stands between the braces, escaped.
struct Metric {
  std::string_view name;
  std::string_view help;
  MetricType type = MetricType::counter;
  std::string labels;
  double value = 0;
};
using Metrics = std::vector<Metric>;

}  // namespace tandem
