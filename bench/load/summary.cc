#include "bench/load/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tandem::bench {
namespace {

struct Quantile {
  const char* name;
  double q;
};
constexpr std::array<Quantile, 5> kQuantiles{
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}}};

double us(double ns) {
  return ns / 1e3;
}

double quantile_us(const Latencies& latencies, double q) {
  return us(static_cast<double>(latencies.histogram.quantile_ns(q)));
}

Integrity integrity(bool intact) {
  return intact ? Integrity::intact : Integrity::damaged;
}

std::uint64_t missing_of(std::uint64_t sent, std::uint64_t delivered) {
  return sent - std::min(sent, delivered);
}

// What of a stream is missing is under way, or else lost: that is returned.
std::uint64_t add_missing(std::uint64_t missing, const Tally& overall, const std::string& unit,
                          Figures& figures) {
  const std::uint64_t under_way = overall.unfinished > 0 ? missing : 0;
  figures.add("lost" + unit, missing - under_way);
  if (under_way > 0) figures.add("under_way" + unit, under_way);
  return missing - under_way;
}

}  // namespace

void summarize_bytes(const Measured& measured, Figures& figures) {
  const CpuUse& use = measured.use;
  const double gigabytes = static_cast<double>(measured.during.delivered_bytes) / 1e9;
  figures.add("throughput_gbit_s", ratio(gigabytes * 8, use.wall_s));
  figures.add("relay_cpu_s_per_gb", ratio(use.relay_s, gigabytes));
  figures.add("machine_cpu_s_per_gb", ratio(use.machine_busy_s, gigabytes));
  figures.add("both_cpu_s_per_gb", ratio(use.relay_s + use.generator_s, gigabytes));
  figures.add("delivered_bytes", measured.during.delivered_bytes);
  figures.add("least_flow_share", measured.least_share);
  figures.add("most_flow_share", measured.most_share);
}

void summarize_lost_bytes(const Tally& overall, Figures& figures) {
  const auto missing = missing_of(overall.sent_bytes, overall.delivered_bytes);
  (void)add_missing(missing, overall, "_bytes", figures);
}

void summarize_packets(const Measured& measured, Figures& figures) {
  const CpuUse& use = measured.use;
  const Tally& overall = measured.overall;
  const auto delivered = static_cast<double>(measured.during.delivered);
  figures.add("offered_kpps", ratio(static_cast<double>(measured.during.sent) / 1e3, use.wall_s));
  figures.add("delivered_kpps", ratio(delivered / 1e3, use.wall_s));
  figures.add("relay_cpu_s_per_million", ratio(use.relay_s, delivered / 1e6));
  figures.add("machine_cpu_s_per_million", ratio(use.machine_busy_s, delivered / 1e6));
  figures.add("packets_per_relay_cpu_s", ratio(delivered, use.relay_s));
  figures.add("sent", overall.sent);
  figures.add("delivered", overall.delivered);
  const auto lost = add_missing(missing_of(overall.sent, overall.delivered), overall, "", figures);
  figures.add("lost_fraction", ratio(static_cast<double>(lost), static_cast<double>(overall.sent)));
  figures.add("duplicated", overall.duplicated);
  figures.add("reordered", overall.reordered);
  figures.add("damaged", overall.damaged);
  figures.add("unsent", overall.unsent);
  figures.add("late", overall.late);
}

void summarize_latency(const Latencies& latencies, std::string_view prefix, Figures& figures) {
  for (const auto& [name, q] : kQuantiles) {
    figures.add(fmt::format("{}latency_{}_us", prefix, name), quantile_us(latencies, q));
  }
  const auto max_ns = static_cast<double>(latencies.histogram.max_ns());
  figures.add(fmt::format("{}latency_max_us", prefix), us(max_ns));
  figures.add(fmt::format("{}latency_mean_us", prefix), us(latencies.histogram.mean_ns()));
  figures.add(fmt::format("{}jitter_us", prefix), us(latencies.jitter_ns));
}

void summarize_added(const Latencies& route, const Latencies& direct, Figures& figures) {
  for (const auto& [name, q] : kQuantiles) {
    figures.add(fmt::format("latency_added_{}_us", name),
                quantile_us(route, q) - quantile_us(direct, q));
  }
}

