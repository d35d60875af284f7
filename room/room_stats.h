// What the room service counts that none of its parts does: how long clients' events take, why
// somebody was refused, how pairs fared, which games are played. Plain numbers of one thread
// (control's); showing them is room_metrics' and compat_metrics' business. Every label is one of a
// fixed set, whatever clients send.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "room/admission/jwt.h"
#include "room/lobby/keyed_hash.h"

namespace tandem {

// What a client sends, and its coming and going.
enum class EventType : std::uint8_t {
  connect,
  disconnect,
  room_create,
  room_list,
  room_subscribe,
  room_unsubscribe,
  room_join,
  room_leave,
  room_update,
  room_kick,
  room_ban,
  room_transfer,
  room_ready,
  room_message,
  p2p_signal,
  p2p_success,
  p2p_failure,
  relay_beacons,
  relay_report,
  other,
};
inline constexpr std::size_t kEventTypes = 20;
[[nodiscard]] EventType event_type(std::string_view name);  // "room:create"
[[nodiscard]] std::string_view event_name(EventType type);

// How often each duration came. counts()[i] is of what took at most kBounds[i] and longer than the
// bound before; the last is of all that took longer.
class DurationHistogram {
 public:
  static constexpr std::array<Nanos, 15> kBounds = {
      10 * kNanosPerMicrosecond,   50 * kNanosPerMicrosecond,   100 * kNanosPerMicrosecond,
      500 * kNanosPerMicrosecond,  1 * kNanosPerMillisecond,    5 * kNanosPerMillisecond,
      10 * kNanosPerMillisecond,   25 * kNanosPerMillisecond,   50 * kNanosPerMillisecond,
      100 * kNanosPerMillisecond,  250 * kNanosPerMillisecond,  500 * kNanosPerMillisecond,
      1000 * kNanosPerMillisecond, 2500 * kNanosPerMillisecond, 5000 * kNanosPerMillisecond};
  using Counts = std::array<std::uint64_t, kBounds.size() + 1>;

  void count(Nanos duration);
  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] Nanos sum() const { return sum_; }
  [[nodiscard]] std::uint64_t total() const;

 private:
  Counts counts_{};
  Nanos sum_ = 0;
};

// Who was too fast, and at what.
enum class LimitScope : std::uint8_t {
  request,  // of one client, as the next two
  message,
  signal,
  password,
  address,  // room.address_rate_limit
  login,
  guest,
  code,
};
inline constexpr std::size_t kLimitScopes = 8;
[[nodiscard]] std::string_view limit_scope_name(LimitScope scope);

// How two clients reached each other, as they say themselves.
enum class ConnectionType : std::uint8_t {
  unknown,
  direct,
  lan,
  host,
  srflx,
  prflx,
  upnp,
  relay,
  other
};
inline constexpr std::size_t kConnectionTypes = 9;
[[nodiscard]] ConnectionType connection_type(std::string_view name);  // "": unknown
[[nodiscard]] std::string_view connection_type_name(ConnectionType type);

// The share of successes among the last 64 reports, and how often it was what.
class SuccessRate {
 public:
  static constexpr std::array<double, 8> kBounds = {0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1};
  using Counts = std::array<std::uint64_t, kBounds.size() + 1>;

  void record(bool success);
  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] double sum() const { return sum_; }

 private:
  static constexpr unsigned kReports = 64;
  std::uint64_t last_ = 0;  // a bit a report, the newest lowest
  unsigned reports_ = 0;
  Counts counts_{};
  double sum_ = 0;
};

// A game and how many rooms it has.
using GameShare = std::pair<std::string, std::uint64_t>;

// The `games_max` with the most rooms, the most first, and all others together as "other" behind
// them, where there are any. A client picks a game's id, so there may be as many as rooms: one
// whose own id is "other" is among the others, and so is one whose id is not fit to be seen.
[[nodiscard]] std::vector<GameShare> largest_games(const TextMap<std::uint32_t>& rooms_by_game,
                                                   std::size_t games_max);

class RoomStats {
 public:
  static constexpr std::size_t kJwtFaults = 9;

  void record_event(EventType type, Nanos duration) { events_[index(type)].count(duration); }
  // An error's code, as clients get it: of those that are none of ours "OTHER" is counted.
  void record_error(std::string_view code);
  void record_bad_token(JwtFault fault) { ++bad_tokens_[index(fault)]; }
  void record_missing_token() { ++missing_tokens_; }
  void record_bad_operator_token() { ++bad_operator_tokens_; }
  void record_limited(LimitScope scope) { ++limited_[index(scope)]; }
  void record_p2p_success(ConnectionType type);
  void record_p2p_failure();

  std::uint64_t guest_tokens = 0;              // minted
  std::uint64_t relay_sessions_allocated = 0;  // a pair's first, or its first on another relay
  std::uint64_t relay_sessions_refused = 0;    // NO_RELAY, DRAINING, too many of one client

  struct ErrorCount {
    std::string_view code;
    std::uint64_t count = 0;
  };
  [[nodiscard]] const DurationHistogram& events(EventType type) const {
    return events_[index(type)];
  }
  [[nodiscard]] DurationHistogram::Counts event_counts() const;  // of all types together
  [[nodiscard]] std::uint64_t events_total() const;
  [[nodiscard]] std::vector<ErrorCount> errors() const;
  [[nodiscard]] std::uint64_t bad_tokens(JwtFault fault) const { return bad_tokens_[index(fault)]; }
  [[nodiscard]] std::uint64_t missing_tokens() const { return missing_tokens_; }
  [[nodiscard]] std::uint64_t bad_operator_tokens() const { return bad_operator_tokens_; }
  [[nodiscard]] std::uint64_t authentications_failed() const;  // of clients
  [[nodiscard]] std::uint64_t limited(LimitScope scope) const { return limited_[index(scope)]; }
  [[nodiscard]] std::uint64_t limited_total() const;
  [[nodiscard]] std::uint64_t p2p_successes(ConnectionType type) const {
    return p2p_successes_[index(type)];
  }
  [[nodiscard]] std::uint64_t p2p_successes_total() const;
  [[nodiscard]] std::uint64_t p2p_failures() const { return p2p_failures_; }
  [[nodiscard]] const SuccessRate& success_rate() const { return success_rate_; }

 private:
  static constexpr std::size_t kErrorCodesCounted = 15;
  template <class Enum>
  static constexpr std::size_t index(Enum value) {
    return static_cast<std::size_t>(value);
  }

  std::array<DurationHistogram, kEventTypes> events_{};
  std::array<std::uint64_t, kErrorCodesCounted> errors_{};
  std::array<std::uint64_t, kJwtFaults> bad_tokens_{};
  std::uint64_t missing_tokens_ = 0;
  std::uint64_t bad_operator_tokens_ = 0;
  std::array<std::uint64_t, kLimitScopes> limited_{};
  std::array<std::uint64_t, kConnectionTypes> p2p_successes_{};
  std::uint64_t p2p_failures_ = 0;
  SuccessRate success_rate_;
};

}  // namespace tandem
