#include "common/metrics.h"

#include <fmt/format.h>

#include <utility>

#include "common/assert.h"

namespace tandem {

void append_histogram(Metrics& into, std::string_view name, std::string_view help,
                      const std::string& labels, std::span<const Counter> buckets, uint64_t sum) {
  const auto add = [&](std::string_view suffix, std::string of, uint64_t value) {
    into.push_back(
        {name, help, MetricType::histogram, std::move(of), static_cast<double>(value), suffix});
  };
  const std::string before = labels.empty() ? "le=\"" : labels + ",le=\"";
  uint64_t count = 0;
  for (size_t i = 0; i + 1 < buckets.size(); ++i) {
    count += buckets[i].load();
    add("_bucket", before + std::to_string(uint64_t{1} << i) + '"', count);
  }
  count += buckets.back().load();
  add("_bucket", before + "+Inf\"", count);
  add("_sum", labels, sum);
  add("_count", labels, count);
}

void append_histogram(Metrics& into, std::string_view name, std::string_view help,
                      const std::string& labels, std::span<const double> bounds,
                      std::span<const uint64_t> counts, double sum) {
  TANDEM_CHECK(counts.size() == bounds.size() + 1);
  const auto add = [&](std::string_view suffix, std::string of, double value) {
    into.push_back({name, help, MetricType::histogram, std::move(of), value, suffix});
  };
  const std::string_view comma = labels.empty() ? "" : ",";
  uint64_t count = 0;
  for (size_t i = 0; i < bounds.size(); ++i) {
    count += counts[i];
    add("_bucket", fmt::format("{}{}le=\"{}\"", labels, comma, bounds[i]),
        static_cast<double>(count));
  }
  count += counts.back();
  add("_bucket", fmt::format("{}{}le=\"+Inf\"", labels, comma), static_cast<double>(count));
  add("_sum", labels, sum);
  add("_count", labels, static_cast<double>(count));
}

}  // namespace tandem
