// What becomes of a datagram, and the reasons for which one is dropped, with their names for
// metrics and logs. Owns the vocabulary. Must not know how a verdict is reached.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tandem {

// Each datagram received gets exactly one.
enum class DatagramAction : uint8_t { forward, reply, drop };

enum class DropReason : uint8_t {
  // what it is
  empty,
  truncated,  // larger than a receive buffer
  unknown_type,
  unexpected_type,  // one that only a relay sends
  malformed,
  too_large,  // above security.max_packet_size, or a beacon above what is answered
  stun_malformed,
  stun_method,
  // whose it is
  no_channel,
  wrong_source,
  wrong_shard_key,
  not_paired,
  stray_queue_full,  // it came to another shard and the ring to the right one is full
  // budgets
  blocked,
  unvalidated_source_budget,
  unvalidated_shard_budget,
  over_packet_rate,
  over_session_bandwidth,
  over_global_bandwidth,
  // binding
  cookie_forged,
  proof_wrong,
  not_udp_token,
  roam_too_soon,
  // closing
  close_unproven,
  close_accepted,  // it did its work, and there is nobody to tell
  // sending
  no_reply_slot,
  send_queue_full,
  send_error,
};
inline constexpr size_t kDropReasons = static_cast<size_t>(DropReason::send_error) + 1;

// snake_case, as the label of a metric.
// clang-format off
[[nodiscard]] constexpr std::string_view drop_reason_text(DropReason reason) {
  switch (reason) {
    case DropReason::empty: return "empty";
    case DropReason::truncated: return "truncated";
    case DropReason::unknown_type: return "unknown_type";
    case DropReason::unexpected_type: return "unexpected_type";
    case DropReason::malformed: return "malformed";
    case DropReason::too_large: return "too_large";
    case DropReason::stun_malformed: return "stun_malformed";
    case DropReason::stun_method: return "stun_method";
    case DropReason::no_channel: return "no_channel";
    case DropReason::wrong_source: return "wrong_source";
    case DropReason::wrong_shard_key: return "wrong_shard_key";
    case DropReason::not_paired: return "not_paired";
    case DropReason::stray_queue_full: return "stray_queue_full";
    case DropReason::blocked: return "blocked";
    case DropReason::unvalidated_source_budget: return "unvalidated_source_budget";
    case DropReason::unvalidated_shard_budget: return "unvalidated_shard_budget";
    case DropReason::over_packet_rate: return "over_packet_rate";
    case DropReason::over_session_bandwidth: return "over_session_bandwidth";
    case DropReason::over_global_bandwidth: return "over_global_bandwidth";
    case DropReason::cookie_forged: return "cookie_forged";
    case DropReason::proof_wrong: return "proof_wrong";
    case DropReason::not_udp_token: return "not_udp_token";
    case DropReason::roam_too_soon: return "roam_too_soon";
    case DropReason::close_unproven: return "close_unproven";
    case DropReason::close_accepted: return "close_accepted";
    case DropReason::no_reply_slot: return "no_reply_slot";
    case DropReason::send_queue_full: return "send_queue_full";
    case DropReason::send_error: return "send_error";
  }
  return {};
}
// clang-format on

// A value that was added behind kDropReasons' last one, or one without a name, does not compile:
// the first leaves a gap below, the second an empty text.
static_assert([] {
  for (size_t i = 0; i < kDropReasons; ++i)
    if (drop_reason_text(static_cast<DropReason>(i)).empty()) return false;
  return drop_reason_text(static_cast<DropReason>(kDropReasons)).empty();
}());

}  // namespace tandem
