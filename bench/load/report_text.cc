#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/load/figure_text.h"
#include "bench/load/report.h"

namespace tandem::bench {
namespace {

// The first column to the left, the numbers behind it to the right. Its cells are ASCII.
class Table {
 public:
  explicit Table(std::vector<std::string> titles) { rows_.push_back(std::move(titles)); }
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  [[nodiscard]] std::string render() const {
    std::vector<std::size_t> widths(rows_.front().size());
    for (const auto& row : rows_)
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    std::string text;
    for (const auto& row : rows_) {
      text += fmt::format("{:<{}}", row.front(), widths.front());
      for (std::size_t i = 1; i < row.size(); ++i)
        text += fmt::format("  {:>{}}", row[i], widths[i]);
      text += '\n';
    }
    return text;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string heading(const Report& report) {
  const auto& [kernel, cpu, cores] = report.machine;
  return fmt::format("tandem-bench {} {}, {}, Linux {}, {}{}{} {}\n", TANDEM_VERSION, report.mode,
                     report.started_at, kernel, cpu, cpu.empty() ? "" : ", ", cores,
                     cores == 1 ? "core" : "cores");
}

std::string options_line(const Figures& options) {
  std::string line;
  for (const auto& [key, value] : options.all()) {
    line +=
        fmt::format("{} {} {}", line.empty() ? "" : ",", figure_name(key), figure_text(key, value));
  }
  return line.empty() ? "" : "options:" + line + '\n';
}

std::string summary_table(const Figures& summary) {
  std::size_t width = 0;
  for (const auto& [key, value] : summary.all()) width = std::max(width, figure_name(key).size());
  std::string text;
  for (const auto& [key, value] : summary.all()) {
    text += fmt::format("  {:<{}}  {}\n", figure_name(key), width, figure_text(key, value));
  }
  return text.empty() ? "" : "\nSummary\n" + text;
}

struct Percentiles {
  double p50 = 0;
  double p90 = 0;
  double p95 = 0;
  double p99 = 0;
  double p999 = 0;
  double p9999 = 0;
  double max = 0;
};
Percentiles percentiles_us(const Histogram& histogram) {
  const auto us = [&](double q) { return static_cast<double>(histogram.quantile_ns(q)) / 1e3; };
  return {us(0.5), us(0.9), us(0.95), us(0.99), us(0.999), us(0.9999), us(1)};
}

std::string us_text(double us) {
  return std::abs(us) < 1000 ? fmt::format("{:.1f}", us) : number_text(us);
}

std::vector<std::string> percentile_cells(std::string name, std::string count,
                                          const Percentiles& p) {
  std::vector<std::string> cells{std::move(name), std::move(count)};
  for (const double us : {p.p50, p.p90, p.p95, p.p99, p.p999, p.p9999, p.max})
    cells.push_back(us_text(us));
  return cells;
}

// What a route takes on top of the direct one. A difference of percentiles is nobody's latency, but
// it is what the relay changes in the distribution.
std::vector<std::string> added_cells(const Latencies& route, const Percentiles& direct) {
  const Percentiles p = percentiles_us(route.histogram);
  return percentile_cells(
      "  " + route.name + " - direct", "",
      {p.p50 - direct.p50, p.p90 - direct.p90, p.p95 - direct.p95, p.p99 - direct.p99,
       p.p999 - direct.p999, p.p9999 - direct.p9999, p.max - direct.max});
}

std::string latency_table(const std::vector<Latencies>& routes) {
  if (routes.empty()) return "";
  Table table({"Latency in us", "count", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max",
               "mean", "jitter"});
  for (const Latencies& route : routes) {
    auto cells = percentile_cells("  " + route.name, number_text(route.histogram.count()),
                                  percentiles_us(route.histogram));
    cells.push_back(us_text(route.histogram.mean_ns() / 1e3));
    cells.push_back(us_text(route.jitter_ns / 1e3));
    table.add(std::move(cells));
  }
  const auto direct = std::find_if(routes.begin(), routes.end(),
                                   [](const Latencies& route) { return route.name == "direct"; });
  if (direct != routes.end()) {
    const Percentiles least = percentiles_us(direct->histogram);
    for (const Latencies& route : routes) {
      if (&route != &*direct) table.add(added_cells(route, least));
    }
  }
  return '\n' + table.render();
}

std::string limits_table(const std::vector<Limit>& limits) {
  if (limits.empty()) return "";
  const auto spread = [](const Limit::Rate& rate) {
    return number_text(rate.low) + " to " + number_text(rate.high);
  };
  Table table({"Limits in kpps", "NDR", "least to most", "PDR", "least to most", "trials"});
  for (const auto& [size, ndr, pdr, trials] : limits) {
    table.add({"  " + size, number_text(ndr.kpps), spread(ndr), number_text(pdr.kpps), spread(pdr),
               number_text(std::uint64_t{trials.size()})});
  }
  return '\n' + table.render();
}

std::string steps_table(const std::vector<RampStep>& steps) {
  if (steps.empty()) return "";
  Table table({"Climbing", "clients", "rooms", "MB", "CPU %", "sent/s", "delivered/s", "p50 us",
               "p95 us", "p99 us", "errors"});
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const RampStep& step = steps[i];
    table.add({fmt::format("  step {}", i + 1), number_text(step.clients), number_text(step.rooms),
               number_text(step.resident_bytes / 1e6), number_text(step.cpu_percent),
               number_text(step.sent_per_s), number_text(step.delivered_per_s),
               us_text(step.p50_us), us_text(step.p95_us), us_text(step.p99_us),
               number_text(step.errors)});
  }
  return '\n' + table.render();
}

std::string errors_table(const std::vector<std::pair<std::string, std::uint64_t>>& errors) {
  if (errors.empty()) return "";
  Table table({"Errors", "count"});
  for (const auto& [code, count] : errors) table.add({"  " + code, number_text(count)});
  return '\n' + table.render();
}

// A bar for each size of batch, as long as its share of the largest.
std::string batch_bars(const std::vector<std::pair<std::string, std::uint64_t>>& sizes) {
  constexpr double kWidest = 40;
  std::uint64_t most = 0;
  std::uint64_t all = 0;
  for (const auto& [up_to, count] : sizes) {
    most = std::max(most, count);
    all += count;
  }
  if (all == 0) return "";
  std::string text = "  batches by size, up to\n";
  for (const auto& [up_to, count] : sizes) {
    const double share = static_cast<double>(count) / static_cast<double>(most);
    // Whatever there was shows.
    const std::string bar(static_cast<std::size_t>(std::ceil(kWidest * share)), '#');
    text += fmt::format("  {:>6} |{:<40}  {:>13}  {:>5.1f} %\n", up_to == "+Inf" ? "more" : up_to,
                        bar, number_text(count),
                        100 * static_cast<double>(count) / static_cast<double>(all));
  }
  return text;
}

std::string relay_table(const RelayTold& relay) {
  std::string text = "\nThe relay's own metrics\n";
  if (relay.zero_copy_share) {
    text += fmt::format("  sent without a copy  {}\n",
                        figure_text("zero_copy_share", *relay.zero_copy_share));
  }
  std::string dropped;
  for (const auto& [reason, count] : relay.dropped) {
    dropped += fmt::format("{}{} {}", dropped.empty() ? "" : ", ", reason, number_text(count));
  }
  text += fmt::format("  dropped              {}\n", dropped.empty() ? "nothing" : dropped);
  return text + batch_bars(relay.batch_sizes);
}

std::string warning_lines(const Report& report) {
  std::string text;
  if (report.interrupted) text += "WARNING: interrupted; this is what was measured until then\n";
  for (const std::string& warning : report.warnings) text += fmt::format("WARNING: {}\n", warning);
  return text.empty() ? "" : '\n' + text;
}

}  // namespace

std::string to_text(const Report& report) {
  std::string text = heading(report);
  text += options_line(report.options);
  text += summary_table(report.summary);
  text += latency_table(report.latencies);
  text += limits_table(report.limits);
  text += steps_table(report.steps);
  text += errors_table(report.errors);
  if (report.relay) text += relay_table(*report.relay);
  return text + warning_lines(report);
}

}  // namespace tandem::bench
