// Which of many sockets are ready: an epoll set of the web server's own, which Asio watches as one
// descriptor.
//
// Why not a socket of Asio's for each: its reactor keeps some 300 bytes for a descriptor and the
// operation that waits, allocates that anew for each wait and asks the kernel to arm it again, one
// system call for each read. Here a socket is added once, edge-triggered in both directions, and
// costs no memory of the process; a batch of ready ones costs one system call.
#pragma once

#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace tandem {

struct Readiness {
  bool readable = false;
  bool writable = false;
  bool finished = false;  // the other side sends no more
  bool broken = false;
};

class ReadyTarget {
 public:
  virtual void on_ready(Readiness readiness) = 0;

 protected:
  ~ReadyTarget() = default;
};

class ReadinessSet {
 public:
  ReadinessSet();
  ~ReadinessSet();
  ReadinessSet(const ReadinessSet&) = delete;
  ReadinessSet& operator=(const ReadinessSet&) = delete;

  // Readable while any member is ready.
  [[nodiscard]] int descriptor() const { return descriptor_; }

  // Tells of each change once: who is told reads, or writes, until the kernel says that it would
  // block. A member leaves when its descriptor is closed. False where the kernel has no memory.
  [[nodiscard]] bool add(int descriptor, ReadyTarget& target);
  // Tells again and again while a connection waits to be accepted, but not while it is muted.
  [[nodiscard]] bool add_listener(int descriptor, ReadyTarget& target);
  void mute(int descriptor, ReadyTarget& target, bool muted);

  // Calls those that are ready now, at most kBatch; the rest stays for the next call. A target may
  // not be destroyed from within.
  void call_ready();

 private:
  // What comes in one batch goes out in one: the larger it is, the more frames of a busy client
  // share a write.
  static constexpr int kBatch = 4096;

  int descriptor_;
  std::unique_ptr<epoll_event[]> events_;
};

}  // namespace tandem
