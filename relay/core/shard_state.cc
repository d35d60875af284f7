#include "relay/core/shard_state.h"

namespace tandem {
namespace {

// As many decisions as one batch can lead to without growing: twice the datagrams of a turn.
constexpr size_t kDecisionsExpected = 1024;

template <class Value>
Value draw(const Environment& environment) {
  Value value;
  environment.random(environment.context, {reinterpret_cast<uint8_t*>(&value), sizeof value});
  return value;
}

}  // namespace

ShardState::ShardState(ShardPlace the_place, const ShardSettings& the_settings,
                       SharedCounts& the_shared, Environment the_environment, Nanos start)
    : place(the_place),
      shared(the_shared),
      environment(the_environment),
      started(start),
      now(start),
      sessions(place.sessions_max, draw<SipKey>(environment)),
      streams(place.streams_max),
      greetings(kGreetingsMax, place.greeting_bytes),
      timers(place.sessions_max + place.streams_max + 1, start),
      channels(draw<SipKey>(environment), draw<uint32_t>(environment)),
      cookies(draw<SipKey>(environment)),
      verifier(the_settings.keys),
      blocklist(draw<SipKey>(environment)),
      revocations(draw<SipKey>(environment)),
      unvalidated(draw<SipKey>(environment)),
      validated(draw<SipKey>(environment)) {
  out.forwards.reserve(kDecisionsExpected);
  out.replies.reserve(kDecisionsExpected);
  out.strays.reserve(kDecisionsExpected);
  out.actions.reserve(kDecisionsExpected);
  out.messages.reserve(kDecisionsExpected);
  apply(the_settings);
}

void ShardState::apply(const ShardSettings& next) {
  settings = &next;
  verifier = TokenVerifier(next.keys);
  rates.apply(next);
  packet_rate = next.packets_per_second == 0
                    ? BucketLimit{}
                    : BucketLimit::per_second(next.packets_per_second, next.packets_per_second);
  const BucketLimit shard =
      BucketLimit::per_second(kUnvalidatedPerShard, kUnvalidatedPerShard / 10);
  unvalidated.set_limits(packet_rate, shard);
  validated.set_limits(packet_rate, shard);
  arrival_rate = BucketLimit::per_second(next.new_connections_per_minute,
                                         next.new_connections_per_minute * kArrivalUnits);
  TANDEM_CHECK(blocklist.set_exempt(next.exempt) == ExemptOutcome::applied);  // config bounds it
}

void ShardState::offence(const IpAddress& address) {
  counters.offences.add();
  if (blocklist.is_exempt(address)) return;
  if (shared.offences.count(address, now, settings->blacklist_threshold) !=
      OffenceVerdict::threshold_reached) {
    return;
  }
  const Network scope = block_scope(address);
  const BlockOutcome outcome =
      blocklist.block(scope, BlockOrigin::automatic, now + settings->blacklist_duration);
  if (outcome != BlockOutcome::blocked && outcome != BlockOutcome::prolonged) return;
  counters.auto_blocks.add();
  tell(LogEvent{LogKind::blocked, address, 0, "offences",
                static_cast<uint64_t>(settings->blacklist_duration / kNanosPerSecond)});
  tell(AutoBlocked{address, settings->blacklist_duration});
}

}  // namespace tandem