Integrity judge_bulk(const Tally& overall) {
  return integrity(overall.damaged == 0 &&
                   (overall.unfinished > 0 || overall.sent_bytes == overall.delivered_bytes));
}

Integrity judge_datagrams(const Tally& overall) {
  return integrity(overall.damaged == 0 && overall.duplicated == 0 &&
                   (overall.delivered > 0 || overall.sent == 0));
}

Integrity judge_messages(const Tally& overall) {
  return integrity(overall.damaged == 0 &&
                   (overall.unfinished > 0 || overall.sent == overall.delivered));
}

void summarize_run(const Measured& measured, Integrity integrity, Report& report) {
  report.summary.add("intact", std::uint64_t{integrity == Integrity::intact});
  report.summary.add_use(measured.use);
  if (measured.far_cpu_s > 0) report.summary.add("far_generator_cpu_s", measured.far_cpu_s);
  if (integrity == Integrity::damaged) report.warnings.emplace_back("the traffic was damaged");
}

void warn(const Measured& measured, Loop loop, Report& report) {
  constexpr double kBusy = 0.95;        // of a worker's time, in a closed loop
  constexpr double kLateShare = 0.001;  // of what was sent, in an open one
  const CpuUse& use = measured.use;
  const auto say = [&report](fmt::string_view text, const auto&... args) {
    report.warnings.push_back(fmt::vformat(text, fmt::make_format_args(args...)));
  };
  switch (loop) {
    case Loop::closed:
      if (measured.worker_busy < kBusy) break;
      say("the generator was the limit, or near it: a thread of it was busy {:.0f} % of the time; "
          "give it more (--threads), and take the figures per relay-CPU-second",
          100 * measured.worker_busy);
      break;
    case Loop::open: {
      const auto& overall = measured.overall;
      const double late = ratio(static_cast<double>(overall.late),
                                static_cast<double>(overall.sent + overall.unsent));
      if (late > kLateShare) {
        say("the generator was the limit: {:.2f} % left more than {} us after they were due",
            100 * late, kLate.count());
      }
      if (overall.unsent > 0) {
        say("{} never left: the socket did not take them at this rate", overall.unsent);
      }
      break;
    }
  }
  if (measured.overall.unfinished > 0) {
    say("{} streams were not at their end when the time to wait for it was over: the route is "
        "slower than its buffers are deep",
        measured.overall.unfinished);
  }
  if (measured.overall.sent_bytes == 0) say("nothing was sent");
  warn_of_others(use, report);
}

void warn_of_others(const CpuUse& use, Report& report) {
  constexpr double kForeign = 0.1;  // of one core
  if (use.foreign_s > kForeign * use.wall_s) {
    report.warnings.push_back(
        fmt::format("others used {:.1f} CPU-seconds of this machine meanwhile: the machine's "
                    "figures mean little",
                    use.foreign_s));
  }
  if (use.stolen_s > kForeign * use.wall_s) {
    report.warnings.push_back(
        fmt::format("the hypervisor took {:.1f} CPU-seconds meanwhile", use.stolen_s));
  }
}

void warn_of_caps(const RelayTold& told, Report& report) {
  struct Cap {
    std::string_view reason;
    std::string_view setting;
  };
  constexpr std::array<Cap, 5> kCaps{{
      {"over_packet_rate", "security.packets_per_second"},
      {"over_session_bandwidth", "bandwidth.session_mbps"},
      {"over_global_bandwidth", "bandwidth.global_mbps"},
      {"too_large", "security.max_packet_size"},
      {"paused_at_bandwidth_cap", "bandwidth.session_mbps or bandwidth.global_mbps"},
  }};
  for (const auto& [reason, count] : told.dropped) {
    const auto cap = std::ranges::find(kCaps, reason, &Cap::reason);
    if (cap == kCaps.end()) continue;
    report.warnings.push_back(fmt::format("the relay's own cap was a limit: {} times {} ({})",
                                          count, reason, cap->setting));
  }
}

}  // namespace tandem::bench
