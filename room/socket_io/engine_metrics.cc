#include <array>
#include <utility>

#include "room/metrics_page.h"
#include "room/socket_io/engine_server.h"

namespace tandem {
namespace {

// In the order of the enums.
constexpr std::array<std::string_view, kEngineEnds> kEndNames = {
    "transport_closed", "transport_error", "ping_timeout",
    "client_close",     "server_close",    "overflow"};
constexpr std::array<std::string_view, 3> kUpgradeNames = {"completed", "abandoned", "timed_out"};
constexpr std::array<std::string_view, 10> kRefusalNames = {
    "unknown_transport", "unknown_sid", "bad_handshake_method",
    "bad_request",       "forbidden",   "unsupported_version",
    "over_capacity",     "address",     "draining",
    "too_large"};

template <class Enum, std::size_t N>
void add_counters(Metrics& into, std::string_view name, std::string_view help,
                  std::string_view label, const CounterArray<Enum, N>& counters,
                  const std::array<std::string_view, N>& values) {
  for (std::size_t i = 0; i < N; ++i)
    into.push_back({name, help, MetricType::counter, metric_label(label, values[i]),
                    static_cast<double>(counters[static_cast<Enum>(i)].load())});
}

}  // namespace

void EngineServer::collect(Metrics& into) const {
  for (const auto& [transport, count] :
       {std::pair("polling", sessions_.size() - websockets_), std::pair("websocket", websockets_)})
    into.push_back({"tandem_engine_sessions", "Engine.IO sessions, by transport.",
                    MetricType::gauge, metric_label("transport", transport),
                    static_cast<double>(count)});
  into.push_back({"tandem_engine_sessions_opened_total",
                  "Engine.IO sessions opened.",
                  MetricType::counter,
                  {},
                  static_cast<double>(opened_)});
  add_counters(into, "tandem_engine_sessions_ended_total", "Engine.IO sessions ended, by reason.",
               "reason", ends_, kEndNames);
  add_counters(into, "tandem_engine_upgrades_total", "Upgrades to WebSocket, by outcome.",
               "outcome", upgrades_, kUpgradeNames);
  add_counters(into, "tandem_engine_requests_refused_total",
               "Engine.IO requests refused, by reason.", "reason", refusals_, kRefusalNames);
}

}  // namespace tandem
