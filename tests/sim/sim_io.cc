#include "tests/sim/sim_io.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tandem::sim {
namespace {

constexpr uint32_t kChunkMax = 4096;
constexpr LocalAddress kLocal{IpAddress::v4(192, 0, 2, 1), 0};

}  // namespace

void SimIo::turn(std::optional<Nanos> deadline) {
  deadline_ = deadline;
  batch_.clear();
  events_.clear();
  for (const BufferId buffer : std::exchange(wire_, {})) drop_holder(buffer);
  gather_datagrams();
  auto& accepts = world_.pending_accepts[shard_];
  while (accepting_ && !accepts.empty() && !world_.chance(300)) {
    if (world_.chance(world_.weather.accept_fails)) {
      accepting_ = false;
      StreamEvent event;
      event.kind = StreamEvent::Kind::accept_failed;
      event.error = EMFILE;
      events_.push_back(event);
      break;
    }
    SimConnection* const connection = accepts.front();
    accepts.pop_front();
    connection->accepted = true;
    const StreamId id = new_id();
    SimStream& stream = streams_[id.index];
    stream.id = id;
    stream.connection = connection;
    StreamEvent& event = emit(StreamEvent::Kind::accepted, stream);
    event.remote = connection->client;
    event.local = kLocal;
  }
  // A stream whose slot is freed in this turn is not there at the next.
  std::vector<uint32_t> indices;
  for (const auto& [index, stream] : streams_) indices.push_back(index);
  std::shuffle(indices.begin(), indices.end(), world_.random);
  for (const uint32_t index : indices) {
    if (world_.chance(300)) continue;
    step(streams_.at(index));
  }
  std::erase_if(streams_, [&](const auto& entry) {
    if (entry.second.closing != 0) return false;
    free_indices_.push_back(entry.first);
    return true;
  });
}

void SimIo::gather_datagrams() {
  auto& queue = world_.arriving[shard_];
  for (uint32_t i = 0; i < 16 && !queue.empty(); ++i) {
    SimDatagram first = std::move(queue.front());
    queue.pop_front();
    // The kernel joins what follows from the same source with the same size.
    const auto segment = first.bytes.size();
    while (!queue.empty() && segment != 0 && world_.chance(world_.weather.train) &&
           queue.front().source == first.source && queue.front().bytes.size() <= segment &&
           first.bytes.size() % segment == 0 && !queue.front().bytes.empty() &&
           first.bytes.size() < 16 * segment) {
      const auto& next = queue.front().bytes;
      first.bytes.insert(first.bytes.end(), next.begin(), next.end());
      queue.pop_front();
    }
    Datagram datagram;
    datagram.source = first.source;
    datagram.local = kLocal;
    datagram.length = static_cast<uint32_t>(first.bytes.size());
    datagram.segment_size = static_cast<uint16_t>(segment);
    datagram.buffer = make_buffer(std::move(first.bytes));
    datagram.data = buffers_.at(datagram.buffer).bytes.data();
    batch_.push_back(datagram);
  }
}

// ---- datagrams ----

void SimIo::forward(const OutgoingDatagram& outgoing) {
  ++world_.events;
  Buffer& buffer = buffers_.at(outgoing.buffer);
  TANDEM_CHECK(buffer.holders > 0);
  TANDEM_CHECK(outgoing.data >= buffer.bytes.data() &&
               outgoing.data + outgoing.length <= buffer.bytes.data() + buffer.bytes.size());
  TANDEM_CHECK(outgoing.packets == (outgoing.length + outgoing.segment_size - 1) /
                                       std::max<uint32_t>(outgoing.segment_size, 1));
  ++buffer.holders;
  wire_.push_back(outgoing.buffer);
  if (world_.chance(world_.weather.send_fails)) return;
  for (uint32_t at = 0; at < outgoing.length; at += outgoing.segment_size) {
    const uint32_t length = std::min<uint32_t>(outgoing.segment_size, outgoing.length - at);
    world_.on_datagram_out(outgoing.destination, {outgoing.data + at, length}, false, buffer.stamp);
  }
}

bool SimIo::reply(const Reply& reply) {
  ++world_.events;
  if (world_.chance(world_.weather.reply_fails)) return false;
  world_.on_datagram_out(reply.destination, {reply.bytes, reply.length}, true, 0);
  return true;
}

