// How many connections each source has, over all shards: shared memory of fixed size that strangers
// fill. Knows neither the limit nor what is counted.
//
// A count-min sketch and not a table: a table of sources needs a lock or a hand-over between
// shards, and its size is what an attacker with a v6 prefix chooses. The sketch is two atomic adds,
// 512 KiB at most (pages are paid for when touched), and errs only upwards: the estimate is the
// true count plus, in the better of two rows, whatever other sources share the cell. With n
// connections live a row's mean excess is n / 65,536, so at 100,000 an innocent source is judged as
// if it had about one more connection than it has. The key is drawn at start, so nobody can aim a
// collision at a victim.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "common/endpoint.h"
#include "common/reserved_memory.h"
#include "common/siphash.h"

namespace tandem {

// Any thread may call anything. Adding and removing are each atomic in a row, not across the two,
// so an estimate taken meanwhile may lack the one that is on its way, never more.
class AddressCounts {
 public:
  // The key is secret and random for each start.
  explicit AddressCounts(const SipKey& key);

  // Counts one more for the address's rate_scope() and returns the estimate with it.
  std::uint32_t add(const IpAddress& address);
  // Takes back one add() of the same scope.
  void remove(const IpAddress& address);
  // Never below the true count.
  [[nodiscard]] std::uint32_t estimate(const IpAddress& address) const;

 private:
  static constexpr std::size_t kColumns = 65'536;
  using Cell = std::atomic_ref<std::uint32_t>;
  struct Cells {
    Cell first;
    Cell second;
  };
  Cells cells_of(const IpAddress& address) const;

  SipKey key_;
  ReservedMemory memory_;  // two rows
};

}  // namespace tandem
