#include "room/room_metrics.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <set>
#include <sstream>
#include <string>

#include "room/compat_metrics.h"
#include "room/metrics_page.h"
#include "tests/unit/room/loopback.h"

namespace tandem {
namespace {

RoomStats busy() {
  RoomStats stats;
  stats.record_event(EventType::room_create, 20 * kNanosPerMicrosecond);
  stats.record_event(EventType::room_create, 2 * kNanosPerMillisecond);
  stats.record_error("ROOM_FULL");
  stats.record_bad_token(JwtFault::expired);
  stats.record_missing_token();
  stats.record_limited(LimitScope::address);
  stats.record_p2p_success(ConnectionType::lan);
  stats.record_p2p_failure();
  stats.guest_tokens = 3;
  stats.relay_sessions_allocated = 4;
  return stats;
}

class Shown {
 public:
  explicit Shown(const Metrics& metrics) : page_('\n' + render_metrics(metrics)) {}
  bool has(std::string_view line) const {
    return page_.find(fmt::format("\n{}\n", line)) != std::string::npos;
  }

 private:
  std::string page_;
};

TEST_CASE("every figure is on the page under its name") {
  Metrics metrics;
  append_room_metrics(busy(),
                      {.clients = 1,
                       .clients_absent = 2,
                       .rooms = 3,
                       .rooms_max = 4,
                       .players = 5,
                       .list_subscribers = 6,
                       .relay_sessions = 7,
                       .passwords_waiting = 8,
                       .addresses_evicted = 9,
                       .rooms_created = 10,
                       .rooms_closed = 11,
                       .joins = 12,
                       .messages = 13,
                       .signals = 14},
                      metrics);
  const Shown page(metrics);
  for (const char* line :
       {"tandem_room_clients 1",
        "tandem_room_clients_absent 2",
        "tandem_rooms 3",
        "tandem_rooms_limit 4",
        "tandem_room_players 5",
        "tandem_room_list_subscribers 6",
        "tandem_room_relay_sessions 7",
        "tandem_room_passwords_waiting 8",
        "tandem_room_addresses_evicted_total 9",
        "tandem_rooms_created_total 10",
        "tandem_rooms_closed_total 11",
        "tandem_room_joins_total 12",
        "tandem_room_messages_total 13",
        "tandem_room_signals_total 14",
        "tandem_room_errors_total{code=\"ROOM_FULL\"} 1",
        "tandem_room_errors_total{code=\"BANNED\"} 0",
        "tandem_room_auth_failures_total{reason=\"expired\"} 1",
        "tandem_room_auth_failures_total{reason=\"bad_signature\"} 0",
        "tandem_room_auth_failures_total{reason=\"no_token\"} 1",
        "tandem_room_auth_failures_total{reason=\"operator_token\"} 0",
        "tandem_room_rate_limited_total{scope=\"address\"} 1",
        "tandem_room_p2p_successes_total{connection_type=\"lan\"} 1",
        "tandem_room_p2p_failures_total 1",
        "tandem_room_relay_sessions_allocated_total 4",
        "tandem_room_relay_sessions_refused_total 0",
        "tandem_room_guest_tokens_total 3",
        "tandem_room_event_duration_seconds_bucket{event=\"room:create\",le=\"1e-05\"} 0",
        "tandem_room_event_duration_seconds_bucket{event=\"room:create\",le=\"5e-05\"} 1",
        "tandem_room_event_duration_seconds_bucket{event=\"room:create\",le=\"0.005\"} 2",
        "tandem_room_event_duration_seconds_bucket{event=\"room:create\",le=\"+Inf\"} 2",
        "tandem_room_event_duration_seconds_sum{event=\"room:create\"} 0.00202",
        "tandem_room_event_duration_seconds_count{event=\"room:create\"} 2",
        "tandem_room_event_duration_seconds_count{event=\"other\"} 0"})
    CHECK_MESSAGE(page.has(line), line);
}

TEST_CASE("the names that others look for") {
  Metrics metrics;
  append_compat_metrics(busy(),
                        {.node = "n1",
                         .region = "eu",
                         .websockets = 1,
                         .websockets_opened = 2,
                         .clients = 3,
                         .rooms = 4,
                         .games = {{"0100abcd\"", 1}},
                         .matches = 5,
                         .redis_connected = true,
                         .relay_bytes = 6,
                         .resident_bytes = 7,
                         .http_requests = {{200, 8}, {404, 9}}},
                        metrics);
  const Shown page(metrics);
  for (const char* line :
       {"websocket_connections 1",
        "websocket_connections_total 2",
        "gameserver_active_connections{server=\"n1\"} 3",
        "gameserver_rooms_total 4",
        "matchserver_active_matches 5",
        "matchserver_active_matches_total 5",
        "gameserver_redis_connected 1",
        "relay_bandwidth_bytes_total{server_region=\"eu\"} 6",
        "matchserver_memory_usage_bytes 7",
        "http_requests_total{status=\"200\"} 8",
        "http_requests_total{status=\"404\"} 9",
        "rooms_active_total{game_id=\"0100abcd\\\"\"} 1",
        "p2p_connection_success_rate_bucket{le=\"0.5\"} 1",
        "p2p_connection_success_rate_bucket{le=\"0.99\"} 1",
        "p2p_connection_success_rate_bucket{le=\"1\"} 2",
        "p2p_connection_success_rate_sum 1.5",
        "p2p_connection_success_rate_count 2",
        "gameserver_socket_event_duration_ms_bucket{event_type=\"room:create\",le=\"1\"} 1",
        "gameserver_socket_event_duration_ms_bucket{event_type=\"room:create\",le=\"5\"} 2",
        "gameserver_socket_event_duration_ms_bucket{event_type=\"room:create\",le=\"5000\"} 2",
        "gameserver_socket_event_duration_ms_sum{event_type=\"room:create\"} 2.02",
        "gameserver_socket_event_duration_ms_count{event_type=\"room:join\"} 0",
        "# TYPE rooms_active_total gauge",
        "# TYPE gameserver_rooms_total gauge",
        "# TYPE websocket_connections_total counter"})
    CHECK_MESSAGE(page.has(line), line);
}

TEST_CASE("both pages are bounded whatever clients do") {
  RoomStats stats;
  TextMap<std::uint32_t> games;
  for (int i = 0; i < 5'000; ++i) {
    ++games[fmt::format("game {}", i)];
    stats.record_event(event_type(fmt::format("event {}", i)), i);
    stats.record_error(fmt::format("CODE_{}", i));
    stats.record_p2p_success(connection_type(fmt::format("way {}", i)));
  }
  Metrics metrics;
  append_room_metrics(stats, {}, metrics);
  append_compat_metrics(
      stats, {.node = "n", .region = "r", .games = largest_games(games, kGamesShown)}, metrics);
  CHECK(metrics.size() < 1'000);
  CHECK(render_metrics(metrics).size() < 100'000);
  std::size_t shown = 0;
  for (const Metric& metric : metrics) shown += metric.name == "rooms_active_total" ? 1 : 0;
  CHECK(shown == kGamesShown + 1);
}

TEST_CASE("requests of all listeners by status") {
  const auto requests = [](std::string labels, double value) {
    return Metric{"tandem_http_requests_total", "", MetricType::counter, std::move(labels), value};
  };
  CHECK(http_requests_by_status({}) == std::map<unsigned, std::uint64_t>{{200, 0}});
  const Metrics page{requests("listener=\"room\",status=\"200\"", 3),
                     requests("status=\"200\",listener=\"monitoring\"", 4),
                     requests("status=\"404\"", 5),
                     requests("listener=\"x\"", 100),
                     {"other_total", "", MetricType::counter, "status=\"200\"", 100}};
  CHECK(http_requests_by_status(page) == std::map<unsigned, std::uint64_t>{{200, 7}, {404, 5}});
}

TEST_CASE("promtool complains of names that others chose, and of no other" *
          doctest::skip(!is_installed("promtool"))) {
  const auto check = [](const Metrics& metrics) {
    return run_program({"promtool", "check", "metrics"}, render_metrics(metrics));
  };
  Metrics metrics;
  append_room_metrics(busy(), {}, metrics);
  const ProgramEnd ours = check(metrics);
  CHECK(ours.code == 0);
  CHECK(ours.output + ours.errors == "");

  append_compat_metrics(
      busy(),
      {.node = "n", .region = "r", .games = {{"g", 1}}, .http_requests = {{200, 1}, {404, 2}}},
      metrics);
  std::istringstream complaints(check(metrics).errors);
  std::set<std::string> names;
  for (std::string line; std::getline(complaints, line);)
    names.insert(line.substr(0, line.find(' ')));
  CHECK(names == std::set<std::string>{"gameserver_rooms_total",
                                       "gameserver_socket_event_duration_ms",
                                       "matchserver_active_matches_total", "rooms_active_total"});
}

}  // namespace
}  // namespace tandem
