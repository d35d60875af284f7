#include "bench/load/kernel_memory.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <sstream>

namespace tandem::bench {
namespace {

// Empty where it cannot be read.
std::string read_proc(const char* path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

template <typename Act>
void for_each_line(std::string_view text, Act act) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    act(std::istringstream(std::string(text.substr(0, end))));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::int64_t difference(std::uint64_t before, std::uint64_t after) {
  return static_cast<std::int64_t>(after) - static_cast<std::int64_t>(before);
}

}  // namespace

// name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit>
// <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
std::vector<SlabCache> parse_slabinfo(std::string_view text, std::uint64_t page_bytes) {
  std::vector<SlabCache> caches;
  for_each_line(text, [&](std::istringstream line) {
    std::string name, tunables, slabdata;
    std::array<std::uint64_t, 4> objects{};
    std::array<std::uint64_t, 3> tuning{};
    std::uint64_t pages = 0, active = 0, slabs = 0;
    char colon = 0;
    line >> name;
    for (auto& field : objects) line >> field;
    line >> pages >> colon >> tunables;
    for (auto& field : tuning) line >> field;
    line >> colon >> slabdata >> active >> slabs;
    if (line && slabdata == "slabdata") caches.push_back({name, slabs * pages * page_bytes});
  });
  return caches;
}

std::uint64_t parse_slab_total(std::string_view meminfo) {
  std::uint64_t total = 0;
  for_each_line(meminfo, [&total](std::istringstream line) {
    std::string key;
    std::uint64_t kib = 0;
    if (line >> key >> kib && key == "Slab:") total = kib * 1024;
  });
  return total;
}

BufferPages parse_sockstat(std::string_view text) {
  BufferPages pages;
  for_each_line(text, [&pages](std::istringstream line) {
    std::string protocol, key;
    std::uint64_t value = 0;
    line >> protocol;
    while (line >> key >> value) {
      if (key != "mem") continue;
      if (protocol == "TCP:") pages.tcp = value;
      if (protocol == "UDP:") pages.udp = value;
    }
  });
  return pages;
}

KernelMemory read_kernel_memory() {
  const auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  KernelMemory memory;
  memory.caches = parse_slabinfo(read_proc("/proc/slabinfo"), page_bytes);
  for (const auto& cache : memory.caches) memory.slab_bytes += cache.bytes;
  if (memory.caches.empty()) memory.slab_bytes = parse_slab_total(read_proc("/proc/meminfo"));
  const BufferPages pages = parse_sockstat(read_proc("/proc/net/sockstat"));
  memory.tcp_buffer_bytes = pages.tcp * page_bytes;
  memory.udp_buffer_bytes = pages.udp * page_bytes;
  return memory;
}

KernelGrowth growth_between(const KernelMemory& before, const KernelMemory& after) {
  KernelGrowth growth{
      .slab_bytes = difference(before.slab_bytes, after.slab_bytes),
      .caches = {},
      .tcp_buffer_bytes = difference(before.tcp_buffer_bytes, after.tcp_buffer_bytes),
      .udp_buffer_bytes = difference(before.udp_buffer_bytes, after.udp_buffer_bytes)};
  std::map<std::string, std::uint64_t> had;
  for (const auto& cache : before.caches) had[cache.name] += cache.bytes;
  for (const auto& cache : after.caches) {
    const auto bytes = difference(had[cache.name], cache.bytes);
    if (bytes > 0) growth.caches.push_back({cache.name, bytes});
  }
  std::ranges::stable_sort(growth.caches, std::ranges::greater(), &KernelGrowth::Cache::bytes);
  return growth;
}

}  // namespace tandem::bench