void SimIo::release(BufferId buffer) {
  drop_holder(buffer);
}

std::optional<Datagram> SimIo::adopt_datagram(const Endpoint& source, const LocalAddress& local,
                                              std::span<const uint8_t> bytes) {
  if (world_.chance(10)) return std::nullopt;
  Datagram datagram;
  datagram.source = source;
  datagram.local = local;
  datagram.length = static_cast<uint32_t>(bytes.size());
  datagram.segment_size = static_cast<uint16_t>(bytes.size());
  datagram.buffer = make_buffer({bytes.begin(), bytes.end()});
  Buffer& buffer = buffers_.at(datagram.buffer);
  buffer.stamp = 0;  // by way of another shard: what came straight may have passed it
  datagram.data = buffer.bytes.data();
  return datagram;
}

// ---- buffers ----

BufferId SimIo::make_buffer(std::vector<uint8_t> bytes) {
  const BufferId id = next_buffer_++;
  buffers_[id] = {std::move(bytes), 1, ++world_.stamp};
  return id;
}

void SimIo::drop_holder(BufferId id) {
  const auto found = buffers_.find(id);
  TANDEM_CHECK(found != buffers_.end());  // freed twice
  if (--found->second.holders != 0) return;
  // Whoever still looks finds nonsense, not what was there.
  std::fill(found->second.bytes.begin(), found->second.bytes.end(), uint8_t{0xDD});
  buffers_.erase(found);
}

// ---- streams ----

StreamId SimIo::new_id() {
  uint32_t index;
  if (free_indices_.empty()) {
    index = next_index_++;
  } else {
    index = free_indices_.back();
    free_indices_.pop_back();
  }
  return {index, generations_[index] += 2};
}

SimIo::SimStream* SimIo::find(StreamId id) {
  const auto found = streams_.find(id.index);
  if (found == streams_.end() || found->second.id != id) return nullptr;
  return &found->second;
}

StreamEvent& SimIo::emit(StreamEvent::Kind kind, const SimStream& stream) {
  ++world_.events;
  StreamEvent event;
  event.kind = kind;
  event.stream = stream.id;
  events_.push_back(event);
  return events_.back();
}

void SimIo::step(SimStream& stream) {
  notify(stream);
  if (stream.closing > 0) {
    if (--stream.closing == 0) end_slot(stream);
    return;
  }
  if (stream.broken) return;
  SimConnection& connection = *stream.connection;
  if (connection.client_reset && (stream.reading || stream.line_into != nullptr ||
                                  stream.watching || !stream.queue.empty() || stream.linger)) {
    return break_off(stream);
  }
  step_send(stream);
  if (stream.broken) return;
  if (stream.transfer_to) {
    step_transfer(stream);
  } else {
    step_read(stream);
  }
  step_watch(stream);
}

void SimIo::step_read(SimStream& stream) {
  SimConnection& connection = *stream.connection;
  auto& incoming = connection.to_relay;
  if (stream.linger) {
    incoming.clear();
    if (connection.client_fin && stream.queue.empty()) stream.closing = 1;
    return;
  }
  if (stream.line_into != nullptr) {
    if (incoming.empty() && !connection.client_fin) return;
    uint32_t bytes = std::min<uint32_t>(stream.line_max, static_cast<uint32_t>(incoming.size()));
    if (bytes > 1 && world_.chance(world_.weather.short_step)) bytes = 1 + world_.below(bytes);
    std::copy_n(incoming.begin(), bytes, stream.line_into);
    incoming.erase(incoming.begin(), incoming.begin() + bytes);
    stream.line_into = nullptr;
    emit(StreamEvent::Kind::line, stream).bytes = bytes;
    return;
  }
  if (!stream.reading) return;
  while (stream.credit > 0 && !incoming.empty() && !world_.chance(world_.weather.starve)) {
    uint32_t bytes = std::min({stream.credit, kChunkMax, static_cast<uint32_t>(incoming.size())});
    if (bytes > 1 && world_.chance(world_.weather.short_step)) bytes = 1 + world_.below(bytes);
    const BufferId buffer = make_buffer({incoming.begin(), incoming.begin() + bytes});
    incoming.erase(incoming.begin(), incoming.begin() + bytes);
    stream.credit -= bytes;
    emit(StreamEvent::Kind::received, stream).chunk = {buffer, 0, bytes};
    if (world_.chance(200)) break;
  }
  if (stream.credit == 0 || stream.pausing) {
    stream.reading = stream.pausing = false;
    stream.credit = 0;
    emit(StreamEvent::Kind::read_ended, stream);
  } else if (incoming.empty() && connection.client_fin) {
    stream.reading = false;
    stream.credit = 0;
    stream.fin_told = true;
    emit(StreamEvent::Kind::finished, stream);
  }
}

