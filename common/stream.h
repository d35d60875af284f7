// The vocabulary between a back end's TCP connections and the core: events up, actions down.
// Knows neither descriptors nor sessions.
#pragma once

#include <cstdint>

#include "common/datagram.h"
#include "common/endpoint.h"
#include "common/slab.h"

namespace tandem {

// A connection: a slot of the back end with its generation, so that what comes late cannot touch
// the next tenant. The core keeps its own state under the same index.
using StreamId = Handle;

// A run of received bytes. Whoever holds it owns it until send() or release().
struct Chunk {
  BufferId buffer = kNoBuffer;
  uint32_t offset = 0;
  uint32_t bytes = 0;
};

struct StreamEvent {
  enum class Kind : uint8_t {
    accepted,  // a connection came: remote and local are set; nothing is being read
    // `error` says why (EMFILE, ENFILE, ENOBUFS ...) and accepting has stopped; ENOTCONN: the one
    // that came had gone again, and accepting goes on.
    accept_failed,
    line,         // read_line() has `bytes` more bytes where it was told to put them; 0 = FIN
    received,     // `chunk` is the core's
    read_ended,   // the credit is spent or was taken back: nothing is being read any more
    finished,     // FIN after the last byte; nothing is being read any more
    sent,         // `bytes` bytes in `chunks` chunks of what was queued have left and are released
    transferred,  // transfer() moved `bytes` bytes to its destination
    half_closed,  // watch(): the peer's FIN has come while nothing is read
    broken,       // reset or another error; nothing is read or sent any more; close is up to us
    closed,       // nothing of it is in flight; the slot is free after this event
  };
  Kind kind = Kind::closed;
  StreamId stream = {};
  uint32_t bytes = 0;
  uint32_t chunks = 0;
  int error = 0;
  Chunk chunk = {};
  Endpoint remote = {};
  LocalAddress local = {};
};

struct StreamAction {
  enum class Kind : uint8_t {
    accept_again,  // after accept_failed
    read_line,     // one receive of at most `bytes` into `data`; ends in line, finished or broken
    read,          // receive up to `bytes` in all: received ..., then read_ended or finished
    pause,         // take back what is left of the credit; read_ended follows
    send,          // queue `chunk` behind what is queued; owner is now the back end
    send_bytes,    // queue `bytes` bytes at `data`, which stay valid until they are `sent`
    release,       // `chunk` will not be sent
    watch,         // report a reset while nothing is read; with `bytes` != 0 a FIN also
    check_alive,  // broken if nothing was acknowledged for `bytes` milliseconds though something is
                  // due
    transfer,     // zero-copy: move up to `bytes` from `stream` to `other` within the kernel
    finish,       // send a FIN once everything queued has left
    linger_close,  // finish, drop what the peer still sends within bounds, then close
    close,         // close now; what is queued is dropped
    reset,         // close now, with a RST
    hand_over,     // give the descriptor to shard `bytes`; the slot is freed at once
  };
  Kind kind = Kind::close;
  StreamId stream = {};
  StreamId other = {};
  uint32_t bytes = 0;
  const uint8_t* data = nullptr;
  uint8_t* into = nullptr;
  Chunk chunk = {};
};

}  // namespace tandem
