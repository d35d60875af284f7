// The network and its clock: what is on its way between simulated clients and the shards.
// Everything in it follows from the seed.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "common/assert.h"
#include "common/clock.h"
#include "common/datagram.h"

namespace tandem::sim {

// How unkind the network is, in parts of a thousand.
struct Weather {
  uint32_t loss = 20;
  uint32_t duplicate = 20;
  uint32_t reorder = 50;
  uint32_t train = 300;      // datagrams of one source arrive joined
  uint32_t send_fails = 20;  // ENOBUFS and its like
  uint32_t reply_fails = 5;
  uint32_t accept_fails = 5;
  uint32_t short_step = 500;  // less is read or sent than could be
  uint32_t late_notice = 300;
  uint32_t starve = 50;  // no stream buffer is free
};

// One TCP connection as the network sees it. The client writes to `to_relay` and reads `to_client`.
struct SimConnection {
  uint64_t number = 0;
  Endpoint client;
  std::deque<uint8_t> to_relay;
  bool client_fin = false;
  bool client_reset = false;
  bool client_gone = false;  // closed whole: what comes now is answered with a reset
  std::deque<uint8_t> to_client;
  size_t to_client_max = 8192;  // the socket buffers on the way back
  bool relay_fin = false;
  bool relay_reset = false;  // or closed
  bool accepted = false;
};

struct SimDatagram {
  Endpoint source;
  std::vector<uint8_t> bytes;
};

class SimWorld {
 public:
  SimWorld(uint64_t seed, uint32_t shards, Weather the_weather)
      : weather(the_weather), random(seed), arriving(shards), pending_accepts(shards) {}

  [[nodiscard]] bool chance(uint32_t per_mille) { return random() % 1000 < per_mille; }
  [[nodiscard]] uint32_t below(uint32_t bound) { return static_cast<uint32_t>(random() % bound); }
  [[nodiscard]] UnixSeconds unix_now() const { return 1'800'000'000 + now / kNanosPerSecond; }

  // A client sends; the kernel's filter picks the shard. Loss, doubles and disorder happen here.
  void send_datagram(const Endpoint& source, std::vector<uint8_t> bytes);
  // The relay sends: told to whoever simulates the client at that address.
  std::function<void(const Endpoint& to, std::span<const uint8_t> bytes, bool is_reply,
                     uint64_t stamp)>
      on_datagram_out;

  SimConnection& connect(const Endpoint& client);

  Weather weather;
  std::mt19937_64 random;
  Nanos now = 1'000'000'000;
  uint64_t events = 0;
  uint64_t stamp = 0;
  uint64_t stream_bytes_free = 64u << 20;
  std::vector<std::deque<SimDatagram>> arriving;            // by shard
  std::vector<std::deque<SimConnection*>> pending_accepts;  // by shard
  std::list<SimConnection> connections;   // all there ever were, pruned by the driver
  std::map<Endpoint, uint64_t> bytes_in;  // of datagrams, by source
};

}  // namespace tandem::sim
