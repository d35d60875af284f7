#include "relay/core/revocations.h"

#include <algorithm>

namespace tandem {

RevokeOutcome Revocations::revoke(uint64_t session_id, UnixSeconds last) {
  Revoked* const revoked = sessions_.claim(session_id);
  if (revoked == nullptr) return RevokeOutcome::table_full;
  revoked->until = std::max(revoked->until, last + 1);
  return RevokeOutcome::revoked;
}

RevocationVerdict Revocations::judge(uint64_t session_id, UnixSeconds now) const {
  return sessions_.find(session_id, now) == nullptr ? RevocationVerdict::clear
                                                    : RevocationVerdict::revoked;
}

}  // namespace tandem
