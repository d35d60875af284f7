#include "relay/core/wire.h"

#include <algorithm>

#include "common/assert.h"
#include "relay/core/stun.h"

namespace tandem {
namespace {

template <size_t kSize>
std::span<const uint8_t, kSize> field(std::span<const uint8_t> datagram, size_t offset) {
  return datagram.subspan(offset).first<kSize>();
}

template <size_t kSize>
void put(uint8_t* to, std::span<const uint8_t, kSize> bytes) {
  std::ranges::copy(bytes, to);
}

// What every datagram of the protocol begins with.
void put_type(uint8_t* out, DatagramType type, uint8_t shard_key) {
  out[0] = static_cast<uint8_t>(type);
  out[kShardKeyOffset] = shard_key;
}

bool has_type(std::span<const uint8_t> datagram, DatagramType type) {
  return !datagram.empty() && datagram[0] == static_cast<uint8_t>(type);
}

DatagramClass classify_foreign(std::span<const uint8_t> datagram) {
  const bool stun = datagram[0] <= 3 && datagram.size() >= 8 &&
                    load_big_endian<uint32_t>(&datagram[4]) == kStunMagicCookie;
  return stun ? DatagramClass::stun : DatagramClass::unknown;
}

}  // namespace

DatagramClass classify(std::span<const uint8_t> datagram) {
  if (datagram.empty()) return DatagramClass::empty;
  if (datagram[0] < static_cast<uint8_t>(DatagramType::bind) ||
      datagram[0] > static_cast<uint8_t>(DatagramType::error))
    return classify_foreign(datagram);
  switch (DatagramType{datagram[0]}) {
    case DatagramType::data:
      return DatagramClass::data;
    case DatagramType::bind:
      return DatagramClass::bind;
    case DatagramType::ping:
      return DatagramClass::ping;
    case DatagramType::close:
      return DatagramClass::close;
    case DatagramType::challenge:
    case DatagramType::bound:
    case DatagramType::pong:
    case DatagramType::error:
      return DatagramClass::tandem_unexpected;
  }
  return DatagramClass::unknown;  // not reached: the range holds no other value
}

Result<Bind, WireError> parse_bind(std::span<const uint8_t> datagram) {
  if (!has_type(datagram, DatagramType::bind)) return unexpected(WireError::wrong_type);
  if (datagram.size() < kBindMin) return unexpected(WireError::too_short);
  return Bind{
      .shard_key = datagram[kShardKeyOffset],
      .features_offered = load_big_endian<uint16_t>(&datagram[2]),
      .nonce = field<kClientNonceSize>(datagram, 4),
      .claims = field<kClaimsSize>(datagram, 12),
      .cookie = field<kCookieSize>(datagram, 36),
      .proof = field<kProofSize>(datagram, kBindProvenSize),
      .proven = field<kBindProvenSize>(datagram, 0),
  };
}

Result<DataHeader, WireError> parse_data_header(std::span<const uint8_t> datagram) {
  if (!has_type(datagram, DatagramType::data)) return unexpected(WireError::wrong_type);
  if (datagram.size() < kDataHeaderSize) return unexpected(WireError::too_short);
  return DataHeader{
      .shard_key = datagram[kShardKeyOffset],
      .channel_id = load_big_endian<uint32_t>(&datagram[4]),
  };
}

Result<Ping, WireError> parse_ping(std::span<const uint8_t> datagram) {
  if (!has_type(datagram, DatagramType::ping)) return unexpected(WireError::wrong_type);
  if (datagram.size() < kPingSizeMin) return unexpected(WireError::too_short);
  const Ping ping{
      .shard_key = datagram[kShardKeyOffset],
      .channel_id = load_big_endian<uint32_t>(&datagram[4]),
  };
  if (ping.channel_id == 0 && datagram.size() > kPingUnboundMax)
    return unexpected(WireError::too_long);
  return ping;
}

Result<Close, WireError> parse_close(std::span<const uint8_t> datagram) {
  if (!has_type(datagram, DatagramType::close)) return unexpected(WireError::wrong_type);
  if (datagram.size() < kCloseSize) return unexpected(WireError::too_short);
  if (datagram.size() > kCloseSize) return unexpected(WireError::too_long);
  return Close{
      .shard_key = datagram[kShardKeyOffset],
      .reason = datagram[2],
      .channel_id = load_big_endian<uint32_t>(&datagram[4]),
      .nonce = field<kClientNonceSize>(datagram, 8),
  };
}

std::string_view error_code_text(ErrorCode code) {
  switch (code) {
    case ErrorCode::bad_token:
      return "BAD_TOKEN";
    case ErrorCode::expired:
      return "EXPIRED";
    case ErrorCode::session_full:
      return "SESSION_FULL";
    case ErrorCode::over_capacity:
      return "OVER_CAPACITY";
    case ErrorCode::draining:
      return "DRAINING";
    case ErrorCode::rate_limited:
      return "RATE_LIMITED";
    case ErrorCode::not_allowed:
      return "NOT_ALLOWED";
    case ErrorCode::kicked:
      return "KICKED";
    case ErrorCode::blocked:
      return "BLOCKED";
    case ErrorCode::bad_request:
      return "BAD_REQUEST";
    case ErrorCode::bad_version:
      return "BAD_VERSION";
    case ErrorCode::timeout:
      return "TIMEOUT";
  }
  TANDEM_CHECK(false);
}

void write_challenge(std::span<uint8_t, kChallengeSize> out, const ChallengeFields& fields) {
  put_type(out.data(), DatagramType::challenge, fields.shard_key);
  store_big_endian(&out[2], fields.features_granted);
  put(&out[4], fields.nonce);
  put(&out[12], fields.cookie);
}

void write_bound(std::span<uint8_t, kBoundSize> out, const BoundFields& fields) {
  put_type(out.data(), DatagramType::bound, fields.shard_key);
  out[2] = static_cast<uint8_t>(fields.state);
  out[3] = fields.slot;
  put(&out[4], fields.nonce);
  store_big_endian(&out[12], fields.channel_id);
  store_big_endian(&out[16], fields.keepalive_s);
  store_big_endian(&out[18], fields.max_payload);
  out[20] = fields.observed.address.is_v4() ? 4 : 6;
  out[21] = 0;
  store_big_endian(&out[22], fields.observed.port);
  put(&out[24], std::span(fields.observed.address.bytes));
}

void write_close(std::span<uint8_t, kCloseSize> out, const CloseFields& fields) {
  put_type(out.data(), DatagramType::close, fields.shard_key);
  out[2] = static_cast<uint8_t>(fields.reason);
  out[3] = 0;
  store_big_endian(&out[4], fields.channel_id);
  put(&out[8], fields.nonce);
}

void write_error(std::span<uint8_t, kErrorSize> out, const ErrorFields& fields) {
  TANDEM_CHECK(has_datagram_form(fields.code));
  put_type(out.data(), DatagramType::error, fields.shard_key);
  out[2] = static_cast<uint8_t>(fields.code);
  out[3] = 0;
  put(&out[4], fields.nonce);
  store_big_endian(&out[12], fields.retry_after_s);
}

void write_pong_in_place(std::span<uint8_t> ping, PongBinding binding, uint64_t shard_clock_us) {
  TANDEM_CHECK(has_type(ping, DatagramType::ping) && ping.size() >= kPingSizeMin);
  ping[0] = static_cast<uint8_t>(DatagramType::pong);
  if (binding == PongBinding::unbound) store_big_endian(&ping[4], uint32_t{0});
  if (ping.size() >= kPongClockSizeMin) store_big_endian(&ping[kPongClockOffset], shard_clock_us);
}

}  // namespace tandem
