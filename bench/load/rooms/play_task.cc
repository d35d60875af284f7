#include <algorithm>
#include <vector>

#include "bench/load/rooms/room_tasks.h"
#include "bench/load/schedule.h"

namespace tandem::bench {
namespace {

constexpr std::size_t kAtOnce = 64;
constexpr std::size_t kRoomsTriedMax = 1024;  // for one event
constexpr double kOwedMax = 64;  // steps of turnovers that had to wait are not all made up for

// A room whose members leave it one by one and then are in another together.
struct Turnover {
  enum class Phase : std::uint8_t { leaving, creating, joining };
  std::size_t room = 0;
  Phase phase = Phase::leaving;
  std::size_t seat = 0;  // whose turn it is
};

class Playing final : public RoomTask {
 public:
  explicit Playing(const PlayOptions& options)
      : options_(options),
        schedule_(std::max(options.events_per_s, 1e-9)),
        seats_(options.rooms),
        turning_(options.rooms) {}

  void begin(RoomCrew&, Clock::time_point now) override { schedule_.restart(now); }
  void step(RoomCrew& crew, Clock::time_point now) override {
    if (!has_work()) return;
    for (auto due = schedule_.due_by(now, kAtOnce); due > 0; --due) {
      const auto at = schedule_.take();
      turnovers_owed_ = std::min(turnovers_owed_ + options_.turnover_share, kOwedMax);
      if (turnovers_owed_ >= 1 && turn_over(crew, at, now)) {
        turnovers_owed_ -= 1;
      } else if (!send_message(crew, at, now)) {
        crew.skip();
      }
    }
  }
  [[nodiscard]] Clock::time_point next_due() const override {
    return has_work() ? schedule_.next() : Clock::time_point::max();
  }
  [[nodiscard]] bool is_done(const RoomCrew&) const override { return !has_work(); }

 private:
  [[nodiscard]] bool has_work() const { return options_.events_per_s > 0 && options_.rooms > 0; }

  [[nodiscard]] bool is_open(const RoomCrew& crew, std::size_t room) const {
    return !turning_[room] && !crew.room(room).broken && crew.is_full(room);
  }

  // The rooms take turns, and in each its members.
  bool send_message(RoomCrew& crew, Clock::time_point due, Clock::time_point now) {
    for (auto left = std::min(options_.rooms, kRoomsTriedMax); left > 0; --left) {
      const std::size_t room = next_room_;
      next_room_ = (next_room_ + 1) % options_.rooms;
      if (!is_open(crew, room)) continue;
      crew.message(crew.member(room, seats_[room]), due, now);
      seats_[room] = (seats_[room] + 1) % crew.room_size();
      return true;
    }
    return false;
  }

  // One step of a turnover that waits for nothing, or of a new one.
  bool turn_over(RoomCrew& crew, Clock::time_point due, Clock::time_point now) {
    for (std::size_t i = 0; i < turnovers_.size();) {
      if (is_over(crew, turnovers_[i])) {
        turning_[turnovers_[i].room] = false;
        turnovers_[i] = turnovers_.back();
        turnovers_.pop_back();
      } else if (advance(crew, turnovers_[i], due, now)) {
        return true;
      } else {
        ++i;
      }
    }
    // Half of the rooms at the most, so that there are some left to send messages in.
    if (turnovers_.size() >= options_.rooms / 2) return false;
    for (auto left = std::min(options_.rooms, kRoomsTriedMax); left > 0; --left) {
      const std::size_t room = next_turnover_;
      next_turnover_ = (next_turnover_ + 1) % options_.rooms;
      // With nothing under way there is no doubt about who has to get what.
      if (!is_open(crew, room) || !crew.room(room).ledger.quiet()) continue;
      turning_[room] = true;
      turnovers_.push_back({.room = room});
      return advance(crew, turnovers_.back(), due, now);
    }
    return false;
  }

  static bool is_over(const RoomCrew& crew, const Turnover& turnover) {
    return crew.room(turnover.room).broken ||
           (turnover.phase == Turnover::Phase::joining && crew.is_full(turnover.room));
  }

  static bool advance(RoomCrew& crew, Turnover& turnover, Clock::time_point due,
                      Clock::time_point now) {
    const std::size_t room = turnover.room;
    switch (turnover.phase) {
      case Turnover::Phase::leaving:
        crew.leave(crew.member(room, turnover.seat++), due, now);
        if (turnover.seat == crew.room_size()) turnover.phase = Turnover::Phase::creating;
        return true;
      case Turnover::Phase::creating:
        if (crew.room(room).inside != 0 || crew.is_waiting(crew.member(room, 0))) return false;
        crew.create(crew.member(room, 0), due, now);
        turnover.phase = Turnover::Phase::joining;
        turnover.seat = 1;
        return true;
      case Turnover::Phase::joining:
        if (crew.room(room).inside == 0 || turnover.seat == crew.room_size()) return false;
        crew.join(crew.member(room, turnover.seat++), due, now);
        return true;
    }
    return false;
  }

  PlayOptions options_;
  Schedule schedule_;
  std::vector<std::size_t> seats_;  // whose turn it is, by room
  std::vector<bool> turning_;
  std::vector<Turnover> turnovers_;
  double turnovers_owed_ = 0;
  std::size_t next_room_ = 0;
  std::size_t next_turnover_ = 0;
};

}  // namespace

std::unique_ptr<RoomTask> play_task(const PlayOptions& options) {
  return std::make_unique<Playing>(options);
}

}  // namespace tandem::bench
