#include "bench/load/report.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace tandem::bench {

void Report::add(std::string key, std::string value) {
  figures_.emplace_back(std::move(key), std::move(value));
}
void Report::add(std::string key, double value) {
  figures_.emplace_back(std::move(key), value);
}
void Report::add(std::string key, std::uint64_t value) {
  figures_.emplace_back(std::move(key), value);
}

void Report::add_use(const CpuUse& use) {
  add("wall_s", use.wall_s);
  add("relay_cpu_s", use.relay_s);
  add("generator_cpu_s", use.generator_s);
  add("machine_cpu_s", use.machine_busy_s);
  add("foreign_cpu_s", use.foreign_s);
  add("stolen_cpu_s", use.stolen_s);
  add("relay_switches", use.relay_switches);
}

void Report::print(ReportFormat format) const {
  switch (format) {
    case ReportFormat::text:
      for (const auto& [key, value] : figures_) {
        std::visit([&key](const auto& v) { fmt::print("{:<34} {}\n", key, v); }, value);
      }
      return;
    case ReportFormat::json: {
      nlohmann::ordered_json object;
      for (const auto& [key, value] : figures_) {
        std::visit([&](const auto& v) { object[key] = v; }, value);
      }
      fmt::print("{}\n", object.dump());
      return;
    }
  }
}

double ratio(double amount, double per) {
  return per > 0 ? amount / per : 0;
}

}  // namespace tandem::bench
