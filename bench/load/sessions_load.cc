#include "bench/load/sessions_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>

#include "bench/load/figure_text.h"
#include "bench/load/idle_sessions.h"
#include "bench/load/kernel_memory.h"
#include "bench/load/summary.h"

namespace tandem::bench {
namespace {

constexpr std::size_t kCachesTold = 10;
constexpr double kLeastCacheShare = 0.005;  // of all that grew
constexpr auto kNoteEvery = std::chrono::seconds(1);

// Tells `scene.note` once a second how far the joining is.
class JoiningNotes {
 public:
  JoiningNotes(const Scene& scene, std::size_t count) : scene_(scene), count_(count) {}

  void operator()(std::size_t joined) {
    const auto now = Clock::now();
    if (!scene_.note || now < next_at_) return;
    next_at_ = now + kNoteEvery;
    scene_.note(fmt::format("{} of {} paired", number_text(std::uint64_t{joined}),
                            number_text(std::uint64_t{count_})));
  }

 private:
  const Scene& scene_;
  std::size_t count_;
  Clock::time_point next_at_ = Clock::now() + kNoteEvery;
};

void refuse_unmeasured(const Scene& scene, const SessionsOptions& options) {
  const auto route = name_of(scene.route.kind);
  if (scene.far_host) {
    throw std::invalid_argument("sessions has both ends here: leave -c out");
  }
  if (options.transport == Transport::udp && scene.route.kind != RouteKind::relay) {
    throw std::invalid_argument(
        fmt::format("UDP sessions are a relay's: the {} route has none (TCP has)", route));
  }
  if (options.transport == Transport::udp && options.after == AfterPairing::close) {
    throw std::invalid_argument("--close is for TCP: closing is not measured over UDP");
  }
  if (scene.route.kind == RouteKind::greeted && scene.route.greetings.size() < options.count) {
    throw std::invalid_argument(
        fmt::format("there are greetings for {} pairs only", scene.route.greetings.size()));
  }
}

// What is read before the pairs are joined and after.
struct Reading {
  std::uint64_t resident_bytes;
  KernelMemory kernel;
};

Reading read(const CpuAccount& account) {
  return {.resident_bytes = account.resident_bytes(), .kernel = read_kernel_memory()};
}

void summarize_waits(Transport transport, const Joined& joined, Report& report) {
  const std::string name = transport == Transport::tcp ? "time_to_paired" : "time_to_bound";
  const auto add_us = [&](const char* which, std::uint64_t ns) {
    report.summary.add(name + which, static_cast<double>(ns) / 1e3);
  };
  add_us("_p50_us", joined.waits.quantile_ns(0.5));
  add_us("_p99_us", joined.waits.quantile_ns(0.99));
  add_us("_max_us", joined.waits.max_ns());
  report.latencies.push_back({.name = name, .histogram = joined.waits});
}

void summarize_kernel(const KernelGrowth& growth, double pairs, Figures& figures) {
  const auto slab_bytes = static_cast<double>(growth.slab_bytes);
  figures.add("kernel_slab_bytes_per_pair", ratio(slab_bytes, pairs));
  figures.add("kernel_slab_bytes", slab_bytes);
  figures.add("kernel_tcp_buffer_bytes", static_cast<double>(growth.tcp_buffer_bytes));
  figures.add("kernel_udp_buffer_bytes", static_cast<double>(growth.udp_buffer_bytes));
  double grown = 0;
  for (const auto& cache : growth.caches) grown += static_cast<double>(cache.bytes);
  for (std::size_t i = 0; i < std::min(kCachesTold, growth.caches.size()); ++i) {
    const auto bytes = static_cast<double>(growth.caches[i].bytes);
    if (bytes < kLeastCacheShare * grown) break;
    figures.add(fmt::format("kernel_slab_{}_bytes", growth.caches[i].name), bytes);
  }
}

void summarize_memory(const Scene& scene, const SessionsOptions& options, const Reading& before,
                      const Reading& after, std::size_t joined, Figures& figures) {
  const auto pairs = static_cast<double>(joined);
  if (scene.account.has_relay()) {
    const double grown =
        static_cast<double>(after.resident_bytes) - static_cast<double>(before.resident_bytes);
    figures.add("resident_bytes_before", before.resident_bytes);
    figures.add("resident_bytes_after", after.resident_bytes);
    figures.add("resident_bytes_per_pair", ratio(grown, pairs));
  }
  if (options.after == AfterPairing::close) return;  // what is closed is not held
  summarize_kernel(growth_between(before.kernel, after.kernel), pairs, figures);
}

// Idle is measured by letting time pass: here waiting is the load.
void watch_quiet(const Scene& scene, const SessionsOptions& options, Figures& figures) {
  if (scene.note) scene.note(fmt::format("watching them for {} s", options.quiet_s));
  if (!scene.interrupt->wait_until(Clock::now() + to_duration(options.settle_s))) return;
  const auto before = scene.account.sample();
  const auto switches_before = scene.account.switches();
  scene.interrupt->wait_until(Clock::now() + to_duration(options.quiet_s));
  const auto use = use_between(before, scene.account.sample());
  const auto switches = scene.account.switches() - switches_before;
  figures.add("quiet_s", use.wall_s);
  if (!scene.account.has_relay()) return;
  figures.add("quiet_relay_cpu_percent", 100 * ratio(use.relay_s, use.wall_s));
  figures.add("quiet_relay_switches_per_s", ratio(static_cast<double>(switches), use.wall_s));
}

// The workers have not been waited for, so their time is not in the generator's yet.
CpuUse use_of_joining(const CpuSample& before, const CpuSample& after, const Joined& joined) {
  CpuUse use = use_between(before, after);
  use.generator_s += joined.workers_cpu_s;
  use.foreign_s -= joined.workers_cpu_s;
  return use;
}

void warn_of_joining(const SessionsOptions& options, const Joined& joined, const CpuUse& use,
                     Report& report) {
  constexpr double kBusy = 0.95;
  const double busiest =
      ratio(std::max(joined.busiest_cpu_s, use.generator_s - joined.workers_cpu_s), use.wall_s);
  if (busiest > kBusy) {
    report.warnings.push_back(fmt::format(
        "the generator was the limit, or near it: a process of it was busy {:.0f} % of the time; "
        "take the figures per relay-CPU-second",
        100 * busiest));
  }
  if (joined.pairs < options.count) {
    report.warnings.push_back(fmt::format("only {} of {} pairs were joined",
                                          number_text(std::uint64_t{joined.pairs}),
                                          number_text(std::uint64_t{options.count})));
  }
  warn_of_others(use, report);
}

// What is joined no more, or by no relay, is not asked.
bool can_be_asked(const Scene& scene, const SessionsOptions& options, const Joined& joined) {
  const bool relayed =
      scene.route.kind == RouteKind::relay || scene.route.kind == RouteKind::greeted;
  return options.after == AfterPairing::keep && relayed && joined.pairs > 0;
}

template <typename Sessions>
Integrity measure(const Scene& scene, const SessionsOptions& options, Sessions& sessions,
                  Report& report) {
  Figures& figures = report.summary;
  const Reading before = read(scene.account);
  const CpuSample began = scene.account.sample();
  const Joined joined = sessions.establish();
  const CpuUse use = use_of_joining(began, scene.account.sample(), joined);
  const Reading after = read(scene.account);
  const auto pairs = static_cast<double>(joined.pairs);
  figures.add("pairs", std::uint64_t{joined.pairs});
  figures.add("pairs_per_s", ratio(pairs, use.wall_s));
  if (scene.account.has_relay()) {
    figures.add("pairs_per_relay_cpu_s", ratio(pairs, use.relay_s));
  }
  summarize_waits(options.transport, joined, report);
  summarize_memory(scene, options, before, after, joined.pairs, figures);
  if (options.quiet_s > 0 && !scene.interrupt->raised()) watch_quiet(scene, options, figures);
  Integrity integrity = Integrity::intact;
  if (can_be_asked(scene, options, joined)) {
    const double alive = sessions.share_alive();
    figures.add("alive_share", alive);
    if (alive < 1.0) integrity = Integrity::damaged;
  }
  figures.add("intact", std::uint64_t{integrity == Integrity::intact});
  figures.add_use(use);
  report.interrupted = scene.interrupt->raised();
  warn_of_joining(options, joined, use, report);
  if (integrity == Integrity::damaged) {
    report.warnings.emplace_back("held pairs no longer forward");
  }
  return integrity;
}

}  // namespace

std::string after_pairs(std::size_t joined) {
  return fmt::format(" (after {} pairs)", number_text(std::uint64_t{joined}));
}

Integrity run_sessions(const Scene& scene, const SessionsOptions& options, Report& report) {
  refuse_unmeasured(scene, options);
  JoiningNotes notes(scene, options.count);
  JoiningScene joining{.route = scene.route,
                       .options = options,
                       .interrupt = *scene.interrupt,
                       .progress = std::ref(notes),
                       .cpus = scene.cpus};
  if (scene.route.kind == RouteKind::relay) {
    joining.route.tokens = make_tokens(scene.tokens, options.count);
  }
  switch (options.transport) {
    case Transport::tcp: {
      TcpSessions sessions(joining);
      return measure(scene, options, sessions, report);
    }
    case Transport::udp: {
      UdpSessions sessions(joining);
      return measure(scene, options, sessions, report);
    }
  }
  return Integrity::damaged;
}

}  // namespace tandem::bench
