// Streams' transfers: bytes that never come to user space, at the pace of their destination.
#include <poll.h>

#include "common/assert.h"
#include "relay/uring/streams.h"

namespace tandem::uring {
namespace {

// What one transfer moves before others have their turn.
constexpr uint32_t kPumpMax = 4u << 20;

}  // namespace

void Streams::start_transfer(const StreamAction& action, Connection& connection) {
  TANDEM_CHECK(connection.reading == Reading::none && action.bytes != 0);
  Connection* to = table_.find(action.other);
  const bool possible = to != nullptr && !to->broken && to->ending == Ending::none &&
                        to->incoming == kNoTransfer && !free_transfers_.empty();
  connection.credit = action.bytes;
  Transfer* transfer = possible ? &transfers_[free_transfers_.back()] : nullptr;
  if (transfer == nullptr || !(transfer->pipe.is_open() || transfer->pipe.open())) {
    connection.reading = Reading::credit;
    return start_read(action.stream.index, connection);
  }
  connection.reading = Reading::transfer;
  connection.outgoing = to->incoming = free_transfers_.back();
  free_transfers_.pop_back();
  transfer->from = action.stream;
  transfer->to = action.other;
  transfer->fin = false;
  touch(action.stream.index);
}

// Moves what can be moved and then waits for whichever end is in the way.
void Streams::pump(uint32_t index, Connection& connection) {
  Transfer& transfer = transfers_[connection.outgoing];
  Connection* to = table_.find(transfer.to);
  if (to == nullptr || to->broken || to->ending != Ending::none) {
    end_transfer(connection);
    return end_read(index, connection, StreamEvent::Kind::read_ended);
  }
  const uint32_t moved = move(transfer, connection, *to);
  if (moved != 0) {
    counters_.stream_sent_bytes[SentHow::splice].add(moved);
    emit(StreamEvent::Kind::transferred, index).bytes = moved;
  }
  if (connection.broken || to->broken) return;
  if (transfer.pipe.bytes() == 0 &&
      (transfer.fin || connection.pausing || connection.credit == 0)) {
    const bool fin = transfer.fin;
    end_transfer(connection);
    return end_read(index, connection,
                    fin ? StreamEvent::Kind::finished : StreamEvent::Kind::read_ended);
  }
  if (moved >= kPumpMax) return touch(index);
  const bool writable = to->sending == 0 && to->queue.empty();
  if (transfer.pipe.bytes() != 0) {
    if (writable) await_room(transfer.to.index, *to);
  } else if (!connection.polling_in) {
    connection.polling_in = true;
    operation(OpKind::transfer_in, index, connection, IORING_OP_POLL_ADD).poll32_events =
        POLLIN | POLLRDHUP;
  }
}

// The bytes that reached the destination. A pipe that takes no more is emptied before the source is
// asked again, so "blocked" with an empty pipe is the source's.
uint32_t Streams::move(Transfer& transfer, Connection& from, Connection& to) {
  const bool writable = to.sending == 0 && to.queue.empty();
  uint32_t moved = 0;
  bool progress = true;
  while (progress && moved < kPumpMax) {
    progress = false;
    if (from.credit != 0 && !transfer.fin && !from.pausing) {
      const Pipe::Result in = transfer.pipe.fill(from.fd, from.credit);
      from.credit -= in.bytes;
      transfer.fin = in.outcome == Pipe::Outcome::ended;
      if (in.outcome == Pipe::Outcome::failed) fail(transfer.from.index, from, in.error);
      progress = in.outcome == Pipe::Outcome::moved;
    }
    if (!writable || transfer.pipe.bytes() == 0) continue;
    const Pipe::Result out = transfer.pipe.drain(to.fd);
    moved += out.bytes;
    if (out.outcome == Pipe::Outcome::failed) fail(transfer.to.index, to, out.error);
    progress = out.outcome == Pipe::Outcome::moved;
  }
  return moved;
}

void Streams::on_transfer_in(uint32_t index, Connection& connection) {
  connection.polling_in = false;
  if (connection.outgoing != kNoTransfer) touch(index);
}

void Streams::end_transfer(Connection& from) {
  Transfer& transfer = transfers_[from.outgoing];
  if (transfer.pipe.bytes() != 0) {
    counters_.splice_bytes_lost.add(transfer.pipe.bytes());
    transfer.pipe.close();
  }
  if (Connection* to = table_.find(transfer.to); to != nullptr) to->incoming = kNoTransfer;
  free_transfers_.push_back(from.outgoing);
  from.outgoing = kNoTransfer;
}

// The connection is over: what goes out from it ends here, what comes to it ends at its source.
void Streams::end_transfers(Connection& connection) {
  if (connection.outgoing != kNoTransfer) end_transfer(connection);
  if (connection.incoming != kNoTransfer) touch(transfers_[connection.incoming].from.index);
}

}  // namespace tandem::uring
