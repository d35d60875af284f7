#include "relay/core/blocklist.h"

#include <algorithm>
#include <atomic>

namespace tandem {
namespace {

constexpr uint8_t kAddressPrefix = 128;
constexpr uint8_t kV6ScopePrefix = 64;

template <class Entry>
BlockOutcome prolong(Entry& entry, BlockOrigin origin, Nanos until) {
  entry.until = std::max(entry.until, until);
  if (origin == BlockOrigin::manual) entry.origin = origin;
  return BlockOutcome::prolonged;
}

}  // namespace

Network block_scope(const IpAddress& address) {
  return {rate_scope(address), address.is_v4() ? kAddressPrefix : kV6ScopePrefix};
}

Blocklist::Blocklist(const SipKey& key) : hashed_(kBlocksMax, key) {}

ExemptOutcome Blocklist::set_exempt(std::span<const Network> networks) {
  exempt_size_ = 0;
  if (networks.size() > exempt_.size()) return ExemptOutcome::too_many;
  std::ranges::copy(networks, exempt_.begin());
  exempt_size_ = static_cast<uint32_t>(networks.size());
  return ExemptOutcome::applied;
}

bool Blocklist::is_exempt(const IpAddress& address) const {
  return std::ranges::any_of(std::span(exempt_).first(exempt_size_),
                             [&](const Network& exempt) { return exempt.contains(address); });
}

bool Blocklist::is_hashed(const Network& network) {
  return network.prefix == kAddressPrefix || network.prefix == kV6ScopePrefix;
}

BlockOutcome Blocklist::block(const Network& network, BlockOrigin origin, Nanos until) {
  const bool exempt =
      std::ranges::any_of(std::span(exempt_).first(exempt_size_), [&](const Network& wider) {
        return wider.prefix <= network.prefix && wider.contains(network.base);
      });
  if (exempt) return BlockOutcome::exempt;
  return is_hashed(network) ? block_hashed(network, origin, until)
                            : block_listed(network, origin, until);
}

BlockOutcome Blocklist::block_hashed(const Network& network, BlockOrigin origin, Nanos until) {
  const uint32_t before = hashed_.size();
  const bool room = origin == BlockOrigin::manual || automatic_ < kAutomaticBlocksMax;
  if (!room && hashed_.find(network, 0) == nullptr) return BlockOutcome::table_full;
  HashedBlock* const entry = hashed_.claim(network);
  if (entry == nullptr) return BlockOutcome::table_full;

  const bool is_new = hashed_.size() != before;
  if (!is_new && entry->origin == BlockOrigin::automatic) --automatic_;
  if (is_new) entry->origin = origin;
  prolong(*entry, origin, until);
  if (entry->origin == BlockOrigin::automatic) ++automatic_;
  return is_new ? BlockOutcome::blocked : BlockOutcome::prolonged;
}

BlockOutcome Blocklist::block_listed(const Network& network, BlockOrigin origin, Nanos until) {
  const auto listed = std::span(listed_).first(listed_size_);
  const auto found = std::ranges::find(listed, network, &Block::network);
  if (found != listed.end()) return prolong(*found, origin, until);
  if (listed_size_ == listed_.size()) return BlockOutcome::table_full;
  listed_[listed_size_++] = {network, origin, until};
  return BlockOutcome::blocked;
}

UnblockOutcome Blocklist::unblock(const Network& network, Nanos now) {
  bool held = false;
  if (is_hashed(network)) {
    if (const HashedBlock* entry = hashed_.find(network, 0)) {
      held = entry->until > now;
      if (entry->origin == BlockOrigin::automatic) --automatic_;
      hashed_.erase(network);
    }
  } else {
    const auto listed = std::span(listed_).first(listed_size_);
    const auto found = std::ranges::find(listed, network, &Block::network);
    if (found != listed.end()) {
      held = found->until > now;
      *found = listed_[--listed_size_];
    }
  }
  return held ? UnblockOutcome::unblocked : UnblockOutcome::not_found;
}

BlockVerdict Blocklist::judge(const IpAddress& address, Nanos now) const {
  const auto listed = std::span(listed_).first(listed_size_);
  const bool blocked = hashed_.find({address, kAddressPrefix}, now) != nullptr ||
                       (!address.is_v4() && hashed_.find(block_scope(address), now) != nullptr) ||
                       std::ranges::any_of(listed, [&](const Block& block) {
                         return block.until > now && block.network.contains(address);
                       });
  return blocked && !is_exempt(address) ? BlockVerdict::blocked : BlockVerdict::clear;
}

size_t Blocklist::list(uint32_t& cursor, Nanos now, std::span<Block> out) const {
  const auto slots = hashed_.slots();
  size_t size = 0;
  for (; size < out.size() && cursor < listed_size_ + slots.size(); ++cursor) {
    if (cursor < listed_size_) {
      out[size] = listed_[cursor];
    } else {
      const HashedBlock& slot = slots[cursor - listed_size_];
      out[size] = {slot.key, slot.origin, slot.until};
    }
    if (out[size].until > now) ++size;
  }
  return size;
}

void Blocklist::sweep(Nanos now, uint32_t steps) {
  hashed_.sweep(now, steps, [this](const HashedBlock& expired) {
    if (expired.origin == BlockOrigin::automatic) --automatic_;
  });
  const auto listed = std::span(listed_).first(listed_size_);
  const auto end = std::remove_if(listed.begin(), listed.end(),
                                  [now](const Block& block) { return block.until <= now; });
  listed_size_ = static_cast<uint32_t>(end - listed.begin());
}

namespace {

constexpr uint32_t kSteps = 11;  // ten whole ones and the one that is under way
constexpr uint32_t kCells = 16;

// The offences of one step. It names its source and its step, so that what is left of a place's
// last source, or of its own an hour ago, counts for nothing and need not be cleared in time.
struct alignas(sizeof(uint64_t)) Cell {
  uint32_t source = 0;  // half of its hash; the other half picked the place
  uint16_t round = 0;   // the step without the digit that its position is: 72 days until it repeats
  uint16_t offences = 0;
};
using SharedCell = std::atomic_ref<Cell>;
static_assert(SharedCell::is_always_lock_free);

uint32_t half_of(uint64_t source) {
  return static_cast<uint32_t>(source >> 32);
}
uint16_t round_of(uint32_t step) {
  return static_cast<uint16_t>(step / kCells);
}

}  // namespace

// Zeroed, it is free. Relaxed throughout: the counts publish nothing but themselves.
struct OffenceCounter::Place {
  uint64_t source;
  Cell cells[kCells];

