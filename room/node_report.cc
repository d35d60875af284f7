#include "room/node_report.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "room/version.h"

namespace tandem {
namespace {

using Json = nlohmann::ordered_json;

// ISO 8601 in UTC with milliseconds, as in the log.
std::string timestamp(std::int64_t unix_ms) {
  const time_t seconds = unix_ms / 1000;
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     unix_ms % 1000);
}

Json shard_json(const ShardSummary& shard) {
  return {{"shard", shard.shard},
          {"cpu", shard.cpu},
          {"sessions", shard.sessions},
          {"sessionsPaired", shard.sessions_paired},
          {"streams", shard.streams},
          {"datagramsReceived", shard.datagrams_received},
          {"datagramsForwarded", shard.datagrams_forwarded},
          {"datagramsDropped", shard.datagrams_dropped},
          {"streamBytes", shard.stream_bytes},
          {"datagramBytes", shard.datagram_bytes},
          {"buffersFree", shard.buffers_free},
          {"buffersTotal", shard.buffers_total},
          {"turns", shard.turns}};
}

// So many there are, so many more there is room for.
void put_room_left(Json& into, std::uint64_t taken, std::uint64_t most) {
  into["current"] = taken;
  into["max"] = most;
  into["left"] = most - std::min(taken, most);
}

Json connections_json(const RoomSummary& rooms) {
  Json connections;
  put_room_left(connections, rooms.connections, rooms.connections_max);
  connections["clients"] = rooms.clients;
  return connections;
}

Json rooms_json(const RoomSummary& summary) {
  Json rooms = {{"enabled", summary.enabled}};
  put_room_left(rooms, summary.rooms, summary.rooms_max);
  rooms["players"] = summary.players;
  return rooms;
}

Json storage_json(const StorageSummary& storage) {
  return {{"driver", storage.driver},
          {"ok", storage.ok},
          {"queue", storage.queue},
          {"queueMax", storage.queue_max},
          {"dropped", storage.dropped}};
}

// responseTime is in milliseconds.
Json redis_json(const RedisSummary& redis) {
  Json answer = {{"connected", redis.connected}, {"configured", redis.configured}};
  answer["responseTime"] = redis.response_ms ? Json(*redis.response_ms) : Json(nullptr);
  return answer;
}

Json relay_json(const NodeState& node) {
  Json shards = Json::array();
  for (const ShardSummary& shard : node.shards) shards.push_back(shard_json(shard));
  const std::uint64_t taken = std::min(node.sessions, node.sessions_max);
  return {{"state", to_string(node.relay)},
          {"sessions", node.sessions},
          {"sessionsMax", node.sessions_max},
          {"sessionsLeft", node.sessions_max - taken},
          {"shards", std::move(shards)}};
}

Json checks_json(const NodeState& node) {
  const HealthChecks checks = check_health(node);
  return {{"memory",
           {{"status", to_string(checks.memory)},
            {"availableBytes", node.process.host_memory_available_bytes},
            {"totalBytes", node.process.host_memory_bytes}}},
          {"fileDescriptors",
           {{"status", to_string(checks.file_descriptors)},
            {"open", node.process.descriptors_open},
            {"max", node.process.descriptors_max}}},
          {"shards", {{"status", to_string(checks.shards)}}},
          {"storage", {{"status", to_string(checks.storage)}}},
          {"redis", {{"status", to_string(checks.redis)}}}};
}

Json node_json(const NodeState& node) {
  return {{"status", to_string(check_health(node).worst())},
          {"timestamp", timestamp(node.unix_ms)},
          {"uptime", node.uptime / kNanosPerSecond},
          {"version", version()},
          {"memory",
           {{"residentBytes", node.process.resident_bytes},
            {"virtualBytes", node.process.virtual_bytes}}},
          {"connections", connections_json(node.rooms)},
          {"rooms", rooms_json(node.rooms)},
          {"relay", relay_json(node)},
          {"storage", storage_json(node.storage)},
          {"redis", redis_json(node.redis)},
          {"checks", checks_json(node)}};
}

}  // namespace

Health HealthChecks::worst() const {
  return std::max({memory, file_descriptors, shards, storage, redis});
}

HealthChecks check_health(const NodeState& node) {
  HealthChecks checks;
  const ProcessSample& process = node.process;
  if (process.host_memory_available_bytes < process.host_memory_bytes / 20)
    checks.memory = Health::degraded;
  if (process.descriptors_open > process.descriptors_max / 10 * 9)
    checks.file_descriptors = Health::degraded;
  const bool running = node.relay == RelayState::serving || node.relay == RelayState::draining;
  if (node.relay == RelayState::stopped || (running && !node.shards_answer))
    checks.shards = Health::error;
  if (!node.storage.ok || node.storage.queue > node.storage.queue_max / 10 * 9)
    checks.storage = Health::degraded;
  if (node.redis.configured && !node.redis.connected) checks.redis = Health::degraded;
  return checks;
}

Readiness check_readiness(const NodeState& node) {
  switch (node.relay) {
    case RelayState::starting:
      return Readiness::starting;
    case RelayState::draining:
    case RelayState::stopped:
      return Readiness::draining;
    case RelayState::serving:
      break;
  }
  if (!node.shards_answer) return Readiness::unhealthy;
  const bool full = node.sessions >= node.sessions_max ||
                    (node.rooms.enabled && node.rooms.connections >= node.rooms.connections_max);
  return full ? Readiness::full : Readiness::ready;
}

std::string_view to_string(Health health) {
  switch (health) {
    case Health::ok:
      return "ok";
    case Health::degraded:
      return "degraded";
    case Health::error:
      return "error";
  }
  return "error";
}

std::string_view to_string(Readiness readiness) {
  switch (readiness) {
    case Readiness::ready:
      return "ready";
    case Readiness::starting:
      return "starting";
    case Readiness::draining:
      return "draining";
    case Readiness::full:
      return "full";
    case Readiness::unhealthy:
      return "unhealthy";
  }
  return "unhealthy";
}

std::string_view to_string(RelayState state) {
  switch (state) {
    case RelayState::starting:
      return "starting";
    case RelayState::serving:
      return "serving";
    case RelayState::draining:
      return "draining";
    case RelayState::stopped:
      return "stopped";
  }
  return "stopped";
}

std::string health_json(const NodeState& node) {
  return node_json(node).dump();
}

std::string status_json(const NodeState& node, const RelayFeatures& features) {
  Json answer = {{"ok", true}};
  answer.update(node_json(node));
  answer["readiness"] = to_string(check_readiness(node));
  answer["features"] = {{"backend", features.backend},
                        {"submission", features.submission},
                        {"zeroCopy", features.zero_copy},
                        {"kernel", features.kernel_features}};
  return answer.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tandem
