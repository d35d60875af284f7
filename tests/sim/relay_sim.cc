// Runs the relay's own core and shard loop under a manual clock and a hostile network, and checks
// DESIGN's invariants all the while. Prints its seed and takes one:
//   relay_sim [--seed N] [--events N] [--shards N]
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "relay/shard.h"
#include "tests/sim/sim_clients.h"
#include "tests/sim/sim_io.h"

namespace tandem::sim {
namespace {

constexpr uint32_t kSessions = 12;
constexpr uint16_t kLanes = 3;

struct Options {
  uint64_t seed = 0;
  uint64_t events = 300'000;
  uint32_t shards = 0;  // 0: the seed's choice
};

ShardSettings settings_of(SimWorld& world) {
  ShardSettings settings;
  std::array<uint8_t, 32> key;
  for (uint8_t& byte : key) byte = static_cast<uint8_t>(world.random());
  TANDEM_CHECK(settings.keys.add(1, key) == Keyring::AddOutcome::added);
  settings.session_timeout = 20 * kNanosPerSecond;
  settings.pair_timeout = 10 * kNanosPerSecond;
  settings.token_max_age_s = 1'000'000;
  settings.session_bytes_per_second = world.chance(500) ? 0 : 200'000;
  settings.packets_per_second = world.chance(500) ? 0 : 500;
  settings.blacklist_threshold = world.chance(500) ? 0 : 1000;
  settings.max_lifetime = world.chance(300) ? 200 * kNanosPerSecond : 0;
  settings.connections_per_address = world.chance(300) ? 4 : 0;
  return settings;
}

class Simulation {
 public:
  Simulation(const Options& options)
      : shards_(options.shards != 0 ? options.shards : 1 + options.seed % 4),
        world_(options.seed, shards_, Weather{}),
        settings_(std::make_unique<ShardSettings>(settings_of(world_))),
        shared_(key()),
        received_(shards_) {
    for (uint32_t i = 0; i < shards_; ++i) inboxes_.push_back(std::make_unique<Inbox>(shards_));
    for (uint32_t i = 0; i < shards_; ++i) {
      ios_.push_back(std::make_unique<SimIo>(world_, i));
      const ShardPlace place{.index = i,
                             .shards = shards_,
                             .sessions_max = 64,
                             .streams_max = 4096,
                             .transfer_after = world_.chance(300) ? 10'000u : UINT32_MAX};
      loops_.push_back(std::make_unique<Shard<SimIo>>(*ios_[i], place, *settings_, shared_,
                                                      inboxes_, [](uint32_t) {}));
    }
    world_.on_datagram_out = [this](const Endpoint& to, std::span<const uint8_t> bytes, bool,
                                    uint64_t stamp) { on_datagram_out(to, bytes, stamp); };
    make_clients();
  }

  void run(uint64_t events) {
    while (world_.events < events) {
      act();
      turn(world_.below(shards_));
      if (world_.chance(400)) advance();
    }
    wind_down();
    check_nothing_is_left();
  }

  void report(const Options& options) const {
    std::printf(
        "seed %llu: %llu events, %u shards, %llu pairings, %llu stream bytes, %llu "
        "datagrams, %llu ended, %llu reset, %.0f s simulated\n",
        static_cast<unsigned long long>(options.seed),
        static_cast<unsigned long long>(world_.events), shards_,
        static_cast<unsigned long long>(tally_.pairings),
        static_cast<unsigned long long>(tally_.stream_bytes),
        static_cast<unsigned long long>(tally_.datagrams),
        static_cast<unsigned long long>(tally_.streams_ended),
        static_cast<unsigned long long>(tally_.streams_reset),
        static_cast<double>(world_.now) / 1e9);
    // A run in which nothing flowed would prove nothing.
    TANDEM_CHECK(tally_.pairings > 0 && tally_.stream_bytes > 0 && tally_.datagrams > 0 &&
                 tally_.streams_ended > 0);
  }

 private:
  SipKey key() {
    SipKey key;
    for (uint8_t& byte : key) byte = static_cast<uint8_t>(world_.random());
    return key;
  }

  Endpoint fresh_address() {
    const uint32_t host = 0x0A000000 + world_.below(1 << 16);
    return {IpAddress::from_v4(host), static_cast<uint16_t>(1 + world_.below(65'000))};
  }

  void make_clients() {
    for (uint32_t i = 0; i < kSessions; ++i) {
      SimSession session;
      session.id = world_.random();
      for (uint8_t slot = 0; slot < 2; ++slot) {
        TokenClaims claims;
        claims.slot = slot;
        claims.flags = kTokenTcp | kTokenUdp;
        claims.expires_at = static_cast<uint32_t>(world_.unix_now() + 900'000);
        claims.session_id = session.id;
        session.tokens[slot] = mint(settings_->keys, claims);
      }
      sessions_.push_back(session);
      for (uint8_t slot = 0; slot < 2; ++slot) {
        for (uint16_t lane = 0; lane < kLanes; ++lane) {
          streams_.push_back(std::make_unique<StreamClient>(world_, sent_, tally_, session, slot,
                                                            lane, fresh_address()));
        }
        datagrams_.push_back(
            std::make_unique<DatagramClient>(world_, tally_, session, slot, fresh_address()));
        by_address_[datagrams_.back()->address()] = datagrams_.back().get();
      }
    }
  }

  void act() {
    streams_[world_.below(static_cast<uint32_t>(streams_.size()))]->step();
    DatagramClient& client = *datagrams_[world_.below(static_cast<uint32_t>(datagrams_.size()))];
    client.step();
    if (world_.chance(2)) {
      client.move_to(fresh_address());
      by_address_[client.address()] = &client;
    }
    if (world_.chance(20)) attack(client);
    if (world_.chance(2)) command();
  }

  // Who has no token: garbage, spoofed channels, half-open connections.
  void attack(const DatagramClient& victim) {
    const Endpoint attacker = world_.chance(300) ? victim.address() : fresh_address();
    std::vector<uint8_t> bytes(world_.below(200));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(world_.random());
    if (!bytes.empty() && world_.chance(800)) bytes[0] = static_cast<uint8_t>(world_.below(16));
    if (bytes.size() > 8 && attacker != victim.address() && world_.chance(500)) {
      bytes[0] = static_cast<uint8_t>(DatagramType::data);
      bytes[1] = static_cast<uint8_t>(victim.session());
      store_big_endian(bytes.data() + 4, victim.channel());
    }
    // From a bound address only what cannot be mistaken for its own.
    if (attacker == victim.address() && !bytes.empty() && bytes[0] == 8) bytes[0] = 9;
    world_.send_datagram(attacker, std::move(bytes));
    if (!world_.chance(300)) return;
    SimConnection& connection = world_.connect(fresh_address());
    for (uint32_t i = world_.below(300); i > 0; --i) {
      connection.to_relay.push_back(static_cast<uint8_t>(world_.random()));
    }
    connection.client_fin = world_.chance(500);
    connection.client_reset = connection.client_gone = world_.chance(300);
    intruders_.push_back(&connection);
  }

  void command() {
    const uint32_t shard = world_.below(shards_);
    const SimSession& session = sessions_[world_.below(kSessions)];
    switch (world_.below(6)) {
      case 0:
        if (world_.chance(50)) send(shard, KickSession{0, session.id});
        return;
      case 1:
        return send(
            shard,
            AddBlock{0, {fresh_address().address, 128}, kNanosPerSecond, world_.chance(500)});
      case 2:
        return send(shard, SetDrain{world_.chance(200)});
      case 3:
        return send(shard, ListSessions{1, 0, 16});
      case 4:
        return send(shard, SetGlobalShare{world_.chance(800) ? 0 : 1'000'000u});
      case 5:
        return send(shard, DescribeSession{1, session.id});
    }
  }

  void send(uint32_t shard, const ToShard& command) {
    (void)inboxes_[shard]->commands.try_push(command);
  }

  void turn(uint32_t shard) {
    loops_[shard]->turn();
    FromShard message;
    while (inboxes_[shard]->messages.try_pop(message)) {
    }
    check_verdicts(loops_[shard]->core().counters());
    check_batches(shard);
  }

  // What a turn received stands in the histogram, what siblings left it does not.
  void check_batches(uint32_t shard) {
    for (const Datagram& datagram : ios_[shard]->datagrams())
      received_[shard] += datagram.segments();
    TANDEM_CHECK(loops_[shard]->core().counters().datagram_batches.sum() == received_[shard]);
  }

  // Each datagram got exactly one verdict.
  static void check_verdicts(const RelayCounters& counters) {
    TANDEM_CHECK(counters.datagrams_received.load() == counters.datagrams_forwarded.load() +
                                                           counters.datagrams_replied.load() +
                                                           counters.datagrams_dropped.total());
  }

  void advance() {
    if (world_.chance(5)) {
      world_.now += static_cast<Nanos>(world_.below(5000)) * 1'000'000;
    } else {
      world_.now += world_.below(2'000'000);
    }
  }

  void on_datagram_out(const Endpoint& to, std::span<const uint8_t> bytes, uint64_t stamp) {
    const auto found = by_address_.find(to);
    bytes_out_[to] += bytes.size();
    if (found == by_address_.end() || !found->second->validated().contains(to)) {
      // Nobody who has not shown a cookie gets more than came from there.
      TANDEM_CHECK(bytes_out_[to] <= world_.bytes_in[to]);
    }
    if (found == by_address_.end() || found->second->address() != to) return;
    if (world_.chance(world_.weather.loss)) return;
    found->second->on_datagram(bytes, stamp);
  }

  // Everybody leaves; what the relay holds must go by itself.
  void wind_down() {
    for (uint32_t i = 0; i < shards_; ++i) send(i, SetDrain{false});
    for (const auto& client : streams_) client->leave();
    for (const auto& client : datagrams_) client->leave();
    for (SimConnection& connection : world_.connections) {
      connection.client_fin = connection.client_reset = connection.client_gone = true;
    }
    for (int i = 0; i < 4000; ++i) {
      for (uint32_t shard = 0; shard < shards_; ++shard) turn(shard);
      world_.now += kNanosPerSecond / 4;
    }
  }

  void check_nothing_is_left() {
    for (uint32_t i = 0; i < shards_; ++i) {
      ShardState& state = loops_[i]->core().state();
      TANDEM_CHECK(state.sessions.size() == 0);
      TANDEM_CHECK(state.streams.size() == 0);
      TANDEM_CHECK(state.greetings.size() == 0);
      TANDEM_CHECK(ios_[i]->streams() == 0);
      TANDEM_CHECK(ios_[i]->buffers_in_use() == 0);
    }
    TANDEM_CHECK(shared_.sessions.load() == 0);
    for (const SimConnection& connection : world_.connections) {
      TANDEM_CHECK(shared_.connections.estimate(connection.client.address) == 0);
      TANDEM_CHECK(shared_.half_open.estimate(connection.client.address) == 0);
    }
  }

  uint32_t shards_;
  SimWorld world_;
  std::unique_ptr<ShardSettings> settings_;
  SharedCounts shared_;
  std::vector<std::unique_ptr<Inbox>> inboxes_;
  std::vector<std::unique_ptr<SimIo>> ios_;
  std::vector<std::unique_ptr<Shard<SimIo>>> loops_;
  std::vector<uint64_t> received_;  // datagrams, by shard
  std::vector<SimSession> sessions_;
  std::vector<std::unique_ptr<StreamClient>> streams_;
  std::vector<std::unique_ptr<DatagramClient>> datagrams_;
  std::map<Endpoint, DatagramClient*> by_address_;
  std::map<Endpoint, uint64_t> bytes_out_;
  std::map<uint64_t, Sent> sent_;
  std::vector<SimConnection*> intruders_;
  Tally tally_;
};

Options parse(int argc, char** argv) {
  Options options;
  options.seed = std::random_device{}();
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const uint64_t value = std::strtoull(argv[i + 1], nullptr, 0);
    if (name == "--seed") options.seed = value;
    if (name == "--events") options.events = value;
    if (name == "--shards") options.shards = static_cast<uint32_t>(value);
  }
  return options;
}

}  // namespace
}  // namespace tandem::sim

int main(int argc, char** argv) {
  const auto options = tandem::sim::parse(argc, argv);
  // First of all: a run that fails must be found again.
  std::printf("seed %llu\n", static_cast<unsigned long long>(options.seed));
  std::fflush(stdout);
  tandem::sim::Simulation simulation(options);
  simulation.run(options.events);
  simulation.report(options);
  return 0;
}
