// States of strangers in a table of fixed size, by a key of 16 bytes. Must not know what a key or a
// state means.
//
// A key may be in one of eight places, picked by a hash whose key is secret, so nobody can push a
// chosen one out. Where all eight are taken by others, a newcomer takes the place of the one that
// matters least: one at rest before any other.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/assert.h"
#include "common/clock.h"
#include "common/siphash.h"

namespace tandem {

// A default State is at rest. It has at_rest(now), and matters_less(other, now) as an order.
template <class State>
class LimitTable {
 public:
  using Key = std::array<std::uint8_t, 16>;

  // The hash's key is random for each start.
  LimitTable(const SipKey& hash_key, std::size_t entries)
      : hash_key_(hash_key), entries_((entries + kWays - 1) / kWays * kWays) {
    TANDEM_CHECK(!entries_.empty());
  }

  // Null where there is none that is not at rest.
  [[nodiscard]] const State* find(const Key& key, Nanos now) const {
    const std::size_t first = first_way(key);
    for (std::size_t way = first; way < first + kWays; ++way) {
      const Entry& entry = entries_[way];
      if (entry.key == key && !entry.state.at_rest(now)) return &entry.state;
    }
    return nullptr;
  }

  // The key's state, or a fresh one.
  [[nodiscard]] State& claim(const Key& key, Nanos now) {
    const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(first_way(key));
    const auto last = first + kWays;
    const auto own = std::find_if(first, last, [&](const Entry& entry) {
      return entry.key == key && !entry.state.at_rest(now);
    });
    if (own != last) return own->state;
    const auto place = std::min_element(first, last, [now](const Entry& a, const Entry& b) {
      return a.state.matters_less(b.state, now);
    });
    if (!place->state.at_rest(now)) ++evicted_;
    *place = Entry{.key = key, .state = {}};
    return place->state;
  }

  // States that were lost to a newcomer's.
  [[nodiscard]] std::uint64_t evicted() const { return evicted_; }

 private:
  struct Entry {
    Key key{};
    State state{};
  };
  static constexpr std::size_t kWays = 8;

  [[nodiscard]] std::size_t first_way(const Key& key) const {
    return siphash13(hash_key_, key) % (entries_.size() / kWays) * kWays;
  }

  SipKey hash_key_;
  std::vector<Entry> entries_;
  std::uint64_t evicted_ = 0;
};

}  // namespace tandem
