#include "bench/load/rooms/room_crews.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "bench/load/figure_text.h"

namespace tandem::bench {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(20);
constexpr auto kNoteEvery = std::chrono::seconds(1);

std::vector<CrewPart> deal(std::size_t clients, std::size_t room_size, std::size_t threads) {
  const std::size_t rooms = room_size == 0 ? 0 : clients / room_size;
  threads = std::clamp<std::size_t>(threads, 1, std::max<std::size_t>(rooms, 1));
  std::vector<CrewPart> parts;
  for (std::size_t i = 0; i < threads; ++i) {
    CrewPart part{.first_room = rooms * i / threads};
    part.rooms = rooms * (i + 1) / threads - part.first_room;
    part.first_client = part.first_room * room_size;
    const bool last = i + 1 == threads;
    part.clients = last ? clients - part.first_client : part.rooms * room_size;
    part.share = static_cast<double>(part.clients) / static_cast<double>(clients);
    parts.push_back(part);
  }
  return parts;
}

}  // namespace

RoomCrews::RoomCrews(const Scene& scene, const RoomService& service, CrewOptions options)
    : scene_(scene),
      leg_{.name = "room service", .workers = {}},
      parts_(deal(options.clients, options.room_size, scene.threads)) {
  if (const auto most = sockets_max(); options.clients > most) {
    throw std::runtime_error(fmt::format("{} clients are {} sockets, and this process may have {}",
                                         number_text(options.clients), number_text(options.clients),
                                         number_text(std::uint64_t{most})));
  }
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    options.first_client = parts_[i].first_client;
    options.clients = parts_[i].clients;
    auto crew = std::make_unique<RoomCrew>(service, options);
    crews_.push_back(crew.get());
    const int cpu = scene.cpus.empty() ? -1 : scene.cpus[i % scene.cpus.size()];
    leg_.workers.push_back(std::make_unique<Worker>(std::move(crew), cpu, *scene.interrupt));
  }
}

void RoomCrews::assign(const MakeTask& make) {
  for (std::size_t i = 0; i < crews_.size(); ++i) crews_[i]->assign(make(parts_[i]));
}

bool RoomCrews::all_done() const {
  return std::ranges::all_of(crews_, &RoomCrew::is_done);
}

bool RoomCrews::carry_out(const MakeTask& make, const std::string& what) {
  assign(make);
  leg_.start();
  auto next_note = Clock::now() + kNoteEvery;
  bool reached = !scene_.interrupt->raised();
  while (reached && !all_done()) {
    reached = scene_.interrupt->wait_until(Clock::now() + kLookEvery);
    for (const auto& worker : leg_.workers) worker->rethrow_failure();
    if (!scene_.note || Clock::now() < next_note) continue;
    next_note += kNoteEvery;
    scene_.note(fmt::format("{}: {} connected", what, number_text(std::uint64_t{connected()})));
  }
  leg_.stop();
  return reached;
}

Measured RoomCrews::measure_task(const MakeTask& make, const Timing& timing, bool until_done) {
  assign(make);
  const std::function<bool()> is_done = [this] { return all_done(); };
  // A service that nobody can connect to has nothing to tell but that.
  const Tell tell = [this](const Interval& interval) {
    if (scene_.tell && connected() > 0) scene_.tell(interval);
  };
  return measure(leg_, timing, scene_.account, *scene_.interrupt, tell,
                 until_done ? is_done : std::function<bool()>());
}

RoomStats RoomCrews::take_stats() {
  RoomStats stats;
  for (auto* crew : crews_) stats.merge(crew->take_stats());
  return stats;
}

std::size_t RoomCrews::connected() const {
  std::size_t connected = 0;
  for (const auto* crew : crews_) connected += crew->connected();
  return connected;
}

template <typename Counts>
std::size_t RoomCrews::count_rooms(Counts counts) const {
  std::size_t count = 0;
  for (const auto* crew : crews_) {
    for (std::size_t room = 0; room < crew->rooms(); ++room) {
      const CrewRoom& one = crew->room(room);
      if (!one.broken && !one.id.empty() && counts(*crew, room)) ++count;
    }
  }
  return count;
}

std::size_t RoomCrews::sound_rooms() const {
  return count_rooms([](const RoomCrew&, std::size_t) { return true; });
}

std::size_t RoomCrews::full_rooms() const {
  return count_rooms([](const RoomCrew& crew, std::size_t room) { return crew.is_full(room); });
}

}  // namespace tandem::bench
