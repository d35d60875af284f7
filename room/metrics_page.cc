#include "room/metrics_page.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <unordered_map>
#include <vector>

namespace tandem {
namespace {

// Help keeps its quotes, a label value must not.
enum class Quotes { keep, escape };

void append_escaped(std::string& page, std::string_view text, Quotes quotes) {
  for (const char letter : text) {
    if (letter == '\n') {
      page += "\\n";
      continue;
    }
    if (letter == '\\' || (letter == '"' && quotes == Quotes::escape)) page += '\\';
    page += letter;
  }
}

std::string_view type_name(MetricType type) {
  switch (type) {
    case MetricType::counter:
      return "counter";
    case MetricType::gauge:
      return "gauge";
    case MetricType::histogram:
      return "histogram";
  }
  return "untyped";
}

void append_value(std::string& page, double value) {
  // Below 2^53 an integer is written as one: 1e+06 is correct but nobody greps for it.
  constexpr double kExactMax = 9007199254740992.0;
  if (std::isnan(value)) {
    page += "NaN";
  } else if (std::isinf(value)) {
    page += value > 0 ? "+Inf" : "-Inf";
  } else if (value == std::trunc(value) && std::abs(value) <= kExactMax) {
    fmt::format_to(std::back_inserter(page), "{}", static_cast<std::int64_t>(value));
  } else {
    fmt::format_to(std::back_inserter(page), "{}", value);
  }
}

void append_header(std::string& page, const Metric& metric) {
  fmt::format_to(std::back_inserter(page), "# HELP {} ", metric.name);
  append_escaped(page, metric.help, Quotes::keep);
  fmt::format_to(std::back_inserter(page), "\n# TYPE {} {}\n", metric.name, type_name(metric.type));
}

void append_sample(std::string& page, const Metric& metric) {
  page += metric.name;
  page += metric.suffix;
  if (!metric.labels.empty()) {
    page += '{';
    page += metric.labels;
    page += '}';
  }
  page += ' ';
  append_value(page, metric.value);
  page += '\n';
}

}  // namespace

std::string render_metrics(const Metrics& metrics) {
  // Sources are told to keep a name's samples together; several sources may still share a name.
  std::vector<std::vector<const Metric*>> groups;
  std::unordered_map<std::string_view, std::size_t> group_of;
  for (const Metric& metric : metrics) {
    const auto [found, fresh] = group_of.try_emplace(metric.name, groups.size());
    if (fresh) groups.emplace_back();
    groups[found->second].push_back(&metric);
  }
  std::string page;
  page.reserve(metrics.size() * 96);
  for (const auto& group : groups) {
    append_header(page, *group.front());
    for (const Metric* metric : group) append_sample(page, *metric);
  }
  return page;
}

std::string metric_label(std::string_view name, std::string_view value) {
  std::string label(name);
  label += "=\"";
  append_escaped(label, value, Quotes::escape);
  label += '"';
  return label;
}

}  // namespace tandem
