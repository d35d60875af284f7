// What waits to be sent on a stream, in order: received chunks and bytes of the shard's own. The
// links lie in a table with an entry for each buffer, so that queueing allocates nothing and a
// stream costs eight bytes. Knows neither sockets nor the pool: who gets a buffer back is the
// caller's business.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "common/assert.h"
#include "common/reserved_memory.h"

namespace tandem::uring {

// A stream's queue: indices into SendNodes.
struct SendQueue {
  static constexpr uint32_t kNone = UINT32_MAX;
  uint32_t head = kNone;
  uint32_t tail = kNone;
  [[nodiscard]] bool empty() const { return head == kNone; }
};

class SendNodes {
 public:
  // Nodes 0 .. buffers - 1 are those of the buffers of the same number, one each; the `pieces`
  // behind them are handed out for send_bytes.
  SendNodes(uint32_t buffers, uint32_t pieces)
      : memory_((size_t{buffers} + pieces) * sizeof(Node)), buffers_(buffers), pieces_(pieces) {}

  // The buffer is in no queue.
  void push_buffer(SendQueue& queue, uint32_t buffer, const uint8_t* data, uint32_t bytes) {
    TANDEM_CHECK(buffer < buffers_);
    push(queue, buffer, data, bytes);
  }
  // False where every piece is queued.
  [[nodiscard]] bool push_piece(SendQueue& queue, const uint8_t* data, uint32_t bytes) {
    uint32_t piece = free_;
    if (piece != SendQueue::kNone) {
      free_ = node(piece).next;
    } else if (touched_ < pieces_) {
      piece = buffers_ + touched_++;
    } else {
      return false;
    }
    push(queue, piece, data, bytes);
    return true;
  }

  // Whether a node is a buffer's, and so of its number; false for kNone.
  [[nodiscard]] bool is_buffer(uint32_t node) const { return node < buffers_; }

  struct Gathered {
    uint32_t parts = 0;
    uint32_t bytes = 0;
  };
  // The front of the queue as a vector for sendmsg; nothing is removed.
  [[nodiscard]] Gathered gather(const SendQueue& queue, std::span<iovec> into) const {
    Gathered result;
    for (uint32_t i = queue.head; i != SendQueue::kNone && result.parts < into.size();
         i = node(i).next) {
      into[result.parts++] = {const_cast<uint8_t*>(node(i).data), node(i).bytes};
      result.bytes += node(i).bytes;
    }
    return result;
  }

  // Takes `bytes` sent bytes off the front; `released(buffer)` for each buffer that has left whole.
  // The number of these.
  template <class Released>
  uint32_t consume(SendQueue& queue, uint32_t bytes, Released&& released) {
    uint32_t buffers = 0;
    while (!queue.empty() && node(queue.head).bytes <= bytes) {
      bytes -= node(queue.head).bytes;
      buffers += pop(queue, released);
    }
    TANDEM_CHECK(bytes == 0 || !queue.empty());
    if (bytes != 0) {
      node(queue.head).data += bytes;
      node(queue.head).bytes -= bytes;
    }
    return buffers;
  }
  template <class Released>
  void clear(SendQueue& queue, Released&& released) {
    while (!queue.empty()) pop(queue, released);
  }

 private:
  struct Node {
    const uint8_t* data;
    uint32_t bytes;
    uint32_t next;
  };

  Node& node(uint32_t index) const { return static_cast<Node*>(memory_.data())[index]; }

  void push(SendQueue& queue, uint32_t index, const uint8_t* data, uint32_t bytes) {
    TANDEM_CHECK(bytes != 0);
    node(index) = {data, bytes, SendQueue::kNone};
    if (queue.empty())
      queue.head = index;
    else
      node(queue.tail).next = index;
    queue.tail = index;
  }

  template <class Released>
  uint32_t pop(SendQueue& queue, Released&& released) {
    const uint32_t index = queue.head;
    queue.head = node(index).next;
    if (queue.head == SendQueue::kNone) queue.tail = SendQueue::kNone;
    if (index < buffers_) {
      released(index);
      return 1;
    }
    node(index).next = free_;
    free_ = index;
    return 0;
  }

  ReservedMemory memory_;
  uint32_t buffers_;
  uint32_t pieces_;
  uint32_t touched_ = 0;  // pieces that were ever queued
  uint32_t free_ = SendQueue::kNone;
};

}  // namespace tandem::uring
