// All crews of a run, each on a thread of its own: the clients dealt out to them, and a task given
// to all at once.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/load/leg.h"
#include "bench/load/rooms/room_crew.h"
#include "bench/load/scene.h"

namespace tandem::bench {

// What a crew's part of all is.
struct CrewPart {
  std::size_t first_room = 0;
  std::size_t rooms = 0;
  std::size_t first_client = 0;
  std::size_t clients = 0;
  double share = 1;  // of the clients
};

class RoomCrews {
 public:
  // Rooms are not divided; clients that fill none are the last crew's. `options` is every crew's
  // but for who its clients are. Throws std::runtime_error where this process may not have so many
  // sockets.
  RoomCrews(const Scene& scene, const RoomService& service, CrewOptions options);

  using MakeTask = std::function<std::unique_ptr<RoomTask>(const CrewPart& part)>;
  // Until all crews have done it, or an interrupt: false then.
  bool carry_out(const MakeTask& make, const std::string& what);
  // For as long as `timing` says, or where `until_done` until it is done.
  Measured measure_task(const MakeTask& make, const Timing& timing, bool until_done);

  // What was counted since the last call.
  [[nodiscard]] RoomStats take_stats();
  [[nodiscard]] std::size_t connected() const;
  // While they rest: those that were formed and had no error since, and of them the full ones.
  [[nodiscard]] std::size_t sound_rooms() const;
  [[nodiscard]] std::size_t full_rooms() const;
  [[nodiscard]] Tally tally() const { return leg_.tally(); }

 private:
  [[nodiscard]] bool all_done() const;
  template <typename Counts>
  [[nodiscard]] std::size_t count_rooms(Counts counts) const;
  void assign(const MakeTask& make);

  const Scene& scene_;
  Leg leg_;
  std::vector<RoomCrew*> crews_;
  std::vector<CrewPart> parts_;
};

}  // namespace tandem::bench