void SimIo::step_transfer(SimStream& stream) {
  SimStream* const to = find(*stream.transfer_to);
  SimConnection& connection = *stream.connection;
  auto& incoming = connection.to_relay;
  if (to != nullptr && to->closing < 0 && !to->broken && !to->fin_sent) {
    auto& outgoing = to->connection->to_client;
    const size_t room =
        to->connection->to_client_max - std::min(to->connection->to_client_max, outgoing.size());
    const auto bytes =
        static_cast<uint32_t>(std::min<size_t>({stream.credit, incoming.size(), room, kChunkMax}));
    if (bytes != 0) {
      outgoing.insert(outgoing.end(), incoming.begin(), incoming.begin() + bytes);
      incoming.erase(incoming.begin(), incoming.begin() + bytes);
      stream.credit -= bytes;
      emit(StreamEvent::Kind::transferred, stream).bytes = bytes;
    }
  }
  if (stream.credit == 0 || stream.pausing) {
    stream.reading = stream.pausing = false;
    stream.credit = 0;
    stream.transfer_to.reset();
    emit(StreamEvent::Kind::read_ended, stream);
  } else if (incoming.empty() && connection.client_fin) {
    stream.reading = false;
    stream.transfer_to.reset();
    stream.fin_told = true;
    emit(StreamEvent::Kind::finished, stream);
  }
}

void SimIo::step_send(SimStream& stream) {
  SimConnection& connection = *stream.connection;
  if (connection.client_gone && !stream.queue.empty()) return break_off(stream);
  while (!stream.queue.empty() && connection.to_client.size() < connection.to_client_max) {
    Piece& piece = stream.queue.front();
    uint32_t bytes =
        std::min(piece.bytes - piece.sent,
                 static_cast<uint32_t>(connection.to_client_max - connection.to_client.size()));
    if (bytes > 1 && world_.chance(world_.weather.short_step)) bytes = 1 + world_.below(bytes);
    connection.to_client.insert(connection.to_client.end(), piece.data + piece.sent,
                                piece.data + piece.sent + bytes);
    piece.sent += bytes;
    stream.unnotified_bytes += bytes;
    if (piece.sent == piece.bytes) {
      if (piece.buffer != kNoBuffer) {
        stream.unnotified.push_back(piece.buffer);
        ++stream.unnotified_chunks;
      }
      stream.queue.pop_front();
    }
    if (world_.chance(300)) break;
  }
  if (stream.queue.empty() && stream.finish && !stream.fin_sent) {
    stream.fin_sent = true;
    connection.relay_fin = true;
  }
}

// Tells late what was sent; until then the wire owns the buffers.
void SimIo::notify(SimStream& stream) {
  if (stream.unnotified_bytes == 0 || world_.chance(world_.weather.late_notice)) return;
  for (const BufferId buffer : stream.unnotified) drop_holder(buffer);
  stream.unnotified.clear();
  const uint32_t bytes = std::exchange(stream.unnotified_bytes, 0);
  const uint32_t chunks = std::exchange(stream.unnotified_chunks, 0);
  if (stream.broken || stream.closing >= 0) return;
  StreamEvent& event = emit(StreamEvent::Kind::sent, stream);
  event.bytes = bytes;
  event.chunks = chunks;
}

void SimIo::step_watch(SimStream& stream) {
  if (!stream.watching || !stream.watching_fin || stream.reading || stream.fin_told) return;
  if (!stream.connection->client_fin) return;
  stream.watching = stream.watching_fin = false;
  emit(StreamEvent::Kind::half_closed, stream);
}

void SimIo::break_off(SimStream& stream) {
  stream.broken = true;
  stream.reading = false;
  stream.line_into = nullptr;
  stream.transfer_to.reset();
  emit(StreamEvent::Kind::broken, stream);
}

