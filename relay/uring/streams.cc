#include "relay/uring/streams.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "common/assert.h"
#include "relay/uring/address.h"

namespace tandem::uring {
namespace {

constexpr uint16_t kBufferGroup = 2;
constexpr uint32_t kRingEntriesMax = 256;

constexpr uint32_t kZeroCopySends = 1024;

// The most chunks in one completion: what the kernel takes from a buffer ring at once.
constexpr uint32_t kBundleMax = 256;

// Whether the peer has acknowledged something lately, or nothing asked it to twice: the probes of a
// closed window are acknowledged by one that lives, though they may be further apart than the
// timeout.
bool is_alive(int fd, uint32_t timeout_ms) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return true;
  const bool unanswered = info.tcpi_retransmits >= 2 || info.tcpi_probes >= 2;
  return !unanswered || info.tcpi_last_ack_recv < timeout_ms;
}

uint32_t ring_entries(const UringOptions& options) {
  return std::min(kRingEntriesMax, std::bit_floor(std::max(4u, options.stream_buffers)) / 2);
}

}  // namespace

Streams::Streams(Ring& ring, const ShardSockets& sockets, const UringOptions& options,
                 const Features& features, UringCounters& counters)
    : ring_(ring),
      sockets_(sockets),
      counters_(counters),
      buffer_bytes_(options.stream_buffer_bytes),
      receive_max_(options.receive_buffers * options.stream_buffer_bytes),
      send_parts_(std::clamp(options.send_buffers, 1u, kMessageParts)),
      near_us_(options.near_us),
      bundles_(options.read_mode != ReadMode::singles && features.bundles),
      table_(options.streams_max),
      pool_(std::min(options.stream_buffers, uint32_t{UINT16_MAX}), options.stream_buffer_bytes,
            options.hugepages),
      provided_(ring, kBufferGroup, ring_entries(options), pool_, buffer_bytes_),
      nodes_(pool_.count(), options.streams_max),
      zero_copy_sends_(options.zero_copy == ZeroCopy::send_zc && features.send_zc ? kZeroCopySends
                                                                                  : 0),
      transfers_(std::min<uint32_t>(options.pipes_max, kNoTransfer)),
      accepting_(sockets.size()),
      events_max_(options.events_per_turn) {
  touched_.reserve(2 * size_t{options.streams_max});
  starved_.reserve(options.streams_max);
  events_.reserve(events_max_ + kBundleMax + 2);
  for (size_t i = zero_copy_sends_.size(); i-- != 0;)
    free_zero_copy_sends_.push_back(static_cast<uint32_t>(i));
  for (size_t i = transfers_.size(); i-- != 0;) free_transfers_.push_back(static_cast<uint16_t>(i));
}

Streams::~Streams() {
  for (uint32_t i = table_.next_live(0); i != table_.kNone; i = table_.next_live(i + 1))
    ::close(table_[i].fd);
}

void Streams::begin_turn() {
  events_.clear();
  provided_.refill();
  retry_starved();
  const size_t due = touched_.size();  // what settle() touches again is for the next turn
  size_t done = 0;
  while (done < due && has_room()) settle(touched_[done++]);
  touched_.erase(touched_.begin(), touched_.begin() + static_cast<ptrdiff_t>(done));
}

