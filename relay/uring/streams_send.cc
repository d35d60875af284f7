// Streams' sending: what is queued leaves in order, one send at a time.
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "common/assert.h"
#include "relay/uring/kernel_abi.h"
#include "relay/uring/streams.h"

namespace tandem::uring {
namespace {

// From what size on a send is made without copying, where the operator asks for it: on a NIC it
// pays from about 3 KB (of one message; ours go in runs), on loopback never. It is not tried by
// itself (ZeroCopy::automatic), since a buffer is then held until the peer has acknowledged it: a
// lane's window over the round-trip time would bound its speed, where a copy leaves that to the
// kernel.
constexpr uint32_t kZeroCopyBytes = 16 * 1024;

}  // namespace

void Streams::start_send(uint32_t index, Connection& connection) {
  io_uring_sqe& sqe = operation(OpKind::stream_send, index, connection, IORING_OP_SEND);
  Message& message = ring_.message_of(sqe);
  const SendNodes::Gathered gathered =
      nodes_.gather(connection.queue, std::span(message.parts).first(send_parts_));
  connection.sending = gathered.bytes;
  const bool zero_copy =
      gathered.bytes >= kZeroCopyBytes && !connection.copied && take_zero_copy_send(sqe, index);
  // MSG_WAITALL: a short send goes on by itself when there is room (5.19).
  sqe.msg_flags = MSG_NOSIGNAL | (connection.room_watched ? MSG_DONTWAIT : MSG_WAITALL);
  connection.room = false;
  if (gathered.parts == 1) {
    sqe.addr = reinterpret_cast<uint64_t>(message.parts[0].iov_base);
    sqe.len = gathered.bytes;
    if (zero_copy) sqe.opcode = IORING_OP_SEND_ZC;
    return;
  }
  message.header = {nullptr, 0, message.parts, gathered.parts, nullptr, 0, 0};
  sqe.opcode = zero_copy ? IORING_OP_SENDMSG_ZC : IORING_OP_SENDMSG;
  sqe.addr = reinterpret_cast<uint64_t>(&message.header);
  sqe.len = 1;
}

void Streams::on_send(uint32_t index, Connection& connection, int result) {
  connection.sending = 0;
  if (result < 0) return on_send_failed(index, connection, -result);
  counters_.stream_sent_bytes[SentHow::copied].add(static_cast<uint32_t>(result));
  if (connection.broken || connection.ending == Ending::close) return;
  const uint32_t bytes = static_cast<uint32_t>(result);
  const uint32_t chunks =
      nodes_.consume(connection.queue, bytes, [this](uint32_t buffer) { pool_.drop(buffer); });
  if (connection.ending < Ending::linger) {
    StreamEvent& event = emit(StreamEvent::Kind::sent, index);
    event.bytes = bytes;
    event.chunks = chunks;
  }
  if (!connection.queue.empty() || connection.ending != Ending::none ||
      connection.incoming != kNoTransfer)
    touch(index);
}

void Streams::on_send_failed(uint32_t index, Connection& connection, int error) {
  if (connection.broken || connection.ending == Ending::close) return;
  if (error != EAGAIN) return fail(index, connection, error);
  connection.blocked = !connection.room;
  if (!connection.blocked) touch(index);
  await_room(index, connection);
}

// The kernel's own wait for room also ends at the peer's FIN, whether there is room or not (its
// poll always asks for POLLRDHUP): after some tries in vain it hands the send to a worker, where it
// would block a thread for as long as the peer reads nothing. On a nonblocking socket it fails with
// EAGAIN instead, and from then on we wait, for the change rather than the state (a multishot poll
// is edge-triggered), so that the FIN wakes us once.
void Streams::await_room(uint32_t index, Connection& connection) {
  if (connection.room_watched) return;
  connection.room_watched = true;
  io_uring_sqe& sqe = operation(OpKind::stream_room, index, connection, IORING_OP_POLL_ADD);
  sqe.poll32_events = POLLOUT;
  sqe.len = IORING_POLL_ADD_MULTI;
}

void Streams::on_room(uint32_t index, Connection& connection, const io_uring_cqe& cqe) {
  const bool over = (cqe.flags & IORING_CQE_F_MORE) == 0;
  if (over) connection.room_watched = false;
  if (!over && (cqe.res & (POLLOUT | POLLERR | POLLHUP)) == 0) return;  // the FIN
  connection.room = true;
  if (connection.blocked) {
    connection.blocked = false;
    touch(index);
  }
  if (connection.incoming != kNoTransfer) touch(transfers_[connection.incoming].from.index);
}

// The rest of the SQE is as for any other send.
bool Streams::take_zero_copy_send(io_uring_sqe& sqe, uint32_t index) {
  if (free_zero_copy_sends_.empty()) return false;
  const uint32_t record = free_zero_copy_sends_.back();
  free_zero_copy_sends_.pop_back();
  zero_copy_sends_[record] = {};
  zero_copy_sends_[record].stream = table_.handle_of(index);
  sqe.ioprio = abi::kSendZcReportUsage;
  sqe.user_data = Op::pack(OpKind::stream_send_zc, record);
  counters_.zero_copy_sends.add();
  return true;
}

// First the result, with F_MORE where a notification follows, then that.
void Streams::on_zero_copy(uint32_t record, const io_uring_cqe& cqe) {
  if ((cqe.flags & IORING_CQE_F_NOTIF) == 0) on_zero_copy_result(record, cqe);
  if ((cqe.flags & IORING_CQE_F_MORE) != 0) return;
  on_zero_copy_notice(record, (cqe.flags & IORING_CQE_F_NOTIF) != 0 &&
                                  (static_cast<uint32_t>(cqe.res) & abi::kNotifUsageZcCopied) != 0);
}

// The buffers leave the queue, so that the next send may start, and wait here for the notification.
void Streams::on_zero_copy_result(uint32_t record, const io_uring_cqe& cqe) {
  ZeroCopySend& send = zero_copy_sends_[record];
  const uint32_t index = send.stream.index;
  Connection& connection = table_[index];
  --connection.ops;
  connection.sending = 0;
  touch(index);
  if (cqe.res < 0) {
    // Out of pinned memory (RLIMIT_MEMLOCK) or no zero-copy on this route: the plain way.
    const bool refused = cqe.res == -ENOMEM || cqe.res == -ENOBUFS || cqe.res == -EOPNOTSUPP;
    if (refused)
      connection.copied = true;
    else
      on_send_failed(index, connection, -cqe.res);
    return;
  }
  send.bytes = static_cast<uint32_t>(cqe.res);
  send.chunks = nodes_.consume(connection.queue, send.bytes,
                               [&](uint32_t buffer) { send.buffers[send.held++] = buffer; });
  // A buffer of which only a part has left is the kernel's as well as the queue's.
  if (nodes_.is_buffer(connection.queue.head) && send.held < send.buffers.size()) {
    pool_.hold(connection.queue.head);
    send.buffers[send.held++] = connection.queue.head;
  }
}

void Streams::on_zero_copy_notice(uint32_t record, bool copied) {
  ZeroCopySend& send = zero_copy_sends_[record];
  for (uint32_t i = 0; i < send.held; ++i) pool_.drop(send.buffers[i]);
  free_zero_copy_sends_.push_back(record);
  counters_.stream_sent_bytes[copied ? SentHow::copied : SentHow::zero_copy].add(send.bytes);
  if (copied) counters_.zero_copy_copied.add();
  Connection* connection = table_.find(send.stream);
  if (connection == nullptr) return;
  if (copied) connection->copied = true;
  if (send.bytes == 0 || connection->broken || connection->ending >= Ending::linger) return;
  StreamEvent& event = emit(StreamEvent::Kind::sent, send.stream.index);
  event.bytes = send.bytes;
  event.chunks = send.chunks;
}

void Streams::drop_queue(Connection& connection) {
  TANDEM_CHECK(connection.sending == 0);
  nodes_.clear(connection.queue, [this](uint32_t buffer) { pool_.drop(buffer); });
}

}  // namespace tandem::uring
