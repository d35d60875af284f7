#include "relay/core/blocklist.h"

#include <algorithm>
#include <tuple>

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

// Zeroed, it is free: step 0 is never counted in.
struct OffenceCounter::Entry {
  IpAddress scope;
  uint32_t step;  // the newest that is counted
  std::array<uint16_t, kSteps> in_step;

  // Moves the newest step to `now_step` and gives what is within the window then.
  uint32_t advance(uint32_t now_step) {
    const size_t passed = std::min<size_t>(now_step - step, kSteps);
    for (size_t i = 1; i <= passed; ++i) in_step[(step + i) % kSteps] = 0;
    step = now_step;
    uint32_t sum = 0;
    for (const uint16_t offences : in_step) sum += offences;
    return sum;
  }
};

OffenceCounter::OffenceCounter(const SipKey& key)
    : key_(key),
      memory_(kSets * kWays * sizeof(Entry)),
      entries_(static_cast<Entry*>(memory_.data()), kSets * kWays) {}

OffenceVerdict OffenceCounter::count(const IpAddress& source, Nanos now, uint32_t threshold) {
  if (threshold == 0) return OffenceVerdict::counted;
  const auto step = static_cast<uint32_t>(now / (kOffenceWindow / (kSteps - 1)) + 1);
  Entry& entry = entry_of(rate_scope(source), step);
  const uint32_t before = entry.advance(step);
  if (before + 1 >= threshold) {
    entry.in_step = {};
    return OffenceVerdict::threshold_reached;
  }
  uint16_t& current = entry.in_step[step % kSteps];
  if (current != UINT16_MAX) ++current;
  return OffenceVerdict::counted;
}

OffenceCounter::Entry& OffenceCounter::entry_of(const IpAddress& scope, uint32_t step) {
  const size_t set = siphash13(key_, scope.bytes) % kSets;
  const auto ways = entries_.subspan(set * kWays, kWays);
  for (Entry& entry : ways)
    if (entry.step != 0 && entry.scope == scope) return entry;

  // The fewest offences give way, and of equals the one seen longest ago.
  const auto rank = [step](Entry aged) {
    const uint32_t last_seen = aged.step;
    return std::tuple(aged.advance(step), last_seen);
  };
  Entry* weakest = &ways[0];
  for (Entry& entry : ways)
    if (rank(entry) < rank(*weakest)) weakest = &entry;
  *weakest = {.scope = scope, .step = step, .in_step = {}};
  return *weakest;
}

}  // namespace tandem
