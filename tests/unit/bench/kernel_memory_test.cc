#include "bench/load/kernel_memory.h"

#include <doctest/doctest.h>

using namespace tandem::bench;

namespace {

constexpr std::string_view kSlabinfo =
    "slabinfo - version: 2.1\n"
    "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables "
    "<limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n"
    "TCP                   91    104   2432   13    8 : tunables    0    0    0 : slabdata      8"
    "      9      0\n"
    "request_sock_TCP       0      0    320   12    1 : tunables    0    0    0 : slabdata      0"
    "      0      0\n"
    "kmalloc-cg-1k        300    304   1024   16    4 : tunables    0    0    0 : slabdata     19"
    "     19      0\n";

}  // namespace

TEST_CASE("slabinfo: a cache's bytes are its slabs' pages") {
  const auto caches = parse_slabinfo(kSlabinfo, 4096);
  CHECK(caches == std::vector<SlabCache>{{"TCP", 9 * 8 * 4096},
                                         {"request_sock_TCP", 0},
                                         {"kmalloc-cg-1k", 19 * 4 * 4096}});
  CHECK(parse_slabinfo(kSlabinfo, 65536)[0].bytes == 9 * 8 * 65536);
}

TEST_CASE("slabinfo: what is cut short or something else counts for nothing") {
  CHECK(parse_slabinfo("", 4096).empty());
  CHECK(parse_slabinfo("TCP 91 104 2432 13 8 : tunables 0 0 0 : slabdata 8", 4096).empty());
  CHECK(parse_slabinfo("TCP 91 104 2432 13\n", 4096).empty());
  CHECK(parse_slabinfo("TCP a b c d e : tunables 0 0 0 : slabdata 8 9 0\n", 4096).empty());
  // Without its last LF a line is whole all the same.
  CHECK(parse_slabinfo("UDP 1 2 3 4 5 : tunables 0 0 0 : slabdata 6 7 0", 1).size() == 1);
}

TEST_CASE("meminfo: the slab caches' total") {
  CHECK(parse_slab_total("MemTotal: 24000 kB\nSlab:             169672 kB\nSReclaimable: 1 kB\n") ==
        169672 * 1024);
  CHECK(parse_slab_total("MemTotal: 24000 kB\n") == 0);
  CHECK(parse_slab_total("") == 0);
}

TEST_CASE("sockstat: the pages of TCP's and UDP's buffers") {
  CHECK(parse_sockstat("sockets: used 14\n"
                       "TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 168\n"
                       "UDP: inuse 3 mem 7\n"
                       "UDPLITE: inuse 0\n"
                       "FRAG: inuse 0 memory 5\n") == BufferPages{.tcp = 168, .udp = 7});
  CHECK(parse_sockstat("") == BufferPages{});
}

TEST_CASE("growth: caches by how much they grew, shrunk ones left out, new ones from nothing") {
  const KernelMemory before{.slab_bytes = 1000,
                            .caches = {{"dentry", 500}, {"filp", 300}, {"TCP", 200}},
                            .tcp_buffer_bytes = 8192,
                            .udp_buffer_bytes = 0};
  const KernelMemory after{.slab_bytes = 2050,
                           .caches = {{"dentry", 400}, {"filp", 350}, {"TCP", 900}, {"tw", 400}},
                           .tcp_buffer_bytes = 4096,
                           .udp_buffer_bytes = 4096};
  const auto growth = growth_between(before, after);
  CHECK(growth.slab_bytes == 1050);
  CHECK(growth.caches == std::vector<KernelGrowth::Cache>{{"TCP", 700}, {"tw", 400}, {"filp", 50}});
  CHECK(growth.tcp_buffer_bytes == -4096);
  CHECK(growth.udp_buffer_bytes == 4096);
}

TEST_CASE("the machine at hand is told") {
  CHECK(read_kernel_memory().slab_bytes > 0);
}
