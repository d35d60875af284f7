#include <fmt/format.h>

#include <cmath>

#include "bench/load/report.h"

namespace tandem::bench {
namespace {

// RFC 4180, 2: quotes around what holds a comma, a quote or a line break, and quotes doubled.
std::string field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}
std::string field(std::uint64_t value) {
  return fmt::format("{}", value);
}
// The shortest digits that read back as the same number; empty for what is none.
std::string field(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "";
}

template <class... Values>
std::string line(const Values&... values) {
  std::string text;
  ((text += field(values), text += ','), ...);
  text.back() = '\r';
  return text + '\n';
}

std::string interval_line(std::string_view row, const Interval& interval) {
  return line(row, interval.from_s, interval.to_s, interval.bytes, interval.packets, interval.lost,
              interval.gbit_s(), interval.kpps(), interval.relay_cpu_s, interval.generator_cpu_s,
              interval.machine_cpu_s);
}

Interval sum_of(const std::vector<Interval>& intervals) {
  Interval sum{.from_s = intervals.front().from_s, .to_s = intervals.back().to_s};
  for (const Interval& interval : intervals) {
    sum.bytes += interval.bytes;
    sum.packets += interval.packets;
    sum.lost += interval.lost;
    sum.relay_cpu_s += interval.relay_cpu_s;
    sum.generator_cpu_s += interval.generator_cpu_s;
    sum.machine_cpu_s += interval.machine_cpu_s;
  }
  return sum;
}

std::string interval_lines(const std::vector<Interval>& intervals) {
  std::string text =
      "row,from_s,to_s,bytes,packets,lost,gbit_s,kpps,relay_cpu_s,generator_cpu_s,machine_cpu_"
      "s\r\n";
  for (const Interval& interval : intervals) text += interval_line("interval", interval);
  return text + interval_line("sum", sum_of(intervals));
}

std::string limit_lines(const std::vector<Limit>& limits) {
  std::string text = "size,ndr_kpps,ndr_low,ndr_high,pdr_kpps,pdr_low,pdr_high,trials\r\n";
  for (const auto& [size, ndr, pdr, trials] : limits) {
    text += line(std::string_view(size), ndr.kpps, ndr.low, ndr.high, pdr.kpps, pdr.low, pdr.high,
                 std::uint64_t{trials.size()});
  }
  return text;
}

std::string step_lines(const std::vector<RampStep>& steps) {
  std::string text =
      "clients,rooms,resident_bytes,cpu_percent,sent_per_s,delivered_per_s,p50_us,p95_us,p99_us,"
      "errors\r\n";
  for (const RampStep& step : steps) {
    text += line(step.clients, step.rooms, step.resident_bytes, step.cpu_percent, step.sent_per_s,
                 step.delivered_per_s, step.p50_us, step.p95_us, step.p99_us, step.errors);
  }
  return text;
}

std::string summary_line(const Figures& summary) {
  std::string keys;
  std::string values;
  for (const auto& [key, value] : summary.all()) {
    keys += field(std::string_view(key)) + ',';
    values += std::visit([](const auto& v) { return field(v); }, value) + ',';
  }
  if (keys.empty()) return "";
  keys.back() = '\r';
  values.back() = '\r';
  return keys + '\n' + values + '\n';
}

}  // namespace

std::string to_csv(const Report& report) {
  if (!report.limits.empty()) return limit_lines(report.limits);
  if (!report.steps.empty()) return step_lines(report.steps);
  if (!report.intervals.empty()) return interval_lines(report.intervals);
  return summary_line(report.summary);
}

}  // namespace tandem::bench
