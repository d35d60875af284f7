#include "tests/fuzz/core_world.h"

#include <algorithm>

namespace tandem::fuzz {
namespace {

constexpr UnixSeconds kUnixStart = 1'700'000'000;

enum TokenKind : uint8_t {
  plain,
  tcp_only,
  udp_only,
  to_prove,
  one_lane,
  slow,
  expired,
  other_key
};

Keyring keyring_of(std::initializer_list<uint8_t> ids) {
  Keyring ring;
  for (const uint8_t id : ids) {
    std::array<uint8_t, Keyring::kKeyBytesMin> key;
    key.fill(id);
    TANDEM_CHECK(ring.add(id, key) == Keyring::AddOutcome::added);
  }
  return ring;
}

// Made once: minting and keys are most of what a short run would cost.
TokenBytes make_token(uint8_t session, uint8_t slot, uint8_t kind) {
  TokenClaims claims{.slot = slot,
                     .flags = kTokenTcp | kTokenUdp,
                     .expires_at = static_cast<uint32_t>(kUnixStart + 3600),
                     .session_id = session_id(session)};
  if (kind == tcp_only) claims.flags = kTokenTcp;
  if (kind == udp_only) claims.flags = kTokenUdp;
  if (kind == to_prove) claims.flags |= kTokenProve;
  if (kind == one_lane) claims.lanes_max = 1;
  if (kind == slow) claims.rate_kbps = 8;
  if (kind == expired) claims.expires_at = static_cast<uint32_t>(kUnixStart - 1);
  static const Keyring first = keyring_of({1});
  static const Keyring second = keyring_of({2});
  return mint(kind == other_key ? second : first, claims);
}

using Tokens = std::array<std::array<std::array<TokenBytes, kTokenKinds>, 2>, kSessionIds>;
Tokens make_tokens() {
  Tokens tokens;
  for (uint8_t session = 0; session < kSessionIds; ++session)
    for (uint8_t slot = 0; slot < 2; ++slot)
      for (uint8_t kind = 0; kind < kTokenKinds; ++kind)
        tokens[session][slot][kind] = make_token(session, slot, kind);
  return tokens;
}

ShardSettings strict() {
  ShardSettings settings;
  settings.keys = keyring_of({1, 2});
  settings.max_sessions = 3;
  settings.max_connections_per_session = 4;
  settings.max_lifetime = 40 * kNanosPerSecond;
  settings.session_bytes_per_second = 2000;
  settings.packets_per_second = 5;
  settings.blacklist_threshold = 3;
  settings.blacklist_duration = 20 * kNanosPerSecond;
  settings.connections_per_address = 5;
  settings.half_open_per_address = 3;
  settings.new_connections_per_minute = 12;
  return settings;
}

ShardSettings lenient() {
  ShardSettings settings;
  settings.keys = keyring_of({1});
  settings.session_bytes_per_second = 0;
  settings.packets_per_second = 0;
  settings.blacklist_threshold = 0;
  settings.connections_per_address = 0;
  settings.half_open_per_address = 0;
  settings.exempt = {{endpoint(0).address, 128}};
  return settings;
}

ShardSettings hasty() {
  ShardSettings settings;
  settings.keys = keyring_of({2});
  settings.max_connections_per_session = 2;
  settings.session_timeout = kNanosPerSecond;
  settings.handshake_timeout = kNanosPerSecond;
  settings.pair_timeout = kNanosPerSecond;
  settings.keepalive_interval = kNanosPerSecond;
  settings.keepalive_timeout = 2 * kNanosPerSecond;
  settings.max_packet_size = 576;
  return settings;
}

const ShardSettings& settings_of(uint8_t number, bool proxied) {
  static const auto all = [] {
    std::array<std::array<ShardSettings, kSettings>, 2> made;
    for (size_t proxy = 0; proxy < 2; ++proxy) {
      made[proxy] = {ShardSettings{}, strict(), lenient(), hasty()};
      made[proxy][0].keys = keyring_of({1});
      for (ShardSettings& settings : made[proxy]) {
        settings.proxy_protocol = proxy == 1;
        // The port is not looked at: 1 is untrusted, 0 and those of IPv6 are not.
        settings.trusted_proxies = {{endpoint(0).address, 128}, {endpoint(3).address, 120}};
      }
    }
    return made;
  }();
  return all[proxied ? 1 : 0][number % kSettings];
}

uint16_t max_payload(void*, const Endpoint& to, const LocalAddress&) {
  return to.address.is_v4() ? 1464 : 1200;
}

void draw(void* context, std::span<uint8_t> bytes) {
  auto& state = *static_cast<uint64_t*>(context);
  for (uint8_t& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX
    byte = static_cast<uint8_t>(state >> 56);
  }
}

}  // namespace

const Endpoint& endpoint(uint8_t number) {
  static const std::array<Endpoint, kEndpoints> all = {{
      {IpAddress::v4(192, 0, 2, 1), 4000},
      {IpAddress::v4(198, 51, 100, 7), 4000},
      {IpAddress::v4(198, 51, 100, 7), 4001},
      {*IpAddress::parse("2001:db8::1"), 4000},
      {*IpAddress::parse("2001:db8::2"), 4000},
      {*IpAddress::parse("2001:db8:1::1"), 4000},
  }};
  return all[number % kEndpoints];
}

uint64_t session_id(uint8_t number) {
  constexpr std::array<uint64_t, kSessionIds> kIds = {0x1100, 0x2201, 0x3302, 0x4403, 0x5500};
  return kIds[number % kSessionIds];
}

const TokenBytes& token(const TokenName& name) {
  static const Tokens tokens = make_tokens();
  return tokens[name.session % kSessionIds][name.slot % 2][name.kind % kTokenKinds];
}

CoreWorld::CoreWorld(const Shape& shape) : shape_(shape), shared_(SipKey{3}) {
  const uint32_t shards = shape.two_shards ? 2 : 1;
  for (uint32_t i = 0; i < shards; ++i) {
    const ShardPlace place{.index = i,
                           .shards = shards,
                           .sessions_max = kSessionsMax,
                           .streams_max = kStreamsMax,
                           .transfer_after = shape.transfers ? 3000 : UINT32_MAX};
    shards_.emplace_back().core =
        std::make_unique<RelayCore>(place, settings_of(shape.settings, shape.proxied), shared_,
                                    Environment{&random_, max_payload, draw}, now_);
  }
  begin_turn();
}

// ---- time ----

UnixSeconds CoreWorld::unix_now() const {
  return kUnixStart + unix_offset_ + now_ / kNanosPerSecond - 1000;
}

void CoreWorld::begin_turn() {
  for (Shard& shard : shards_) shard.core->begin_turn(now_, unix_now(), stream_bytes_free_);
}

void CoreWorld::advance(Nanos span) {
  now_ += span;
  begin_turn();
  fire_timers();
}

void CoreWorld::fire_timers() {
  constexpr uint32_t kBudget = 8;
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    RelayCore& core = *shards_[i].core;
    while (core.next_deadline() && *core.next_deadline() <= now_) {
      core.on_timers(kBudget);
      carry_out(i);
    }
  }
}

