#include <fmt/format.h>

#include <stdexcept>

#include "bench/load/rooms/room_crews.h"
#include "bench/load/rooms/room_modes.h"
#include "bench/load/rooms/room_summary.h"
#include "bench/load/rooms/room_tasks.h"
#include "bench/load/rooms/server_watch.h"
#include "bench/load/summary.h"

namespace tandem::bench {
namespace {

// Until all matches are made and played; that they take this long at the most is no part of it.
Timing timing_of(const Scene& scene, const MatchesOptions& options) {
  const double made_s = static_cast<double>(options.matches) / options.matches_per_s;
  const double played_s = static_cast<double>(options.messages) * options.interval_s;
  constexpr double kLookEvery = 0.2;
  return {.warm_up_s = 0,
          .seconds = made_s + played_s + 3 * options.load.timeout_s,
          .interval_s = scene.timing.interval_s > 0 ? scene.timing.interval_s : kLookEvery};
}

}  // namespace

Integrity run_matches(const Scene& scene, const MatchesOptions& options, Report& report) {
  RoomCrews crews(scene, options.load.service,
                  {.first_client = 0,
                   .clients = options.matches * options.players,
                   .room_size = options.players,
                   .message_bytes = options.load.message_bytes,
                   .visibility = options.load.visibility,
                   .timeout_s = options.load.timeout_s,
                   .spin = options.load.spin});
  const ServerWatch watch(scene.account, options.load.metrics_url);
  const auto before = watch.read();
  const Measured measured = crews.measure_task(
      [&options](const CrewPart& part) {
        return matches_task({.matches_per_s = options.matches_per_s * part.share,
                             .messages = options.messages,
                             .interval_s = options.interval_s});
      },
      timing_of(scene, options), true);
  const auto after = watch.read();
  const auto held = crews.full_rooms();
  const auto connected = crews.connected();
  RoomStats played = crews.take_stats();
  if (connected == 0 && !measured.interrupted) {
    const auto& errors = played.errors.all();
    throw std::runtime_error(
        fmt::format("no client could connect to {}: {}", options.load.service.authority,
                    errors.empty() ? "nobody says why" : errors.begin()->first));
  }
  if (!measured.interrupted) {
    crews.carry_out(
        [&options](const CrewPart& part) {
          return leave_task(options.matches_per_s * static_cast<double>(options.players) *
                            part.share);
        },
        "leaving");
  }
  RoomStats all = played;
  all.merge(crews.take_stats());

  if (scene.timing.interval_s > 0) report.intervals = measured.intervals;
  Figures& figures = report.summary;
  figures.add("matches", std::uint64_t{options.matches});
  figures.add("matches_held", std::uint64_t{held});
  figures.add("clients", std::uint64_t{connected});
  const double percent = scene.account.has_relay()
                             ? 100 * ratio(measured.use.relay_s, measured.use.wall_s)
                             : cpu_percent(before, after);
  summarize_events(measured, played, percent, figures);
  if (before && after) {
    figures.add("resident_bytes_before", before->resident_bytes);
    figures.add("resident_bytes_after", after->resident_bytes);
    figures.add("resident_bytes_per_client", ratio(after->resident_bytes - before->resident_bytes,
                                                   static_cast<double>(connected)));
  }
  summarize_event_latencies(all, report);
  summarize_packets(measured, figures);
  summarize_errors(all, report);
  const Integrity integrity = judge_rooms(crews.tally(), all);
  report.interrupted = scene.interrupt->raised();
  warn_of_rooms(measured, all, report);
  summarize_run(measured, integrity, report);
  return integrity;
}

}  // namespace tandem::bench