void SimIo::end_slot(SimStream& stream) {
  for (const BufferId buffer : stream.unnotified) drop_holder(buffer);
  for (const Piece& piece : stream.queue) {
    if (piece.buffer != kNoBuffer) drop_holder(piece.buffer);
  }
  SimConnection& connection = *stream.connection;
  if (!connection.relay_fin) connection.relay_reset = true;
  connection.relay_fin = true;
  emit(StreamEvent::Kind::closed, stream);
}

void SimIo::perform(const StreamAction& action) {
  ++world_.events;
  using Kind = StreamAction::Kind;
  if (action.kind == Kind::accept_again) {
    accepting_ = true;
    return;
  }
  if (action.kind == Kind::release) return drop_holder(action.chunk.buffer);
  SimStream* const stream = find(action.stream);
  const bool usable =
      stream != nullptr && stream->closing < 0 && !stream->broken && !stream->linger;
  switch (action.kind) {
    case Kind::send: {
      if (!usable || stream->finish) return drop_holder(action.chunk.buffer);
      const Buffer& buffer = buffers_.at(action.chunk.buffer);
      stream->queue.push_back(
          {buffer.bytes.data() + action.chunk.offset, action.chunk.bytes, 0, action.chunk.buffer});
      return;
    }
    case Kind::send_bytes:
      if (usable && !stream->finish) stream->queue.push_back({action.data, action.bytes});
      return;
    case Kind::read_line:
      TANDEM_CHECK(stream != nullptr && !stream->reading && stream->line_into == nullptr &&
                   action.bytes != 0);
      if (!usable) return;
      stream->line_into = action.into;
      stream->line_max = action.bytes;
      return;
    case Kind::read:
    case Kind::transfer:
      TANDEM_CHECK(stream != nullptr && !stream->reading && stream->line_into == nullptr &&
                   !stream->fin_told && action.bytes != 0);
      if (!usable) return;
      stream->reading = true;
      stream->credit = action.bytes;
      if (action.kind == Kind::transfer) stream->transfer_to = action.other;
      return;
    case Kind::pause:
      if (usable && stream->reading) stream->pausing = true;
      return;
    case Kind::watch:
      if (!usable) return;
      stream->watching = true;
      if (action.bytes != 0) stream->watching_fin = true;
      return;
    case Kind::finish:
      if (usable) stream->finish = true;
      return;
    case Kind::check_alive:
      TANDEM_CHECK(stream != nullptr);
      return;
    case Kind::linger_close:
      if (!usable) return;
      stream->finish = stream->linger = true;
      stream->line_into = nullptr;
      stream->reading = false;
      return;
    case Kind::reset:
    case Kind::close:
      TANDEM_CHECK(stream != nullptr);
      if (stream->closing >= 0) return;
      if (action.kind == Kind::reset || !stream->queue.empty()) {
        stream->connection->relay_reset = true;
      }
      stream->closing = 1 + static_cast<int>(world_.below(3));
      stream->reading = false;
      stream->line_into = nullptr;
      return;
    case Kind::accept_again:
    case Kind::release:
    case Kind::hand_over:
      TANDEM_CHECK(!"not for the back end");
  }
}

DetachedStream SimIo::detach(StreamId id) {
  SimStream* const stream = find(id);
  TANDEM_CHECK(stream != nullptr && stream->queue.empty() && !stream->reading &&
               stream->line_into == nullptr && stream->unnotified_bytes == 0);
  SimConnection* const connection = stream->connection;
  streams_.erase(id.index);
  free_indices_.push_back(id.index);
  int number = 0;
  for (SimConnection& candidate : world_.connections) {
    if (&candidate == connection) break;
    ++number;
  }
  return {number, connection->client, kLocal};
}

std::optional<StreamId> SimIo::adopt(const DetachedStream& detached) {
  auto connection = world_.connections.begin();
  std::advance(connection, detached.descriptor);
  if (world_.chance(10)) {
    connection->relay_reset = connection->relay_fin = true;
    return std::nullopt;
  }
  const StreamId id = new_id();
  SimStream& stream = streams_[id.index];
  stream.id = id;
  stream.connection = &*connection;
  return id;
}

void SimIo::random(std::span<uint8_t> bytes) {
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(world_.random());
}

bool SimIo::quiet() const {
  return wire_.empty() && batch_.empty() && events_.empty() && world_.arriving[shard_].empty();
}

}  // namespace tandem::sim
