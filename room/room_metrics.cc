#include "room/room_metrics.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "room/metrics_page.h"

namespace tandem {
namespace {

class Page {
 public:
  explicit Page(Metrics& into) : into_(into) {}

  void gauge(std::string_view name, std::string_view help, std::uint64_t value) {
    add(name, help, MetricType::gauge, {}, value);
  }
  void counter(std::string_view name, std::string_view help, std::uint64_t value) {
    add(name, help, MetricType::counter, {}, value);
  }
  void counter(std::string_view name, std::string_view help, std::string labels,
               std::uint64_t value) {
    add(name, help, MetricType::counter, std::move(labels), value);
  }

 private:
  void add(std::string_view name, std::string_view help, MetricType type, std::string labels,
           std::uint64_t value) {
    into_.push_back({name, help, type, std::move(labels), static_cast<double>(value)});
  }
  Metrics& into_;
};

// A reason as a label: words of letters, digits and underscores are the custom.
std::string_view reason_of(JwtFault fault) {
  switch (fault) {
    case JwtFault::malformed:
      return "malformed";
    case JwtFault::wrong_algorithm:
      return "wrong_algorithm";
    case JwtFault::unknown_key:
      return "unknown_key";
    case JwtFault::bad_signature:
      return "bad_signature";
    case JwtFault::bad_claims:
      return "bad_claims";
    case JwtFault::wrong_issuer:
      return "wrong_issuer";
    case JwtFault::wrong_audience:
      return "wrong_audience";
    case JwtFault::not_yet:
      return "not_yet";
    case JwtFault::expired:
      return "expired";
  }
  return "malformed";
}

void append_refusals(const RoomStats& stats, Page& page) {
  for (const RoomStats::ErrorCount& error : stats.errors())
    page.counter("tandem_room_errors_total", "Requests of clients that were refused, by code.",
                 metric_label("code", error.code), error.count);
  const auto failed = [&](std::string_view reason, std::uint64_t count) {
    page.counter("tandem_room_auth_failures_total",
                 "Attempts to come in without a token that is good, by reason; operator_token are "
                 "those of operators.",
                 metric_label("reason", reason), count);
  };
  for (std::size_t fault = 0; fault < RoomStats::kJwtFaults; ++fault)
    failed(reason_of(static_cast<JwtFault>(fault)), stats.bad_tokens(static_cast<JwtFault>(fault)));
  failed("no_token", stats.missing_tokens());
  failed("operator_token", stats.bad_operator_tokens());
  for (std::size_t scope = 0; scope < kLimitScopes; ++scope)
    page.counter("tandem_room_rate_limited_total",
                 "Requests refused since there were too many, by what was counted.",
                 metric_label("scope", limit_scope_name(static_cast<LimitScope>(scope))),
                 stats.limited(static_cast<LimitScope>(scope)));
}

void append_pairs(const RoomStats& stats, Page& page) {
  for (std::size_t type = 0; type < kConnectionTypes; ++type)
    page.counter(
        "tandem_room_p2p_successes_total",
        "Pairs that reached each other, as they reported it, by how.",
        metric_label("connection_type", connection_type_name(static_cast<ConnectionType>(type))),
        stats.p2p_successes(static_cast<ConnectionType>(type)));
  page.counter("tandem_room_p2p_failures_total", "Pairs that did not, as they reported it.",
               stats.p2p_failures());
  page.counter("tandem_room_relay_sessions_allocated_total",
               "Relay sessions given to pairs that could not reach each other.",
               stats.relay_sessions_allocated);
  page.counter("tandem_room_relay_sessions_refused_total",
               "Pairs for which there was no relay, or that had too many sessions.",
               stats.relay_sessions_refused);
}

void append_figures(const RoomFigures& figures, Page& page) {
  page.gauge("tandem_room_clients", "Clients connected over Socket.IO.", figures.clients);
  page.gauge("tandem_room_clients_absent",
             "Clients whose connection went and whose seats are kept for their return.",
             figures.clients_absent);
  page.gauge("tandem_rooms", "Rooms open.", figures.rooms);
  page.gauge("tandem_rooms_limit", "The most rooms that may be open.", figures.rooms_max);
  page.gauge("tandem_room_players", "Seats taken, in all rooms.", figures.players);
  page.gauge("tandem_room_list_subscribers", "Clients that follow the list of rooms.",
             figures.list_subscribers);
  page.gauge("tandem_room_relay_sessions", "Relay sessions that pairs in rooms hold.",
             figures.relay_sessions);
  page.gauge("tandem_room_passwords_waiting", "Passwords that wait to be hashed.",
             figures.passwords_waiting);
  page.counter("tandem_room_addresses_evicted_total",
               "Addresses whose rate was forgotten to make room for another's.",
               figures.addresses_evicted);
  page.counter("tandem_rooms_created_total", "Rooms opened since the start.",
               figures.rooms_created);
  page.counter("tandem_rooms_closed_total", "Rooms closed since the start.", figures.rooms_closed);
  page.counter("tandem_room_joins_total", "Seats taken since the start.", figures.joins);
  page.counter("tandem_room_messages_total",
               "Messages sent to rooms, each counted once however many get it.", figures.messages);
  page.counter("tandem_room_signals_total", "Signals passed from one client to another.",
               figures.signals);
}

void append_durations(const RoomStats& stats, Metrics& into) {
  std::array<double, DurationHistogram::kBounds.size()> bounds{};
  std::ranges::transform(DurationHistogram::kBounds, bounds.begin(), [](Nanos bound) {
    return static_cast<double>(bound) / static_cast<double>(kNanosPerSecond);
  });
  for (std::size_t type = 0; type < kEventTypes; ++type) {
    const DurationHistogram& durations = stats.events(static_cast<EventType>(type));
    append_histogram(into, "tandem_room_event_duration_seconds",
                     "What clients sent, by event, and how long the control thread worked on it.",
                     metric_label("event", event_name(static_cast<EventType>(type))), bounds,
                     durations.counts(),
                     static_cast<double>(durations.sum()) / static_cast<double>(kNanosPerSecond));
  }
}

}  // namespace

void append_room_metrics(const RoomStats& stats, const RoomFigures& figures, Metrics& into) {
  Page page(into);
  append_figures(figures, page);
  append_refusals(stats, page);
  append_pairs(stats, page);
  page.counter("tandem_room_guest_tokens_total", "Tokens minted for guests.", stats.guest_tokens);
  append_durations(stats, into);
}

}  // namespace tandem
