// The TCP connections of one shard: accepts, receives by credit, sends from the buffers received
// into, and ends each in an orderly way. Owns descriptors, stream buffers and every operation on
// them; knows neither sessions nor what the bytes mean.
//
// A stream's operations in flight are counted, and its descriptor and slot are given up only at
// zero (invariant 3). Actions change the stream's wishes and settle() starts what they call for,
// once a turn, so that everything queued in between leaves in one send.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/slab.h"
#include "common/stream.h"
#include "relay/buffer_pool.h"
#include "relay/io.h"
#include "relay/uring/listen.h"
#include "relay/uring/op.h"
#include "relay/uring/options.h"
#include "relay/uring/probe.h"
#include "relay/uring/provided_ring.h"
#include "relay/uring/ring.h"
#include "relay/uring/send_queue.h"
#include "relay/uring/splice.h"

namespace tandem::uring {

class Streams {
 public:
  // `sockets` outlives this; those without a TCP socket are passed over.
  Streams(Ring& ring, const ShardSockets& sockets, const UringOptions& options,
          const Features& features, UringCounters& counters);
  ~Streams();

  // Before Ring::enter().
  void begin_turn();
  // Whether another completion may be handed over this turn.
  [[nodiscard]] bool has_room() const { return events_.size() < events_max_; }
  // Whether there is something to tell or to do without waiting for the kernel.
  [[nodiscard]] bool pending() const {
    return !events_.empty() || !touched_.empty() || (!starved_.empty() && provided_.offered() != 0);
  }
  void complete(const Op& op, const io_uring_cqe& cqe);

  [[nodiscard]] std::span<const StreamEvent> events() const { return events_; }
  void perform(const StreamAction& action);
  [[nodiscard]] DetachedStream detach(StreamId id);
  [[nodiscard]] std::optional<StreamId> adopt(const DetachedStream& detached);

  [[nodiscard]] uint64_t bytes_free() const {
    return (uint64_t{pool_.free()} + provided_.offered()) * buffer_bytes_;
  }
  [[nodiscard]] uint32_t size() const { return table_.size(); }
  [[nodiscard]] bool bundles() const { return bundles_; }
  [[nodiscard]] bool zero_copy() const { return !zero_copy_sends_.empty(); }
  [[nodiscard]] Pages pages() const { return pool_.pages(); }

 private:
  enum class Reading : uint8_t { none, line, credit, transfer, discard };
  enum class Watching : uint8_t { none, reset, fin };
  enum class Ending : uint8_t { none, finish, linger, close };

  static constexpr uint16_t kNoTransfer = UINT16_MAX;

  struct Connection {
    int fd = -1;
    uint32_t credit = 0;   // of the running read: what may still come; of discard: likewise
    uint32_t sending = 0;  // bytes of the send in flight
    SendQueue queue;
    uint16_t ops = 0;  // in flight
    uint16_t listener = 0;
    uint16_t error = 0;               // why it is broken
    uint16_t outgoing = kNoTransfer;  // the transfer from here
    uint16_t incoming = kNoTransfer;  // the transfer to here
    Reading reading = Reading::none;
    Watching watch_wanted = Watching::none;
    Ending ending = Ending::none;
    bool receiving : 1 = false;  // the receive is in flight
    bool pausing : 1 = false;    // and is being cancelled
    bool starved : 1 = false;    // it waits for buffers
    bool fin_sent : 1 = false;
    bool broken : 1 = false;        // only close is left
    bool told : 1 = false;          // of being broken, when nothing was in flight any more
    bool cancelled : 1 = false;     // everything in flight was told to end
    bool watching : 1 = false;      // the watch is armed
    bool fin_seen : 1 = false;      // by it
    bool touched : 1 = false;       // settle() is due
    bool in_starved : 1 = false;    // stands in starved_
    bool polling_in : 1 = false;    // for a transfer from here
    bool room_watched : 1 = false;  // await_room(): told of each time that there is room again
    bool blocked : 1 = false;       // what is queued waits for that
    bool room : 1 = false;          // it was told since the last send began
    bool copied : 1 = false;        // a zero-copy send was copied: no more of them on this route
    bool sized : 1 = false;         // the kernel's buffers were fitted to the path
  };
  static_assert(sizeof(Connection) <= 48);