// ---- control ----

namespace {

// How many answers end a command: nobody waits for more, and somebody waits for each.
struct Answers {
  RequestId request;
  uint32_t ends = 0;
  void operator()(const CommandDone& done) { ends += done.request == request; }
  void operator()(const ListEnd& end) { ends += end.request == request; }
  void operator()(const BlockRow& row) const { TANDEM_CHECK(row.remaining >= 0); }
  void operator()(const SessionRow& row) const {
    TANDEM_CHECK(row.age >= 0 && row.idle >= 0 && row.idle <= row.age);
  }
  void operator()(const LogEvent&) const {}
  void operator()(const AutoBlocked&) const {}
  void operator()(const SettingsApplied&) const {}
  void operator()(const ShardStopped&) const {}
};

RequestId request_of(const ToShard& command) {
  return std::visit(
      [](const auto& it) -> RequestId {
        if constexpr (requires { it.request; }) return it.request;
        return 0;
      },
      command);
}

}  // namespace

void CoreWorld::command(uint8_t shard, const ToShard& command) {
  const uint32_t at = shard % static_cast<uint32_t>(shards_.size());
  answers_.clear();
  shards_[at].core->on_command(command);
  carry_out(at);
  Answers answers{request_of(command)};
  uint32_t rows = 0;
  for (const FromShard& message : answers_) {
    std::visit(answers, message);
    rows += std::holds_alternative<SessionRow>(message);
  }
  if (answers.request == 0) return;
  const bool described = std::holds_alternative<DescribeSession>(command) && rows == 1;
  TANDEM_CHECK(answers.ends == (described ? 0u : 1u));
}

void CoreWorld::apply_settings(uint8_t shard, uint8_t settings) {
  command(shard, ApplySettings{.settings = &settings_of(settings, shape_.proxied)});
}

// ---- the end ----

void CoreWorld::wind_down() {
  end_connections();
  for (uint32_t turns = 0; turns < 10'000; ++turns) {
    std::optional<Nanos> next;
    for (Shard& shard : shards_) {
      const auto deadline = shard.core->next_deadline();
      if (deadline && (!next || *deadline < *next)) next = deadline;
    }
    if (!next) break;
    advance(std::max<Nanos>(*next - now_, 0));
  }
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    ShardState& state = shards_[i].core->state();
    const RelayCounters& counters = state.counters;
    TANDEM_CHECK(!state.timers.next_deadline());
    TANDEM_CHECK(state.sessions.size() == 0 && state.streams.size() == 0);
    TANDEM_CHECK(state.greetings.size() == 0);
    TANDEM_CHECK(counters.sessions.load() == 0 && counters.sessions_paired.load() == 0);
    TANDEM_CHECK(counters.streams.load() == 0 && counters.streams_half_open.load() == 0);
    TANDEM_CHECK(counters.sessions_opened.load() == counters.sessions_closed.load());
    check_balance(i);
  }
  TANDEM_CHECK(shared_.sessions.load() == 0);
  for (uint8_t i = 0; i < kEndpoints; ++i) {
    TANDEM_CHECK(shared_.connections.estimate(endpoint(i).address) == 0);
    TANDEM_CHECK(shared_.half_open.estimate(endpoint(i).address) == 0);
  }
}

}  // namespace tandem::fuzz