  // Within the window before `step`. One that is ahead counts too: shards' clocks are not read
  // together.
  struct Sum {
    uint32_t offences = 0;
    uint32_t age = kSteps;  // of the newest
  };
  [[nodiscard]] Sum within(uint64_t of, uint32_t step) {
    Sum sum;
    for (uint32_t age = 0; age <= kSteps; ++age) {
      const uint32_t at = step + 1 - age;
      const Cell cell = SharedCell(cells[at % kCells]).load(std::memory_order_relaxed);
      if (cell.source != half_of(of) || cell.round != round_of(at) || cell.offences == 0) continue;
      sum.offences += cell.offences;
      sum.age = std::min(sum.age, age);
    }
    return sum;
  }

  void add(uint64_t of, uint32_t step) {
    const SharedCell shared(cells[step % kCells]);
    Cell seen = shared.load(std::memory_order_relaxed);
    Cell next;
    do {
      const bool same = seen.source == half_of(of) && seen.round == round_of(step);
      const uint16_t before = same ? seen.offences : uint16_t{0};
      next = {half_of(of), round_of(step), std::max<uint16_t>(before, before + 1)};
    } while (!shared.compare_exchange_weak(seen, next, std::memory_order_relaxed));
  }

  void clear() {
    for (Cell& cell : cells) SharedCell(cell).store({}, std::memory_order_relaxed);
  }

  [[nodiscard]] std::atomic_ref<uint64_t> owner() { return std::atomic_ref(source); }
};

OffenceCounter::OffenceCounter(const SipKey& key)
    : key_(key), memory_(kSets * kWays * sizeof(Place)) {}

OffenceVerdict OffenceCounter::count(const IpAddress& source, Nanos now, uint32_t threshold) {
  if (threshold == 0) return OffenceVerdict::counted;
  const auto step = static_cast<uint32_t>(now / (kOffenceWindow / (kSteps - 1)) + kSteps);
  uint64_t hash = std::max<uint64_t>(siphash13(key_, rate_scope(source).bytes), 1);
  Place& place = place_of(hash, step);
  place.add(hash, step);
  if (place.within(hash, step).offences < threshold) return OffenceVerdict::counted;
  place.clear();
  // Several may have seen it reached; whoever gives the place back says so.
  return place.owner().compare_exchange_strong(hash, 0, std::memory_order_relaxed)
             ? OffenceVerdict::threshold_reached
             : OffenceVerdict::counted;
}

OffenceCounter::Place& OffenceCounter::place_of(uint64_t source, uint32_t step) {
  const std::span ways(static_cast<Place*>(memory_.data()) + source % kSets * kWays, kWays);
  for (;;) {
    // The fewest offences give way, and of equals the one seen longest ago.
    Place* weakest = nullptr;
    uint64_t its_owner = 0;
    Place::Sum its_sum;
    for (Place& place : ways) {
      const uint64_t owner = place.owner().load(std::memory_order_relaxed);
      if (owner == source) return place;
      const Place::Sum sum = place.within(owner, step);
      const bool weaker = weakest == nullptr || sum.offences < its_sum.offences ||
                          (sum.offences == its_sum.offences && sum.age > its_sum.age);
      if (weaker) {
        weakest = &place;
        its_owner = owner;
        its_sum = sum;
      }
    }
    if (weakest->owner().compare_exchange_strong(its_owner, source, std::memory_order_relaxed)) {
      return *weakest;
    }
  }
}

}  // namespace tandem
