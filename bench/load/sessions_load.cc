#include "bench/load/sessions_load.h"

#include <chrono>
#include <thread>

namespace tandem::bench {
namespace {

// Idle is measured by letting time pass: here a sleep is the load.
void let_pass(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

void report_pairing(const SessionsOptions& options, const CpuUse& use, Report& report) {
  const auto count = static_cast<double>(options.count);
  report.add("pairs_per_s", ratio(count, use.wall_s));
  report.add("pairs_per_relay_cpu_s", ratio(count, use.relay_s));
  report.add("wall_s", use.wall_s);
  report.add("relay_cpu_s", use.relay_s);
}

void report_memory(const SessionsOptions& options, std::uint64_t before, std::uint64_t after,
                   Report& report) {
  const double grown = static_cast<double>(after) - static_cast<double>(before);
  report.add("resident_bytes_before", before);
  report.add("resident_bytes_after", after);
  report.add("resident_bytes_per_pair", ratio(grown, static_cast<double>(options.count)));
}

void report_quiet(const SessionsOptions& options, const CpuAccount& account, Report& report) {
  let_pass(options.settle_s);
  const auto before = account.sample();
  let_pass(options.quiet_s);
  const auto use = use_between(before, account.sample());
  report.add("quiet_s", use.wall_s);
  report.add("quiet_relay_cpu_percent", 100 * ratio(use.relay_s, use.wall_s));
  report.add("quiet_relay_switches_per_s",
             ratio(static_cast<double>(use.relay_switches), use.wall_s));
}

template <typename Sessions>
Integrity measure(const SessionsOptions& options, const CpuAccount& account, Report& report) {
  const auto resident_before = account.resident_bytes();
  const auto before = account.sample();
  Sessions sessions(options);
  sessions.establish();
  report_pairing(options, use_between(before, account.sample()), report);
  report_memory(options, resident_before, account.resident_bytes(), report);
  if (options.quiet_s > 0) report_quiet(options, account, report);
  const bool held = options.after == AfterPairing::keep && options.route.kind == RouteKind::relay;
  if (!held) return Integrity::intact;  // what is joined no more, or by no relay, is not asked
  const double alive = sessions.share_alive();
  report.add("alive_share", alive);
  return alive == 1.0 ? Integrity::intact : Integrity::damaged;
}

}  // namespace

Integrity run_sessions(const SessionsOptions& options, const CpuAccount& account, Report& report) {
  report.add("load", "sessions");
  report.add("route", std::string(name_of(options.route.kind)));
  report.add("kind", options.kind == SessionKind::tcp ? "tcp" : "udp");
  report.add("pairs", options.count);
  const auto integrity = options.kind == SessionKind::tcp
                             ? measure<TcpSessions>(options, account, report)
                             : measure<UdpSessions>(options, account, report);
  report.add("intact", std::uint64_t{integrity == Integrity::intact});
  return integrity;
}

}  // namespace tandem::bench
