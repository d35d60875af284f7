#include "common/cpu.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>

namespace tandem {
namespace {

using Cpus = std::vector<Cpu>;

// cpu_set_t stops at 1024 cores; the allocated kind goes as far as the kernel.
struct FreeCpuSet {
  void operator()(cpu_set_t* set) const { CPU_FREE(set); }
};
using CpuSet = std::unique_ptr<cpu_set_t, FreeCpuSet>;
const std::size_t kCpuSetBytes = CPU_ALLOC_SIZE(kCpusMax);

CpuSet make_cpu_set() {
  CpuSet set(CPU_ALLOC(kCpusMax));
  if (set == nullptr) throw std::bad_alloc();
  CPU_ZERO_S(kCpuSetBytes, set.get());
  return set;
}

std::optional<Cpu> parse_cpu(std::string_view text) {
  Cpu cpu = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cpu);
  if (error != std::errc() || end != text.data() + text.size() || cpu >= kCpusMax)
    return std::nullopt;
  return cpu;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Appends what one element, "8" or "0-3", stands for.
std::optional<std::string> append_range(std::string_view element, Cpus& cpus) {
  const auto dash = element.find('-');
  const auto first = parse_cpu(element.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_cpu(element.substr(dash + 1));
  if (!first || !last) {
    return fmt::format("\"{}\": expected a core or a range below {}, such as 0-3,8", element,
                       kCpusMax);
  }
  if (*last < *first) return fmt::format("{}: ends before it begins", element);
  for (Cpu cpu = *first; cpu <= *last; ++cpu) cpus.push_back(cpu);
  return std::nullopt;
}

bool contains(std::span<const Cpu> cpus, Cpu cpu) {
  return std::find(cpus.begin(), cpus.end(), cpu) != cpus.end();
}

// The cores to plan with: engine.cpus where it is set, else all.
Result<Cpus, std::string> usable_cpus(const Config::Engine& engine, std::span<const Cpu> online) {
  if (online.empty()) return unexpected(std::string("no core to run on"));
  if (engine.cpus.empty()) return Cpus(online.begin(), online.end());
  auto named = parse_cpu_list(engine.cpus);
  if (!named) return unexpected("engine.cpus: " + named.error());
  for (const Cpu cpu : *named) {
    if (!contains(online, cpu)) {
      return unexpected(
          fmt::format("engine.cpus: core {} is offline or outside the affinity mask ({})", cpu,
                      format_cpu_list(online)));
    }
  }
  return *named;
}

// Takes control's core out of `cpus` where it has one to itself.
Result<Cpus, std::string> take_control(const Config::Engine& engine, std::span<const Cpu> online,
                                       Cpus& cpus) {
  constexpr std::size_t kCoresForOwnControl = 3;
  if (engine.control_cpu < 0) {
    if (cpus.size() < kCoresForOwnControl) return cpus;
    Cpus control = {cpus.front()};
    cpus.erase(cpus.begin());
    return control;
  }
  const auto asked = static_cast<Cpu>(engine.control_cpu);
  if (!contains(online, asked)) {
    return unexpected(
        fmt::format("engine.control_cpu: core {} is offline or outside the affinity mask ({})",
                    asked, format_cpu_list(online)));
  }
  if (cpus.size() > 1) std::erase(cpus, asked);
  return Cpus{asked};
}

Cpus repeat(std::span<const Cpu> cpus, std::size_t count) {
  Cpus placed(count);
  for (std::size_t i = 0; i < count; ++i) placed[i] = cpus[i % cpus.size()];
  return placed;
}

// How many of `free` cores pollers get, 0 for none.
std::size_t poller_cores(const Config::Engine& engine, std::size_t free, bool control_is_apart) {
  const std::size_t shards = engine.shards;
  switch (engine.submission) {
    case Submission::defer:
      return 0;
    case Submission::automatic:
      // A poller spins: unasked it goes nowhere that something else would wait for it.
      return control_is_apart && shards > 0 && free >= 2 * shards ? shards : 0;
    case Submission::sqpoll:
      if (shards == 0) return free / 2;
      return free > shards ? std::min(shards, free - shards) : 0;
  }
  return 0;
}

}  // namespace

Result<std::vector<Cpu>, std::string> parse_cpu_list(std::string_view text) {
  Cpus cpus;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const auto comma = std::min(text.find(',', begin), text.size());
    if (auto wrong = append_range(trimmed(text.substr(begin, comma - begin)), cpus)) {
      return unexpected(std::move(*wrong));
    }
    begin = comma + 1;
  }
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

std::string format_cpu_list(std::span<const Cpu> cpus) {
  std::string text;
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t last = i;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += last == i ? fmt::format("{}", cpus[i]) : fmt::format("{}-{}", cpus[i], cpus[last]);
    i = last + 1;
  }
  return text;
}

std::vector<Cpu> online_cpus() {
  const auto set = make_cpu_set();
  Cpus cpus;
  if (sched_getaffinity(0, kCpuSetBytes, set.get()) != 0) return cpus;
  for (Cpu cpu = 0; cpu < kCpusMax; ++cpu) {
    if (CPU_ISSET_S(cpu, kCpuSetBytes, set.get())) cpus.push_back(cpu);
  }
  return cpus;
}

Result<void, int> pin_thread(std::span<const Cpu> cpus) {
  const auto set = make_cpu_set();
  for (const Cpu cpu : cpus) {
    if (cpu >= kCpusMax) return unexpected(EINVAL);
    CPU_SET_S(cpu, kCpuSetBytes, set.get());
  }
  const int error = pthread_setaffinity_np(pthread_self(), kCpuSetBytes, set.get());
  if (error != 0) return unexpected(error);
  return {};
}

void name_thread(std::string_view name) {
  constexpr std::size_t kNameMax = 15;
  const std::string kept(name.substr(0, kNameMax));
  pthread_setname_np(pthread_self(), kept.c_str());
}

Result<CpuPlan, std::string> plan_cpus(const Config::Engine& engine, std::span<const Cpu> online) {
  auto cpus = usable_cpus(engine, online);
  if (!cpus) return unexpected(cpus.error());
  auto control = take_control(engine, online, *cpus);
  if (!control) return unexpected(control.error());

  const std::span<const Cpu> free(*cpus);
  const bool control_is_apart = control->size() == 1 && !contains(free, control->front());
  const std::size_t pollers = poller_cores(engine, free.size(), control_is_apart);
  const std::size_t shards = engine.shards > 0 ? engine.shards : free.size() - pollers;
  CpuPlan plan;
  plan.shards = repeat(free.first(free.size() - pollers), shards);
  if (pollers > 0) plan.pollers = repeat(free.last(pollers), shards);
  plan.control = std::move(*control);
  return plan;
}

}  // namespace tandem
