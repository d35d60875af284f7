#include "room/relays/placement.h"

#include <algorithm>
#include <compare>

namespace tandem {
namespace {

std::optional<double> reported(BeaconReports reports, std::string_view relay) {
  const auto found = std::ranges::find(reports, relay, &Beacon::relay_id);
  if (found == reports.end()) return std::nullopt;
  return found->rtt_ms;
}

// Smaller is better, from the first member on.
struct Rank {
  bool unknown = false;  // one of the two has not measured it
  double worst_rtt_ms = 0;
  bool elsewhere = false;  // not in the room's region
  double lack = 0;         // of headroom

  friend auto operator<=>(const Rank&, const Rank&) = default;
};

Rank rank(const RelayNode& relay, std::string_view region, BeaconReports a, BeaconReports b) {
  const auto rtt_a = reported(a, relay.id);
  const auto rtt_b = reported(b, relay.id);
  const bool known = rtt_a && rtt_b;
  return {.unknown = !known,
          .worst_rtt_ms = known ? std::max(*rtt_a, *rtt_b) : 0,
          .elsewhere = relay.region != region,
          .lack = -headroom(relay)};
}

}  // namespace

double headroom(const RelayNode& relay) {
  if (relay.sessions >= relay.sessions_max) return 0;
  return static_cast<double>(relay.sessions_max - relay.sessions) * relay.weight / 100;
}

double load(const RelayNode& relay) {
  if (relay.sessions_max == 0) return 1;
  return std::min(1.0,
                  static_cast<double>(relay.sessions) / static_cast<double>(relay.sessions_max));
}

std::optional<std::size_t> place(std::span<const RelayNode> relays, std::string_view region,
                                 BeaconReports a, BeaconReports b, std::string_view avoided) {
  std::optional<std::size_t> best;
  Rank best_rank;
  for (std::size_t i = 0; i < relays.size(); ++i) {
    const RelayNode& relay = relays[i];
    if (!relay.accepts || headroom(relay) <= 0 || relay.id == avoided) continue;
    const Rank its = rank(relay, region, a, b);
    if (best && !(its < best_rank)) continue;
    best = i;
    best_rank = its;
  }
  return best;
}

}  // namespace tandem
