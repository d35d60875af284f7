#include "bench/load/report.h"

namespace tandem::bench {

void Figures::add_value(std::string key, Value value) {
  figures_.emplace_back(std::move(key), std::move(value));
}

void Figures::add_use(const CpuUse& use) {
  add("wall_s", use.wall_s);
  add("relay_cpu_s", use.relay_s);
  add("relay_kernel_cpu_s", use.relay_kernel_s);
  add("generator_cpu_s", use.generator_s);
  add("machine_cpu_s", use.machine_busy_s);
  add("foreign_cpu_s", use.foreign_s);
  add("stolen_cpu_s", use.stolen_s);
}

double Interval::gbit_s() const {
  return ratio(static_cast<double>(bytes) * 8 / 1e9, to_s - from_s);
}

double Interval::kpps() const {
  return ratio(static_cast<double>(packets) / 1e3, to_s - from_s);
}

double ratio(double amount, double per) {
  return per > 0 ? amount / per : 0;
}

}  // namespace tandem::bench
