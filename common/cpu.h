// Which cores there are, who runs on which, and the two things a thread does to itself: pin and
// name.
//
// Owns cpu lists as operators write them ("0-3,8") and the plan of shards, control and pollers. It
// must not know what those threads do. A core here is a logical cpu; engine.cpus is how an operator
// leaves siblings out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/result.h"

namespace tandem {

using Cpu = std::uint32_t;
inline constexpr Cpu kCpusMax = 8192;  // Linux's own bound: NR_CPUS of x86 with MAXSMP

// Ascending and without repetition. Fails with what is wrong, "" included: "3-1: ends before it
// begins".
[[nodiscard]] Result<std::vector<Cpu>, std::string> parse_cpu_list(std::string_view text);
[[nodiscard]] std::string format_cpu_list(std::span<const Cpu> cpus);

// The cores this process may run on: its affinity mask, which the kernel keeps within the online
// ones.
[[nodiscard]] std::vector<Cpu> online_cpus();

// Restricts the calling thread to these cores. The error is an errno: EINVAL where none of them is
// usable.
[[nodiscard]] Result<void, int> pin_thread(std::span<const Cpu> cpus);

// What top -H and perf show; the kernel keeps 15 bytes.
void name_thread(std::string_view name);

struct CpuPlan {
  std::vector<Cpu>
      shards;  // one entry a shard, in shard order; a core may repeat where shards outnumber cores
  std::vector<Cpu> control;  // the cores that control, storage and the log may use
  std::vector<Cpu>
      pollers;  // one entry a shard for SQPOLL's kernel thread; empty: no core is left for pollers
  bool operator==(const CpuPlan&) const = default;
};

// One shard a core. From 3 cores up, control gets the first core to itself (interrupts and
// housekeeping are there by default). On 1 or 2 cores each core has a shard and control floats over
// all of them: it mostly sleeps, and a relay that kept a core for it would give half of its
// capacity away.
//
// With submission = sqpoll the cores are split between shards and their pollers; with auto, pollers
// get cores only where control has its own and engine.shards leaves at least one more for each
// shard. An empty plan.pollers under sqpoll means that the kernel places them.
//
// `online` is what online_cpus() gave. Fails with the key and the reason where a core that the
// configuration names is not among them.
[[nodiscard]] Result<CpuPlan, std::string> plan_cpus(const Config::Engine& engine,
                                                     std::span<const Cpu> online);

}  // namespace tandem
