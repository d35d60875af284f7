// A STUN server's answer to a Binding request (RFC 8489), so that a client can learn its own
// address from the relay's port. Owns the format. Must not know sockets, budgets or sessions.
//
// There is no authentication: RFC 8489's own attributes are understood, and ignored where a Binding
// request has no use for them (section 14). SOFTWARE is not sent, nor is a reason phrase: who is
// not validated gets few bytes. What has no magic cookie (RFC 3489) is not answered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/endpoint.h"

namespace tandem {

inline constexpr uint32_t kStunMagicCookie = 0x2112A442;

// Section 6.1: without knowledge of the path a message keeps to 1,280 bytes of IPv6 packet.
inline constexpr size_t kStunRequestMax = 1232;
inline constexpr size_t kStunUnknownMax = 16;  // attribute types that a 420 names
// Header, ERROR-CODE without a phrase, UNKNOWN-ATTRIBUTES, FINGERPRINT.
inline constexpr size_t kStunReplyMax = 20 + 8 + (4 + 2 * kStunUnknownMax) + 8;
static_assert(kStunReplyMax <= 128);

enum class StunVerdict : uint8_t {
  answered,           // XOR-MAPPED-ADDRESS
  refused,            // 420 Unknown Attribute
  malformed,          // lengths, magic cookie or FINGERPRINT are wrong: no answer
  unexpected_method,  // not a request, or not Binding: no answer
};

struct StunAnswer {
  StunVerdict verdict;
  size_t length;  // of what was written to `out`; 0 where there is no answer
};
[[nodiscard]] StunAnswer answer_stun(std::span<const uint8_t> request, const Endpoint& client,
                                     std::span<uint8_t, kStunReplyMax> out);

}  // namespace tandem
