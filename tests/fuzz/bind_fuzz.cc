// The two BINDs of a client: a cookie that the relay did not make is never valid, one that it made
// is, for its client and its time alone, and no answer is longer than a BIND.
#include <algorithm>
#include <array>
#include <vector>

#include "common/assert.h"
#include "relay/core/cookie.h"
#include "tests/fuzz/fuzz_input.h"

namespace tandem {
namespace {

constexpr SipKey kSecret = {0x74, 0x61, 0x6e, 0x64, 0x65, 0x6d};

struct Drawn {
  Endpoint client;
  uint32_t now_s;
  uint32_t later_s;
  uint8_t changed_bit;
};

void check_answers(const Bind& bind, const CookieMint::Cookie& cookie, const Drawn& drawn) {
  std::array<uint8_t, kChallengeSize> challenge;
  write_challenge(challenge, {bind.shard_key, kFeaturesKnown, bind.nonce, cookie});
  std::array<uint8_t, kBoundSize> bound;
  write_bound(bound,
              {bind.shard_key, BoundState::waiting, 0, bind.nonce, 1, 15, 1464, drawn.client});
  for (const std::span<const uint8_t> answer :
       {std::span<const uint8_t>(challenge), std::span<const uint8_t>(bound)}) {
    TANDEM_CHECK(answer.size() <= kBindMin);
    TANDEM_CHECK(answer[kShardKeyOffset] == bind.shard_key);
    TANDEM_CHECK(std::ranges::equal(answer.subspan(4, kClientNonceSize), bind.nonce));
    TANDEM_CHECK(classify(answer) == DatagramClass::tandem_unexpected);
  }
}

void check_bind(std::span<const uint8_t> datagram, const Drawn& drawn) {
  const auto first = parse_bind(datagram);
  if (!first) return;
  const CookieMint mint(kSecret);
  const CookieVerdict unasked = mint.judge(first->cookie, drawn.client, first->claims, drawn.now_s);
  TANDEM_CHECK(unasked != CookieVerdict::valid);  // 2^-96

  const auto cookie = mint.make(drawn.client, first->claims, drawn.now_s);
  check_answers(*first, cookie, drawn);
  std::vector<uint8_t> again(datagram.begin(), datagram.end());
  std::ranges::copy(cookie, &again[36]);
  const auto second = parse_bind(again);
  TANDEM_CHECK(second.has_value());

  const bool in_time = drawn.later_s - drawn.now_s <= kCookieLifetimeS;
  const CookieVerdict asked =
      mint.judge(second->cookie, drawn.client, second->claims, drawn.later_s);
  TANDEM_CHECK(asked == (in_time ? CookieVerdict::valid : CookieVerdict::stale));

  again[12 + drawn.changed_bit / 8 % 40] ^= static_cast<uint8_t>(1 << drawn.changed_bit % 8);
  TANDEM_CHECK(mint.judge(second->cookie, drawn.client, second->claims, drawn.now_s) !=
               CookieVerdict::valid);
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tandem::fuzz::Input input(data, size);
  tandem::Drawn drawn{};
  drawn.client.address = input.take<tandem::IpAddress>();
  drawn.client.port = input.take<uint16_t>();
  drawn.now_s = input.take<uint32_t>();
  drawn.later_s = drawn.now_s + input.take<uint8_t>();
  drawn.changed_bit = input.take<uint8_t>();
  tandem::check_bind(input.rest(), drawn);
  return 0;
}
