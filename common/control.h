// The vocabulary of both sides: what control tells a shard and what a shard tells control. The
// messages travel through bounded single-producer single-consumer rings; a full ring is an outcome.
// Plain values only, but for ShardSettings, which control owns until no shard goes by them.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "common/endpoint.h"
#include "common/token.h"

namespace tandem {

// What a shard goes by; a reload replaces it whole. 0 = no limit where the config says so.
struct ShardSettings {
  Keyring keys;

  uint32_t max_sessions = 100'000;  // over all shards
  uint32_t max_connections_per_session = 8;
  Nanos session_timeout = 300 * kNanosPerSecond;
  Nanos handshake_timeout = 10 * kNanosPerSecond;
  Nanos pair_timeout = 30 * kNanosPerSecond;
  Nanos keepalive_interval = 15 * kNanosPerSecond;
  Nanos keepalive_timeout = 90 * kNanosPerSecond;
  Nanos max_lifetime = 0;
  uint32_t token_max_age_s = 86'400;

  uint64_t session_bytes_per_second = 1'250'000;
  uint64_t global_bytes_per_second = 0;  // over all shards; control deals out shares of it
  Nanos bandwidth_window = kNanosPerSecond;
  double bandwidth_burst = 2.0;

  uint32_t max_packet_size = 1472;
  uint32_t packets_per_second = 1000;
  uint32_t blacklist_threshold = 100;
  Nanos blacklist_duration = 300 * kNanosPerSecond;
  std::vector<Network> exempt;
  uint32_t connections_per_address = 2048;
  uint32_t half_open_per_address = 512;
  uint32_t new_connections_per_minute = 0;

  bool proxy_protocol = false;
  std::vector<Network> trusted_proxies;
};

using RequestId = uint32_t;  // names the request that a reply belongs to; 0 = nobody waits

// ---- control to shard ----
struct KickSession {
  RequestId request = 0;
  uint64_t session_id = 0;
};
struct AddBlock {
  RequestId request = 0;
  Network network;
  Nanos duration = 0;  // 0 = until removed
  bool automatic = false;
};
struct RemoveBlock {
  RequestId request = 0;
  Network network;
};
struct ListBlocks {
  RequestId request = 0;
};
struct ListSessions {
  RequestId request = 0;
  uint32_t cursor = 0;
  uint32_t max = 0;
};
struct DescribeSession {
  RequestId request = 0;
  uint64_t session_id = 0;
};
struct SetDrain {
  bool draining = false;
};
struct SetGlobalShare {
  uint64_t bytes_per_second = 0;  // this shard's part; 0 = no limit
};
struct ApplySettings {
  RequestId request = 0;
  const ShardSettings* settings = nullptr;
};
struct StopShard {
  bool abort_sessions = true;
};
using ToShard = std::variant<KickSession, AddBlock, RemoveBlock, ListBlocks, ListSessions,
                             DescribeSession, SetDrain, SetGlobalShare, ApplySettings, StopShard>;

// ---- shard to control ----
enum class CommandOutcome : uint8_t { done, not_found, table_full };

struct SessionEnd {  // one slot of a session, as an operator sees it
  Endpoint udp;      // port 0 = no UDP binding
  uint32_t tcp_streams = 0;
  uint64_t bytes = 0;    // payload that this side sent and the relay forwarded
  uint64_t packets = 0;  // datagrams among it
  Endpoint tcp;          // of its lowest lane; port 0 = none
};
struct SessionRow {
  RequestId request = 0;
  uint64_t session_id = 0;
  uint16_t shard = 0;
  bool paired = false;
  Nanos age = 0;
  Nanos idle = 0;  // since something last came from either side
  uint64_t rate_bytes_per_second = 0;
  uint64_t dropped_packets = 0;
  SessionEnd ends[2];
};
struct BlockRow {
  RequestId request = 0;
  Network network;
  Nanos remaining = 0;
  bool automatic = false;
};
struct ListEnd {
  RequestId request = 0;
  uint32_t next_cursor = 0;  // 0 = that was all
};
struct CommandDone {
  RequestId request = 0;
  CommandOutcome outcome = CommandOutcome::done;
};

// What is worth a line in the log; control writes it, throttled by kind and address.
enum class LogKind : uint8_t {
  authentication_failed,
  rate_limited,
  blocked,
  session_paired,
  session_ended,
  bad_request,
  accept_failed,
  table_full,
  zero_copy_off,
  session_kicked,
};
struct LogEvent {
  LogKind kind = LogKind::bad_request;
  IpAddress address;
  uint64_t session_id = 0;
  std::string_view detail;  // a literal: the outcome's name
  uint64_t value = 0;       // bytes, an errno, whatever the kind says
};
// Control tells the other shards.
struct AutoBlocked {
  IpAddress address;
  Nanos duration = 0;
};
// The shard goes by them now.
struct SettingsApplied {
  RequestId request = 0;
  const ShardSettings* settings = nullptr;
};
struct ShardStopped {};
using FromShard = std::variant<SessionRow, BlockRow, ListEnd, CommandDone, LogEvent, AutoBlocked,
                               SettingsApplied, ShardStopped>;

}  // namespace tandem
