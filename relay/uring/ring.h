// One io_uring: its set-up, its two queues and the entry into the kernel. Owns the descriptor, the
// mappings and a message slot beside each submission slot; knows nothing of sockets or streams.
//
// The queues are mapped here rather than by liburing, whose 2.3 writes an index array that
// NO_SQARRAY does not have, into the ring's head.
#pragma once

#include <liburing.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "common/clock.h"
#include "common/config.h"
#include "common/counters.h"
#include "common/reserved_memory.h"
#include "common/result.h"

namespace tandem::uring {

struct RingOptions {
  Submission submission = Submission::automatic;  // automatic: sqpoll where a cpu is given for it
  uint32_t sq_entries = 4096;                     // a power of two
  uint32_t cq_entries = 16384;                    // a power of two
  int sqpoll_cpu = -1;                            // -1: wherever the scheduler likes
  uint32_t sqpoll_idle_ms = 1000;
  bool spin = false;  // the user will look for work without entering the kernel
};

struct RingCounters {
  Counter sqes;
  Counter cqes;
  Counter enters;
};

inline constexpr unsigned kMessageParts = 16;

// What a sendmsg points at. One lies beside each submission slot: the kernel has copied it when it
// has consumed the SQE (IORING_FEAT_SUBMIT_STABLE), that is before the slot is handed out again, so
// nothing has to track its life.
struct alignas(64) Message {
  union {
    sockaddr_in name4;
    sockaddr_in6 name6;
  };
  msghdr header;
  alignas(8) uint8_t control[64];  // UDP_SEGMENT (24) and IPV6_PKTINFO (40)
  iovec parts[kMessageParts];
};

class Ring {
 public:
  // The error is one line for the operator: io_uring switched off, refused by a seccomp filter, or
  // a kernel before 6.1.
  [[nodiscard]] static Result<Ring, std::string> open(const RingOptions& options);
  Ring(Ring&& other) noexcept;
  Ring& operator=(Ring&&) = delete;
  ~Ring();

  // A ring belongs to the thread that enables it (SINGLE_ISSUER); before that nothing is submitted.
  void enable();

  // The next submission slot, zeroed. Enters the kernel where the queue is full.
  [[nodiscard]] io_uring_sqe& next_sqe();
  [[nodiscard]] Message& message_of(const io_uring_sqe& sqe) {
    return static_cast<Message*>(messages_->data())[&sqe - sqes_];
  }

  enum class Wait : uint8_t { none, until_event };
  // Hands over what is queued and, with until_event, sleeps until a completion is there or
  // `timeout` has passed (nullopt: never). In defer mode completions come to be only in here.
  void enter(Wait wait, std::optional<Nanos> timeout = std::nullopt);
  // Whether the kernel has consumed all that was queued.
  [[nodiscard]] bool all_consumed() const { return unconsumed() == 0; }

  [[nodiscard]] bool completions_ready() const;
  // Completions or, where `spin` was asked for, work that enter() would turn into some.
  [[nodiscard]] bool work_ready() const;

  // Hands completions to `take` until it returns false or there are none.
  template <class Take>
  void drain(Take&& take) {
    uint32_t head = *cq_head_;
    const uint32_t tail = std::atomic_ref(*cq_tail_).load(std::memory_order_acquire);
    const uint32_t first = head;
    bool more = true;
    while (more && head != tail) more = take(cqes_[head++ & cq_mask_]);
    std::atomic_ref(*cq_head_).store(head, std::memory_order_release);
    counters_.cqes.add(head - first);
  }

  // io_uring_register(2); the result or -errno.
  int apply(unsigned opcode, const void* argument, unsigned count);

  [[nodiscard]] bool sqpoll() const { return (flags_ & IORING_SETUP_SQPOLL) != 0; }
  [[nodiscard]] bool has(uint32_t feature) const { return (features_ & feature) != 0; }
  [[nodiscard]] std::string description() const;  // "defer, no_sqarray"
  [[nodiscard]] const RingCounters& counters() const { return counters_; }

 private:
  Ring() = default;
  void map(const io_uring_params& params);
  [[nodiscard]] uint32_t unconsumed() const;
  [[nodiscard]] bool overflown() const;  // completions wait in the kernel for room
  void publish();

  int fd_ = -1;
  uint32_t flags_ = 0;
  uint32_t features_ = 0;

  void* rings_ = nullptr;
  size_t rings_bytes_ = 0;
  io_uring_sqe* sqes_ = nullptr;
  uint32_t sq_entries_ = 0;
  uint32_t sq_tail_local_ = 0;
  uint32_t* sq_head_ = nullptr;
  uint32_t* sq_tail_ = nullptr;
  uint32_t* sq_flags_ = nullptr;
  uint32_t* cq_head_ = nullptr;
  uint32_t* cq_tail_ = nullptr;
  uint32_t cq_mask_ = 0;
  io_uring_cqe* cqes_ = nullptr;
  std::optional<ReservedMemory> messages_;
  RingCounters counters_;
};

}  // namespace tandem::uring
