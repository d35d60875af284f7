// What is asked about an address that has proved nothing: is it blocked, and is its cookie ours.
#include <array>

#include "bench/micro/micro.h"
#include "common/siphash.h"
#include "relay/core/blocklist.h"
#include "relay/core/cookie.h"

namespace tandem::bench {
namespace {

constexpr SipKey kSecret{3};
constexpr Nanos kNow = 1000 * kNanosPerSecond;

IpAddress welcome(uint64_t number) {
  return IpAddress::from_v4(0x0a000000 | static_cast<uint32_t>(number >> 40));
}

// 198.18.0.0/15 and 100.64.0.0/10 are blocked, nobody who asks is.
void judge_address(benchmark::State& state) {
  Blocklist blocklist(kSecret);
  for (uint32_t i = 0; i < state.range(0); ++i) {
    const Network one{IpAddress::from_v4(0xc6120000 + i), 128};
    TANDEM_CHECK(blocklist.block(one, BlockOrigin::manual, kForever) == BlockOutcome::blocked);
    TANDEM_CHECK(blocklist.judge(one.base, kNow) == BlockVerdict::blocked);
  }
  for (uint32_t i = 0; i < state.range(1); ++i) {
    const Network some{IpAddress::from_v4(0x64400000 + (i << 8)), 120};
    TANDEM_CHECK(blocklist.block(some, BlockOrigin::manual, kForever) == BlockOutcome::blocked);
    TANDEM_CHECK(blocklist.judge(some.base, kNow) == BlockVerdict::blocked);
  }
  Random random(11);
  uint64_t blocked = 0;
  for (auto _ : state) {
    blocked += blocklist.judge(welcome(random.next()), kNow) == BlockVerdict::blocked;
  }
  TANDEM_CHECK(blocked == 0);
  count_operations(state);
}
TANDEM_MICRO(judge_address, "blocklist/judge")
    ->Args({0, 0})
    ->Args({kBlocksMax, 0})
    ->Args({0, kBlockedNetworksMax});

void make_cookie(benchmark::State& state) {
  const CookieMint mint(kSecret);
  const std::array<uint8_t, kClaimsSize> claims{1, 2, 3};
  Random random(12);
  for (auto _ : state) {
    auto cookie = mint.make({welcome(random.next()), 4000}, claims, 1000);
    benchmark::DoNotOptimize(cookie);
  }
  count_operations(state);
}
TANDEM_MICRO(make_cookie, "cookie/make");

void judge_cookie(benchmark::State& state, CookieVerdict expected) {
  const CookieMint mint(kSecret);
  const std::array<uint8_t, kClaimsSize> claims{1, 2, 3};
  const Endpoint client{welcome(0), 4000};
  CookieMint::Cookie cookie = mint.make(client, claims, 1000);
  if (expected == CookieVerdict::forged) cookie.back() ^= 1;
  uint64_t wrong = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(cookie);
    wrong += mint.judge(cookie, client, claims, 1001) != expected;
  }
  TANDEM_CHECK(wrong == 0);
  count_operations(state);
}
TANDEM_MICRO_CASE(judge_cookie, "cookie/judge/valid", CookieVerdict::valid);
TANDEM_MICRO_CASE(judge_cookie, "cookie/judge/forged", CookieVerdict::forged);

// 8 bytes are a session id, 16 an address.
void hash(benchmark::State& state) {
  std::array<uint8_t, 64> bytes{};
  const auto size = static_cast<size_t>(state.range(0));
  uint64_t sum = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes);
    sum += siphash13(kSecret, std::span(bytes).first(size));
  }
  benchmark::DoNotOptimize(sum);
  count_operations(state);
}
TANDEM_MICRO(hash, "siphash13")->Arg(8)->Arg(16)->Arg(64);

}  // namespace
}  // namespace tandem::bench
