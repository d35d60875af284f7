// Streams' receiving: first lines, credits, what is thrown away, and the watch for a reset.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "common/assert.h"
#include "relay/uring/kernel_abi.h"
#include "relay/uring/streams.h"

namespace tandem::uring {
namespace {

// What linger_close takes from a peer that goes on sending, before it gives up.
constexpr uint32_t kDiscardMax = 64 * 1024;

// For a near peer, on the same host or a switch away: more than 10 Gbit/s have under way there.
// What the kernel would queue beyond it leaves the cache before it is read. It doubles both, for
// what it needs itself.
constexpr int kNearReceiveBytes = 512 * 1024;
constexpr int kNearSendBytes = 192 * 1024;

// MSG_TRUNC on TCP throws the bytes away without writing them, but an address is asked for.
uint8_t discarded[1];

}  // namespace

void Streams::start_line(uint32_t index, Connection& connection, uint8_t* into, uint32_t bytes) {
  TANDEM_CHECK(connection.reading == Reading::none);
  connection.reading = Reading::line;
  io_uring_sqe& sqe = operation(OpKind::stream_line, index, connection, IORING_OP_RECV);
  sqe.addr = reinterpret_cast<uint64_t>(into);
  sqe.len = bytes;
}

void Streams::on_line(uint32_t index, Connection& connection, int result) {
  connection.reading = Reading::none;
  if (connection.broken || connection.ending >= Ending::linger) return touch(index);
  if (result < 0) return fail(index, connection, -result);
  emit(StreamEvent::Kind::line, index).bytes = static_cast<uint32_t>(result);
}

// Further away the kernel's own tuning decides. The least round-trip time: the acknowledgements of
// the lines so far may have been delayed.
void Streams::fit_kernel_buffers(Connection& connection) const {
  connection.sized = true;
  tcp_info info{};
  socklen_t length = sizeof info;
  if (::getsockopt(connection.fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return;
  if (info.tcpi_min_rtt >= near_us_) return;
  ::setsockopt(connection.fd, SOL_SOCKET, SO_RCVBUF, &kNearReceiveBytes, sizeof kNearReceiveBytes);
  ::setsockopt(connection.fd, SOL_SOCKET, SO_SNDBUF, &kNearSendBytes, sizeof kNearSendBytes);
}

void Streams::start_read(uint32_t index, Connection& connection) {
  io_uring_sqe& sqe = operation(OpKind::stream_read, index, connection, IORING_OP_RECV);
  sqe.flags = IOSQE_BUFFER_SELECT;
  sqe.buf_group = provided_.group();
  if (bundles_) {
    sqe.ioprio = IORING_RECV_MULTISHOT | abi::kRecvsendBundle;
    sqe.len = receive_max_;
    sqe.file_index = connection.credit;  // optlen
  } else {
    sqe.len = std::min(connection.credit, buffer_bytes_);
  }
  connection.receiving = true;
}

void Streams::on_read(uint32_t index, Connection& connection, const io_uring_cqe& cqe) {
  if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) deliver(index, connection, cqe);
  if ((cqe.flags & IORING_CQE_F_MORE) != 0) return;
  connection.receiving = false;
  if (connection.broken || connection.ending == Ending::close) return;
  if (cqe.res == 0) return end_read(index, connection, StreamEvent::Kind::finished);
  const bool taken_back = connection.pausing || cqe.res == -ECANCELED;
  if (taken_back || connection.credit == 0)
    return end_read(index, connection, StreamEvent::Kind::read_ended);
  if (cqe.res > 0 || cqe.res == -EINTR || cqe.res == -EAGAIN) return start_read(index, connection);
  if (cqe.res != -ENOBUFS) return fail(index, connection, -cqe.res);
  counters_.starved_reads.add();
  connection.starved = true;
  if (connection.in_starved) return;
  connection.in_starved = true;
  starved_.push_back(index);
}

void Streams::deliver(uint32_t index, Connection& connection, const io_uring_cqe& cqe) {
  const uint32_t bytes = static_cast<uint32_t>(std::max(cqe.res, 0));
  TANDEM_CHECK(bytes <= connection.credit);
  connection.credit -= bytes;
  const bool wanted = !connection.broken && connection.ending < Ending::linger;
  provided_.take(cqe.flags >> IORING_CQE_BUFFER_SHIFT, bytes, [&](BufferId buffer, uint32_t part) {
    if (!wanted || part == 0) {
      pool_.drop(buffer);
      return;
    }
    StreamEvent& event = emit(StreamEvent::Kind::received, index);
    event.chunk = {buffer, 0, part};
    event.bytes = part;
  });
}

void Streams::end_read(uint32_t index, Connection& connection, StreamEvent::Kind kind) {
  connection.reading = Reading::none;
  connection.pausing = false;
  connection.starved = false;
  connection.credit = 0;
  if (connection.ending < Ending::linger) {
    emit(kind, index);
    return;
  }
  if (kind == StreamEvent::Kind::finished && connection.fin_sent) connection.ending = Ending::close;
  touch(index);
}

void Streams::pause(uint32_t index, Connection& connection) {
  if (connection.reading != Reading::credit && connection.reading != Reading::transfer) return;
  if (connection.pausing) return;
  connection.pausing = true;
  if (connection.receiving)
    cancel(Op::pack(OpKind::stream_read, table_.handle_of(index)));
  else
    touch(index);  // starved, or a transfer, whose pipe empties first
}

// Each of them finds some buffers, rather than all of them one and then none.
void Streams::retry_starved() {
  if (starved_.empty()) return;
  const uint32_t offered = provided_.offered();
  const size_t count = std::min<size_t>(starved_.size(), (offered + 3) / 4);
  for (size_t i = 0; i < count; ++i) {
    const uint32_t index = starved_[i];
    if (!table_.live(index)) continue;
    Connection& connection = table_[index];
    if (!connection.in_starved) continue;
    connection.in_starved = false;
    const bool wanted = connection.starved && !connection.pausing && !connection.broken;
    connection.starved = false;
    if (wanted && connection.ending != Ending::close) start_read(index, connection);
  }
  starved_.erase(starved_.begin(), starved_.begin() + static_cast<ptrdiff_t>(count));
}

void Streams::start_discard(uint32_t index, Connection& connection) {
  connection.reading = Reading::discard;
  connection.credit = kDiscardMax;
  io_uring_sqe& sqe = operation(OpKind::stream_discard, index, connection, IORING_OP_RECV);
  sqe.addr = reinterpret_cast<uint64_t>(discarded);
  sqe.len = connection.credit;
  sqe.msg_flags = MSG_TRUNC;
}

void Streams::on_discard(uint32_t index, Connection& connection, int result) {
  if (connection.ending != Ending::linger) return;
  const uint32_t bytes = static_cast<uint32_t>(std::max(result, 0));
  if (result <= 0 || bytes >= connection.credit) {
    connection.ending = Ending::close;
    return touch(index);
  }
  connection.credit -= bytes;
  io_uring_sqe& sqe = operation(OpKind::stream_discard, index, connection, IORING_OP_RECV);
  sqe.addr = reinterpret_cast<uint64_t>(discarded);
  sqe.len = connection.credit;
  sqe.msg_flags = MSG_TRUNC;
}

// The kernel's poll also ends at a FIN, where a one-shot would come to an end and, armed again, end
// at once. So it is a multishot one, which tells of changes, and stays for a reset after the FIN.
void Streams::start_watch(uint32_t index, Connection& connection) {
  connection.watching = true;
  io_uring_sqe& sqe = operation(OpKind::stream_watch, index, connection, IORING_OP_POLL_ADD);
  // The kernel takes the words of the mask swapped on big-endian machines; we have none.
  static_assert(std::endian::native == std::endian::little);
  sqe.poll32_events = POLLERR | POLLHUP | POLLRDHUP;
  sqe.len = IORING_POLL_ADD_MULTI;
}

void Streams::on_watch(uint32_t index, Connection& connection, const io_uring_cqe& cqe) {
  const bool over = (cqe.flags & IORING_CQE_F_MORE) == 0;
  if (over) connection.watching = false;
  if (connection.broken || connection.ending == Ending::close) return;
  if (over) touch(index);  // to arm it again: completions overflowed
  if (cqe.res < 0) return;
  int error = 0;
  socklen_t bytes = sizeof error;
  ::getsockopt(connection.fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
  // A hang-up without an error is no more than a FIN from each side.
  if (error != 0) return fail(index, connection, error);
  if ((cqe.res & POLLRDHUP) != 0) connection.fin_seen = true;
  tell_fin(index, connection);
}

// A FIN that comes while something is read is for the read to tell.
void Streams::tell_fin(uint32_t index, Connection& connection) {
  if (!connection.fin_seen || connection.watch_wanted != Watching::fin) return;
  connection.watch_wanted = Watching::reset;
  if (connection.reading == Reading::none && connection.ending < Ending::linger)
    emit(StreamEvent::Kind::half_closed, index);
}

}  // namespace tandem::uring
