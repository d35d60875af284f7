#include "room/room_stats.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <numeric>

#include "common/assert.h"
#include "room/text/visible_text.h"

namespace tandem {
namespace {

constexpr std::array<std::string_view, kEventTypes> kEventNames = {
    "connect",          "disconnect",    "room:create",   "room:list",    "room:subscribe",
    "room:unsubscribe", "room:join",     "room:leave",    "room:update",  "room:kick",
    "room:ban",         "room:transfer", "room:ready",    "room:message", "p2p:signal",
    "p2p:success",      "p2p:failure",   "relay:beacons", "relay:report", "other"};
static_assert(static_cast<std::size_t>(EventType::other) == kEventTypes - 1);

constexpr std::array<std::string_view, 15> kErrorNames = {
    "AUTH_FAILED",   "BAD_REQUEST", "NOT_FOUND", "ROOM_FULL",   "ROOM_LOCKED",
    "BAD_PASSWORD",  "BANNED",      "NOT_HOST",  "NOT_IN_ROOM", "RATE_LIMITED",
    "OVER_CAPACITY", "NO_RELAY",    "DRAINING",  "INTERNAL",    "OTHER"};

constexpr std::array<std::string_view, kLimitScopes> kLimitScopeNames = {
    "request", "message", "signal", "password", "address", "login", "guest", "code"};
static_assert(static_cast<std::size_t>(LimitScope::code) == kLimitScopes - 1);

constexpr std::array<std::string_view, kConnectionTypes> kConnectionTypeNames = {
    "unknown", "direct", "lan", "host", "srflx", "prflx", "upnp", "relay", "other"};
static_assert(static_cast<std::size_t>(ConnectionType::other) == kConnectionTypes - 1);

static_assert(static_cast<std::size_t>(JwtFault::expired) == RoomStats::kJwtFaults - 1);

// Where a name stands; the last place is for those that do not.
template <std::size_t N>
std::size_t place_of(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  return std::min(static_cast<std::size_t>(found - names.begin()), N - 1);
}

template <class Counts>
std::uint64_t total_of(const Counts& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

constexpr std::string_view kOtherGames = "other";

}  // namespace

EventType event_type(std::string_view name) {
  return static_cast<EventType>(place_of(kEventNames, name));
}
std::string_view event_name(EventType type) {
  return kEventNames[static_cast<std::size_t>(type)];
}
std::string_view limit_scope_name(LimitScope scope) {
  return kLimitScopeNames[static_cast<std::size_t>(scope)];
}
ConnectionType connection_type(std::string_view name) {
  if (name.empty()) return ConnectionType::unknown;
  return static_cast<ConnectionType>(place_of(kConnectionTypeNames, name));
}
std::string_view connection_type_name(ConnectionType type) {
  return kConnectionTypeNames[static_cast<std::size_t>(type)];
}

void DurationHistogram::count(Nanos duration) {
  const auto bucket = std::ranges::lower_bound(kBounds, duration) - kBounds.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  sum_ += duration;
}

std::uint64_t DurationHistogram::total() const {
  return total_of(counts_);
}

void SuccessRate::record(bool success) {
  last_ = last_ << 1 | (success ? 1 : 0);
  reports_ = std::min(reports_ + 1, kReports);
  const double rate = std::popcount(last_) / static_cast<double>(reports_);
  const auto bucket = std::ranges::lower_bound(kBounds, rate) - kBounds.begin();
  ++counts_[static_cast<std::size_t>(bucket)];
  sum_ += rate;
}

std::vector<GameShare> largest_games(const TextMap<std::uint32_t>& rooms_by_game,
                                     std::size_t games_max) {
  std::vector<GameShare> shares;
  std::uint64_t others = 0;
  for (const auto& [game_id, rooms] : rooms_by_game) {
    if (game_id == kOtherGames || !visible_code_points(game_id)) {
      others += rooms;
    } else {
      shares.emplace_back(game_id, rooms);
    }
  }
  // By id where they are level, so that two pages show the same ones.
  const auto is_larger = [](const GameShare& a, const GameShare& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  };
  const std::size_t shown = std::min(games_max, shares.size());
  const auto middle = shares.begin() + static_cast<std::ptrdiff_t>(shown);
  std::ranges::partial_sort(shares, middle, is_larger);
  for (auto share = middle; share != shares.end(); ++share) others += share->second;
  shares.erase(middle, shares.end());
  if (others != 0) shares.emplace_back(kOtherGames, others);
  return shares;
}

void RoomStats::record_error(std::string_view code) {
  ++errors_[place_of(kErrorNames, code)];
}

void RoomStats::record_p2p_success(ConnectionType type) {
  ++p2p_successes_[index(type)];
  success_rate_.record(true);
}

void RoomStats::record_p2p_failure() {
  ++p2p_failures_;
  success_rate_.record(false);
}

DurationHistogram::Counts RoomStats::event_counts() const {
  DurationHistogram::Counts counts{};
  for (const DurationHistogram& event : events_)
    std::ranges::transform(counts, event.counts(), counts.begin(), std::plus<>());
  return counts;
}

std::uint64_t RoomStats::events_total() const {
  return total_of(event_counts());
}

std::vector<RoomStats::ErrorCount> RoomStats::errors() const {
  static_assert(kErrorNames.size() == kErrorCodesCounted);
  std::vector<ErrorCount> counts;
  for (std::size_t i = 0; i < kErrorNames.size(); ++i)
    counts.push_back({kErrorNames[i], errors_[i]});
  return counts;
}

std::uint64_t RoomStats::authentications_failed() const {
  return total_of(bad_tokens_) + missing_tokens_;
}

std::uint64_t RoomStats::limited_total() const {
  return total_of(limited_);
}

std::uint64_t RoomStats::p2p_successes_total() const {
  return total_of(p2p_successes_);
}

}  // namespace tandem
