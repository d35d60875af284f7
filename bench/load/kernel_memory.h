// Owns what the kernel itself holds in memory, read from /proc: its slab caches, among them those
// of sockets and open files, and the buffers of TCP and UDP. Knows nothing of who holds them.
//
// These are figures of the whole machine, so where both ends of the pairs are on the relay's
// machine they are the generator's and the relay's together. A TCP pair through a relay or a proxy
// is four sockets: two of the generator's and two of the relay's. The same pairs on the direct
// route are the generator's two alone, so what that run grows by is to be taken off. A UDP pair
// towards 127/8 costs the generator no socket, and elsewhere its sockets are made before the first
// reading: what grows is the relay's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::bench {

struct SlabCache {
  std::string name;
  std::uint64_t bytes = 0;  // of its slabs, with what is free in them

  friend bool operator==(const SlabCache&, const SlabCache&) = default;
};
// /proc/slabinfo, version 2.1 (slabinfo(5)); lines that say anything else are passed over.
[[nodiscard]] std::vector<SlabCache> parse_slabinfo(std::string_view text,
                                                    std::uint64_t page_bytes);
// "Slab" of /proc/meminfo (SReclaimable and SUnreclaim) in bytes; 0 where it is not told.
[[nodiscard]] std::uint64_t parse_slab_total(std::string_view meminfo);

struct BufferPages {
  std::uint64_t tcp = 0;
  std::uint64_t udp = 0;

  friend bool operator==(const BufferPages&, const BufferPages&) = default;
};
// "mem" of the lines TCP and UDP of /proc/net/sockstat; IPv6 counts there too.
[[nodiscard]] BufferPages parse_sockstat(std::string_view text);

struct KernelMemory {
  std::uint64_t slab_bytes = 0;
  std::vector<SlabCache> caches;  // empty where /proc/slabinfo is not to be read: it is root's
  std::uint64_t tcp_buffer_bytes = 0;
  std::uint64_t udp_buffer_bytes = 0;
};
[[nodiscard]] KernelMemory read_kernel_memory();

struct KernelGrowth {
  struct Cache {
    std::string name;
    std::int64_t bytes = 0;

    friend bool operator==(const Cache&, const Cache&) = default;
  };
  std::int64_t slab_bytes = 0;
  std::vector<Cache> caches;  // those that grew, what grew most first
  std::int64_t tcp_buffer_bytes = 0;
  std::int64_t udp_buffer_bytes = 0;
};
[[nodiscard]] KernelGrowth growth_between(const KernelMemory& before, const KernelMemory& after);

}  // namespace tandem::bench
