// The io_uring back end of one shard (relay/io.h says what that is). Owns the ring, the clock of a
// turn and the wake-up; the work is Datagrams' and Streams'. Belongs to the thread that takes its
// first turn; only wake(), the counters and describe() are for others.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>

#include "relay/io.h"
#include "relay/uring/datagrams.h"
#include "relay/uring/listen.h"
#include "relay/uring/options.h"
#include "relay/uring/path_mtu.h"
#include "relay/uring/probe.h"
#include "relay/uring/ring.h"
#include "relay/uring/streams.h"

namespace tandem {

class UringIo {
 public:
  // The error is one line for the operator. Allocates everything there will be.
  [[nodiscard]] static Result<std::unique_ptr<UringIo>, std::string> open(
      const uring::UringOptions& options, uring::ShardSockets sockets);
  ~UringIo();
  UringIo(const UringIo&) = delete;
  UringIo& operator=(const UringIo&) = delete;

  void turn(std::optional<Nanos> deadline);
  [[nodiscard]] Nanos now() const { return now_; }
  [[nodiscard]] UnixSeconds unix_now() const { return unix_now_; }
  [[nodiscard]] std::span<Datagram> datagrams() { return datagrams_->batch(); }
  [[nodiscard]] std::span<const StreamEvent> stream_events() const { return streams_->events(); }

  void forward(const OutgoingDatagram& datagram) { datagrams_->forward(datagram); }
  [[nodiscard]] bool reply(const Reply& reply) { return datagrams_->reply(reply); }
  void release(BufferId buffer) { datagrams_->release(buffer); }
  [[nodiscard]] std::optional<Datagram> adopt_datagram(const Endpoint& source,
                                                       const LocalAddress& local,
                                                       std::span<const uint8_t> bytes) {
    return datagrams_->adopt(source, local, bytes);
  }
  // Less 28 bytes of headers for IPv4 or 48 for IPv6, and less the 8 of a DATA datagram's.
  [[nodiscard]] uint16_t max_payload(const Endpoint& to, const LocalAddress& from);

  void perform(const StreamAction& action) { streams_->perform(action); }
  [[nodiscard]] DetachedStream detach(StreamId stream) { return streams_->detach(stream); }
  [[nodiscard]] std::optional<StreamId> adopt(const DetachedStream& detached) {
    return streams_->adopt(detached);
  }
  [[nodiscard]] uint64_t stream_bytes_free() const { return streams_->bytes_free(); }

  void random(std::span<uint8_t> bytes);

  // Any thread: ends the wait of the present turn, or of the next one.
  void wake() const;
  [[nodiscard]] const uring::UringCounters& counters() const { return counters_; }
  [[nodiscard]] const uring::RingCounters& ring_counters() const { return ring_.counters(); }
  // What is in use, for the log and the status page: "defer, no_sqarray, receive bundles, ...".
  [[nodiscard]] std::string describe() const;
  [[nodiscard]] uint64_t kernel_drops() const { return datagrams_->kernel_drops(); }

 private:
  UringIo(const uring::UringOptions& options, uring::ShardSockets sockets, uring::Ring ring,
          uring::Descriptor wake);
  void start();
  void cancel_everything();
  void arm_wake();
  void wait(std::optional<Nanos> deadline);
  bool spin(std::optional<Nanos> deadline);
  bool dispatch(const io_uring_cqe& cqe);

  uring::Features features_;
  uring::ShardSockets sockets_;
  uring::UringCounters counters_;
  // After the buffers that the kernel writes to, so that it goes before them.
  std::unique_ptr<uring::Datagrams> datagrams_;
  std::unique_ptr<uring::Streams> streams_;
  uring::Ring ring_;
  uring::Descriptor wake_;
  uint64_t wake_count_ = 0;
  std::optional<std::thread::id> owner_;  // since its first turn
  Nanos busy_poll_;
  Nanos now_;
  UnixSeconds unix_now_;
  uring::PathMtu path_mtu_;
  std::array<uint8_t, 4096> random_;
  size_t random_used_ = sizeof random_;
};

static_assert(Io<UringIo>);

}  // namespace tandem