void Streams::complete(const Op& op, const io_uring_cqe& cqe) {
  if (op.kind == OpKind::accept) return on_accept(op.index, cqe);
  if (op.kind == OpKind::stream_send_zc) return on_zero_copy(op.index, cqe);
  Connection& connection = table_[op.index];
  TANDEM_CHECK((table_.handle_of(op.index).generation & Op::kGenerationMask) == op.generation);
  const bool more = (cqe.flags & IORING_CQE_F_MORE) != 0;
  if (!more) --connection.ops;
  switch (op.kind) {
    case OpKind::stream_line:
      on_line(op.index, connection, cqe.res);
      break;
    case OpKind::stream_read:
      on_read(op.index, connection, cqe);
      break;
    case OpKind::stream_discard:
      on_discard(op.index, connection, cqe.res);
      break;
    case OpKind::stream_send:
      on_send(op.index, connection, cqe.res);
      break;
    case OpKind::stream_watch:
      on_watch(op.index, connection, cqe);
      break;
    case OpKind::transfer_in:
      on_transfer_in(op.index, connection);
      break;
    case OpKind::stream_room:
      on_room(op.index, connection, cqe);
      break;
    case OpKind::ignored:
    case OpKind::wake:
    case OpKind::accept:
    case OpKind::datagram_receive:
    case OpKind::datagram_send:
    case OpKind::train_send:
    case OpKind::reply_send:
    case OpKind::stream_send_zc:
      TANDEM_CHECK(!"a stream's operation");
  }
  touch_if_over(op.index, connection);
}

// Breaking and closing wait for the last operation to end.
void Streams::touch_if_over(uint32_t index, const Connection& connection) {
  if (connection.ops == 0 && (connection.broken || connection.ending == Ending::close))
    touch(index);
}

void Streams::touch(uint32_t index) {
  Connection& connection = table_[index];
  if (connection.touched) return;
  connection.touched = true;
  touched_.push_back(index);
}

void Streams::settle(uint32_t index) {
  if (!table_.live(index)) return;  // handed over
  Connection& connection = table_[index];
  connection.touched = false;
  if (connection.broken || connection.ending == Ending::close) {
    if (connection.ops != 0) return cancel_all(index, connection);
    drop_queue(connection);
    end_transfers(connection);
    if (connection.ending == Ending::close) return free_slot(index, connection);
    if (connection.told) return;
    connection.told = true;
    emit(StreamEvent::Kind::broken, index).error = connection.error;
    return;
  }
  settle_open(index, connection);
}

void Streams::settle_open(uint32_t index, Connection& connection) {
  if (connection.sending == 0 && !connection.queue.empty() && !connection.blocked)
    start_send(index, connection);
  const bool drained = connection.sending == 0 && connection.queue.empty();
  if (drained && connection.incoming != kNoTransfer)
    touch(transfers_[connection.incoming].from.index);
  if (connection.reading == Reading::transfer) pump(index, connection);
  if (connection.reading == Reading::credit && connection.pausing && !connection.receiving)
    end_read(index, connection, StreamEvent::Kind::read_ended);
  if (connection.ending != Ending::none && drained && !connection.fin_sent) {
    ::shutdown(connection.fd, SHUT_WR);  // ENOTCONN after a reset: the receive says so
    connection.fin_sent = true;
  }
  if (connection.ending == Ending::linger && connection.fin_sent) {
    if (connection.reading == Reading::none)
      start_discard(index, connection);
    else if (connection.reading != Reading::discard)
      pause(index, connection);
  }
  if (connection.watch_wanted != Watching::none && !connection.watching)
    start_watch(index, connection);
  tell_fin(index, connection);
}

// Said to the core once nothing is in flight, since until then the kernel may write where a line
// was to go.
void Streams::fail(uint32_t index, Connection& connection, int error) {
  if (connection.ending == Ending::linger) {
    connection.ending = Ending::close;
  } else if (!connection.broken) {
    connection.broken = true;
    connection.error = static_cast<uint16_t>(error);
  }
  touch(index);
}

