#include "relay/core/relay_core.h"

namespace tandem {
namespace {

// Entries of each expiring table that a turn looks at; a whole table passes in seconds.
constexpr uint32_t kSweepSteps = 8;

}  // namespace

void RelayCore::begin_turn(Nanos now, UnixSeconds unix_now, uint64_t stream_bytes_free) {
  state_.now = now;
  state_.unix_now = unix_now;
  state_.stream_bytes_free = stream_bytes_free;
  state_.counters.stream_bytes_free.set(stream_bytes_free);
  state_.counters.turns.add();
  state_.blocklist.sweep(now, kSweepSteps);
  state_.revocations.sweep(unix_now, kSweepSteps);
}

void RelayCore::on_stream_event(const StreamEvent& event) {
  if (event.kind == StreamEvent::Kind::accepted) return joining_.on_accepted(event);
  if (event.kind == StreamEvent::Kind::accept_failed) return joining_.on_accept_failed(event.error);
  Stream* const stream = state_.streams.find(event.stream);
  TANDEM_CHECK(stream != nullptr);  // until closed it is there, and after it nothing comes
  switch (event.kind) {
    case StreamEvent::Kind::line:
      if (stream->stage == StreamStage::proxy || stream->stage == StreamStage::joining ||
          stream->stage == StreamStage::proving) {
        joining_.on_line(*stream, event.bytes);
      }
      return;
    case StreamEvent::Kind::received:
      return pair_.on_received(*stream, event.chunk);
    case StreamEvent::Kind::transferred:
      return pair_.on_transferred(*stream, event.bytes);
    case StreamEvent::Kind::read_ended:
      return pair_.on_read_ended(*stream);
    case StreamEvent::Kind::finished:
      return pair_.on_finished(*stream);
    case StreamEvent::Kind::sent:
      return pair_.on_sent(*stream, event.bytes, event.chunks);
    case StreamEvent::Kind::half_closed:
      return pair_.on_half_closed(*stream);
    case StreamEvent::Kind::broken:
      return pair_.on_broken(*stream);
    case StreamEvent::Kind::closed:
      return joining_.on_closed(*stream);
    case StreamEvent::Kind::accepted:
    case StreamEvent::Kind::accept_failed:
      return;
  }
}

void RelayCore::on_timers(uint32_t budget) {
  const uint32_t first_stream = state_.stream_timer(0);
  state_.timers.advance(state_.now, budget, [&](uint32_t id) {
    if (id == state_.accept_timer()) {
      state_.act({.kind = StreamAction::Kind::accept_again});
    } else if (id >= first_stream) {
      joining_.on_timeout(state_.streams[id - first_stream]);
    } else {
      lifecycle_.on_session_timer(id);
    }
  });
}

RelayCore::Departure RelayCore::departure(StreamId id) {
  const Stream& stream = state_.streams[id.index];
  const Greeting& greeting = state_.greetings[stream.greeting];
  return {stream.remote, greeting.local, state_.greetings.unread(stream.greeting)};
}

void RelayCore::departed(StreamId id) {
  joining_.on_closed(state_.streams[id.index]);
}

void RelayCore::departure_failed(StreamId id) {
  lifecycle_.refuse(state_.streams[id.index], ErrorCode::over_capacity);
}

}  // namespace tandem
