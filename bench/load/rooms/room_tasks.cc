#include "bench/load/rooms/room_tasks.h"

#include <algorithm>
#include <limits>

#include "bench/load/schedule.h"

namespace tandem::bench {
namespace {

constexpr std::size_t kAtOnce = 64;  // then what has come is read

// Takes the numbers from `next` up to `end`, one at each moment of a schedule.
class Paced : public RoomTask {
 public:
  Paced(std::size_t next, std::size_t end, double per_second)
      : next_(next), end_(end), schedule_(per_second) {}

  void begin(RoomCrew&, Clock::time_point now) final { schedule_.restart(now); }
  void step(RoomCrew& crew, Clock::time_point now) final {
    for (auto due = schedule_.due_by(now, kAtOnce); due > 0 && next_ < end_; --due) {
      take(crew, next_++, schedule_.take(), now);
    }
  }
  [[nodiscard]] Clock::time_point next_due() const final {
    return next_ < end_ ? schedule_.next() : Clock::time_point::max();
  }
  [[nodiscard]] bool is_done(const RoomCrew& crew) const final {
    return next_ >= end_ && crew.waiting() == 0;
  }

 protected:
  virtual void take(RoomCrew& crew, std::size_t number, Clock::time_point due,
                    Clock::time_point now) = 0;

 private:
  std::size_t next_;
  std::size_t end_;
  Schedule schedule_;
};

class Connecting final : public Paced {
 public:
  using Paced::Paced;

 private:
  void take(RoomCrew& crew, std::size_t client, Clock::time_point due,
            Clock::time_point now) override {
    crew.connect(client, due, now);
  }
};

bool is_inside(const RoomCrew& crew, std::size_t room, std::size_t seat) {
  return (crew.room(room).inside >> seat & 1) != 0;
}

void join_missing(RoomCrew& crew, std::size_t room, Clock::time_point due, Clock::time_point now) {
  for (std::size_t seat = 0; seat < crew.room_size(); ++seat) {
    const auto client = crew.member(room, seat);
    if (!is_inside(crew, room, seat) && crew.is_ready(client)) crew.join(client, due, now);
  }
}

class Forming final : public Paced {
 public:
  using Paced::Paced;

  void on_success(RoomCrew& crew, std::size_t client, RoomEvent event,
                  Clock::time_point now) override {
    if (event == RoomEvent::create) join_missing(crew, crew.room_of(client), now, now);
  }

 private:
  void take(RoomCrew& crew, std::size_t room, Clock::time_point due,
            Clock::time_point now) override {
    for (std::size_t seat = 0; seat < crew.room_size(); ++seat) {
      if (!crew.is_ready(crew.member(room, seat))) crew.room(room).broken = true;
    }
    if (crew.room(room).broken || crew.is_full(room)) return;
    if (crew.room(room).inside == 0) {
      crew.create(crew.member(room, 0), due, now);
    } else {
      join_missing(crew, room, due, now);
    }
  }
};

class Leaving final : public RoomTask {
 public:
  explicit Leaving(double clients_per_s) : schedule_(clients_per_s) {}

  void begin(RoomCrew& crew, Clock::time_point now) override {
    schedule_.restart(now);
    end_ = crew.rooms() * crew.room_size();
    skip_outsiders(crew);
  }
  void step(RoomCrew& crew, Clock::time_point now) override {
    for (auto due = schedule_.due_by(now, kAtOnce); due > 0 && next_ < end_; --due) {
      crew.leave(next_++, schedule_.take(), now);
      skip_outsiders(crew);
    }
  }
  [[nodiscard]] Clock::time_point next_due() const override {
    return next_ < end_ ? schedule_.next() : Clock::time_point::max();
  }
  [[nodiscard]] bool is_done(const RoomCrew& crew) const override {
    return next_ >= end_ && crew.waiting() == 0;
  }

 private:
  void skip_outsiders(const RoomCrew& crew) {
    while (next_ < end_ && !can_leave(crew)) ++next_;
  }
  [[nodiscard]] bool can_leave(const RoomCrew& crew) const {
    const std::size_t room = crew.room_of(next_);
    return !crew.room(room).broken && is_inside(crew, room, next_ % crew.room_size()) &&
           crew.is_ready(next_);
  }

  Schedule schedule_;
  std::size_t next_ = 0;
  std::size_t end_ = 0;
};

}  // namespace

std::unique_ptr<RoomTask> connect_task(std::size_t from, std::size_t to, double clients_per_s) {
  return std::make_unique<Connecting>(from, to, clients_per_s);
}

std::unique_ptr<RoomTask> form_task(std::size_t rooms, double rooms_per_s) {
  return std::make_unique<Forming>(0, rooms, rooms_per_s);
}

std::unique_ptr<RoomTask> leave_task(double clients_per_s) {
  return std::make_unique<Leaving>(clients_per_s);
}

}  // namespace tandem::bench
