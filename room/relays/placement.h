// Which relay a pair is sent to. Pure: what is known of the relays and of the two clients in, one
// of the relays out. Knows neither tokens nor how a relay was heard of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "room/lobby/room_types.h"

namespace tandem {

// A relay as the room service knows it: this node's, or what a node of the fleet tells of itself.
struct RelayNode {
  std::string id;
  std::string region;
  std::string host;  // empty: clients are told the address that they reached
  std::uint16_t port = 0;
  bool tcp = false;
  bool udp = false;
  bool accepts = false;  // serves, does not drain, its shards answer
  std::uint64_t sessions = 0;
  std::uint64_t sessions_max = 0;
  std::uint32_t weight = 100;  // node.weight: its share of new sessions, 0 = none
};

// What a client's PINGs to relays took, as it reported in relay:beacons.
using BeaconReports = std::span<const Beacon>;

// The sessions that it would still take, by its weight.
[[nodiscard]] double headroom(const RelayNode& relay);

// From 0 (empty) to 1 (full).
[[nodiscard]] double load(const RelayNode& relay);

// One that accepts, has room and is not `avoided`. Where both clients reported the same such
// relays, the one with the smallest worst round trip of the two; else one in `region` where there
// is one, with the most headroom. Nothing: there is none.
[[nodiscard]] std::optional<std::size_t> place(std::span<const RelayNode> relays,
                                               std::string_view region, BeaconReports a,
                                               BeaconReports b, std::string_view avoided = {});

}  // namespace tandem