// By user_data where the operations are known: the kernel finds those by their hash. By descriptor
// it walks all that are in flight on the ring, and thousands of connections that end together cost
// the square of their number.
void Streams::cancel_all(uint32_t index, Connection& connection) {
  if (connection.cancelled) return;
  connection.cancelled = true;
  uint32_t left = connection.ops;
  const auto end = [&](OpKind kind, bool in_flight) {
    if (!in_flight) return;
    cancel(Op::pack(kind, table_.handle_of(index)));
    --left;
  };
  end(OpKind::stream_read, connection.receiving);
  end(OpKind::stream_watch, connection.watching);
  end(OpKind::stream_room, connection.room_watched);
  end(OpKind::transfer_in, connection.polling_in);
  if (left == 0) return;
  io_uring_sqe& sqe = ring_.next_sqe();
  sqe.opcode = IORING_OP_ASYNC_CANCEL;
  sqe.fd = connection.fd;
  sqe.cancel_flags = IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD;
  sqe.flags = IOSQE_CQE_SKIP_SUCCESS;
  sqe.user_data = Op::pack(OpKind::ignored, 0);
}

void Streams::free_slot(uint32_t index, Connection& connection) {
  ::close(connection.fd);
  emit(StreamEvent::Kind::closed, index);
  table_.release(table_.handle_of(index));
}

void Streams::perform(const StreamAction& action) {
  using Kind = StreamAction::Kind;
  if (action.kind == Kind::release) {
    pool_.drop(action.chunk.buffer);
    return;
  }
  if (action.kind == Kind::accept_again) {
    for (uint32_t i = 0; i < sockets_.size(); ++i)
      if (!accepting_[i]) arm_accept(i);
    return;
  }
  Connection* connection = table_.find(action.stream);
  const bool closing = connection == nullptr || connection->ending >= Ending::linger;
  const bool usable = !closing && !connection->broken;
  const uint32_t index = action.stream.index;
  switch (action.kind) {
    case Kind::send:
      if (!usable || connection->fin_sent) {
        pool_.drop(action.chunk.buffer);
        return;
      }
      nodes_.push_buffer(connection->queue, action.chunk.buffer,
                         pool_.data(action.chunk.buffer) + action.chunk.offset, action.chunk.bytes);
      return touch(index);
    case Kind::send_bytes:
      if (!usable || connection->fin_sent) return;
      if (!nodes_.push_piece(connection->queue, action.data, action.bytes))
        return fail(index, *connection, ENOBUFS);
      return touch(index);
    case Kind::read_line:
      if (usable) start_line(index, *connection, action.into, action.bytes);
      return;
    case Kind::read:
      if (!usable) return;
      TANDEM_CHECK(connection->reading == Reading::none && action.bytes != 0);
      connection->reading = Reading::credit;
      connection->credit = action.bytes;
      if (!connection->sized) fit_kernel_buffers(*connection);
      return start_read(index, *connection);
    case Kind::pause:
      if (usable) pause(index, *connection);
      return;
    case Kind::watch:
      if (!usable) return;
      connection->watch_wanted =
          std::max(connection->watch_wanted, action.bytes != 0 ? Watching::fin : Watching::reset);
      return touch(index);
    case Kind::check_alive:
      if (usable && !is_alive(connection->fd, action.bytes)) fail(index, *connection, ETIMEDOUT);
      return;
    case Kind::finish:
      if (!usable) return;
      connection->ending = Ending::finish;
      return touch(index);
    case Kind::linger_close:
      if (closing) return;
      connection->ending = connection->broken ? Ending::close : Ending::linger;
      return touch(index);
    case Kind::reset:
      if (connection == nullptr) return;
      {
        const linger at_once{1, 0};
        ::setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      }
      [[fallthrough]];
    case Kind::close:
      if (connection == nullptr) return;
      connection->ending = Ending::close;
      return touch(index);
    case Kind::transfer:
      if (usable) start_transfer(action, *connection);
      return;
    case Kind::accept_again:
    case Kind::release:
    case Kind::hand_over:
      TANDEM_CHECK(!"an action for streams");
  }
}

DetachedStream Streams::detach(StreamId id) {
  Connection* connection = table_.find(id);
  TANDEM_CHECK(connection != nullptr && connection->ops == 0 && connection->queue.empty());
  DetachedStream detached =
      describe(connection->fd, connection->listener)
          .value_or(DetachedStream{connection->fd, {}, {{}, connection->listener}});
  table_.release(id);
  return detached;
}

