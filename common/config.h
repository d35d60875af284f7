// The configuration: every key an operator can set, where its value may come from and what changes
// on a reload.
//
// Owns the structs below, their defaults, their bounds and the order of precedence. It must not
// know what a relay or a room does with a value, and nothing outside config.cc may see the TOML
// parser.
//
// A key is named once, in config_keys.cc; parsing, --set, the environment, the shipped file, the
// reference in docs/CONFIGURATION.md and the reload's comparison all derive from that table.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/endpoint.h"
#include "common/result.h"

namespace tandem {

inline constexpr std::string_view kDefaultConfigPath = "/etc/tandem/tandem.toml";

// A value that may carry a password. It has no formatter and no stream operator on purpose: whoever
// needs the text asks for it by name, and nothing logs it by accident.
struct SecretText {
  std::string value;
  bool operator==(const SecretText&) const = default;
};

enum class EngineBackend : std::uint8_t { uring, dpdk };
enum class Submission : std::uint8_t { automatic, sqpoll, defer };
enum class ZeroCopy : std::uint8_t { automatic, splice, send_zc, off };
enum class HugePages : std::uint8_t { automatic, on, off };
enum class StorageDriver : std::uint8_t { sqlite, postgres, none };
enum class LogLevel : std::uint8_t { debug, info, warn, error, fatal };
enum class LogFormat : std::uint8_t { json, text };

// At most `max` events in `window_s` seconds; whoever exceeds it is refused for `block_s` seconds
// (0 = only until the window has room again). max = 0 is no limit.
struct RateLimit {
  std::uint32_t window_s = 60;
  std::uint32_t max = 100;
  std::uint32_t block_s = 300;
  bool operator==(const RateLimit&) const = default;
};

// Units are in the names; a name without one is a count. "0 = no limit" holds in bandwidth, in
// security and for the limits of [room] that say so. docs/CONFIGURATION.md gives bounds and what
// each key counts.
struct Config {
  struct Node {
    std::string id;  // empty: the host's name
    std::string region = "global";
    std::string public_host;  // empty: clients are told the address they reached
    std::uint32_t weight = 100;
    bool operator==(const Node&) const = default;
  } node;

  struct Engine {
    EngineBackend backend = EngineBackend::uring;
    std::uint32_t shards = 0;       // 0: planned from the online cores (cpu.h)
    std::string cpus;               // "0-3,8"; empty: the affinity mask
    std::int32_t control_cpu = -1;  // -1: planned
    Submission submission = Submission::automatic;
    std::uint32_t sqpoll_idle_ms = 1000;
    std::uint32_t ring_entries = 4096;  // a power of two
    ZeroCopy zero_copy = ZeroCopy::automatic;
    std::uint64_t buffer_size = 64 * 1024;  // bytes of one stream buffer, a multiple of 4096
    std::uint32_t buffers = 8192;           // stream buffers a shard, a power of two
    std::uint32_t busy_poll_us = 0;
    HugePages hugepages = HugePages::automatic;
    std::string dpdk_args;  // separated by spaces: the arguments themselves contain commas
    bool operator==(const Engine&) const = default;
  } engine;

  struct Listen {
    std::vector<IpAddress> address = {IpAddress::v4(0, 0, 0, 0), IpAddress{}};
    std::uint16_t port = 7777;
    bool tcp = true;
    bool udp = true;
    std::uint32_t backlog = 4096;
    bool fastopen = false;
    bool freebind = false;
    bool proxy_protocol = false;
    std::vector<Network> trusted_proxies;
    bool operator==(const Listen&) const = default;
  } listen;

  struct Sessions {
    std::uint32_t max_sessions = 100'000;
    std::uint32_t max_connections_per_session = 8;
    std::uint32_t session_timeout_s = 300;
    std::uint32_t handshake_timeout_s = 10;
    std::uint32_t pair_timeout_s = 30;
    std::uint32_t keepalive_interval_s = 15;
    std::uint32_t keepalive_timeout_s = 90;
    bool tcp_nodelay = true;
    std::uint32_t max_lifetime_s = 0;  // 0: none
    std::uint32_t token_max_age_s = 86'400;
    std::uint32_t drain_timeout_s = 300;
    bool operator==(const Sessions&) const = default;
  } sessions;

  struct Bandwidth {
    double session_mbps = 10;  // 10^6 bit/s of payload, both directions together; 0: no limit
    double global_mbps = 0;
    double window_s = 1;
    double burst = 2.0;  // bucket depth in windows
    bool operator==(const Bandwidth&) const = default;
  } bandwidth;

  struct Security {
    std::uint32_t max_packet_size = 1472;  // bytes of UDP payload
    std::uint32_t packets_per_second = 1000;
    std::uint32_t blacklist_threshold = 100;  // offences in 60 s
    std::uint32_t blacklist_duration_s = 300;
    std::vector<Network> exempt;
    std::uint32_t connections_per_address = 2048;
    std::uint32_t half_open_per_address = 512;
    std::uint32_t new_connections_per_minute = 0;
    std::string key_file;  // never empty after load_config
    bool operator==(const Security&) const = default;
  } security;

