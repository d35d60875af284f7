// Datagrams of the protocol: what is taken has the length that it says, and nothing answers with
// more bytes than came.
#include <array>
#include <vector>

#include "common/assert.h"
#include "relay/core/wire.h"

namespace tandem {
namespace {

using Datagram = std::span<const uint8_t>;

bool lies_within(Datagram inner, Datagram outer) {
  return inner.data() >= outer.data() && inner.data() + inner.size() <= outer.data() + outer.size();
}

void check_bind(Datagram datagram) {
  const auto bind = parse_bind(datagram);
  if (!bind) return;
  TANDEM_CHECK(classify(datagram) == DatagramClass::bind);
  TANDEM_CHECK(datagram.size() >= kBindMin);
  for (const Datagram field :
       {Datagram(bind->nonce), Datagram(bind->claims), Datagram(bind->cookie),
        Datagram(bind->proof), Datagram(bind->proven)})
    TANDEM_CHECK(lies_within(field, datagram));
}

void check_data(Datagram datagram) {
  const auto header = parse_data_header(datagram);
  TANDEM_CHECK(header.has_value() ==
               (classify(datagram) == DatagramClass::data && datagram.size() >= kDataHeaderSize));
}

void check_ping(Datagram datagram) {
  const auto ping = parse_ping(datagram);
  if (!ping) return;
  TANDEM_CHECK(ping->channel_id != 0 || datagram.size() <= kPingUnboundMax);
  std::vector<uint8_t> pong(datagram.begin(), datagram.end());
  write_pong_in_place(pong, PongBinding::unbound, 0x0102030405060708);
  TANDEM_CHECK(classify(pong) == DatagramClass::tandem_unexpected);
  TANDEM_CHECK(pong[kShardKeyOffset] == ping->shard_key);
  TANDEM_CHECK(load_big_endian<uint32_t>(&pong[4]) == 0);
  for (size_t i = 8; i < pong.size(); ++i) {
    const bool clock = pong.size() >= kPongClockSizeMin && i >= 16 && i < 24;
    TANDEM_CHECK(clock || pong[i] == datagram[i]);
  }
}

void check_close(Datagram datagram) {
  const auto close = parse_close(datagram);
  if (!close) return;
  std::array<uint8_t, kCloseSize> written;
  write_close(written,
              {close->shard_key, CloseReason{close->reason}, close->channel_id, close->nonce});
  for (size_t i = 0; i < written.size(); ++i)
    TANDEM_CHECK(written[i] == (i == 3 ? 0 : datagram[i]));
}

}  // namespace
}  // namespace tandem

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span datagram(data, size);
  tandem::check_bind(datagram);
  tandem::check_data(datagram);
  tandem::check_ping(datagram);
  tandem::check_close(datagram);
  return 0;
}
