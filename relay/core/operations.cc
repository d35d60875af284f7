#include "relay/core/operations.h"

#include <algorithm>

namespace tandem {

void Operations::on_command(const ToShard& command) {
  std::visit([this](const auto& it) { on(it); }, command);
}

void Operations::done(RequestId request, CommandOutcome outcome) {
  if (request != 0) state_.tell(CommandDone{request, outcome});
}

void Operations::on(const KickSession& command) {
  const UnixSeconds last = state_.unix_now + state_.settings->token_max_age_s;
  const RevokeOutcome revoked = state_.revocations.revoke(command.session_id, last);
  const uint32_t session = state_.sessions.find(command.session_id);
  if (session != kNone) {
    lifecycle_.end(session, CloseReason::kicked, LaneEnd::kicked);
    state_.tell(LogEvent{LogKind::session_kicked, {}, command.session_id, {}, 0});
  }
  if (revoked == RevokeOutcome::table_full)
    return done(command.request, CommandOutcome::table_full);
  // A session that has not come yet is refused when it does: kicking it is no mistake, but the
  // operator is told that nothing was cut.
  done(command.request, session == kNone ? CommandOutcome::not_found : CommandOutcome::done);
}

void Operations::on(const AddBlock& command) {
  const Nanos until = command.duration == 0 ? kForever : state_.now + command.duration;
  const BlockOutcome outcome = state_.blocklist.block(
      command.network, command.automatic ? BlockOrigin::automatic : BlockOrigin::manual, until);
  if (outcome == BlockOutcome::table_full) return done(command.request, CommandOutcome::table_full);
  if (outcome == BlockOutcome::exempt) return done(command.request, CommandOutcome::not_found);
  // An address that offended may be shared: what is joined behind it goes on.
  if (!command.automatic) cut(command.network);
  done(command.request, CommandOutcome::done);
}

void Operations::cut(const Network& network) {
  const auto meant = [&](const IpAddress& address) {
    return network.contains(address) && !state_.blocklist.is_exempt(address);
  };
  for (uint32_t i = 0; i < state_.streams.used(); ++i) {
    Stream& stream = state_.streams[i];
    if (meant(stream.remote.address)) cut(stream);
  }
  for (uint32_t i = state_.sessions.next_live(0); i != Slab<Session>::kNone;
       i = state_.sessions.next_live(i + 1)) {
    UdpPath* const path = state_.sessions.path_of(state_.sessions[i]);
    for (uint8_t slot = 0; path != nullptr && slot < 2; ++slot) {
      const UdpEnd& end = path->ends[slot];
      if (end.bound() && meant(end.remote.address)) {
        lifecycle_.unbind(*path, slot, CloseReason::kicked);
      }
    }
  }
}

void Operations::cut(Stream& stream) {
  switch (stream.stage) {
    case StreamStage::joining:
    case StreamStage::proving:
      return lifecycle_.refuse(stream, ErrorCode::blocked);
    case StreamStage::waiting:
    case StreamStage::paired:
      return lifecycle_.end_lane(stream, LaneEnd::blocked);
    case StreamStage::proxy:  // judged by the client's address, once its header says it
    case StreamStage::none:
    case StreamStage::refused:
    case StreamStage::closing:
      return;
  }
}

void Operations::on(const RemoveBlock& command) {
  const bool found =
      state_.blocklist.unblock(command.network, state_.now) == UnblockOutcome::unblocked;
  done(command.request, found ? CommandOutcome::done : CommandOutcome::not_found);
}

void Operations::on(const ListBlocks& command) {
  std::array<Block, 64> page;
  uint32_t cursor = 0;
  for (size_t count = page.size(); count == page.size();) {
    count = state_.blocklist.list(cursor, state_.now, page);
    for (const Block& block : std::span(page).first(count)) {
      state_.tell(BlockRow{command.request, block.network,
                           block.until == kForever ? 0 : block.until - state_.now,
                           block.origin == BlockOrigin::automatic});
    }
  }
  state_.tell(ListEnd{command.request, 0});
}

SessionRow Operations::row_of(uint32_t index, RequestId request) {
  const Session& session = state_.sessions[index];
  SessionRow row;
  row.request = request;
  row.session_id = session.id;
  row.shard = static_cast<uint16_t>(state_.place.index);
  row.paired = session.counted_paired;
  row.age = state_.now - state_.opened(session);
  Millis last = session.last_live;
  row.rate_bytes_per_second = state_.rates.bytes_per_second(session.rate);
  row.dropped_packets = session.dropped_packets;
  const UdpPath* const path = state_.sessions.path_of(session);
  for (size_t slot : {0u, 1u}) {
    SessionEnd& end = row.ends[slot];
    end.bytes = session.bytes[slot];
    end.packets = session.packets[slot];
    end.tcp_streams = session.stream_count[slot];
    if (path == nullptr) continue;
    end.udp = path->ends[slot].remote;
    if (state_.elapsed(path->ends[slot].last_seen) < state_.elapsed(last)) {
      last = path->ends[slot].last_seen;
    }
  }
  uint16_t lowest[2] = {UINT16_MAX, UINT16_MAX};
  for (uint32_t at = session.streams; at != kNone; at = state_.streams[at].next) {
    const Stream& stream = state_.streams[at];
    if (stream.lane >= lowest[stream.slot]) continue;
    lowest[stream.slot] = stream.lane;
    row.ends[stream.slot].tcp = stream.remote;
  }
  row.idle = state_.elapsed(last);
  return row;
}

void Operations::on(const ListSessions& command) {
  uint32_t index = state_.sessions.next_live(command.cursor);
  for (uint32_t rows = 0; rows < command.max && index != Slab<Session>::kNone; ++rows) {
    state_.tell(row_of(index, command.request));
    index = state_.sessions.next_live(index + 1);
  }
  state_.tell(ListEnd{command.request, index == Slab<Session>::kNone ? 0 : index});
}

void Operations::on(const DescribeSession& command) {
  const uint32_t session = state_.sessions.find(command.session_id);
  if (session == kNone) return done(command.request, CommandOutcome::not_found);
  state_.tell(row_of(session, command.request));
}

void Operations::on(const SetDrain& command) {
  state_.draining = command.draining;
  settle_all();
}

void Operations::on(const SetGlobalShare& command) {
  state_.global_share = rate_limit_of(command.bytes_per_second, *state_.settings);
}

void Operations::on(const ApplySettings& command) {
  state_.apply(*command.settings);
  settle_all();
  state_.tell(SettingsApplied{command.request, command.settings});
}

// What was decided by the settings before is decided anew.
void Operations::settle_all() {
  for (uint32_t i = state_.sessions.next_live(0); i != Slab<Session>::kNone;
       i = state_.sessions.next_live(i + 1)) {
    lifecycle_.settle(i);
  }
}

void Operations::on(const StopShard&) {
  stopping_ = true;
  end_all(CloseReason::draining);
}

void Operations::end_all(CloseReason reason) {
  for (uint32_t i = state_.sessions.next_live(0); i != Slab<Session>::kNone;
       i = state_.sessions.next_live(i + 1)) {
    lifecycle_.end(i, reason, LaneEnd::stopped);
  }
}

}  // namespace tandem
