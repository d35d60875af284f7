#include "common/address_counts.h"

#include <algorithm>

#include "common/assert.h"

namespace tandem {

AddressCounts::AddressCounts(const SipKey& key)
    : key_(key), memory_(2 * kColumns * sizeof(std::uint32_t)) {}

// Two 16-bit pieces of one hash serve as two hashes: SipHash's bits are independent for whoever
// lacks the key.
AddressCounts::Cells AddressCounts::cells_of(const IpAddress& address) const {
  const std::uint64_t hash = siphash13(key_, rate_scope(address).bytes);
  auto* const rows = static_cast<std::uint32_t*>(memory_.data());
  return {Cell(rows[hash % kColumns]), Cell(rows[kColumns + hash / kColumns % kColumns])};
}

// Relaxed throughout: the counts publish nothing but themselves.
std::uint32_t AddressCounts::add(const IpAddress& address) {
  const Cells cells = cells_of(address);
  const std::uint32_t first = cells.first.fetch_add(1, std::memory_order_relaxed) + 1;
  const std::uint32_t second = cells.second.fetch_add(1, std::memory_order_relaxed) + 1;
  return std::min(first, second);
}

void AddressCounts::remove(const IpAddress& address) {
  const Cells cells = cells_of(address);
  TANDEM_CHECK(cells.first.fetch_sub(1, std::memory_order_relaxed) != 0);
  TANDEM_CHECK(cells.second.fetch_sub(1, std::memory_order_relaxed) != 0);
}

std::uint32_t AddressCounts::estimate(const IpAddress& address) const {
  const Cells cells = cells_of(address);
  return std::min(cells.first.load(std::memory_order_relaxed),
                  cells.second.load(std::memory_order_relaxed));
}

}  // namespace tandem
