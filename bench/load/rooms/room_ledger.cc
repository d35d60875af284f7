#include "bench/load/rooms/room_ledger.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "common/assert.h"

namespace tandem::bench {

std::uint64_t RoomLedger::send(std::int64_t due_ns, std::uint64_t members) {
  under_way_.push_back({.number = ++sent_, .due_ns = due_ns, .members = members, .seq = 0});
  return sent_;
}

RoomLedger::Delivery RoomLedger::deliver(std::size_t member, std::uint64_t number,
                                         std::uint64_t seq) {
  TANDEM_CHECK(member < kMembersMax);
  if (number == 0 || number > sent_) return {};
  const auto message = std::ranges::find(under_way_, number, &Message::number);
  const std::uint64_t bit = std::uint64_t{1} << member;
  if (message == under_way_.end() || (message->members & bit) == 0) {
    return {.verdict = Verdict::duplicated};
  }
  const bool rises = seq > std::exchange(last_seq_[member], std::max(last_seq_[member], seq));
  const bool agreed = message->seq == 0 || message->seq == seq;
  message->seq = seq;
  const Delivery delivery{.verdict = rises && agreed ? Verdict::delivered : Verdict::reordered,
                          .due_ns = message->due_ns};
  message->members &= ~bit;
  if (message->members == 0) under_way_.erase(message);
  return delivery;
}

std::size_t RoomLedger::missing() const {
  std::size_t missing = 0;
  for (const Message& message : under_way_) {
    missing += static_cast<std::size_t>(std::popcount(message.members));
  }
  return missing;
}

std::size_t RoomLedger::give_up() {
  const std::size_t given_up = missing();
  under_way_.clear();
  return given_up;
}

}  // namespace tandem::bench
