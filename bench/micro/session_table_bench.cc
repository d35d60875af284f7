// Look-ups in the session table, of sessions in random order: what they cost is where the table
// lies, not what is computed.
#include <algorithm>
#include <vector>

#include "bench/micro/micro.h"
#include "relay/core/channel_ids.h"
#include "relay/core/session_table.h"

namespace tandem::bench {
namespace {

constexpr SipKey kSecret{3};
constexpr uint32_t kBatch = 64;

// Full, each session with its UDP path.
struct FullTable {
  explicit FullTable(uint32_t sessions) : table(sessions, kSecret) {
    Random random(2);
    ChannelIds channel_ids(kSecret, 1);
    std::vector<uint64_t> ids;
    for (uint32_t i = 0; i < sessions; ++i) {
      ids.push_back(random.next());
      const uint32_t index = table.open(ids.back());
      TANDEM_CHECK(index != kNone);
      table.open_path(index, channel_ids.next()).ends[0].remote.port = 4000;
    }
    // As many as there are sessions, or what is looked up often stays in the cache.
    const uint32_t count = std::max(sessions, kPicksMin);
    for (uint32_t i = 0; i < count; ++i) {
      const uint64_t id = ids[random.below(sessions)];
      const uint32_t index = table.find(id);
      TANDEM_CHECK(index != kNone && table[index].id == id);
      const UdpPath* const path = table.path_of(table[index]);
      TANDEM_CHECK(path != nullptr && table.find_path(path->channel_id) == path);
      picked_ids.push_back(id);
      picked_channels.push_back(path->channel_id);
    }
  }

  static constexpr uint32_t kPicksMin = 4096;

  SessionTable table;
  std::vector<uint64_t> picked_ids;
  std::vector<uint32_t> picked_channels;
};

FullTable& table_of(const benchmark::State& state) {
  return world_of<FullTable>(static_cast<uint32_t>(state.range(0)));
}

void with_sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
}

void find(benchmark::State& state) {
  const FullTable& full = table_of(state);
  size_t at = 0;
  uint64_t missed = 0;
  for (auto _ : state) {
    missed += full.table.find(full.picked_ids[at]) == kNone;
    if (++at == full.picked_ids.size()) at = 0;
  }
  TANDEM_CHECK(missed == 0);
  count_operations(state);
}
TANDEM_MICRO(find, "session_table/find")->Apply(with_sizes);

// What the first of a pair costs: its session is not there yet.
void find_absent(benchmark::State& state) {
  const FullTable& full = table_of(state);
  Random random(4);
  uint64_t found = 0;
  for (auto _ : state) found += full.table.find(random.next()) != kNone;
  TANDEM_CHECK(found == 0);
  count_operations(state);
}
TANDEM_MICRO(find_absent, "session_table/find_absent")->Apply(with_sizes);

// What DATA looks at before it is judged: the ends' addresses and the session.
uint64_t look_at(SessionTable& table, const UdpPath& path) {
  return uint64_t{path.ends[0].remote.port} + path.ends[1].remote.port + table[path.session].id;
}

// By channel, each batch in two passes as the datagram path does it: with a batch of 1 nothing is
// fetched ahead.
void find_path(benchmark::State& state) {
  FullTable& full = table_of(state);
  const auto batch = static_cast<size_t>(state.range(1));
  size_t at = 0;
  uint64_t missed = 0;
  for (auto _ : state) {
    if (at + batch > full.picked_channels.size()) at = 0;
    const uint32_t* const channels = &full.picked_channels[at];
    for (size_t i = 0; i < batch; ++i) full.table.prefetch(channels[i]);
    for (size_t i = 0; i < batch; ++i) {
      const UdpPath* const path = full.table.find_path(channels[i]);
      if (path == nullptr) {
        ++missed;
        continue;
      }
      uint64_t seen = look_at(full.table, *path);
      benchmark::DoNotOptimize(seen);
    }
    at += batch;
  }
  TANDEM_CHECK(missed == 0);
  count_operations(state, batch);
}
TANDEM_MICRO(find_path, "session_table/find_path")
    ->ArgsProduct({{1'000, 100'000, 1'000'000}, {1, kBatch}});

// One session ends and comes again: under the same ids, so that the picks stay right.
void close_open(benchmark::State& state) {
  FullTable& full = table_of(state);
  size_t at = 0;
  for (auto _ : state) {
    const uint32_t old = full.table.find(full.picked_ids[at]);
    full.table.close(old);
    const uint32_t opened = full.table.open(full.picked_ids[at]);
    TANDEM_CHECK(opened == old);
    full.table.open_path(opened, full.picked_channels[at]).ends[0].remote.port = 4000;
    if (++at == full.picked_ids.size()) at = 0;
  }
  TANDEM_CHECK(full.table.size() == full.table.capacity());
  count_operations(state);
}
TANDEM_MICRO(close_open, "session_table/close_open")->Apply(with_sizes);

}  // namespace
}  // namespace tandem::bench
