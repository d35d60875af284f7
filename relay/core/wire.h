// The relay's datagrams, byte for byte: docs/PROTOCOL.md, "UDP". Owns offsets, sizes and numbers,
// for reading and for writing. Must not know sessions, keys, budgets or time.
//
// Readers give views into the datagram, so they live as long as it does. Reserved bytes are written
// as 0 and never looked at. All integers are big-endian.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "common/endpoint.h"
#include "common/limits.h"
#include "common/result.h"

namespace tandem {

enum class DatagramType : uint8_t {
  bind = 0x05,
  challenge = 0x06,
  bound = 0x07,
  data = 0x08,
  ping = 0x09,
  pong = 0x0A,
  close = 0x0B,
  error = 0x0C,
};

inline constexpr size_t kShardKeyOffset = 1;
inline constexpr size_t kClientNonceSize = 8;
inline constexpr size_t kClaimsSize = 24;
inline constexpr size_t kCookieSize = 16;
inline constexpr size_t kProofSize = 16;

inline constexpr size_t kBindProvenSize = 52;  // bytes 0 to 51 are what the proof is over
inline constexpr size_t kChallengeSize = 28;
inline constexpr size_t kBoundSize = 40;
inline constexpr size_t kDataHeaderSize = 8;
inline constexpr size_t kPingSizeMin = 16;
inline constexpr size_t kPongClockOffset = 16;
inline constexpr size_t kPongClockSizeMin = 24;  // a shorter PONG has no room for the clock
inline constexpr size_t kCloseSize = 16;
inline constexpr size_t kErrorSize = 14;

inline constexpr uint16_t kFeaturesKnown = 0;  // none yet

// ---- integers ----

template <typename Integer>
[[nodiscard]] constexpr Integer to_big_endian(Integer value) {
  if constexpr (std::endian::native == std::endian::big || sizeof(Integer) == 1) return value;
  if constexpr (sizeof(Integer) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(Integer) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(Integer) == 8) return __builtin_bswap64(value);
}

// The caller has checked that the bytes are there.
template <typename Integer>
[[nodiscard]] inline Integer load_big_endian(const uint8_t* from) {
  Integer value;
  std::memcpy(&value, from, sizeof value);
  return to_big_endian(value);
}
template <typename Integer>
inline void store_big_endian(uint8_t* to, Integer value) {
  value = to_big_endian(value);
  std::memcpy(to, &value, sizeof value);
}

// ---- what a datagram is ----

enum class DatagramClass : uint8_t {
  bind,
  data,
  ping,
  close,
  stun,               // first byte 0 to 3 and the magic cookie of RFC 8489
  tandem_unexpected,  // types that only a relay sends
  unknown,
  empty,
};
[[nodiscard]] DatagramClass classify(std::span<const uint8_t> datagram);

// ---- reading ----

enum class WireError : uint8_t { wrong_type, too_short, too_long };

struct Bind {
  uint8_t shard_key;
  uint16_t features_offered;
  std::span<const uint8_t, kClientNonceSize> nonce;
  std::span<const uint8_t, kClaimsSize> claims;
  std::span<const uint8_t, kCookieSize> cookie;
  std::span<const uint8_t, kProofSize> proof;
  std::span<const uint8_t, kBindProvenSize> proven;
};
[[nodiscard]] Result<Bind, WireError> parse_bind(std::span<const uint8_t> datagram);

struct DataHeader {
  uint8_t shard_key;
  uint32_t channel_id;
};
[[nodiscard]] Result<DataHeader, WireError> parse_data_header(std::span<const uint8_t> datagram);

struct Ping {
  uint8_t shard_key;
  uint32_t channel_id;  // 0 = unbound: at most kPingUnboundMax bytes
};
[[nodiscard]] Result<Ping, WireError> parse_ping(std::span<const uint8_t> datagram);

struct Close {
  uint8_t shard_key;
  uint8_t reason;  // as sent: a client may give a reason that this version has no name for
  uint32_t channel_id;
  std::span<const uint8_t, kClientNonceSize> nonce;
};
[[nodiscard]] Result<Close, WireError> parse_close(std::span<const uint8_t> datagram);

// ---- codes ----

// Up to 9 the values are those of an ERROR datagram; the others exist only as an ERR line.
enum class ErrorCode : uint8_t {
  bad_token = 1,
  expired = 2,
  session_full = 3,
  over_capacity = 4,
  draining = 5,
  rate_limited = 6,
  not_allowed = 7,
  kicked = 8,
  blocked = 9,
  bad_request = 128,
  bad_version = 129,
  timeout = 130,
};
[[nodiscard]] constexpr bool has_datagram_form(ErrorCode code) {
  return code <= ErrorCode::blocked;
}
[[nodiscard]] std::string_view error_code_text(ErrorCode code);  // "BAD_TOKEN"

enum class CloseReason : uint8_t {
  left = 0,
  peer_gone = 1,
  idle = 2,
  kicked = 3,
  draining = 4,
  over_quota = 5,
  replaced = 6,
  peer_never_came = 7,
};

// ---- writing ----

struct ChallengeFields {
  uint8_t shard_key;
  uint16_t features_granted;
  std::span<const uint8_t, kClientNonceSize> nonce;
  std::span<const uint8_t, kCookieSize> cookie;
};
void write_challenge(std::span<uint8_t, kChallengeSize> out, const ChallengeFields& fields);

enum class BoundState : uint8_t { waiting = 0, paired = 1 };
struct BoundFields {
  uint8_t shard_key;
  BoundState state;
  uint8_t slot;
  std::span<const uint8_t, kClientNonceSize> nonce;
  uint32_t channel_id;
  uint16_t keepalive_s;
  uint16_t max_payload;
  Endpoint observed;
};
void write_bound(std::span<uint8_t, kBoundSize> out, const BoundFields& fields);

struct CloseFields {
  uint8_t shard_key;
  CloseReason reason;
  uint32_t channel_id;
  std::span<const uint8_t, kClientNonceSize> nonce;
};
void write_close(std::span<uint8_t, kCloseSize> out, const CloseFields& fields);

struct ErrorFields {
  uint8_t shard_key;
  ErrorCode code;  // has_datagram_form()
  std::span<const uint8_t, kClientNonceSize> nonce;
  uint16_t retry_after_s;
};
void write_error(std::span<uint8_t, kErrorSize> out, const ErrorFields& fields);

// Makes a PING that parse_ping() took into its PONG, where it lies and as long as it is.
enum class PongBinding : uint8_t { bound, unbound };
void write_pong_in_place(std::span<uint8_t> ping, PongBinding binding, uint64_t shard_clock_us);

}  // namespace tandem