std::optional<StreamId> Streams::adopt(const DetachedStream& detached) {
  const std::optional<Handle> id = table_.acquire();
  if (!id) {
    ::close(detached.descriptor);
    return std::nullopt;
  }
  table_[id->index].fd = detached.descriptor;
  table_[id->index].listener = detached.local.socket;
  return id;
}

void Streams::arm_accept(uint32_t index) {
  if (!sockets_[index].tcp.open()) return;
  io_uring_sqe& sqe = ring_.next_sqe();
  sqe.opcode = IORING_OP_ACCEPT;
  sqe.fd = sockets_[index].tcp.get();
  // Nonblocking, or a send could block a worker of the kernel's: see await_room().
  sqe.accept_flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
  sqe.ioprio = IORING_ACCEPT_MULTISHOT;
  sqe.user_data = Op::pack(OpKind::accept, index);
  accepting_[index] = true;
}

// A multishot accept has no room for an address, so it is asked for here; none: it has gone again.
std::optional<DetachedStream> Streams::describe(int fd, uint16_t listener) const {
  const ListenSocket& socket = sockets_[listener];
  SocketName name;
  if (::getpeername(fd, &name.any, &name.length) != 0) return std::nullopt;
  DetachedStream stream{fd, to_endpoint(name), {socket.address, listener}};
  if (socket.wildcard) {
    name.length = sizeof name.v6;
    if (::getsockname(fd, &name.any, &name.length) != 0) return std::nullopt;
    stream.local.address = to_endpoint(name).address;
  }
  return stream;
}

void Streams::on_accept(uint32_t index, const io_uring_cqe& cqe) {
  if ((cqe.flags & IORING_CQE_F_MORE) == 0) accepting_[index] = false;
  if (cqe.res < 0) {
    counters_.accept_failures.add();
    const int error = -cqe.res;
    if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
      StreamEvent& event = events_.emplace_back();
      event.kind = StreamEvent::Kind::accept_failed;
      event.error = error;
      event.local = {sockets_[index].address, static_cast<uint16_t>(index)};
      return;
    }
  } else if (const auto stream = describe(cqe.res, static_cast<uint16_t>(index)); !stream) {
    ::close(cqe.res);
    StreamEvent& event = events_.emplace_back();
    event.kind = StreamEvent::Kind::accept_failed;
    event.error = ENOTCONN;
  } else if (const auto id = adopt(*stream); !id) {
    counters_.accepts_refused.add();
  } else {
    StreamEvent& event = emit(StreamEvent::Kind::accepted, id->index);
    event.remote = stream->remote;
    event.local = stream->local;
  }
  if (!accepting_[index]) arm_accept(index);
}

io_uring_sqe& Streams::operation(OpKind kind, uint32_t index, Connection& connection,
                                 uint8_t opcode) {
  ++connection.ops;
  io_uring_sqe& sqe = ring_.next_sqe();
  sqe.opcode = opcode;
  sqe.fd = connection.fd;
  sqe.user_data = Op::pack(kind, table_.handle_of(index));
  return sqe;
}

void Streams::cancel(uint64_t user_data) {
  io_uring_sqe& sqe = ring_.next_sqe();
  sqe.opcode = IORING_OP_ASYNC_CANCEL;
  sqe.fd = -1;
  sqe.addr = user_data;
  sqe.flags = IOSQE_CQE_SKIP_SUCCESS;
  sqe.user_data = Op::pack(OpKind::ignored, 0);
}

StreamEvent& Streams::emit(StreamEvent::Kind kind, uint32_t index) {
  StreamEvent& event = events_.emplace_back();
  event.kind = kind;
  event.stream = table_.handle_of(index);
  return event;
}

}  // namespace tandem::uring
