// The UDP policy: takes a batch of datagrams, gives each exactly one verdict. DATA goes on from
// where it lies; trains of one channel stay trains.
#pragma once

#include <span>

#include "relay/core/binding.h"

namespace tandem {

class DatagramPath {
 public:
  DatagramPath(ShardState& state, Lifecycle& lifecycle)
      : state_(state), lifecycle_(lifecycle), binding_(state, lifecycle) {}

  // Decisions are in state.out; they point into the datagrams' buffers. How many datagrams they
  // were, trains taken apart.
  uint32_t on_datagrams(std::span<const Datagram> batch);

 private:
  // A part of a train: whole segments, all with the same first eight bytes.
  struct Run {
    uint8_t* data;
    uint32_t length;
    uint32_t segment_size;
    uint32_t packets;
    [[nodiscard]] std::span<const uint8_t> bytes() const { return {data, length}; }
  };

  void on_datagram(const Datagram& datagram);
  [[nodiscard]] static Run first_run(const Datagram& datagram, uint32_t offset);
  void on_run(const Datagram& from, const Run& run);
  void on_data(const Datagram& from, const Run& run);
  // How many of the run's packets its source and its session may send now; drops the others.
  [[nodiscard]] uint32_t within_caps(const Datagram& from, const Run& run, UdpPath& path,
                                     uint32_t slot, Session& session);
  void forward(const Run& run, uint32_t packets, UdpPath& path, uint8_t slot, BufferId buffer);
  void on_ping(const Datagram& from, const Run& run);
  void on_close(const Datagram& from, const Run& run);
  void on_stun(const Datagram& from, const Run& run);
  // Charges whoever has not proved its address; false: dropped and counted.
  [[nodiscard]] bool within_budget(const IpAddress& source);
  [[nodiscard]] bool is_stray(const Datagram& from, const Run& run);

  ShardState& state_;
  Lifecycle& lifecycle_;
  Binding binding_;
};

}  // namespace tandem
