// What the core remembers of a TCP connection, under the back end's slot index, and the buffers in
// which first lines are read. Plain state; the rules stand in joining and stream_path.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "common/proxy_protocol.h"
#include "common/reserved_memory.h"
#include "common/stream.h"
#include "common/token.h"
#include "relay/core/join_line.h"
#include "relay/core/session.h"

namespace tandem {

enum class StreamStage : uint8_t {
  none,     // the slot is free
  proxy,    // reading a PROXY header
  joining,  // reading JOIN or PROVE
  proving,  // NONCE is sent, reading PROOF
  waiting,  // on its lane, alone
  paired,
  refused,  // an ERR is on its way
  closing,  // nothing more is wanted of it
};

// Why a paired stream is not read.
enum class Pause : uint8_t {
  none,
  window,  // its peer does not take it
  rate,    // its session or the shard is at a bandwidth cap
};

struct Stream {
  StreamId id;
  StreamStage stage = StreamStage::none;
  uint8_t slot = 0;
  uint16_t lane = 0;
  uint32_t session = kNone;
  uint32_t next = kNone;  // in the session's list
  uint32_t peer = kNone;  // where paired
  // The Greeting that it reads its first line into; once paired the peer's, whose early data it is
  // being sent. Kept until nothing is read or sent from there.
  uint32_t greeting = kNone;

  // Its bytes on their way to the peer.
  uint32_t credit = 0;     // granted and not yet received
  uint32_t in_flight = 0;  // received and not yet sent to the peer, early data with them
  uint16_t chunks = 0;     // how many buffers these are
  // What it is being sent, in this order: bytes of our own lines, the peer's early data, the rest.
  uint16_t lines = 0;
  uint16_t early = 0;

  bool reading : 1 = false;
  bool pausing : 1 = false;
  bool fin_received : 1 = false;  // and passed on
  bool half_closed : 1 = false;   // a FIN was seen while nothing was read
  bool counted : 1 = false;       // in the shared counts of its address
  bool counted_half_open : 1 = false;
  bool exempt : 1 = false;
  bool watched : 1 = false;
  Pause paused = Pause::none;

  Endpoint remote;     // the client; behind a trusted proxy what the header says
  uint32_t burst = 0;  // bytes that came in all, saturating: what tells a bulk flow
};

// A connection's first line while it comes, and what came with it; its bytes lie in GreetingTable.
struct Greeting {
  uint16_t begin = 0;  // what was understood lies before it
  uint16_t end = 0;
  uint16_t lane = 0;
  uint8_t takeover = 0;
  ClaimsBytes claims;  // of PROVE
  std::array<uint8_t, kLineNonceSize> nonce;
  LocalAddress local;
};

// Greetings with the bytes that they are read into: room for a first line, and for a PROXY header
// before it where connections have one.
class GreetingTable {
 public:
  GreetingTable(uint32_t capacity, uint32_t bytes_each)
      : greetings_(capacity), bytes_(size_t{capacity} * bytes_each), bytes_each_(bytes_each) {}

  [[nodiscard]] std::optional<Handle> acquire() { return greetings_.acquire(); }
  void release(uint32_t index) { greetings_.release(greetings_.handle_of(index)); }
  [[nodiscard]] Greeting& operator[](uint32_t index) { return greetings_[index]; }
  [[nodiscard]] std::span<uint8_t> bytes(uint32_t index) {
    return {static_cast<uint8_t*>(bytes_.data()) + size_t{index} * bytes_each_, bytes_each_};
  }
  // What came and was not understood yet.
  [[nodiscard]] std::span<uint8_t> unread(uint32_t index) {
    const Greeting& greeting = greetings_[index];
    return bytes(index).subspan(greeting.begin, greeting.end - greeting.begin);
  }
  [[nodiscard]] uint32_t size() const { return greetings_.size(); }

 private:
  Slab<Greeting> greetings_;
  ReservedMemory bytes_;
  uint32_t bytes_each_;
};

class StreamTable {
 public:
  explicit StreamTable(uint32_t streams_max)
      : memory_(size_t{streams_max} * sizeof(Stream)),
        nonce_lines_(size_t{streams_max} * kNonceLineSize),
        capacity_(streams_max) {}

  // Its index is the back end's, so the slot is there.
  Stream& open(StreamId id) {
    TANDEM_CHECK(id.index < capacity_);
    Stream& stream = at(id.index);
    TANDEM_CHECK(stream.stage == StreamStage::none);
    stream = Stream{};
    stream.id = id;
    stream.stage = StreamStage::joining;
    used_ = std::max(used_, id.index + 1);
    ++size_;
    return stream;
  }
  void close(Stream& stream) {
    stream.stage = StreamStage::none;
    --size_;
  }
  [[nodiscard]] Stream& operator[](uint32_t index) { return at(index); }
  // nullptr where the connection is gone.
  [[nodiscard]] Stream* find(StreamId id) {
    Stream& stream = at(id.index);
    return stream.stage != StreamStage::none && stream.id == id ? &stream : nullptr;
  }
  // What it is sent when it is to PROVE. Not in its greeting, which is the counterpart's once they
  // are paired, and that may be before the end of the line has left.
  [[nodiscard]] std::span<uint8_t, kNonceLineSize> nonce_line(const Stream& stream) const {
    auto* const lines = static_cast<uint8_t*>(nonce_lines_.data());
    return std::span<uint8_t, kNonceLineSize>(lines + size_t{stream.id.index} * kNonceLineSize,
                                              kNonceLineSize);
  }
  [[nodiscard]] uint32_t size() const { return size_; }
  [[nodiscard]] uint32_t capacity() const { return capacity_; }
  // Slots from here on never held a stream.
  [[nodiscard]] uint32_t used() const { return used_; }

 private:
  Stream& at(uint32_t index) const { return static_cast<Stream*>(memory_.data())[index]; }

  ReservedMemory memory_;
  ReservedMemory nonce_lines_;
  uint32_t capacity_;
  uint32_t size_ = 0;
  uint32_t used_ = 0;
};

}  // namespace tandem
