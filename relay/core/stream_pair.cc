#include "relay/core/stream_pair.h"

#include <algorithm>

namespace tandem {
namespace {

// One lane may take this part of the buffers that are free, so that whoever comes later finds some:
// slow readers each hold a window, and 16 of them leave a third.
constexpr uint64_t kBufferShare = 16;
// A rate's pause ends when this much may be read, so that a slow session is not woken for bytes.
constexpr uint64_t kRateQuantum = 16u << 10;

}  // namespace

void StreamPair::say(Stream& stream, std::string_view line) {
  stream.lines = static_cast<uint16_t>(stream.lines + line.size());
  state_.act({.kind = StreamAction::Kind::send_bytes,
              .stream = stream.id,
              .bytes = static_cast<uint32_t>(line.size()),
              .data = reinterpret_cast<const uint8_t*>(line.data())});
}

void StreamPair::join(Stream& a, Stream& b) {
  // Each is sent what the other's greeting holds, and keeps it until it is sent.
  std::swap(a.greeting, b.greeting);
  begin(a, b);
  begin(b, a);
  grant(a);
  grant(b);
}

void StreamPair::begin(Stream& stream, Stream& peer) {
  stream.stage = StreamStage::paired;
  stream.peer = peer.id.index;
  check_later(stream);
  say(stream, kPairedLine);
  if (stream.greeting == kNone) return;
  const std::span<const uint8_t> early = state_.greetings.unread(stream.greeting);
  stream.early = static_cast<uint16_t>(early.size());
  if (stream.early == 0) return;
  peer.in_flight += stream.early;
  state_.act({.kind = StreamAction::Kind::send_bytes,
              .stream = stream.id,
              .bytes = stream.early,
              .data = early.data()});
  account(peer, stream.early);
}

void StreamPair::account(Stream& stream, uint32_t bytes) {
  Session& session = state_.sessions[stream.session];
  session.bytes[stream.slot] += bytes;
  session.last_live = state_.millis();
  state_.counters.stream_bytes.add(bytes);
  state_.counters.demand.add(bytes);
  session.bandwidth.charge_allowing_debt(state_.rates.limit(session.rate), state_.now, bytes);
  state_.global_bucket.charge_allowing_debt(state_.global_share, state_.now, bytes);
}

void StreamPair::grant(Stream& stream) {
  if (stream.reading || stream.fin_received || stream.stage != StreamStage::paired) return;
  const uint32_t window = static_cast<uint32_t>(
      std::clamp<uint64_t>(state_.stream_bytes_free / kBufferShare, kLaneWindowMin, kLaneWindow));
  // Half the window at least, or reading in small pieces would cost more than it moves.
  if (stream.in_flight > window / 2 || stream.chunks > kLaneChunksMax / 2) {
    return pause(stream, Pause::window);
  }
  const bool bulk =
      stream.burst >= state_.place.transfer_after && state_.place.transfer_after != UINT32_MAX;
  if (bulk && stream.in_flight != 0) return;  // order: the buffers leave first
  const uint32_t credit = within_rate(stream, window - stream.in_flight);
  if (credit == 0) return;
  stream.credit = credit;
  stream.reading = true;
  stream.paused = Pause::none;
  state_.act({.kind = bulk ? StreamAction::Kind::transfer : StreamAction::Kind::read,
              .stream = stream.id,
              .other = state_.streams[stream.peer].id,
              .bytes = credit});
}

uint32_t StreamPair::within_rate(Stream& stream, uint32_t wanted) {
  Session& session = state_.sessions[stream.session];
  const auto judge = [&](const RateBucket& bucket, const BucketLimit& limit) {
    if (limit.unlimited()) return state_.now;
    // Where a whole burst is less than that, when the bucket is full.
    const Nanos at =
        bucket.when_allowed(limit, state_.now, std::min<uint64_t>(wanted, kRateQuantum));
    if (at <= state_.now) {
      wanted =
          static_cast<uint32_t>(std::min<uint64_t>(wanted, bucket.available(limit, state_.now)));
    }
    return at;
  };
  const Nanos ready = std::max(judge(session.bandwidth, state_.rates.limit(session.rate)),
                               judge(state_.global_bucket, state_.global_share));
  if (ready <= state_.now) return wanted;
  pause(stream, Pause::rate);
  state_.timers.schedule(state_.stream_timer(stream.id.index), ready);
  return 0;
}

// Counted when it begins: whether it may end is asked for each event.
void StreamPair::pause(Stream& stream, Pause why) {
  watch(stream);
  if (stream.paused == why) return;
  stream.paused = why;
  (why == Pause::rate ? state_.counters.rate_pauses : state_.counters.lane_pauses).add();
}

// So that a reset is seen although nothing is read. It stays armed until it has seen one.
void StreamPair::watch(Stream& stream) {
  if (stream.watched) return;
  stream.watched = true;
  state_.act({.kind = StreamAction::Kind::watch, .stream = stream.id});
}

void StreamPair::on_half_closed(Stream& stream) {
  stream.half_closed = true;
  stream.watched = false;
  if (stream.stage == StreamStage::waiting) watch(stream);
}

void StreamPair::on_timer(Stream& stream) {
  grant(stream);
  if (!state_.timers.armed(state_.stream_timer(stream.id.index))) check_later(stream);
}

// Keepalive finds a dead peer only where nothing is under way, and TCP_USER_TIMEOUT also cuts one
// that lives and keeps its window closed, so whether something is acknowledged is asked now and
// then.
void StreamPair::check_later(Stream& stream) {
  const Nanos timeout = state_.settings->keepalive_timeout;
  state_.act({.kind = StreamAction::Kind::check_alive,
              .stream = stream.id,
              .bytes = static_cast<uint32_t>(timeout / 1'000'000)});
  state_.timers.schedule(state_.stream_timer(stream.id.index), state_.now + timeout);
}

void StreamPair::on_received(Stream& stream, const Chunk& chunk) {
  if (stream.stage != StreamStage::paired) {
    state_.act({.kind = StreamAction::Kind::release, .stream = stream.id, .chunk = chunk});
    return;
  }
  Stream& peer = state_.streams[stream.peer];
  stream.credit -= chunk.bytes;
  stream.in_flight += chunk.bytes;
  ++stream.chunks;
  stream.burst += std::min(chunk.bytes, UINT32_MAX - stream.burst);
  account(stream, chunk.bytes);
  state_.act({.kind = StreamAction::Kind::send, .stream = peer.id, .chunk = chunk});
  if (stream.chunks > kLaneChunksMax && stream.reading && !stream.pausing) {
    stream.pausing = true;
    state_.act({.kind = StreamAction::Kind::pause, .stream = stream.id});
  }
}

void StreamPair::on_transferred(Stream& stream, uint32_t bytes) {
  if (stream.stage != StreamStage::paired) return;
  stream.credit -= bytes;
  account(stream, bytes);
}

void StreamPair::on_read_ended(Stream& stream) {
  stream.reading = false;
  stream.pausing = false;
  stream.credit = 0;
  grant(stream);
}

void StreamPair::on_finished(Stream& stream) {
  stream.reading = false;
  stream.pausing = false;
  stream.credit = 0;
  if (stream.stage != StreamStage::paired) return;
  stream.fin_received = true;
  state_.act({.kind = StreamAction::Kind::finish, .stream = state_.streams[stream.peer].id});
  end_if_done(stream);
}

void StreamPair::on_sent(Stream& stream, uint32_t bytes, uint32_t chunks) {
  const uint32_t of_lines = std::min<uint32_t>(bytes, stream.lines);
  stream.lines = static_cast<uint16_t>(stream.lines - of_lines);
  bytes -= of_lines;
  if (stream.stage == StreamStage::paired) {
    Stream& source = state_.streams[stream.peer];
    const uint32_t of_early = std::min<uint32_t>(bytes, stream.early);
    stream.early = static_cast<uint16_t>(stream.early - of_early);
    source.in_flight -= bytes;
    source.chunks = static_cast<uint16_t>(source.chunks - chunks);
    if (stream.lines == 0 && stream.early == 0) lifecycle_.release_greeting(stream);
    if (stream.fin_received && source.fin_received) return end_if_done(source);
    grant(source);
  } else if (stream.stage == StreamStage::waiting && stream.lines == 0 &&
             stream.greeting != kNone) {
    // WAIT has left; what came early stays.
    const Greeting& greeting = state_.greetings[stream.greeting];
    if (greeting.begin == greeting.end) lifecycle_.release_greeting(stream);
  }
}

void StreamPair::end_if_done(Stream& stream) {
  Stream& peer = state_.streams[stream.peer];
  if (!stream.fin_received || !peer.fin_received) return;
  // FINs leave behind the last byte, so nothing may be queued when the connections are closed.
  if (stream.in_flight + peer.in_flight + stream.lines + peer.lines != 0) return;
  state_.counters.lanes_ended[LaneEnd::finished].add();
  lifecycle_.drop(peer, Lifecycle::Manner::quiet);
  lifecycle_.drop(stream, Lifecycle::Manner::quiet);
}

void StreamPair::on_broken(Stream& stream) {
  switch (stream.stage) {
    case StreamStage::paired:
    case StreamStage::waiting:
      return lifecycle_.end_lane(stream, LaneEnd::reset);
    case StreamStage::proxy:
    case StreamStage::joining:
    case StreamStage::proving: {
      // A probe that ends with a reset is one all the same.
      const bool silent =
          stream.stage != StreamStage::proving && state_.greetings[stream.greeting].end == 0;
      state_.counters.joins[silent ? JoinOutcome::health_check : JoinOutcome::gone].add();
      return lifecycle_.drop(stream, Lifecycle::Manner::quiet);
    }
    case StreamStage::refused:
      return lifecycle_.drop(stream, Lifecycle::Manner::quiet);
    case StreamStage::none:
    case StreamStage::closing:
      return;
  }
}

}  // namespace tandem
