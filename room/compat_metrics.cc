#include "room/compat_metrics.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include "room/metrics_page.h"

namespace tandem {
namespace {

using enum MetricType;

class Page {
 public:
  explicit Page(Metrics& into) : into_(into) {}
  void add(std::string_view name, std::string_view help, MetricType type, std::string labels,
           std::uint64_t value) {
    into_.push_back({name, help, type, std::move(labels), static_cast<double>(value)});
  }

 private:
  Metrics& into_;
};

// From 1 ms up: what is quicker is in the first bucket.
void append_durations(const RoomStats& stats, Metrics& into) {
  constexpr auto kAll = DurationHistogram::kBounds;
  constexpr std::size_t kFirst = 4;
  static_assert(kAll[kFirst] == kNanosPerMillisecond);
  std::array<double, kAll.size() - kFirst> bounds{};
  for (std::size_t i = 0; i < bounds.size(); ++i)
    bounds[i] = static_cast<double>(kAll[kFirst + i] / kNanosPerMillisecond);
  for (std::size_t type = 0; type < kEventTypes; ++type) {
    const DurationHistogram& durations = stats.events(static_cast<EventType>(type));
    std::array<std::uint64_t, bounds.size() + 1> counts{};
    for (std::size_t i = 0; i < durations.counts().size(); ++i)
      counts[i < kFirst ? 0 : i - kFirst] += durations.counts()[i];
    append_histogram(
        into, "gameserver_socket_event_duration_ms", "Milliseconds that a client's event took.",
        metric_label("event_type", event_name(static_cast<EventType>(type))), bounds, counts,
        static_cast<double>(durations.sum()) / static_cast<double>(kNanosPerMillisecond));
  }
}

void append_rooms(const CompatFigures& figures, Page& page) {
  for (const auto& [game_id, rooms] : figures.games)
    page.add("rooms_active_total", "Rooms open, by game.", gauge, metric_label("game_id", game_id),
             rooms);
  page.add("gameserver_rooms_total", "Rooms open.", gauge, {}, figures.rooms);
  page.add("matchserver_active_matches", "Rooms that two or more players are in.", gauge, {},
           figures.matches);
  page.add("matchserver_active_matches_total", "The same.", gauge, {}, figures.matches);
}

}  // namespace

void append_compat_metrics(const RoomStats& stats, const CompatFigures& figures, Metrics& into) {
  Page page(into);
  page.add("websocket_connections", "Open WebSockets.", gauge, {}, figures.websockets);
  page.add("websocket_connections_total", "WebSockets opened since the start.", counter, {},
           figures.websockets_opened);
  page.add("gameserver_active_connections", "Clients connected.", gauge,
           metric_label("server", figures.node), figures.clients);
  page.add("gameserver_redis_connected", "1 where this node is connected to Redis.", gauge, {},
           figures.redis_connected ? 1 : 0);
  append_rooms(figures, page);
  page.add("relay_bandwidth_bytes_total", "Payload that was relayed.", counter,
           metric_label("server_region", figures.region), figures.relay_bytes);
  page.add("matchserver_memory_usage_bytes", "Resident memory of the process.", gauge, {},
           figures.resident_bytes);
  for (const auto& [status, requests] : figures.http_requests)
    page.add("http_requests_total", "HTTP requests answered, by status code.", counter,
             metric_label("status", fmt::format("{}", status)), requests);
  append_histogram(into, "p2p_connection_success_rate",
                   "Share of pairs that reached each other, of the last 64 reports.", {},
                   SuccessRate::kBounds, stats.success_rate().counts(), stats.success_rate().sum());
  append_durations(stats, into);
}

std::map<unsigned, std::uint64_t> http_requests_by_status(const Metrics& page) {
  constexpr std::string_view kLabel = "status=\"";
  std::map<unsigned, std::uint64_t> requests{{200, 0}};  // one that is always there
  for (const Metric& metric : page) {
    if (metric.name != "tandem_http_requests_total") continue;
    const std::size_t at = metric.labels.find(kLabel);
    if (at == std::string::npos) continue;
    unsigned status = 0;
    const char* const digits = metric.labels.data() + at + kLabel.size();
    const auto read = std::from_chars(digits, metric.labels.data() + metric.labels.size(), status);
    if (read.ec == std::errc{}) requests[status] += static_cast<std::uint64_t>(metric.value);
  }
  return requests;
}

}  // namespace tandem
