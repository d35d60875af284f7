// STUN: an answer is within its bound, well formed by the rules that requests are held to, and
// tells the client's address.
#include <algorithm>
#include <array>

#include "common/assert.h"
#include "relay/core/stun.h"
#include "relay/core/wire.h"
#include "tests/fuzz/fuzz_input.h"

namespace tandem {
namespace {

constexpr size_t kHeaderSize = 20;

void check_address(std::span<const uint8_t> answer, const Endpoint& client) {
  const auto value = answer.subspan(kHeaderSize + 4);
  TANDEM_CHECK(load_big_endian<uint16_t>(&answer[kHeaderSize]) == 0x0020);
  TANDEM_CHECK((load_big_endian<uint16_t>(&value[2]) ^ 0x2112) == client.port);
  const size_t size = client.address.is_v4() ? 4 : 16;
  TANDEM_CHECK(value[1] == (size == 4 ? 1 : 2));
  for (size_t i = 0; i < size; ++i)
    TANDEM_CHECK((value[4 + i] ^ answer[4 + i]) == client.address.bytes[16 - size + i]);
}

// Attributes follow each other up to the last byte, and a FINGERPRINT is the last.
void check_form(std::span<const uint8_t> answer) {
  size_t at = kHeaderSize;
  while (at != answer.size()) {
    TANDEM_CHECK(answer.size() - at >= 4);
    const size_t length = load_big_endian<uint16_t>(&answer[at + 2]);
    const size_t padded = (length + 3) & ~size_t{3};
    TANDEM_CHECK(padded <= answer.size() - at - 4);
    const bool fingerprint = load_big_endian<uint16_t>(&answer[at]) == 0x8028;
    at += 4 + padded;
    TANDEM_CHECK(!fingerprint || (length == 4 && at == answer.size()));
  }
}

void check_stun(std::span<const uint8_t> request, const Endpoint& client) {
  std::array<uint8_t, kStunReplyMax> out;
  const StunAnswer answer = answer_stun(request, client, out);
  const bool answered =
      answer.verdict == StunVerdict::answered || answer.verdict == StunVerdict::refused;
  TANDEM_CHECK(answered == (answer.length != 0));
  if (!answered) return;
  TANDEM_CHECK(classify(request) == DatagramClass::stun);
  const auto bytes = std::span(out).first(answer.length);
  TANDEM_CHECK(load_big_endian<uint16_t>(&bytes[2]) == bytes.size() - kHeaderSize);
  TANDEM_CHECK(std::ranges::equal(bytes.subspan(4, 16), request.subspan(4, 16)));
  if (answer.verdict == StunVerdict::answered) check_address(bytes, client);
  check_form(bytes);
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tandem::fuzz::Input input(data, size);
  tandem::Endpoint client;
  client.address = input.take<tandem::IpAddress>();
  client.port = input.take<uint16_t>();
  tandem::check_stun(input.rest(), client);
  return 0;
}
