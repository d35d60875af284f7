// Deadlines for dense ids (a slot's index is its timer), in a hierarchical timing wheel. Knows
// neither the clock nor what a timer is for. One thread.
//
// Seven levels of 64 slots: a timer lies at the level of the highest base-64 digit in which its
// tick differs from the wheel's, in the slot of that digit. Seven digits cover every Nanos, so no
// deadline is too far. What lies at a lower level is due before what lies at a higher one, and
// within a level slots are due in order, so one bitmap a level finds the next. Every operation is
// O(1) but advance(), which carries a timer down at most six times in its life.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "common/clock.h"
#include "common/reserved_memory.h"

namespace tandem {

class TimerWheel {
 public:
  static constexpr int kTickBits = 22;
  static constexpr Nanos kTick = Nanos{1} << kTickBits;  // 4.2 ms

  // Ids are 0 .. timers_max - 1. 16 bytes each, not resident before the first use.
  TimerWheel(std::uint32_t timers_max, Nanos now);

  // Arms the timer, or moves it where it is armed. A deadline that has passed is due at once.
  void schedule(std::uint32_t id, Nanos deadline);
  // Nothing where it is not armed.
  void cancel(std::uint32_t id);
  [[nodiscard]] bool armed(std::uint32_t id) const;

  // When to call advance() next, nothing where nothing is armed. Never late by more than a tick,
  // but may be early: advance() then only carries timers a level down, and this tells the next
  // time.
  [[nodiscard]] std::optional<Nanos> next_deadline() const;

  // Calls fire(id) for what is due, in the order of ticks, at most `budget` times, and returns how
  // often; the rest stays for the next call, and next_deadline() is not after `now` until then.
  // Never early, late by at most a tick. The timer is not armed any more when it fires; the
  // callback may schedule and cancel any, its own as well (one that is due at once fires again
  // within the budget). At most kCarriesMax timers are carried down in one call, so that it is
  // bounded in that as well.
  template <class F>
  std::uint32_t advance(Nanos now, std::uint32_t budget, F&& fire) {
    const std::uint64_t target = tick_at(now);
    std::uint32_t carries_left = kCarriesMax;
    std::uint32_t fired = 0;
    while (fired < budget) {
      const std::uint32_t id = pop_due(target, carries_left);
      if (id == kNoTimer) break;
      ++fired;
      fire(id);
    }
    return fired;
  }

 private:
  static constexpr int kDigitBits = 6;
  static constexpr std::uint32_t kSlots = 1 << kDigitBits;
  static constexpr std::uint32_t kLevels = 7;
  static constexpr std::uint32_t kCarriesMax = 512;  // 75 us measured, all of it cache misses
  static constexpr std::uint32_t kNoTimer = 0xffff'ffff;

  // Lists are circular and doubly linked by node number, with their heads among the nodes, so that
  // unlinking needs no search and tells which slot it emptied. Node 0 is nobody, so zeroed memory
  // is a table of timers that are not armed. One more level holds the list that is being carried
  // down.
  static constexpr std::uint32_t kCarryLevel = kLevels;
  static constexpr std::uint32_t kFirstHead = 1;
  static constexpr std::uint32_t kFirstTimer = kFirstHead + (kLevels + 1) * kSlots;
  struct Node {
    std::uint32_t next;  // 0 = not armed
    std::uint32_t previous;
    std::uint64_t tick;
  };
  static_assert(sizeof(Node) == 16);

  struct Slot {
    std::uint32_t level;
    std::uint32_t digit;
  };

  static std::uint64_t tick_at(Nanos now);
  static std::uint32_t head_of(Slot slot) { return kFirstHead + slot.level * kSlots + slot.digit; }
  Node& node(std::uint32_t number) const { return static_cast<Node*>(memory_.data())[number]; }
  std::uint32_t number_of(std::uint32_t id) const;
  std::optional<Slot> first_slot() const;
  std::uint64_t start_of(Slot slot) const;
  void place(std::uint32_t number);
  void append(Slot slot, std::uint32_t number);
  void unlink(std::uint32_t number);
  void begin_carry(Slot slot);
  std::uint32_t pop_due(std::uint64_t target, std::uint32_t& carries_left);

  ReservedMemory memory_;
  std::uint32_t timers_max_;
  std::uint64_t tick_;  // nothing armed is due before it
  std::array<std::uint64_t, kLevels + 1> occupied_{};
};

}  // namespace tandem
