// Answering a STUN Binding request: bare as most libraries send it, and with SOFTWARE and a
// FINGERPRINT, which is computed twice then.
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "bench/micro/micro.h"
#include "relay/core/stun.h"
#include "relay/core/wire.h"

namespace tandem::bench {
namespace {

constexpr size_t kHeaderSize = 20;
constexpr uint16_t kSoftware = 0x8022;
constexpr uint16_t kFingerprint = 0x8028;
constexpr std::string_view kSoftwareName = "tandem micro";  // a multiple of 4

// RFC 8489, 14.7: CRC-32 of what comes before, XOR "STUN".
uint32_t fingerprint_of(std::span<const uint8_t> message) {
  uint32_t crc = 0xFFFFFFFF;
  for (const uint8_t byte : message) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
  }
  return ~crc ^ 0x5354554e;
}

void add_attribute(std::vector<uint8_t>& message, uint16_t type, std::span<const uint8_t> value) {
  const size_t at = message.size();
  message.resize(at + 4 + value.size());
  store_big_endian(&message[at], type);
  store_big_endian(&message[at + 2], static_cast<uint16_t>(value.size()));
  std::copy(value.begin(), value.end(), message.begin() + static_cast<ptrdiff_t>(at) + 4);
}

std::vector<uint8_t> request_of(bool with_attributes) {
  std::vector<uint8_t> request(kHeaderSize);
  store_big_endian(&request[0], uint16_t{0x0001});
  store_big_endian(&request[4], kStunMagicCookie);
  for (uint8_t i = 8; i < kHeaderSize; ++i) request[i] = i;
  if (!with_attributes) return request;
  add_attribute(request, kSoftware,
                {reinterpret_cast<const uint8_t*>(kSoftwareName.data()), kSoftwareName.size()});
  // The length counts the fingerprint before it is there.
  store_big_endian(&request[2], static_cast<uint16_t>(request.size() - kHeaderSize + 8));
  std::array<uint8_t, 4> fingerprint;
  store_big_endian(fingerprint.data(), fingerprint_of(request));
  add_attribute(request, kFingerprint, fingerprint);
  return request;
}

void answer(benchmark::State& state, const Endpoint& client, bool with_attributes) {
  const std::vector<uint8_t> request = request_of(with_attributes);
  std::array<uint8_t, kStunReplyMax> reply;
  uint64_t wrong = 0;
  for (auto _ : state) {
    const StunAnswer answer = answer_stun(request, client, reply);
    benchmark::DoNotOptimize(reply);
    wrong += answer.verdict != StunVerdict::answered;
  }
  TANDEM_CHECK(wrong == 0);
  count_operations(state);
}

const Endpoint kV4{IpAddress::v4(192, 0, 2, 1), 4000};
const Endpoint kV6{*IpAddress::parse("2001:db8::1"), 4000};
TANDEM_MICRO_CASE(answer, "stun/binding/v4", kV4, false);
TANDEM_MICRO_CASE(answer, "stun/binding/v6", kV6, false);
TANDEM_MICRO_CASE(answer, "stun/binding/fingerprint", kV4, true);

}  // namespace
}  // namespace tandem::bench
