// Everything that the policies of one shard share: tables, limits, counters, the time, and what
// they have decided for the shard's loop to carry out. Knows no back end; randomness and path sizes
// come from the Environment, time is set before each batch.
#pragma once

#include <atomic>
#include <vector>

#include "common/address_counts.h"
#include "common/control.h"
#include "common/datagram.h"
#include "common/slab.h"
#include "common/stream.h"
#include "common/timer_wheel.h"
#include "common/token.h"
#include "relay/core/blocklist.h"
#include "relay/core/channel_ids.h"
#include "relay/core/cookie.h"
#include "relay/core/local_addresses.h"
#include "relay/core/rate_limiter.h"
#include "relay/core/relay_counters.h"
#include "relay/core/revocations.h"
#include "relay/core/session_rates.h"
#include "relay/core/session_table.h"
#include "relay/core/stream_table.h"

namespace tandem {

// Fixed bounds of the core, with their reasons.
inline constexpr uint32_t kGreetingsMax =
    16'384;  // half-open connections a shard: 6 MB, 14 behind a proxy
// Bytes in flight of one direction of a lane. Half of it cost 5 % of bulk throughput, an eighth 25
// %; twice as much gained nothing.
inline constexpr uint32_t kLaneWindow = 2u << 20;
inline constexpr uint32_t kLaneWindowMin = 32u << 10;
inline constexpr uint16_t kLaneChunksMax =
    64;  // buffers, so that tiny writes do not hold a window's
inline constexpr uint32_t kUnvalidatedPerShard = 50'000;  // datagrams a second
inline constexpr uint64_t kArrivalUnits =
    60;  // a connection's: a rate a minute is one of units a second
inline constexpr Nanos kLingerTimeout = 2 * kNanosPerSecond;
inline constexpr Nanos kAcceptRetry = kNanosPerSecond / 10;

// What the shards count together. Touched when sessions and connections come and go and for an
// offence, never for a datagram that is none.
struct SharedCounts {
  explicit SharedCounts(const SipKey& key)
      : connections(key), half_open(key), arrivals(key), offences(key) {}
  std::atomic<uint32_t> sessions{0};
  AddressCounts connections;
  AddressCounts half_open;
  SharedBudgets arrivals;  // new connections a minute
  OffenceCounter offences;
};

// What the core needs from outside and cannot compute.
struct Environment {
  void* context = nullptr;
  uint16_t (*max_payload)(void* context, const Endpoint& to, const LocalAddress& from) = nullptr;
  void (*random)(void* context, std::span<uint8_t> bytes) = nullptr;
};

// A part of a datagram that belongs to another shard.
struct Stray {
  uint32_t shard = 0;
  Endpoint source;
  LocalAddress local;
  std::span<const uint8_t> bytes;
};

// What was decided, in order, for the loop to carry out. Cleared by it.
struct Decisions {
  std::vector<OutgoingDatagram> forwards;
  std::vector<Reply> replies;
  std::vector<Stray> strays;
  std::vector<StreamAction> actions;
  std::vector<FromShard> messages;
};

struct ShardPlace {
  uint32_t index = 0;
  uint32_t shards = 1;
  uint32_t sessions_max = 0;
  uint32_t streams_max = 0;
  // A lane that has carried so much is bulk and goes by StreamAction::transfer; UINT32_MAX = never.
  uint32_t transfer_after = UINT32_MAX;
  uint32_t greeting_bytes =
      kProxyHeaderMax + kJoinLineMax;  // kJoinLineMax where no proxy is trusted
};

class ShardState {
 public:
  ShardState(ShardPlace place, const ShardSettings& settings, SharedCounts& shared,
             Environment environment, Nanos now);

  void apply(const ShardSettings& settings);

  [[nodiscard]] Millis millis() const { return static_cast<Millis>((now - started) / 1'000'000); }
  [[nodiscard]] uint32_t seconds() const {
    return static_cast<uint32_t>((now - started) / kNanosPerSecond);
  }
  [[nodiscard]] Nanos opened(const Session& session) const {
    return started + Nanos{session.opened_s} * kNanosPerSecond;
  }
  // Nanoseconds from `since` to now.
  [[nodiscard]] Nanos elapsed(Millis since) const { return to_nanos(millis() - since); }
  // The cookie's clock: seconds, monotonic.
  [[nodiscard]] uint32_t cookie_now() const { return static_cast<uint32_t>(now / kNanosPerSecond); }
  [[nodiscard]] uint32_t owner(uint8_t shard_key) const { return shard_key % place.shards; }
  [[nodiscard]] uint32_t owner(uint64_t session_id) const {
    return owner(static_cast<uint8_t>(session_id));
  }
  [[nodiscard]] uint32_t session_timer(uint32_t session) const { return session; }
  [[nodiscard]] uint32_t stream_timer(uint32_t stream) const { return place.sessions_max + stream; }
  [[nodiscard]] uint32_t accept_timer() const { return place.sessions_max + place.streams_max; }

  void act(const StreamAction& action) { out.actions.push_back(action); }
  void tell(const FromShard& message) { out.messages.push_back(message); }
  void drop(DropReason reason, uint64_t packets = 1) {
    counters.datagrams_dropped[reason].add(packets);
  }
  [[nodiscard]] bool blocked(const IpAddress& address) const {
    return blocklist.judge(address, now) == BlockVerdict::blocked;
  }
  // Someone whose address is proven did what only an attacker or a broken client does.
  void offence(const IpAddress& address);

  const ShardPlace place;
  const ShardSettings* settings = nullptr;
  SharedCounts& shared;
  const Environment environment;
  const Nanos started;

  Nanos now;
  UnixSeconds unix_now = 0;
  bool draining = false;
  uint64_t stream_bytes_free = 0;

  SessionTable sessions;
  StreamTable streams;
  GreetingTable greetings;
  TimerWheel timers;
  LocalAddresses locals;
  ChannelIds channels;
  CookieMint cookies;
  TokenVerifier verifier;
  Blocklist blocklist;
  Revocations revocations;
  SourceBudgets unvalidated;  // who has not proved an address
  SourceBudgets validated;    // who has: what a BIND may cost
  SessionRates rates;
  BucketLimit packet_rate;
  BucketLimit arrival_rate;
  BucketLimit global_share;
  RateBucket global_bucket;

  RelayCounters counters;
  Decisions out;
};

}  // namespace tandem
