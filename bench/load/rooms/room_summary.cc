#include "bench/load/rooms/room_summary.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "bench/load/figure_text.h"
#include "bench/load/summary.h"

namespace tandem::bench {
namespace {

constexpr std::array<RoomEvent, 3> kRequests{RoomEvent::create, RoomEvent::join, RoomEvent::leave};

std::uint64_t count_of(const ErrorCounts& errors, std::string_view code) {
  const auto found = errors.all().find(code);
  return found == errors.all().end() ? 0 : found->second;
}

}  // namespace

std::uint64_t events_of(const Measured& measured, const RoomStats& stats) {
  std::uint64_t events = measured.during.delivered;
  for (const auto request : kRequests) events += stats.of(request).answered;
  return events;
}

std::uint64_t sent_events(const RoomStats& stats) {
  std::uint64_t events = stats.of(RoomEvent::message).sent;
  for (const auto request : kRequests) events += stats.of(request).sent;
  return events;
}

void summarize_events(const Measured& measured, const RoomStats& stats, double cpu_percent,
                      Figures& figures) {
  const double wall_s = measured.use.wall_s;
  const double per_s = ratio(static_cast<double>(events_of(measured, stats)), wall_s);
  figures.add("events_sent_per_s", ratio(static_cast<double>(sent_events(stats)), wall_s));
  figures.add("messages_sent_per_s",
              ratio(static_cast<double>(stats.of(RoomEvent::message).sent), wall_s));
  figures.add("messages_delivered_per_s",
              ratio(static_cast<double>(measured.during.delivered), wall_s));
  figures.add("events_per_s", per_s);
  if (!std::isfinite(cpu_percent)) return;
  figures.add("server_cpu_percent", cpu_percent);
  figures.add("events_per_server_cpu_s", ratio(per_s, cpu_percent / 100));
}

void summarize_event_latencies(const RoomStats& stats, Report& report) {
  constexpr std::array<std::pair<const char*, double>, 5> kQuantiles{
      {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}}};
  for (std::size_t i = 0; i < kRoomEvents; ++i) {
    const auto& [sent, answered, latency] = stats.kinds[i];
    if (latency.count() == 0) continue;
    const std::string name(name_of(static_cast<RoomEvent>(i)));
    for (const auto& [quantile, q] : kQuantiles) {
      report.summary.add(fmt::format("{}_{}_us", name, quantile),
                         static_cast<double>(latency.quantile_ns(q)) / 1e3);
    }
    report.latencies.push_back({.name = name, .histogram = latency});
  }
}

void summarize_errors(const RoomStats& stats, Report& report) {
  report.summary.add("errors", stats.errors.total());
  report.errors.assign(stats.errors.all().begin(), stats.errors.all().end());
}

Integrity judge_rooms(const Tally& overall, const RoomStats& stats) {
  const auto bad =
      overall.damaged + overall.duplicated + overall.reordered + count_of(stats.errors, "lost");
  return bad == 0 ? Integrity::intact : Integrity::damaged;
}

void warn_of_rooms(const Measured& measured, const RoomStats& stats, Report& report) {
  constexpr double kBusy = 0.95;
  constexpr double kLateShare = 0.001;
  const Tally& overall = measured.overall;
  if (measured.worker_busy > kBusy) {
    report.warnings.push_back(
        fmt::format("the generator was the limit, or near it: a thread of it was busy {:.0f} % of "
                    "the time",
                    100 * measured.worker_busy));
  }
  const double late = ratio(static_cast<double>(overall.late), static_cast<double>(overall.sent));
  if (late > kLateShare) {
    report.warnings.push_back(fmt::format(
        "the generator was the limit: {} events left more than {} us after they were due",
        number_text(overall.late), kLate.count()));
  }
  if (overall.unsent > 0) {
    report.warnings.push_back(
        fmt::format("{} events were due while no room was free for them: more clients, or fewer "
                    "events",
                    number_text(overall.unsent)));
  }
  if (const auto errors = stats.errors.total(); errors > 0) {
    report.warnings.push_back(fmt::format("{} errors", number_text(errors)));
  }
  warn_of_others(measured.use, report);
}

}  // namespace tandem::bench
