#include <algorithm>
#include <functional>
#include <queue>
#include <vector>

#include "bench/load/rooms/room_tasks.h"
#include "bench/load/schedule.h"

namespace tandem::bench {
namespace {

constexpr std::size_t kAtOnce = 64;

class Matching final : public RoomTask {
 public:
  explicit Matching(const MatchOptions& options)
      : options_(options), schedule_(options.matches_per_s) {}

  void begin(RoomCrew& crew, Clock::time_point now) override {
    schedule_.restart(now);
    settled_.assign(crew.rooms(), false);
  }

  void step(RoomCrew& crew, Clock::time_point now) override {
    for (auto due = schedule_.due_by(now, kAtOnce); due > 0 && next_ < settled_.size(); --due) {
      const auto at = schedule_.take();
      for (std::size_t seat = 0; seat < crew.room_size(); ++seat) {
        crew.connect(crew.member(next_, seat), at, now);
      }
      ++next_;
    }
    for (std::size_t left = kAtOnce; left > 0 && !turns_.empty(); --left) {
      const TurnToSend turn = turns_.top();
      if (turn.due > now) break;
      turns_.pop();
      if (crew.room(crew.room_of(turn.client)).broken) continue;
      crew.message(turn.client, turn.due, now);
      plan(turn.client, turn.due, turn.left - 1);
    }
  }

  [[nodiscard]] Clock::time_point next_due() const override {
    auto due = next_ < settled_.size() ? schedule_.next() : Clock::time_point::max();
    if (!turns_.empty()) due = std::min(due, turns_.top().due);
    return due;
  }

  [[nodiscard]] bool is_done(const RoomCrew&) const override {
    return settled_count_ == settled_.size() && turns_.empty();
  }

  void on_success(RoomCrew& crew, std::size_t client, RoomEvent event,
                  Clock::time_point now) override {
    const std::size_t room = crew.room_of(client);
    if (crew.room(room).broken) return;
    switch (event) {
      case RoomEvent::connect:
        if (all_ready(crew, room)) crew.create(crew.member(room, 0), now, now);
        break;
      case RoomEvent::create:
        for (std::size_t seat = 1; seat < crew.room_size(); ++seat) {
          crew.join(crew.member(room, seat), now, now);
        }
        break;
      case RoomEvent::join:
        if (crew.is_full(room)) start_playing(crew, room, now);
        break;
      case RoomEvent::login:
      case RoomEvent::message:
      case RoomEvent::leave:
        break;
    }
  }

  void on_failure(RoomCrew& crew, std::size_t client, RoomEvent) override {
    settle(crew.room_of(client));
  }

 private:
  // The next message of a client, and how many it has left.
  struct TurnToSend {
    Clock::time_point due;
    std::size_t client;
    std::size_t left;
    friend bool operator>(const TurnToSend& a, const TurnToSend& b) { return a.due > b.due; }
  };

  static bool all_ready(const RoomCrew& crew, std::size_t room) {
    for (std::size_t seat = 0; seat < crew.room_size(); ++seat) {
      if (!crew.is_ready(crew.member(room, seat))) return false;
    }
    return true;
  }

  // The players take turns.
  void start_playing(const RoomCrew& crew, std::size_t room, Clock::time_point now) {
    settle(room);
    for (std::size_t seat = 0; seat < crew.room_size(); ++seat) {
      const double part = static_cast<double>(seat) / static_cast<double>(crew.room_size());
      if (options_.messages == 0) continue;
      turns_.push({.due = now + to_duration(options_.interval_s * part),
                   .client = crew.member(room, seat),
                   .left = options_.messages});
    }
  }

  void plan(std::size_t client, Clock::time_point last, std::size_t left) {
    if (left == 0) return;
    turns_.push({.due = last + to_duration(options_.interval_s), .client = client, .left = left});
  }

  // It is being played, or never will be.
  void settle(std::size_t room) {
    if (settled_[room]) return;
    settled_[room] = true;
    ++settled_count_;
  }

  MatchOptions options_;
  Schedule schedule_;
  std::priority_queue<TurnToSend, std::vector<TurnToSend>, std::greater<>> turns_;
  std::vector<bool> settled_;
  std::size_t settled_count_ = 0;
  std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<RoomTask> matches_task(const MatchOptions& options) {
  return std::make_unique<Matching>(options);
}

}  // namespace tandem::bench