  struct Room {
    bool enabled = true;
    IpAddress bind = IpAddress::v4(0, 0, 0, 0);
    std::uint16_t port = 3000;
    bool guest_login = true;
    std::string jwt_secret_file;  // never empty after load_config
    std::string jwt_issuer = "sudachi-rooms";
    std::string jwt_audience = "sudachi-multiplayer";
    std::uint32_t token_lifetime_s = 86'400;
    std::uint32_t ping_interval_ms = 25'000;
    std::uint32_t ping_timeout_ms = 30'000;
    std::uint32_t max_connections = 10'000;
    std::uint32_t connections_per_address = 256;
    std::vector<std::string> cors_origins = {"*"};
    std::uint64_t max_request_size = 1024 * 1024;
    RateLimit rate_limit = {60, 100, 300};
    RateLimit address_rate_limit = {60, 1000, 60};
    RateLimit message_rate_limit = {10, 200, 0};
    RateLimit signal_rate_limit = {10, 100, 0};
    std::uint64_t send_queue_bytes = 1024 * 1024;
    bool list_broadcast = true;
    std::uint32_t reconnect_grace_s = 30;
    std::uint32_t session_lifetime_s = 1800;
    std::uint32_t max_rooms = 5000;
    std::uint32_t rooms_per_client = 8;
    std::uint32_t room_timeout_s = 1800;
    std::uint32_t cleanup_interval_s = 300;
    std::uint32_t max_players = 8;
    std::string tls_cert;
    std::string tls_key;
    bool operator==(const Room&) const = default;
  } room;

  struct Storage {
    StorageDriver driver = StorageDriver::sqlite;
    std::string path;  // never empty after load_config
    SecretText url;
    std::string url_file;
    std::uint32_t pool_min = 2;
    std::uint32_t pool_max = 10;
    std::uint32_t retention_days = 30;  // 0: for ever
    bool operator==(const Storage&) const = default;
  } storage;

  struct Cluster {
    SecretText redis_url;  // empty, like redis_url_file: a node on its own
    std::string redis_url_file;
    std::string key_prefix = "tandem:";
    std::uint32_t heartbeat_s = 5;
    bool operator==(const Cluster&) const = default;
  } cluster;

  struct Monitoring {
    IpAddress bind = IpAddress::v4(127, 0, 0, 1);
    std::uint16_t port = 8080;
    bool metrics = true;
    bool compat_metrics = true;
    bool operator==(const Monitoring&) const = default;
  } monitoring;

  struct Log {
    LogLevel level = LogLevel::info;
    LogFormat format = LogFormat::json;
    std::string file;                            // empty: standard error
    std::uint64_t max_size = 100 * 1024 * 1024;  // 0: rotation is left to logrotate and SIGHUP
    std::uint32_t max_files = 5;
    bool operator==(const Log&) const = default;
  } log;

  struct Admin {
    std::string socket = "/run/tandem/admin.sock";
    std::string token_file;  // never empty after load_config
    bool operator==(const Admin&) const = default;
  } admin;

  // Where keys, tokens and the database are made unless a key says otherwise. Not a key itself: it
  // is $STATE_DIRECTORY, else /var/lib/tandem for root, else $XDG_STATE_HOME/tandem or
  // ~/.local/state/tandem.
  std::string state_dir;

  bool operator==(const Config&) const = default;
};

// `file` is the file's name, "--set" or "environment"; line and column count from 1, 0 = does not
// apply.
struct ConfigError {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string message;
};

// "tandem.toml:12: security.max_packet_sise: unknown key; did you mean security.max_packet_size?"
[[nodiscard]] std::string to_string(const ConfigError& error);

struct ConfigText {
  std::string name;  // for error messages
  std::string text;
};

// Reads at most 1 MiB. The error has the file's name and the system's reason.
[[nodiscard]] Result<ConfigText, ConfigError> read_config_file(const std::string& path);

// Whether this build has the DPDK back end; engine.backend = "dpdk" is refused where it has not.
[[nodiscard]] bool built_with_dpdk();

// Everything that a configuration is made of, as data, so that a test can say all of it.
// Precedence: overrides, then environment, then file, then the defaults.
struct ConfigSources {
  // Initialized, so that a designated initializer may leave any of them out without a warning.
  std::optional<ConfigText> file = {};
  std::vector<std::string> overrides = {};  // --set: "section.key=value"
  std::map<std::string, std::string> environment =
      {};             // all of it: others' variables are passed over
  bool root = false;  // decides where state and admin socket are by default
  bool dpdk = built_with_dpdk();
};

// The first error in the order file, environment, flags, then what contradicts itself.
[[nodiscard]] Result<Config, ConfigError> load_config(const ConfigSources& sources);

// The process's environment as load_config() takes it.
[[nodiscard]] std::map<std::string, std::string> process_environment();

enum class Applies : std::uint8_t { live, restart };

struct KeyChange {
  std::string_view key;  // "sessions.max_sessions"; points at static storage
  std::string from;      // as in the file; "(hidden)" for secrets
  std::string to;
  Applies applies = Applies::live;
};

// In the table's order; empty where nothing changed.
[[nodiscard]] std::vector<KeyChange> diff(const Config& before, const Config& after);

// `before` with the live keys of `after`: what a running daemon holds once a reload was applied.
[[nodiscard]] Config apply_live(const Config& before, const Config& after);

struct KeyDescription {
  std::string_view key;
  std::string environment;    // "TANDEM_SECURITY_MAX_PACKET_SIZE"
  std::string_view type;      // "integer", "size", "list of networks", …
  std::string bounds;         // "96 to 65507", "uring, dpdk"; empty where anything goes
  std::string default_value;  // as in the file: "1mb" in quotes, ["*"], true
  Applies applies = Applies::live;
  std::string_view meaning;
};
[[nodiscard]] std::vector<KeyDescription> describe_keys();

// packaging/tandem.toml: every default as a comment with its meaning.
[[nodiscard]] std::string render_default_file();

// The rows of one section's table in docs/CONFIGURATION.md (Markdown).
[[nodiscard]] std::string render_key_rows(std::string_view section);

}  // namespace tandem
