#include "tests/sim/sim_world.h"

#include <algorithm>

namespace tandem::sim {

void SimWorld::send_datagram(const Endpoint& source, std::vector<uint8_t> bytes) {
  ++events;
  if (chance(weather.loss)) return;
  const auto shards = static_cast<uint32_t>(arriving.size());
  const bool ours = bytes.size() >= 2 && bytes[0] >= 5 && bytes[0] <= 12;
  // 1 in 100 is given to the wrong shard, as a train's later segments may be.
  const uint32_t shard = ours && !chance(10) ? bytes[1] % shards : below(shards);
  const uint32_t copies = chance(weather.duplicate) ? 2 : 1;
  for (uint32_t i = 0; i < copies; ++i) {
    bytes_in[source] += bytes.size();
    auto& queue = arriving[shard];
    const size_t back = chance(weather.reorder) ? below(8) : 0;
    queue.insert(queue.end() - static_cast<ptrdiff_t>(std::min(back, queue.size())),
                 SimDatagram{source, bytes});
  }
}

SimConnection& SimWorld::connect(const Endpoint& client) {
  ++events;
  connections.emplace_back();
  SimConnection& connection = connections.back();
  connection.number = events;
  connection.client = client;
  connection.to_client_max = 512u << below(8);
  pending_accepts[below(static_cast<uint32_t>(pending_accepts.size()))].push_back(&connection);
  return connection;
}

}  // namespace tandem::sim
