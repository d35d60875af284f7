// Who may not come: blocks of addresses and networks, by an operator or for repeated offences, and
// the networks that are exempt from all of it. Owns membership and expiry. Must not know what an
// offence is or who asked.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/clock.h"
#include "common/endpoint.h"
#include "common/reserved_memory.h"
#include "common/siphash.h"
#include "relay/core/expiring_table.h"

namespace tandem {

inline constexpr uint32_t kBlocksMax = 8'192;           // addresses and /64s: one look-up each
inline constexpr uint32_t kAutomaticBlocksMax = 6'144;  // so that an operator always finds room
inline constexpr uint32_t kBlockedNetworksMax = 256;    // other prefixes: compared one by one
inline constexpr uint32_t kExemptNetworksMax = 256;
inline constexpr Nanos kForever = INT64_MAX;

enum class BlockOrigin : uint8_t { manual, automatic };
enum class BlockOutcome : uint8_t { blocked, prolonged, exempt, table_full };
enum class UnblockOutcome : uint8_t { unblocked, not_found };
enum class BlockVerdict : uint8_t { clear, blocked };
enum class ExemptOutcome : uint8_t { applied, too_many };

// What an automatic block is of: the address's rate_scope().
[[nodiscard]] Network block_scope(const IpAddress& address);

struct Block {
  Network network;
  BlockOrigin origin = BlockOrigin::manual;
  Nanos until = 0;  // kForever = until removed
};

class Blocklist {
 public:
  // The key is secret and random for each start.
  explicit Blocklist(const SipKey& key);

  // Replaces the exempt networks, all of them or, where there are too many, none. Blocks of what is
  // exempt stay listed and do not count.
  [[nodiscard]] ExemptOutcome set_exempt(std::span<const Network> networks);
  [[nodiscard]] bool is_exempt(const IpAddress& address) const;

  // Holds while now < until; kForever = until removed. A network that is blocked already keeps the
  // later of both ends, and a manual block stays one. A network within an exempt one is not
  // blocked.
  [[nodiscard]] BlockOutcome block(const Network& network, BlockOrigin origin, Nanos until);
  [[nodiscard]] UnblockOutcome unblock(const Network& network, Nanos now);

  [[nodiscard]] BlockVerdict judge(const IpAddress& address, Nanos now) const;

  // Fills `out` with live blocks, on from `cursor` (0 at first), and moves it; fewer than fit are
  // the last.
  [[nodiscard]] size_t list(uint32_t& cursor, Nanos now, std::span<Block> out) const;

  // Frees what has expired, looking at `steps` entries; to be called now and then.
  void sweep(Nanos now, uint32_t steps);

 private:
  struct HashedBlock {
    Network key;
    BlockOrigin origin;
    int64_t until;
  };
  [[nodiscard]] static bool is_hashed(const Network& network);
  [[nodiscard]] BlockOutcome block_hashed(const Network& network, BlockOrigin origin, Nanos until);
  [[nodiscard]] BlockOutcome block_listed(const Network& network, BlockOrigin origin, Nanos until);

  ExpiringTable<HashedBlock> hashed_;
  uint32_t automatic_ = 0;  // of hashed_
  std::array<Block, kBlockedNetworksMax> listed_;
  uint32_t listed_size_ = 0;
  std::array<Network, kExemptNetworksMax> exempt_;
  uint32_t exempt_size_ = 0;
};

inline constexpr Nanos kOffenceWindow = 60 * kNanosPerSecond;

enum class OffenceVerdict : uint8_t { counted, threshold_reached };

// How often each source has offended within the last kOffenceWindow, over all shards, in memory of
// fixed size. In steps of a tenth of the window, so an offence counts for one window at least and
// 1.1 at most. Any thread may count; it is touched once an offence, never for a packet.
//
// A source has four places, picked by a keyed hash; where others have them, the one with the fewest
// offences gives way. So whoever comes with ever new addresses displaces its own kind, and a source
// that keeps offending stays. Offences are forgotten where there is no room, or where two threads
// take a place for a source at the same instant; nobody's count for another's, since each cell says
// whose it is.
class OffenceCounter {
 public:
  // The key is secret and random for each start.
  explicit OffenceCounter(const SipKey& key);

  // threshold = 0 never is reached. When it is, the count begins anew: the caller blocks. Threads
  // that reach it at the same instant are not all told, but one is. Whoever is exempt is not to be
  // counted.
  [[nodiscard]] OffenceVerdict count(const IpAddress& source, Nanos now, uint32_t threshold);

 private:
  static constexpr size_t kSets = 1'024;
  static constexpr size_t kWays = 4;
  struct Place;

  [[nodiscard]] Place& place_of(uint64_t source, uint32_t step);

  SipKey key_;
  ReservedMemory memory_;
};

}  // namespace tandem
