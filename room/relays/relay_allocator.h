// Relay sessions for pairs of the room service: which relay, the session, and fresh tokens for both
// ends. Knows no room and no socket.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "common/keyring.h"
#include "common/result.h"
#include "room/relays/placement.h"
#include "room/relays/relay_fleet.h"

namespace tandem {

// What one end is told in use:relay.
struct RelayTicket {
  std::string server;  // empty: the address that the client reached
  std::uint16_t port = 0;
  std::string token;
  std::uint64_t session_id = 0;
  std::uint8_t slot = 0;
  bool tcp = false;
  bool udp = false;
  UnixSeconds expires_at = 0;
  std::string region;
  std::string e2e_key;  // 32 random bytes, base64url; the same for both
};

enum class AllocationFault : std::uint8_t { no_relay, draining };

class RelayAllocator {
 public:
  struct Options {
    std::uint32_t token_lifetime_s = 3600;  // within sessions.token_max_age_s
    std::uint32_t token_max_age_s = 86'400;
  };

  // `fleet` outlives this; `keyring` is asked for each mint, so a reload may replace it.
  RelayAllocator(RelayFleet& fleet, std::function<const Keyring&()> keyring, Options options);

  void apply(const Options& options) { options_ = options; }

  // A new session's id.
  [[nodiscard]] Result<std::uint64_t, AllocationFault> open(std::string_view region,
                                                            BeaconReports a, BeaconReports b,
                                                            std::string_view avoided = {});

  // Whether the session's relay still takes its clients. False for a session that is not known.
  [[nodiscard]] bool is_usable(std::uint64_t session_id) const;
  // Its relay's id, empty where the session is not known.
  [[nodiscard]] std::string_view relay_of(std::uint64_t session_id) const;

  // A fresh token for one end of a known session; nothing where no key mints.
  [[nodiscard]] std::optional<RelayTicket> grant(std::uint64_t session_id, std::uint8_t slot,
                                                 UnixSeconds now) const;

  // Ends it at its relay and forgets it. A session that is not known: nothing.
  void revoke(std::uint64_t session_id);

  // Where other relays take clients than at the last call: all sessions on those that do not, since
  // they drain or are gone. None while no relay does, since there would be nowhere to go.
  [[nodiscard]] std::optional<std::vector<std::uint64_t>> take_stranded();

  [[nodiscard]] std::size_t sessions() const { return sessions_.size(); }
  [[nodiscard]] std::uint64_t opened() const { return opened_; }

 private:
  struct Opened {
    RelayNode relay;  // as it was when the session was opened
    std::string e2e_key;
  };

  RelayFleet& fleet_;
  std::function<const Keyring&()> keyring_;
  Options options_;
  std::unordered_map<std::uint64_t, Opened> sessions_;  // random keys of our own
  std::vector<std::string> accepting_;                  // relays, at the last take_stranded()
  std::uint64_t opened_ = 0;
};

}  // namespace tandem
