#include "relay/core/datagram_path.h"

#include <algorithm>
#include <cstring>

#include "relay/core/stun.h"

namespace tandem {
namespace {

constexpr uint32_t kNobody = 2;

// Which end a datagram comes from.
uint32_t slot_of(const UdpPath& path, const Endpoint& source) {
  if (path.ends[0].remote == source) return 0;
  return path.ends[1].remote == source ? 1 : kNobody;
}

}  // namespace

uint32_t DatagramPath::on_datagrams(std::span<const Datagram> batch) {
  // First pass: the cells of the channel table are fetched while the others are looked at.
  uint32_t received = 0;
  for (const Datagram& datagram : batch) {
    received += datagram.segments();
    if (datagram.length >= kDataHeaderSize) {
      state_.sessions.prefetch(load_big_endian<uint32_t>(datagram.data + 4));
    }
  }
  state_.counters.datagrams_received.add(received);
  for (const Datagram& datagram : batch) on_datagram(datagram);
  return received;
}

void DatagramPath::on_datagram(const Datagram& datagram) {
  if (datagram.truncated) return state_.drop(DropReason::truncated, datagram.segments());
  if (datagram.length == 0) return state_.drop(DropReason::empty);
  for (uint32_t offset = 0; offset < datagram.length;) {
    const Run run = first_run(datagram, offset);
    if (!is_stray(datagram, run)) on_run(datagram, run);
    offset += run.length;
  }
}

// As many segments as begin alike and are DATA; of anything else, one.
DatagramPath::Run DatagramPath::first_run(const Datagram& datagram, uint32_t offset) {
  uint8_t* const data = datagram.data + offset;
  const uint32_t rest = datagram.length - offset;
  const uint32_t size = datagram.segments() == 1 ? rest : datagram.segment_size;
  Run run{data, std::min(size, rest), size, 1};
  if (data[0] != static_cast<uint8_t>(DatagramType::data) || run.length < kDataHeaderSize) {
    return run;
  }
  while (run.length + kDataHeaderSize <= rest &&
         std::memcmp(data, data + run.length, kDataHeaderSize) == 0) {
    run.length += std::min(size, rest - run.length);
    ++run.packets;
  }
  return run;
}

bool DatagramPath::is_stray(const Datagram& from, const Run& run) {
  if (state_.place.shards == 1 || run.length < 2) return false;
  switch (classify(run.bytes())) {
    case DatagramClass::bind:
    case DatagramClass::data:
    case DatagramClass::ping:
    case DatagramClass::close:
      break;
    case DatagramClass::stun:
    case DatagramClass::tandem_unexpected:
    case DatagramClass::unknown:
    case DatagramClass::empty:
      return false;
  }
  const uint32_t owner = state_.owner(run.data[kShardKeyOffset]);
  if (owner == state_.place.index) return false;
  // Where it belongs it is received once more; here it does not count.
  state_.counters.datagrams_received.set(state_.counters.datagrams_received.load() - run.packets);
  for (uint32_t at = 0; at < run.length; at += run.segment_size) {
    const uint32_t length = std::min(run.segment_size, run.length - at);
    state_.out.strays.push_back({owner, from.source, from.local, {run.data + at, length}});
    state_.counters.strays.add();
  }
  return true;
}

void DatagramPath::on_run(const Datagram& from, const Run& run) {
  switch (classify(run.bytes())) {
    case DatagramClass::data:
      return on_data(from, run);
    case DatagramClass::ping:
      return on_ping(from, run);
    case DatagramClass::bind:
      return binding_.on_bind(from, run.bytes());
    case DatagramClass::close:
      return on_close(from, run);
    case DatagramClass::stun:
      return on_stun(from, run);
    case DatagramClass::tandem_unexpected:
      return state_.drop(DropReason::unexpected_type, run.packets);
    case DatagramClass::unknown:
      return state_.drop(DropReason::unknown_type, run.packets);
    case DatagramClass::empty:
      return state_.drop(DropReason::empty, run.packets);
  }
}

void DatagramPath::on_data(const Datagram& from, const Run& run) {
  const auto header = parse_data_header(run.bytes().first(std::min(run.length, run.segment_size)));
  if (!header) return state_.drop(DropReason::malformed, run.packets);
  UdpPath* const path = state_.sessions.find_path(header->channel_id);
  if (path == nullptr) return state_.drop(DropReason::no_channel, run.packets);
  const uint32_t slot = slot_of(*path, from.source);
  if (slot == kNobody) return state_.drop(DropReason::wrong_source, run.packets);
  Session& session = state_.sessions[path->session];
  if (header->shard_key != static_cast<uint8_t>(session.id)) {
    return state_.drop(DropReason::wrong_shard_key, run.packets);
  }
  path->ends[slot].last_seen = state_.millis();
  if (!path->ends[1 - slot].bound()) return state_.drop(DropReason::not_paired, run.packets);
  const uint32_t packets = within_caps(from, run, *path, slot, session);
  session.dropped_packets += run.packets - packets;
  if (packets != 0) forward(run, packets, *path, static_cast<uint8_t>(slot), from.buffer);
}

uint32_t DatagramPath::within_caps(const Datagram& from, const Run& run, UdpPath& path,
                                   uint32_t slot, Session& session) {
  if (std::min(run.length, run.segment_size) > state_.settings->max_packet_size) {
    state_.drop(DropReason::too_large, run.packets);
    return 0;
  }
  uint32_t packets = run.packets;
  UdpEnd& end = path.ends[slot];
  if (!end.exempt && !state_.packet_rate.unlimited()) {
    const uint64_t allowed = path.packets[slot].available(state_.packet_rate, state_.now);
    if (allowed < packets) {
      state_.drop(DropReason::over_packet_rate, packets - allowed);
      packets = static_cast<uint32_t>(allowed);
      // A flood is an offence; a burst is not. Ten a second at most, so that only a source that
      // keeps it up for the threshold's tenth part in seconds is banned.
      const auto tenth = static_cast<uint8_t>(1 + state_.millis() / 100 % 63);
      if (tenth != end.over_rate_at) {
        end.over_rate_at = tenth & 63;
        state_.offence(from.source.address);
      }
    }
    path.packets[slot].charge_allowing_debt(state_.packet_rate, state_.now, packets);
  }
  const uint32_t payload = run.segment_size - uint32_t{kDataHeaderSize};
  const auto within = [&](RateBucket& bucket, const BucketLimit& limit, DropReason reason) {
    if (limit.unlimited() || packets == 0) return;
    // The last segment may be shorter; it is charged as it is.
    const uint64_t available = bucket.available(limit, state_.now);
    uint64_t bytes = std::min<uint64_t>(run.length, uint64_t{packets} * run.segment_size) -
                     uint64_t{packets} * kDataHeaderSize;
    if (bytes > available) {
      const auto fewer =
          static_cast<uint32_t>(std::min<uint64_t>(available / payload, packets - 1u));
      state_.drop(reason, packets - fewer);
      packets = fewer;
      bytes = uint64_t{packets} * payload;
    }
    bucket.charge_allowing_debt(limit, state_.now, bytes);
  };
  within(session.bandwidth, state_.rates.limit(session.rate), DropReason::over_session_bandwidth);
  state_.counters.demand.add(uint64_t{packets} * payload);
  within(state_.global_bucket, state_.global_share, DropReason::over_global_bandwidth);
  return packets;
}

void DatagramPath::forward(const Run& run, uint32_t packets, UdpPath& path, uint8_t slot,
                           BufferId buffer) {
  const UdpEnd& to = path.ends[1 - slot];
  const uint32_t length = std::min(run.length, packets * run.segment_size);
  state_.out.forwards.push_back({.destination = to.remote,
                                 .source = state_.locals[to.local],
                                 .data = run.data,
                                 .length = length,
                                 .segment_size = static_cast<uint16_t>(run.segment_size),
                                 .packets = static_cast<uint16_t>(packets),
                                 .buffer = buffer});
  const uint64_t payload = length - uint64_t{packets} * kDataHeaderSize;
  Session& session = state_.sessions[path.session];
  session.bytes[slot] += payload;
  session.packets[slot] += packets;
  state_.counters.datagrams_forwarded.add(packets);
  state_.counters.datagram_bytes.add(payload);
}

void DatagramPath::on_ping(const Datagram& from, const Run& run) {
  const auto ping = parse_ping(run.bytes());
  if (!ping) {
    return state_.drop(ping.error() == WireError::too_long ? DropReason::too_large
                                                           : DropReason::malformed);
  }
  UdpPath* const path =
      ping->channel_id == 0 ? nullptr : state_.sessions.find_path(ping->channel_id);
  const uint32_t slot = path == nullptr ? kNobody : slot_of(*path, from.source);
  if (slot == kNobody) {
    if (run.length > kPingUnboundMax) return state_.drop(DropReason::too_large);
    if (!within_budget(from.source.address)) return;
  } else {
    UdpEnd& end = path->ends[slot];
    end.last_seen = state_.millis();
    if (!end.exempt &&
        path->packets[slot].charge(state_.packet_rate, state_.now, 1) == RateVerdict::over) {
      return state_.drop(DropReason::over_packet_rate);
    }
  }
  write_pong_in_place({run.data, run.length},
                      slot == kNobody ? PongBinding::unbound : PongBinding::bound,
                      static_cast<uint64_t>(state_.now / 1000));
  state_.out.forwards.push_back({.destination = from.source,
                                 .source = from.local,
                                 .data = run.data,
                                 .length = run.length,
                                 .segment_size = static_cast<uint16_t>(run.length),
                                 .packets = 1,
                                 .buffer = from.buffer});
  state_.counters.datagrams_replied.add();
}

void DatagramPath::on_close(const Datagram& from, const Run& run) {
  const auto close = parse_close(run.bytes());
  if (!close) return state_.drop(DropReason::malformed);
  UdpPath* const path = state_.sessions.find_path(close->channel_id);
  if (path == nullptr) return state_.drop(DropReason::no_channel);
  const uint32_t slot = slot_of(*path, from.source);
  if (slot == kNobody) return state_.drop(DropReason::wrong_source);
  // The nonce is known to the end and to us: who forges the source does not have it.
  if (!constant_time_equal(close->nonce, path->ends[slot].nonce)) {
    return state_.drop(DropReason::close_unproven);
  }
  state_.drop(DropReason::close_accepted);
  lifecycle_.unbind(*path, static_cast<uint8_t>(slot), CloseReason::left);
}

void DatagramPath::on_stun(const Datagram& from, const Run& run) {
  if (!within_budget(from.source.address)) return;
  Reply reply;
  const StunAnswer answer =
      answer_stun(run.bytes(), from.source, std::span(reply.bytes).first<kStunReplyMax>());
  switch (answer.verdict) {
    case StunVerdict::malformed:
      return state_.drop(DropReason::stun_malformed);
    case StunVerdict::unexpected_method:
      return state_.drop(DropReason::stun_method);
    case StunVerdict::answered:
    case StunVerdict::refused:
      break;
  }
  reply.destination = from.source;
  reply.source = from.local;
  reply.length = static_cast<uint8_t>(answer.length);
  state_.out.replies.push_back(reply);
  state_.counters.datagrams_replied.add();
}

bool DatagramPath::within_budget(const IpAddress& source) {
  if (state_.blocked(source)) {
    state_.drop(DropReason::blocked);
    return false;
  }
  if (state_.blocklist.is_exempt(source)) return true;
  switch (state_.unvalidated.charge(source, state_.now)) {
    case BudgetVerdict::allowed:
      return true;
    case BudgetVerdict::source_over:
      state_.drop(DropReason::unvalidated_source_budget);
      return false;
    case BudgetVerdict::shard_over:
      state_.drop(DropReason::unvalidated_shard_budget);
      return false;
  }
  return false;
}

}  // namespace tandem
