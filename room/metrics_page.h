// Metrics as the text that Prometheus scrapes (exposition format 0.0.4). Pure; knows no metric.
#pragma once

#include <string>
#include <string_view>

#include "common/metrics.h"

namespace tandem {

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

// One group a name, in the order of the names' first samples; help and type are the first sample's.
[[nodiscard]] std::string render_metrics(const Metrics& metrics);

// `name="value"` with the value escaped: what Metric::labels is made of, joined by commas.
[[nodiscard]] std::string metric_label(std::string_view name, std::string_view value);

}  // namespace tandem
