// A lane: two streams whose bytes go from one to the other. Reading is by credit, so that what a
// lane holds is bounded; half-close and reset pass through. docs/PROTOCOL.md, "TCP".
#pragma once

#include <string_view>

#include "relay/core/lifecycle.h"

namespace tandem {

class StreamPair {
 public:
  StreamPair(ShardState& state, Lifecycle& lifecycle) : state_(state), lifecycle_(lifecycle) {}

  // Sends a line of our own; `line` lasts until it is sent.
  void say(Stream& stream, std::string_view line);
  // Both are on the same lane; early data of each goes to the other first.
  void join(Stream& a, Stream& b);

  void on_received(Stream& stream, const Chunk& chunk);
  void on_transferred(Stream& stream, uint32_t bytes);
  void on_read_ended(Stream& stream);
  void on_finished(Stream& stream);
  void on_sent(Stream& stream, uint32_t bytes, uint32_t chunks);
  void on_broken(Stream& stream);
  void on_half_closed(Stream& stream);
  // The rate allows more, or it is time to see whether the peer lives.
  void on_timer(Stream& stream);

 private:
  void begin(Stream& stream, Stream& peer);
  // Lets the stream be read as far as window, rate and buffers allow.
  void grant(Stream& stream);
  [[nodiscard]] uint32_t within_rate(Stream& stream, uint32_t wanted);
  void pause(Stream& stream, Pause why);
  void check_later(Stream& stream);
  void watch(Stream& stream);
  void account(Stream& stream, uint32_t bytes);
  void end_if_done(Stream& stream);

  ShardState& state_;
  Lifecycle& lifecycle_;
};

}  // namespace tandem
