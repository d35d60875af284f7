#include "room/operator/overview.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "common/assert.h"
#include "common/clock.h"

namespace tandem {
namespace {

using Json = nlohmann::ordered_json;

// Where a metric's sum over the shards goes. With a label: an object of its values, those that are
// not 0.
struct Figure {
  std::string_view group;
  std::string_view name;
  std::string_view metric;
  std::string_view label = {};
};
constexpr Figure kFigures[] = {
    {"sessions", "opened", "tandem_sessions_opened_total"},
    {"sessions", "closed", "tandem_sessions_closed_total"},
    {"sessions", "paired", "tandem_sessions_paired"},
    {"streams", "open", "tandem_streams"},
    {"streams", "halfOpen", "tandem_streams_half_open"},
    {"streams", "accepted", "tandem_connections_total"},
    {"streams", "refused", "tandem_connections_refused_total"},
    {"streams", "acceptFailures", "tandem_accept_failures_total"},
    {"streams", "bytes", "tandem_stream_bytes_total"},
    {"streams", "joins", "tandem_joins_total", "outcome"},
    {"streams", "lanesEnded", "tandem_lanes_ended_total", "how"},
    {"datagrams", "received", "tandem_datagrams_received_total"},
    {"datagrams", "forwarded", "tandem_datagrams_forwarded_total"},
    {"datagrams", "replied", "tandem_datagrams_replied_total"},
    {"datagrams", "dropped", "tandem_datagrams_dropped_total", "reason"},
    {"datagrams", "unsent", "tandem_datagrams_unsent_total", "reason"},
    {"datagrams", "lostInKernel", "tandem_datagrams_lost_in_kernel_total"},
    {"datagrams", "bytes", "tandem_datagram_bytes_total"},
    {"datagrams", "binds", "tandem_binds_total", "outcome"},
    {"abuse", "offences", "tandem_offences_total"},
    {"abuse", "autoBlocks", "tandem_auto_blocks_total"},
};

// The value of `name` in labels as they stand between the braces, escapes and all: ours have none.
std::string_view label_value(std::string_view labels, std::string_view name) {
  for (std::size_t at = 0; (at = labels.find(name, at)) != std::string_view::npos;) {
    const bool begins = at == 0 || labels[at - 1] == ',';
    at += name.size();
    if (!begins || !labels.substr(at).starts_with("=\"")) continue;
    const std::string_view value = labels.substr(at + 2);
    return value.substr(0, value.find('"'));
  }
  return {};
}

void add_to(Json& sum, double value) {
  sum = (sum.is_null() ? 0 : sum.get<std::uint64_t>()) + static_cast<std::uint64_t>(value);
}

Json traffic_json(const Metrics& metrics) {
  Json traffic = Json::object();
  for (const Figure& figure : kFigures)
    traffic[std::string(figure.group)][std::string(figure.name)] =
        figure.label.empty() ? Json(0) : Json::object();
  for (const Metric& metric : metrics) {
    const auto* const figure = std::ranges::find(kFigures, metric.name, &Figure::metric);
    if (figure == std::end(kFigures) || !metric.suffix.empty() || !(metric.value > 0)) continue;
    Json& place = traffic[std::string(figure->group)][std::string(figure->name)];
    if (figure->label.empty())
      add_to(place, metric.value);
    else
      add_to(place[std::string(label_value(metric.labels, figure->label))], metric.value);
  }
  return traffic;
}

Json process_json(const ProcessSample& process) {
  return {{"startTime", process.start_time},
          {"cpuSeconds", process.cpu_seconds},
          {"threads", process.threads},
          {"residentBytes", process.resident_bytes},
          {"virtualBytes", process.virtual_bytes},
          {"descriptorsOpen", process.descriptors_open},
          {"descriptorsMax", process.descriptors_max},
          {"hostMemoryBytes", process.host_memory_bytes},
          {"hostMemoryAvailableBytes", process.host_memory_available_bytes}};
}

Json rooms_json(const RoomOverview& rooms) {
  return {{"enabled", rooms.enabled},
          {"rooms", rooms.rooms},
          {"roomsMax", rooms.rooms_max},
          {"members", rooms.members},
          {"clients", rooms.clients},
          {"connections", rooms.connections},
          {"connectionsMax", rooms.connections_max},
          {"websockets", rooms.websockets},
          {"subscribers", rooms.subscribers},
          {"events", rooms.events_total},
          {"eventsRefused", rooms.events_refused_total},
          {"p2pSucceeded", rooms.p2p_succeeded_total},
          {"p2pFailed", rooms.p2p_failed_total},
          {"authenticationsFailed", rooms.authentications_failed_total}};
}

Json latency_json(const EventLatency& latency) {
  const auto percentile = [&](double share) {
    const auto found = latency_percentile(latency, share);
    return found ? Json(*found) : Json(nullptr);
  };
  return {{"p50Ms", percentile(0.50)},
          {"p95Ms", percentile(0.95)},
          {"p99Ms", percentile(0.99)},
          {"boundsMs", latency.bounds_ms},
          {"counts", latency.counts}};
}

Json storage_json(const StorageOverview& storage) {
  return {{"driver", storage.driver},   {"status", to_string(storage.health)},
          {"queued", storage.queued},   {"queueMax", storage.queue_max},
          {"written", storage.written}, {"failed", storage.failed},
          {"dropped", storage.dropped}};
}

Json cluster_json(const ClusterOverview& cluster) {
  return {{"configured", cluster.configured},
          {"connected", cluster.connected},
          {"responseMs", cluster.response_ms},
          {"nodes", cluster.nodes}};
}

}  // namespace

std::optional<double> latency_percentile(const EventLatency& latency, double share) {
  if (latency.bounds_ms.empty()) return std::nullopt;
  TANDEM_CHECK(latency.counts.size() == latency.bounds_ms.size() + 1);
  const auto total =
      std::accumulate(latency.counts.begin(), latency.counts.end(), std::uint64_t{0});
  if (total == 0) return std::nullopt;
  const double wanted = share * static_cast<double>(total);
  double seen = 0;
  double from = 0;
  for (std::size_t i = 0; i < latency.bounds_ms.size(); ++i) {
    const auto here = static_cast<double>(latency.counts[i]);
    const double to = latency.bounds_ms[i];
    if (here > 0 && seen + here >= wanted) return from + (to - from) * (wanted - seen) / here;
    seen += here;
    from = to;
  }
  return latency.bounds_ms.back();
}

std::string_view to_string(StorageHealth health) {
  switch (health) {
    case StorageHealth::off:
      return "off";
    case StorageHealth::ok:
      return "ok";
    case StorageHealth::behind:
      return "behind";
    case StorageHealth::down:
      return "down";
  }
  return "down";
}

std::string overview_json(const Overview& overview) {
  Json page = {{"id", overview.id}, {"host", overview.host}, {"region", overview.region}};
  Json status = Json::parse(status_json(overview.node, overview.features));
  status.erase("ok");
  page.update(status);
  page["uptimeMs"] = overview.node.uptime / kNanosPerMillisecond;
  page["process"] = process_json(overview.node.process);
  page["traffic"] = traffic_json(overview.relay);
  page["rooms"] = rooms_json(overview.rooms);
  page["latency"] = latency_json(overview.rooms.latency);
  page["storage"] = storage_json(overview.rooms.storage);
  page["cluster"] = cluster_json(overview.rooms.cluster);
  return page.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tandem
