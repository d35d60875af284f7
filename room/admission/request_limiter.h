// How often a client or an address may ask, by the configuration's RateLimit: at most `max` events
// in a window, which begins with its first one; whoever exceeds it is refused for `block_s`, or
// until the window is over where that is 0. Time is an argument; limits are, too, so that a reload
// counts at once. Knows no event by name and no socket.
//
// Windows that begin with their first event take 16 bytes whatever the limit and never refuse one
// who keeps to it, at the price that up to twice `max` may pass across a window's end. A bucket
// that refills all the time (relay/core) bounds the same and would let the event behind the `max`th
// pass now and then, which whoever set a round figure would call a miscount.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/clock.h"
#include "common/config.h"
#include "common/endpoint.h"
#include "common/siphash.h"
#include "room/admission/limit_table.h"
#include "room/lobby/room_types.h"

namespace tandem {

enum class LimitOutcome : std::uint8_t {
  allowed,
  exceeded,  // refused, and the first one that is: worth a line in the log
  blocked,   // refused, like the one before
};

struct LimitVerdict {
  LimitOutcome outcome = LimitOutcome::allowed;
  std::uint32_t retry_after_s = 0;  // at least 1 where it was refused

  [[nodiscard]] bool allowed() const { return outcome == LimitOutcome::allowed; }
  friend bool operator==(const LimitVerdict&, const LimitVerdict&) = default;
};

// The count of one source. Zeroed memory is one that has not asked yet. `now` is monotonic.
class RateWindow {
 public:
  // Counts one event where it is allowed.
  [[nodiscard]] LimitVerdict charge(const RateLimit& limit, Nanos now);
  // What the next charge() would say, without counting; for limits on failures alone.
  [[nodiscard]] LimitVerdict peek(const RateLimit& limit, Nanos now) const;

  // Nothing of it matters any more.
  [[nodiscard]] bool at_rest(Nanos now) const { return now >= until_; }
  // At rest before not blocked before blocked; of two that count, the one that has asked less; of
  // two that are blocked, the one whose block ends first.
  [[nodiscard]] bool matters_less(const RateWindow& other, Nanos now) const;

 private:
  Nanos until_ = 0;  // the window's or the block's end
  std::uint32_t count_ = 0;
  bool blocked_ = false;
};
static_assert(sizeof(RateWindow) == 16);

// One client's, for whoever keeps a state of each; ClientLimiter is a table of them.
class ClientLimits {
 public:
  [[nodiscard]] LimitVerdict charge(EventClass of, const Config::Room& limits, Nanos now);

  [[nodiscard]] bool at_rest(Nanos now) const;
  [[nodiscard]] bool matters_less(const ClientLimits& other, Nanos now) const;

 private:
  [[nodiscard]] const RateWindow& weightiest(Nanos now) const;
  RateWindow windows_[3];
};
static_assert(sizeof(ClientLimits) == 48);

// By client id: what a client does over HTTP and over its sockets counts together, and coming back
// clears nothing. Some `entries` of 64 bytes; twice room.max_connections is plenty.
class ClientLimiter {
 public:
  // The key is secret and random for each start.
  ClientLimiter(const SipKey& key, std::size_t entries) : key_(key), clients_(key, entries) {}

  [[nodiscard]] LimitVerdict charge(std::string_view client_id, EventClass of,
                                    const Config::Room& limits, Nanos now);
  [[nodiscard]] std::uint64_t evicted() const { return clients_.evicted(); }

 private:
  SipKey key_;
  LimitTable<ClientLimits> clients_;
};

// One window for each address (IPv6: each /64).
class AddressLimiter {
 public:
  // The key is secret and random for each start; some `entries` of 32 bytes.
  AddressLimiter(const SipKey& key, std::size_t entries) : addresses_(key, entries) {}

  [[nodiscard]] LimitVerdict charge(const RateLimit& limit, const IpAddress& address, Nanos now);
  [[nodiscard]] LimitVerdict peek(const RateLimit& limit, const IpAddress& address,
                                  Nanos now) const;

  // Addresses whose count was lost to a newcomer's.
  [[nodiscard]] std::uint64_t evicted() const { return addresses_.evicted(); }

 private:
  LimitTable<RateWindow> addresses_;
};

// What is limited whatever the configuration says, since it is what a guesser does. Per
// address; tries at a room's password are the registry's to count.
inline constexpr RateLimit kFailedLoginLimit{.window_s = 60, .max = 30, .block_s = 300};
inline constexpr RateLimit kGuestLoginLimit{.window_s = 60, .max = 60, .block_s = 60};
inline constexpr RateLimit kCodeLookupLimit{.window_s = 60, .max = 60, .block_s = 60};

// All that is kept by address: 4 tables of 8,192 entries, 1 MiB.
class AddressLimits {
 public:
  explicit AddressLimits(const SipKey& key);

  // HTTP requests and events, whoever of the address sends them: room.address_rate_limit.
  [[nodiscard]] LimitVerdict charge_request(const RateLimit& limit, const IpAddress& address,
                                            Nanos now);
  // Before a token is judged, and after it was found wrong. Failures alone are counted, so that a
  // house full of players behind one address comes in.
  [[nodiscard]] LimitVerdict may_log_in(const IpAddress& address, Nanos now) const;
  LimitVerdict record_failed_login(const IpAddress& address, Nanos now);

  [[nodiscard]] LimitVerdict charge_guest_login(const IpAddress& address, Nanos now);
  // A room's code that was looked up or joined by.
  [[nodiscard]] LimitVerdict charge_code_lookup(const IpAddress& address, Nanos now);

  [[nodiscard]] std::uint64_t evicted() const;

 private:
  AddressLimiter requests_;
  AddressLimiter failed_logins_;
  AddressLimiter guest_logins_;
  AddressLimiter code_lookups_;
};

}  // namespace tandem
