#include "bench/load/rooms/server_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "bench/load/http_client.h"
#include "bench/load/metrics_text.h"

namespace tandem::bench {

std::optional<ServerReading> ServerWatch::read() const {
  if (account_.has_relay()) {
    const CpuSample sample = account_.sample();
    return ServerReading{.at = sample.at,
                         .cpu_s = sample.relay_s,
                         .resident_bytes = static_cast<double>(account_.resident_bytes())};
  }
  if (metrics_url_.empty()) return std::nullopt;
  return read_page();
}

ServerReading ServerWatch::read_page() const {
  const Url url = parse_url(metrics_url_);
  const auto answer = HttpClient(url).get(url.path);
  if (answer.status != 200) {
    throw std::runtime_error(
        fmt::format("the metrics page at {} answers {}", metrics_url_, answer.status));
  }
  const auto samples = parse_metrics(answer.body);
  if (!samples) {
    throw std::runtime_error(
        fmt::format("the metrics page at {}: {}", metrics_url_, samples.error()));
  }
  const auto value_of = [&](std::string_view name) {
    const auto found = std::ranges::find(*samples, name, &MetricSample::name);
    if (found != samples->end()) return found->value;
    throw std::runtime_error(fmt::format("the metrics page at {} has no {}", metrics_url_, name));
  };
  return {.at = std::chrono::steady_clock::now(),
          .cpu_s = value_of("process_cpu_seconds_total"),
          .resident_bytes = value_of("process_resident_memory_bytes")};
}

double cpu_percent(const std::optional<ServerReading>& from,
                   const std::optional<ServerReading>& to) {
  if (!from || !to) return std::numeric_limits<double>::quiet_NaN();
  const double wall_s = std::chrono::duration<double>(to->at - from->at).count();
  return wall_s > 0 ? 100 * (to->cpu_s - from->cpu_s) / wall_s : 0;
}

}  // namespace tandem::bench
