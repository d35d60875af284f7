// What a back end is to a shard. One Io belongs to one thread. It owns sockets, buffers and every
// operation in flight; it knows neither sessions nor tokens. UringIo, SimIo and DpdkIo satisfy it.
#pragma once

#include <concepts>
#include <optional>
#include <span>

#include "common/clock.h"
#include "common/datagram.h"
#include "common/stream.h"

namespace tandem {

// A connection on its way to another shard.
struct DetachedStream {
  int descriptor = -1;  // SimIo: a number of its own
  Endpoint remote;
  LocalAddress local;
};

template <class T>
concept Io = requires(T io, std::optional<Nanos> deadline, const OutgoingDatagram& outgoing,
                      const Reply& reply, BufferId buffer, const StreamAction& action,
                      StreamId stream, const DetachedStream& detached, Endpoint endpoint,
                      LocalAddress local, std::span<uint8_t> bytes,
                      std::span<const uint8_t> copied) {
  // One turn: hands what is queued to the kernel, waits until something has happened or `deadline`
  // has come (nullopt: for as long as it takes; wake() from any thread ends the wait), and gathers
  // what has happened. datagrams() and stream_events() are valid until the next turn.
  io.turn(deadline);
  { io.now() } -> std::same_as<Nanos>;  // monotonic, read once a turn
  { io.unix_now() } -> std::same_as<UnixSeconds>;
  { io.datagrams() } -> std::same_as<std::span<Datagram>>;
  { io.stream_events() } -> std::same_as<std::span<const StreamEvent>>;

  // Datagrams. The buffer of each of datagrams() is the shard's until release(); forward() adds a
  // holder to it until its send has completed.
  io.forward(outgoing);
  { io.reply(reply) } -> std::same_as<bool>;  // false: no slot is free, nothing was sent
  io.release(buffer);
  // Copies a datagram that another shard received into a spare buffer of its own; it then goes the
  // way of datagrams(), release() included. nullopt where no spare buffer is free.
  { io.adopt_datagram(endpoint, local, copied) } -> std::same_as<std::optional<Datagram>>;
  // The largest payload of a DATA datagram that leaves towards `endpoint` from `local`
  // unfragmented.
  { io.max_payload(endpoint, local) } -> std::same_as<uint16_t>;

  // Streams. perform() takes every StreamAction but hand_over, which is detach() here and adopt()
  // there; adopt() is nullopt where no slot is free (the descriptor is closed then).
  io.perform(action);
  { io.detach(stream) } -> std::same_as<DetachedStream>;
  { io.adopt(detached) } -> std::same_as<std::optional<StreamId>>;
  // Bytes of stream buffers that are free: the core makes its credits smaller as they go.
  { io.stream_bytes_free() } -> std::same_as<uint64_t>;

  io.random(bytes);
};

}  // namespace tandem
