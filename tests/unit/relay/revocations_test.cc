#include "relay/core/revocations.h"

#include <doctest/doctest.h>

namespace tandem {
namespace {

constexpr SipKey kKey = {7};

TEST_CASE("a session is refused up to and with its tokens' last second") {
  Revocations revocations(kKey);
  CHECK(revocations.judge(42, 1000) == RevocationVerdict::clear);
  CHECK(revocations.revoke(42, 1000) == RevokeOutcome::revoked);
  CHECK(revocations.judge(42, 999) == RevocationVerdict::revoked);
  CHECK(revocations.judge(42, 1000) == RevocationVerdict::revoked);
  CHECK(revocations.judge(42, 1001) == RevocationVerdict::clear);
  CHECK(revocations.judge(43, 1000) == RevocationVerdict::clear);
}

TEST_CASE("revoking again prolongs and never shortens") {
  Revocations revocations(kKey);
  CHECK(revocations.revoke(42, 1000) == RevokeOutcome::revoked);
  CHECK(revocations.revoke(42, 500) == RevokeOutcome::revoked);
  CHECK(revocations.judge(42, 1000) == RevocationVerdict::revoked);
  CHECK(revocations.revoke(42, 2000) == RevokeOutcome::revoked);
  CHECK(revocations.judge(42, 2000) == RevocationVerdict::revoked);
  CHECK(revocations.size() == 1);
}

TEST_CASE("a full table says so and takes more once some have expired") {
  Revocations revocations(kKey);
  for (uint64_t id = 0; id < kRevocationsMax; ++id)
    REQUIRE(revocations.revoke(id, id % 2 == 0 ? 1000 : 2000) == RevokeOutcome::revoked);
  CHECK(revocations.revoke(kRevocationsMax, 1000) == RevokeOutcome::table_full);
  CHECK(revocations.revoke(7, 3000) == RevokeOutcome::revoked);  // it is there already

  uint32_t calls = 0;
  while (revocations.size() > kRevocationsMax / 2) {
    const uint32_t before = revocations.size();
    revocations.sweep(1500, 100);
    REQUIRE(before - revocations.size() <= 100);
    REQUIRE(++calls < 10'000);
  }
  CHECK(revocations.revoke(kRevocationsMax, 2000) == RevokeOutcome::revoked);
  for (uint64_t id = 0; id < kRevocationsMax; ++id)
    REQUIRE(revocations.judge(id, 1500) ==
            (id % 2 == 0 ? RevocationVerdict::clear : RevocationVerdict::revoked));
}

}  // namespace
}  // namespace tandem