  // A zero-copy send. It outlives its connection where the notification comes late: the memory is
  // the kernel's until then, whatever becomes of the socket.
  struct ZeroCopySend {
    StreamId stream;
    uint32_t bytes = 0;
    uint32_t chunks = 0;  // that left whole
    uint32_t held = 0;
    std::array<BufferId, kMessageParts> buffers{};
  };

  // transfer(): from one connection through a pipe to another.
  struct Transfer {
    StreamId from;
    StreamId to;
    Pipe pipe;
    bool fin = false;
  };

  // Listeners.
  void arm_accept(uint32_t index);
  void on_accept(uint32_t index, const io_uring_cqe& cqe);
  [[nodiscard]] std::optional<DetachedStream> describe(int fd, uint16_t listener) const;

  // What is due, and where an operation's end leads.
  void touch(uint32_t index);
  void touch_if_over(uint32_t index, const Connection& connection);
  void settle(uint32_t index);
  void settle_open(uint32_t index, Connection& connection);
  void fail(uint32_t index, Connection& connection, int error);
  void cancel_all(uint32_t index, Connection& connection);
  void free_slot(uint32_t index, Connection& connection);

  // Receiving.
  void start_line(uint32_t index, Connection& connection, uint8_t* into, uint32_t bytes);
  void fit_kernel_buffers(Connection& connection) const;
  void start_read(uint32_t index, Connection& connection);
  void start_discard(uint32_t index, Connection& connection);
  void retry_starved();
  void pause(uint32_t index, Connection& connection);
  void end_read(uint32_t index, Connection& connection, StreamEvent::Kind kind);
  void on_line(uint32_t index, Connection& connection, int result);
  void on_read(uint32_t index, Connection& connection, const io_uring_cqe& cqe);
  void on_discard(uint32_t index, Connection& connection, int result);
  void deliver(uint32_t index, Connection& connection, const io_uring_cqe& cqe);

  // Sending.
  void start_send(uint32_t index, Connection& connection);
  void on_send(uint32_t index, Connection& connection, int result);
  void on_send_failed(uint32_t index, Connection& connection, int error);
  void await_room(uint32_t index, Connection& connection);
  void on_room(uint32_t index, Connection& connection, const io_uring_cqe& cqe);
  void drop_queue(Connection& connection);
  [[nodiscard]] bool take_zero_copy_send(io_uring_sqe& sqe, uint32_t index);
  void on_zero_copy(uint32_t record, const io_uring_cqe& cqe);
  void on_zero_copy_result(uint32_t record, const io_uring_cqe& cqe);
  void on_zero_copy_notice(uint32_t record, bool copied);

  // Transfers. Where no pipe is free the credit is read into buffers instead.
  void start_transfer(const StreamAction& action, Connection& connection);
  void pump(uint32_t index, Connection& connection);
  [[nodiscard]] uint32_t move(Transfer& transfer, Connection& from, Connection& to);
  void end_transfer(Connection& from);
  void end_transfers(Connection& connection);
  void on_transfer_in(uint32_t index, Connection& connection);

  // Watching.
  void start_watch(uint32_t index, Connection& connection);
  void on_watch(uint32_t index, Connection& connection, const io_uring_cqe& cqe);
  void tell_fin(uint32_t index, Connection& connection);

  io_uring_sqe& operation(OpKind kind, uint32_t index, Connection& connection, uint8_t opcode);
  void cancel(uint64_t user_data);
  StreamEvent& emit(StreamEvent::Kind kind, uint32_t index);

  Ring& ring_;
  const ShardSockets& sockets_;
  UringCounters& counters_;
  uint32_t buffer_bytes_;
  uint32_t receive_max_;  // bytes of one receive
  uint32_t send_parts_;
  uint32_t near_us_;
  bool bundles_;
  Slab<Connection> table_;
  BufferPool pool_;
  ProvidedRing provided_;
  SendNodes nodes_;
  std::vector<ZeroCopySend> zero_copy_sends_;  // empty: not wanted, or not to be had
  std::vector<uint32_t> free_zero_copy_sends_;
  std::vector<Transfer> transfers_;
  std::vector<uint16_t> free_transfers_;
  std::vector<bool> accepting_;
  std::vector<uint32_t> touched_;
  std::vector<uint32_t> starved_;
  std::vector<StreamEvent> events_;
  size_t events_max_;
};

}  // namespace tandem::uring
