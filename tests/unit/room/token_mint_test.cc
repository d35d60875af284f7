#include "room/relays/token_mint.h"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <set>

#include "common/token.h"

namespace tandem {
namespace {

constexpr std::uint32_t kDay = 86'400;

// The key of the protocol's test vectors: bytes 00 to 1f.
Keyring vector_keys() {
  std::array<std::uint8_t, 32> key{};
  for (std::uint8_t i = 0; i < key.size(); ++i) key[i] = i;
  Keyring keyring;
  REQUIRE(keyring.add(1, key) == Keyring::AddOutcome::added);
  return keyring;
}

TEST_CASE("both tokens are those of the protocol's page") {
  const auto minted = mint_tokens(vector_keys(), {.expires_in_s = 3600}, 0x0123456789abcdef,
                                  1893456000 - 3600, kDay);
  REQUIRE(minted);
  CHECK(minted->session_id == 0x0123456789abcdef);
  CHECK(minted->expires_at == 1893456000);
  CHECK(minted->a == "AQEAA3Db2IABI0VniavN7wAAAAAAAAAAqRKgsjVY4T58CiMJ_oxbGg");
  CHECK(minted->b == "AQEBA3Db2IABI0VniavN7wAAAAAAAAAAFK2XnLPthJN1VNqwbJdJdQ");
}

TEST_CASE("one slot alone, and what a token may do") {
  const MintRequest request{
      .slots = MintSlots::b, .udp = false, .prove = true, .rate_kbps = 10'000, .lanes_max = 2};
  const auto minted = mint_tokens(vector_keys(), request, 7, 1000, kDay);
  REQUIRE(minted);
  CHECK(minted->a.empty());
  const auto claims = decode_claims(claims_of(*parse_token_text(minted->b)));
  REQUIRE(claims);
  CHECK(claims->slot == 1);
  CHECK(claims->flags == (kTokenTcp | kTokenProve));
  CHECK(claims->expires_at == 4600);
  CHECK(claims->rate_kbps == 10'000);
  CHECK(claims->lanes_max == 2);
  CHECK(!mint_tokens(vector_keys(), {.slots = MintSlots::a}, 7, 1000, kDay)->a.empty());
  CHECK(mint_tokens(vector_keys(), {.slots = MintSlots::a}, 7, 1000, kDay)->b.empty());
}

TEST_CASE("what no relay would accept is not minted") {
  const Keyring keys = vector_keys();
  CHECK(!mint_tokens(Keyring(), {}, 7, 1000, kDay));
  CHECK(!mint_tokens(keys, {.tcp = false, .udp = false}, 7, 1000, kDay));
  CHECK(!mint_tokens(keys, {.expires_in_s = 0}, 7, 1000, kDay));
  CHECK(mint_tokens(keys, {.expires_in_s = kDay}, 7, 1000, kDay));
  CHECK(!mint_tokens(keys, {.expires_in_s = kDay + 1}, 7, 1000, kDay));
  constexpr std::uint32_t kLast = std::numeric_limits<std::uint32_t>::max();
  CHECK(mint_tokens(keys, {.expires_in_s = 5}, 7, UnixSeconds{kLast} - 5, kDay));
  CHECK(!mint_tokens(keys, {.expires_in_s = 5}, 7, UnixSeconds{kLast} - 4, kDay));
}

TEST_CASE("new sessions differ") {
  std::set<std::uint64_t> ids;
  for (int i = 0; i < 100; ++i) ids.insert(random_session_id());
  CHECK(ids.size() == 100);
}

}  // namespace
}  // namespace tandem
