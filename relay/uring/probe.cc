#include "relay/uring/probe.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <vector>

#include "relay/buffer_pool.h"
#include "relay/uring/kernel_abi.h"
#include "relay/uring/listen.h"
#include "relay/uring/op.h"
#include "relay/uring/provided_ring.h"
#include "relay/uring/ring.h"

namespace tandem::uring {
namespace {

constexpr uint32_t kProbeBuffers = 8;
constexpr uint32_t kProbeBufferBytes = 1024;
constexpr Nanos kProbePatience = 100 * kNanosPerMillisecond;

struct Pair {
  Descriptor ends[2];

  static std::optional<Pair> open() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return std::nullopt;
    return Pair{{Descriptor(fds[0]), Descriptor(fds[1])}};
  }
};

struct Completion {
  int res = 0;
  uint32_t flags = 0;
};

std::optional<Completion> next_completion(Ring& ring) {
  std::optional<Completion> result;
  if (!ring.completions_ready()) ring.enter(Ring::Wait::until_event, kProbePatience);
  ring.drain([&](const io_uring_cqe& cqe) {
    result = Completion{cqe.res, cqe.flags};
    return false;
  });
  return result;
}

std::vector<uint8_t> pattern(size_t bytes) {
  std::vector<uint8_t> result(bytes);
  for (size_t i = 0; i < bytes; ++i) result[i] = static_cast<uint8_t>(i * 7 + i / 251);
  return result;
}

// More is sent than the limit lets through: what comes must be the first `limit` bytes, without a
// gap between buffers (released kernels had that bug), and then the receive must have ended.
bool try_bundles(Ring& ring) {
  constexpr uint32_t kLimit = 3 * kProbeBufferBytes + 100;
  auto pair = Pair::open();
  if (!pair) return false;
  BufferPool pool(kProbeBuffers, kProbeBufferBytes, HugePages::off);
  ProvidedRing provided(ring, 1, kProbeBuffers, pool, kProbeBufferBytes);
  const std::vector<uint8_t> sent = pattern(kLimit + 500);
  if (::send(pair->ends[0].get(), sent.data(), sent.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(sent.size()))
    return false;
  io_uring_sqe& sqe = ring.next_sqe();
  sqe.opcode = IORING_OP_RECV;
  sqe.fd = pair->ends[1].get();
  sqe.flags = IOSQE_BUFFER_SELECT;
  sqe.buf_group = provided.group();
  sqe.ioprio = IORING_RECV_MULTISHOT | abi::kRecvsendBundle;
  sqe.len = 8 * kProbeBufferBytes;
  sqe.file_index = kLimit;
  std::vector<uint8_t> received;
  bool more = true;
  while (more) {
    const auto cqe = next_completion(ring);
    if (!cqe || cqe->res <= 0 || (cqe->flags & IORING_CQE_F_BUFFER) == 0) return false;
    provided.take(cqe->flags >> IORING_CQE_BUFFER_SHIFT, static_cast<uint32_t>(cqe->res),
                  [&](BufferId buffer, uint32_t bytes) {
                    received.insert(received.end(), pool.data(buffer), pool.data(buffer) + bytes);
                  });
    more = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if (received.size() > kLimit) return false;
  }
  return received.size() == kLimit && std::equal(received.begin(), received.end(), sent.begin());
}

// The flag is refused where it is unknown; an AF_UNIX socket takes no zero-copy, so what comes back
// is EOPNOTSUPP where the operation itself is known.
bool try_send_zc(Ring& ring) {
  auto pair = Pair::open();
  if (!pair) return false;
  uint8_t byte = 0;
  io_uring_sqe& sqe = ring.next_sqe();
  sqe.opcode = IORING_OP_SEND_ZC;
  sqe.fd = pair->ends[0].get();
  sqe.addr = reinterpret_cast<uint64_t>(&byte);
  sqe.len = 1;
  sqe.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  sqe.ioprio = abi::kSendZcReportUsage;
  const auto cqe = next_completion(ring);
  return cqe && (cqe->res == -EOPNOTSUPP || cqe->res >= 0);
}

}  // namespace

Features probe_features() {
  Features features;
  const auto probe = [](bool (*attempt)(Ring&)) {
    auto ring = Ring::open({.submission = Submission::defer, .sq_entries = 8, .cq_entries = 32});
    if (!ring) return false;
    ring->enable();
    return attempt(*ring);
  };
  features.bundles = probe(try_bundles);
  features.send_zc = probe(try_send_zc);
  return features;
}

}  // namespace tandem::uring
