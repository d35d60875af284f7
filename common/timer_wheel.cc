#include "common/timer_wheel.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "common/assert.h"

namespace tandem {

TimerWheel::TimerWheel(std::uint32_t timers_max, Nanos now)
    : memory_((std::size_t{kFirstTimer} + timers_max) * sizeof(Node)),
      timers_max_(timers_max),
      tick_(tick_at(now)) {
  TANDEM_CHECK(timers_max < kNoTimer - kFirstTimer);
  for (std::uint32_t head = kFirstHead; head < kFirstTimer; ++head)
    node(head) = {.next = head, .previous = head, .tick = 0};
}

// Deadlines round up to a tick and the time rounds down, so nothing is early.
std::uint64_t TimerWheel::tick_at(Nanos now) {
  TANDEM_CHECK(now >= 0);
  return static_cast<std::uint64_t>(now) >> kTickBits;
}

std::uint32_t TimerWheel::number_of(std::uint32_t id) const {
  TANDEM_CHECK(id < timers_max_);
  return kFirstTimer + id;
}

void TimerWheel::schedule(std::uint32_t id, Nanos deadline) {
  const std::uint32_t number = number_of(id);
  if (node(number).next != 0) unlink(number);
  const auto nanos = static_cast<std::uint64_t>(std::max<Nanos>(deadline, 0));
  node(number).tick = (nanos + static_cast<std::uint64_t>(kTick - 1)) >> kTickBits;
  place(number);
}

void TimerWheel::cancel(std::uint32_t id) {
  const std::uint32_t number = number_of(id);
  if (node(number).next != 0) unlink(number);
}

bool TimerWheel::armed(std::uint32_t id) const {
  return node(number_of(id)).next != 0;
}

std::optional<Nanos> TimerWheel::next_deadline() const {
  const auto slot = first_slot();
  if (!slot) return std::nullopt;
  // the last tick of all rounds up past what Nanos hold
  constexpr std::uint64_t kMost = std::numeric_limits<Nanos>::max();
  return static_cast<Nanos>(std::min(start_of(*slot) << kTickBits, kMost));
}

// Where the next due timers lie. What is being carried down was due to be carried before anything
// else, and no lower slot may overtake it.
std::optional<TimerWheel::Slot> TimerWheel::first_slot() const {
  if (occupied_[kCarryLevel] != 0) return Slot{kCarryLevel, 0};
  for (std::uint32_t level = 0; level < kLevels; ++level)
    if (occupied_[level] != 0)
      return Slot{level, static_cast<std::uint32_t>(std::countr_zero(occupied_[level]))};
  return std::nullopt;
}

// The first tick of a slot: the wheel's own tick with this digit here and zeros below.
std::uint64_t TimerWheel::start_of(Slot slot) const {
  if (slot.level == kCarryLevel) return tick_;
  const std::uint32_t shift = slot.level * kDigitBits;
  const std::uint64_t above = tick_ >> (shift + kDigitBits) << (shift + kDigitBits);
  return above | std::uint64_t{slot.digit} << shift;
}

void TimerWheel::place(std::uint32_t number) {
  Node& timer = node(number);
  timer.tick = std::max(timer.tick, tick_);
  const std::uint64_t difference = timer.tick ^ tick_;
  const auto highest_bit = static_cast<std::uint32_t>(std::bit_width(difference | 1)) - 1;
  const std::uint32_t level = highest_bit / kDigitBits;
  const auto digit = static_cast<std::uint32_t>(timer.tick >> level * kDigitBits) % kSlots;
  append({level, digit}, number);
}

void TimerWheel::append(Slot slot, std::uint32_t number) {
  const std::uint32_t head = head_of(slot);
  const std::uint32_t last = node(head).previous;
  node(number).next = head;
  node(number).previous = last;
  node(last).next = number;
  node(head).previous = number;
  occupied_[slot.level] |= std::uint64_t{1} << slot.digit;
}

void TimerWheel::unlink(std::uint32_t number) {
  const std::uint32_t next = node(number).next;
  const std::uint32_t previous = node(number).previous;
  node(previous).next = next;
  node(next).previous = previous;
  node(number).next = 0;
  if (next != previous || next >= kFirstTimer) return;
  // only a head is its own neighbour on both sides: the list is empty
  const std::uint32_t slot = next - kFirstHead;
  occupied_[slot / kSlots] &= ~(std::uint64_t{1} << slot % kSlots);
}

// Moves a slot's whole list to the carry list, in O(1).
void TimerWheel::begin_carry(Slot slot) {
  const std::uint32_t from = head_of(slot);
  const std::uint32_t to = head_of({kCarryLevel, 0});
  const Node list = node(from);
  node(to) = list;
  node(list.next).previous = to;
  node(list.previous).next = to;
  node(from) = {.next = from, .previous = from, .tick = 0};
  occupied_[slot.level] &= ~(std::uint64_t{1} << slot.digit);
  occupied_[kCarryLevel] = 1;
}

// Takes the first timer that is due by `target` off the wheel, turning it no further than that.
std::uint32_t TimerWheel::pop_due(std::uint64_t target, std::uint32_t& carries_left) {
  while (const auto slot = first_slot()) {
    const std::uint64_t start = start_of(*slot);
    if (start > target) break;
    tick_ = start;
    const std::uint32_t number = node(head_of(*slot)).next;
    if (slot->level == 0) {
      unlink(number);
      return number - kFirstTimer;
    }
    if (slot->level != kCarryLevel) {
      begin_carry(*slot);
      continue;
    }
    if (carries_left == 0) return kNoTimer;
    --carries_left;
    unlink(number);
    place(number);
  }
  tick_ = std::max(tick_, target);
  return kNoTimer;
}

}  // namespace tandem
