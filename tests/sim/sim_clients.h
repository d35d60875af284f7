// Simulated clients, well-behaved and hostile, and the checker: what each must and must never
// receive. Speaks the protocol by the codec of relay/core where it writes, by hand where it reads.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/token.h"
#include "tests/sim/sim_world.h"

namespace tandem::sim {

struct SimSession {
  uint64_t id = 0;
  TokenBytes tokens[2];
};

// What was ever sent on a connection, so that whoever receives it can tell what it is.
struct Sent {
  uint64_t session = 0;
  uint8_t slot = 0;
  uint16_t lane = 0;
  uint64_t total = 0;
  bool complete = false;  // with a FIN
};

struct Tally {
  uint64_t stream_bytes = 0;
  uint64_t streams_ended = 0;
  uint64_t streams_reset = 0;
  uint64_t datagrams = 0;
  uint64_t pairings = 0;
};

// One TCP client that holds a slot of a lane, again and again.
class StreamClient {
 public:
  StreamClient(SimWorld& world, std::map<uint64_t, Sent>& sent, Tally& tally, SimSession session,
               uint8_t slot, uint16_t lane, Endpoint address)
      : world_(world),
        sent_(sent),
        tally_(tally),
        session_(session),
        slot_(slot),
        lane_(lane),
        address_(address) {}

  void step();
  void leave();  // for good
  [[nodiscard]] bool gone() const { return connection_ == nullptr; }

 private:
  void connect();
  void write();
  void read();
  void on_line(const std::string& line);
  void verify(uint8_t byte);
  void end(bool reset);

  SimWorld& world_;
  std::map<uint64_t, Sent>& sent_;
  Tally& tally_;
  const SimSession session_;
  const uint8_t slot_;
  const uint16_t lane_;
  const Endpoint address_;
  SimConnection* connection_ = nullptr;
  bool proving_ = false;
  bool takeover_ = false;
  bool paired_ = false;
  bool leaving_ = false;
  std::string line_;
  uint64_t to_write_ = 0;
  uint64_t written_ = 0;
  uint64_t read_ = 0;
  uint64_t peer_ = 0;  // the connection whose bytes come, once its first eight have come
  uint32_t patience_ = 0;
};

// One UDP client: binds, sends numbered datagrams, sometimes moves or leaves.
class DatagramClient {
 public:
  DatagramClient(SimWorld& world, Tally& tally, SimSession session, uint8_t slot, Endpoint address)
      : world_(world), tally_(tally), session_(session), slot_(slot), address_(address) {}

  void step();
  void on_datagram(std::span<const uint8_t> bytes, uint64_t stamp);
  void leave() { leaving_ = true; }
  [[nodiscard]] const Endpoint& address() const { return address_; }
  // A cookie came to it here and it sent it back: more may be sent to it than it sent.
  [[nodiscard]] const std::set<Endpoint>& validated() const { return validated_; }
  [[nodiscard]] uint32_t channel() const { return channel_; }
  [[nodiscard]] uint64_t session() const { return session_.id; }
  void move_to(Endpoint address);

 private:
  void send_bind();
  void send_data();

  SimWorld& world_;
  Tally& tally_;
  const SimSession session_;
  const uint8_t slot_;
  Endpoint address_;
  std::array<uint8_t, 16> cookie_{};
  std::array<uint8_t, 8> nonce_{};
  std::set<Endpoint> validated_;
  uint32_t channel_ = 0;
  bool paired_ = false;
  bool leaving_ = false;
  Nanos bind_at_ = 0;
  uint64_t sequence_ = 0;
  uint64_t last_stamp_ = 0;
};

}  // namespace tandem::sim
