// UDP of one shard: receives into provided buffers, forwards from them, and sends what the relay
// says itself. Owns the receive buffers and their life; knows neither what a datagram means nor
// streams.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/datagram.h"
#include "relay/buffer_pool.h"
#include "relay/uring/listen.h"
#include "relay/uring/op.h"
#include "relay/uring/options.h"
#include "relay/uring/provided_ring.h"
#include "relay/uring/ring.h"

namespace tandem::uring {

class Datagrams {
 public:
  // `sockets` outlives this; those without a UDP socket are passed over.
  Datagrams(Ring& ring, const ShardSockets& sockets, const UringOptions& options,
            UringCounters& counters);

  // Before and after Ring::enter().
  void begin_turn();
  void submitted();
  // Whether another completion may be handed over this turn.
  [[nodiscard]] bool has_room() const { return batch_.size() < batch_max_; }
  void complete(const Op& op, const io_uring_cqe& cqe);

  [[nodiscard]] std::span<Datagram> batch() { return batch_; }
  void forward(const OutgoingDatagram& datagram);
  [[nodiscard]] bool reply(const Reply& reply);
  void release(BufferId buffer) { pool_.drop(buffer); }
  // A datagram that another shard received, in a spare buffer; nullopt where none is free.
  [[nodiscard]] std::optional<Datagram> adopt(const Endpoint& source, const LocalAddress& local,
                                              std::span<const uint8_t> bytes);

  // Datagrams that the kernel dropped since the sockets were opened, since their queues were full.
  [[nodiscard]] uint64_t kernel_drops() const;
  [[nodiscard]] Pages pages() const { return pool_.pages(); }

 private:
  struct Receiver {
    const ListenSocket* socket = nullptr;
    msghdr layout{};  // what recvmsg has room for; the kernel reads it whenever it is armed
    bool v6 = false;
    bool armed = false;
    bool starved = false;
  };

  void set_socket(io_uring_sqe& sqe, uint32_t index) const;
  void arm(Receiver& receiver, uint32_t index);
  void on_received(uint32_t index, const io_uring_cqe& cqe);
  void parse(const Receiver& receiver, uint16_t index, BufferId buffer, uint32_t bytes);
  io_uring_sqe& prepare(const Endpoint& to, const LocalAddress& from, const uint8_t* data,
                        uint32_t bytes, uint16_t segment);
  void send_one(const OutgoingDatagram& datagram);
  void send_train(const OutgoingDatagram& datagram);
  void on_train_sent(uint32_t slot, int result);
  void count_unsent(int error, uint32_t packets);

  Ring& ring_;
  UringCounters& counters_;
  BufferPool pool_;
  ProvidedRing provided_;
  std::vector<Receiver> receivers_;
  std::vector<Datagram> batch_;
  size_t batch_max_;
  bool registered_ = false;                   // sockets are named by their index
  bool silent_success_;                       // sends that succeeded leave no completion
  std::vector<BufferId> consumed_by_submit_;  // with silent_success_

  std::vector<OutgoingDatagram> trains_;  // in flight, by slot: what a split needs
  std::vector<uint32_t> free_trains_;
  std::vector<std::array<uint8_t, kReplyMax>> replies_;
  std::vector<uint32_t> free_replies_;
};

}  // namespace tandem::uring
