#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "bench/load/figure_text.h"
#include "bench/load/rooms/room_crews.h"
#include "bench/load/rooms/room_modes.h"
#include "bench/load/rooms/room_summary.h"
#include "bench/load/rooms/room_tasks.h"
#include "bench/load/rooms/server_watch.h"
#include "bench/load/summary.h"

namespace tandem::bench {
namespace {

double us(std::uint64_t ns) {
  return static_cast<double>(ns) / 1e3;
}

// Of `amount` a crew's part while `now` of all clients are connected.
std::size_t part_of(const CrewPart& part, std::size_t now, std::size_t all) {
  return now == all ? part.clients : part.clients * now / all;
}

class RoomsRun {
 public:
  RoomsRun(const Scene& scene, const RoomsOptions& options, Report& report)
      : scene_(scene),
        options_(options),
        report_(report),
        crews_(scene, options.load.service,
               {.first_client = 0,
                .clients = options.clients,
                .room_size = options.room_size,
                .message_bytes = options.load.message_bytes,
                .visibility = options.load.visibility,
                .timeout_s = options.load.timeout_s,
                .spin = options.load.spin}),
        watch_(scene.account, options.load.metrics_url) {}

  Integrity run() {
    const auto before = watch_.read();
    const std::size_t step = options_.ramp == 0 ? options_.clients : options_.ramp;
    bool goes_on = true;
    for (std::size_t to = step; goes_on; to += step) {
      to = std::min(to, options_.clients);
      goes_on = climb(to) && to < options_.clients;
    }
    const auto after = watch_.read();
    const auto connected = crews_.connected();
    const auto rooms = crews_.sound_rooms();
    if (!scene_.interrupt->raised()) {
      crews_.carry_out([this](const CrewPart& part) { return leave_task(rate_of(part)); },
                       "leaving");
    }
    all_.merge(crews_.take_stats());
    summarize(before, after, connected, rooms);
    return integrity_;
  }

 private:
  [[nodiscard]] double rate_of(const CrewPart& part) const {
    return options_.connects_per_s * part.share;
  }

  // False where it is to end here.
  bool climb(std::size_t to) {
    const std::size_t from = std::exchange(asked_, to);
    const auto errors_before = all_.errors.total();
    if (!connect(from, to) || !form(to)) return false;
    const auto begin = watch_.read();
    measured_ = crews_.measure_task(
        [this, to](const CrewPart& part) {
          return play_task(
              {.rooms = rooms_at(part, to),
               .events_per_s = options_.events_per_s * part.share * static_cast<double>(to) /
                               static_cast<double>(options_.clients),
               .turnover_share = options_.turnover_share});
        },
        scene_.timing, false);
    const auto end = watch_.read();
    add_intervals();
    played_ = crews_.take_stats();
    cpu_percent_ = scene_.account.has_relay()
                       ? 100 * ratio(measured_.use.relay_s, measured_.use.wall_s)
                       : cpu_percent(begin, end);
    all_.merge(played_);
    if (options_.ramp > 0) tell_step(end, all_.errors.total() - errors_before);
    return !measured_.interrupted;
  }

  // Of one step behind those of the steps before.
  void add_intervals() {
    const double before_s = report_.intervals.empty() ? 0 : report_.intervals.back().to_s;
    for (Interval interval : measured_.intervals) {
      interval.from_s += before_s;
      interval.to_s += before_s;
      report_.intervals.push_back(interval);
    }
  }

  bool connect(std::size_t from, std::size_t to) {
    const auto began = Clock::now();
    const bool reached = crews_.carry_out(
        [this, from, to](const CrewPart& part) {
          return connect_task(part_of(part, from, options_.clients),
                              part_of(part, to, options_.clients), rate_of(part));
        },
        "connecting");
    connecting_s_ += std::chrono::duration<double>(Clock::now() - began).count();
    all_.merge(crews_.take_stats());
    if (reached && crews_.connected() == 0) {
      const auto& errors = all_.errors.all();
      throw std::runtime_error(
          fmt::format("no client could connect to {}: {}", options_.load.service.authority,
                      errors.empty() ? "nobody says why" : errors.begin()->first));
    }
    return reached;
  }

  bool form(std::size_t to) {
    if (options_.room_size == 0) return true;
    const bool reached = crews_.carry_out(
        [this, to](const CrewPart& part) {
          return form_task(rooms_at(part, to),
                           rate_of(part) / static_cast<double>(options_.room_size));
        },
        "forming rooms");
    all_.merge(crews_.take_stats());
    return reached;
  }

  [[nodiscard]] std::size_t rooms_at(const CrewPart& part, std::size_t clients) const {
    if (options_.room_size == 0) return 0;
    return std::min(part_of(part, clients, options_.clients) / options_.room_size, part.rooms);
  }

  void tell_step(const std::optional<ServerReading>& now, std::uint64_t errors) {
    const auto& latency = played_.of(RoomEvent::message).latency;
    const double wall_s = measured_.use.wall_s;
    report_.steps.push_back(
        {.clients = crews_.connected(),
         .rooms = crews_.sound_rooms(),
         .resident_bytes = now ? now->resident_bytes : std::numeric_limits<double>::quiet_NaN(),
         .cpu_percent = cpu_percent_,
         .sent_per_s = ratio(static_cast<double>(sent_events(played_)), wall_s),
         .delivered_per_s = ratio(static_cast<double>(measured_.during.delivered), wall_s),
         .p50_us = us(latency.quantile_ns(0.5)),
         .p95_us = us(latency.quantile_ns(0.95)),
         .p99_us = us(latency.quantile_ns(0.99)),
         .errors = errors});
  }

  void summarize(const std::optional<ServerReading>& before,
                 const std::optional<ServerReading>& after, std::size_t connected,
                 std::size_t rooms) {
    Figures& figures = report_.summary;
    figures.add("clients", std::uint64_t{connected});
    figures.add("clients_asked_for", std::uint64_t{asked_});
    figures.add("rooms", std::uint64_t{rooms});
    figures.add("connected_per_s",
                ratio(static_cast<double>(all_.of(RoomEvent::connect).answered), connecting_s_));
    summarize_events(measured_, played_, cpu_percent_, figures);
    if (before && after) {
      figures.add("resident_bytes_before", before->resident_bytes);
      figures.add("resident_bytes_after", after->resident_bytes);
      figures.add("resident_bytes_per_client", ratio(after->resident_bytes - before->resident_bytes,
                                                     static_cast<double>(connected)));
    }
    summarize_event_latencies(all_, report_);
    summarize_packets(measured_, figures);
    summarize_errors(all_, report_);
    integrity_ = judge_rooms(crews_.tally(), all_);
    report_.interrupted = scene_.interrupt->raised();
    warn_of_rooms(measured_, all_, report_);
    summarize_run(measured_, integrity_, report_);
  }

  const Scene& scene_;
  const RoomsOptions& options_;
  Report& report_;
  RoomCrews crews_;
  ServerWatch watch_;
  RoomStats all_;
  RoomStats played_;  // in the last measured time
  Measured measured_;
  double cpu_percent_ = std::numeric_limits<double>::quiet_NaN();
  double connecting_s_ = 0;
  std::size_t asked_ = 0;
  Integrity integrity_ = Integrity::intact;
};

}  // namespace

Integrity run_rooms(const Scene& scene, const RoomsOptions& options, Report& report) {
  return RoomsRun(scene, options, report).run();
}

}  // namespace tandem::bench
