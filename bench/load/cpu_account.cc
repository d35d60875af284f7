#include "bench/load/cpu_account.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include "bench/load/socket.h"

namespace tandem::bench {
namespace {

const double kTickSeconds = 1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));

std::ifstream open_proc(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path + ": is the measured process gone?");
  return file;
}

std::string proc_path(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

struct ProcessTime {
  double own_s = 0;       // all its threads, io_uring's pollers and workers among them
  double children_s = 0;  // those that have ended and were waited for
};

// Fields 14 to 17 of a process's or thread's line.
ProcessTime time_of(const std::string& stat_path) {
  std::string line;
  std::getline(open_proc(stat_path), line);
  // Field 2, the name, may hold anything; what follows its last parenthesis does not.
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user = 0, system = 0, children_user = 0, children_system = 0;
  fields >> user >> system >> children_user >> children_system;
  return {.own_s = (user + system) * kTickSeconds,
          .children_s = (children_user + children_system) * kTickSeconds};
}

// io_uring's threads belong to the process that made the ring since Linux 5.12.
double kernel_threads_seconds(pid_t pid) {
  double total = 0;
  std::error_code gone;  // a thread may end while it is being counted
  for (const auto& task : std::filesystem::directory_iterator(proc_path(pid, "task"), gone)) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    if (!name.starts_with("iou-")) continue;
    try {
      total += time_of(task.path() / "stat").own_s;
    } catch (const std::runtime_error&) {
      continue;
    }
  }
  return total;
}

void add_with_children(pid_t pid, std::vector<pid_t>& into) {
  if (std::ranges::find(into, pid) != into.end()) return;  // named beside its parent
  into.push_back(pid);
  std::error_code gone;
  for (const auto& task : std::filesystem::directory_iterator(proc_path(pid, "task"), gone)) {
    std::ifstream children(task.path() / "children");
    for (pid_t child = 0; children >> child;) add_with_children(child, into);
  }
}

double generator_seconds() {
  const auto seconds = [](int who) {
    rusage use{};
    ::getrusage(who, &use);
    const auto of = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    return of(use.ru_utime) + of(use.ru_stime);
  };
  return seconds(RUSAGE_SELF) + seconds(RUSAGE_CHILDREN);
}

struct MachineTime {
  double busy_s = 0;
  double stolen_s = 0;
};

MachineTime machine_time() {
  auto file = open_proc("/proc/stat");
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  file >> name >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal;
  return {.busy_s = (user + nice + system + irq + softirq) * kTickSeconds,
          .stolen_s = steal * kTickSeconds};
}

std::uint64_t switches_of(pid_t pid) {
  std::uint64_t total = 0;
  std::error_code gone;  // a thread may end while it is being counted
  for (const auto& task : std::filesystem::directory_iterator(proc_path(pid, "task"), gone)) {
    std::ifstream status(task.path() / "status");
    for (std::string key; status >> key;) {
      std::uint64_t value = 0;
      if (key.ends_with("ctxt_switches:") && status >> value) total += value;
    }
  }
  return total;
}

std::uint64_t resident_of(pid_t pid) {
  auto file = open_proc(proc_path(pid, "smaps_rollup"));
  for (std::string key; file >> key;) {
    std::uint64_t kib = 0;
    if (key == "Pss:" && file >> kib) return kib * 1024;
  }
  throw std::runtime_error("no Pss in smaps_rollup");
}

}  // namespace

template <typename Read>
void CpuAccount::each(Read read) const {
  std::vector<pid_t> pids;
  for (const pid_t pid : relay_) add_with_children(pid, pids);
  for (const pid_t pid : pids) {
    try {
      read(pid);
    } catch (const std::runtime_error&) {
      // A child may end meanwhile; its time is its parent's then.
      if (std::ranges::find(relay_, pid) != relay_.end()) throw;
    }
  }
}

CpuSample CpuAccount::sample() const {
  CpuSample sample;
  sample.at = std::chrono::steady_clock::now();
  each([&sample](pid_t pid) {
    const ProcessTime time = time_of(proc_path(pid, "stat"));
    sample.relay_s += time.own_s + time.children_s;
    sample.relay_kernel_s += kernel_threads_seconds(pid);
  });
  sample.generator_s = generator_seconds();
  const MachineTime machine = machine_time();
  sample.machine_busy_s = machine.busy_s;
  sample.stolen_s = machine.stolen_s;
  return sample;
}

std::uint64_t CpuAccount::resident_bytes() const {
  std::uint64_t total = 0;
  each([&total](pid_t pid) { total += resident_of(pid); });
  return total;
}

std::uint64_t CpuAccount::switches() const {
  std::uint64_t total = 0;
  each([&total](pid_t pid) { total += switches_of(pid); });
  return total;
}

CpuUse use_between(const CpuSample& from, const CpuSample& to) {
  CpuUse use;
  use.wall_s = std::chrono::duration<double>(to.at - from.at).count();
  use.relay_s = to.relay_s - from.relay_s;
  use.relay_kernel_s = to.relay_kernel_s - from.relay_kernel_s;
  use.generator_s = to.generator_s - from.generator_s;
  use.machine_busy_s = to.machine_busy_s - from.machine_busy_s;
  use.stolen_s = to.stolen_s - from.stolen_s;
  use.foreign_s = use.machine_busy_s - use.relay_s - use.generator_s;
  return use;
}

void pin_to_cpu(int cpu) {
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  require(::sched_setaffinity(0, sizeof set, &set), "core " + std::to_string(cpu));
}

}  // namespace tandem::bench
