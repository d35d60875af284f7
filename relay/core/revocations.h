// Sessions that were kicked or deleted and are refused until their tokens have expired. Owns which
// and until when. Must not know tokens or why.
#pragma once

#include <cstdint>

#include "common/clock.h"
#include "common/siphash.h"
#include "relay/core/expiring_table.h"

namespace tandem {

// For each shard. A kicked session stays for as long as its tokens could live, a day by default:
// one kick every 2.6 seconds, all day and for a single shard, fills it.
inline constexpr uint32_t kRevocationsMax = 32'768;

enum class RevokeOutcome : uint8_t { revoked, table_full };
enum class RevocationVerdict : uint8_t { clear, revoked };

class Revocations {
 public:
  // The key is secret and random for each start.
  explicit Revocations(const SipKey& key) : sessions_(kRevocationsMax, key) {}

  // `last` is the last second in which the session is refused, as a token's expires_at is the last
  // in which it is accepted. A later one of an earlier call stays.
  [[nodiscard]] RevokeOutcome revoke(uint64_t session_id, UnixSeconds last);
  [[nodiscard]] RevocationVerdict judge(uint64_t session_id, UnixSeconds now) const;

  // Frees what has expired, looking at `steps` entries; to be called now and then.
  void sweep(UnixSeconds now, uint32_t steps) {
    sessions_.sweep(now, steps, [](const Revoked&) {});
  }
  [[nodiscard]] uint32_t size() const { return sessions_.size(); }

 private:
  struct Revoked {
    uint64_t key;
    int64_t until;
  };
  ExpiringTable<Revoked> sessions_;
};

}  // namespace tandem
