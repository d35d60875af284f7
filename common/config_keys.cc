#include "common/config_keys.h"

#include <algorithm>
#include <initializer_list>

#include "common/config_binding.h"
#include "common/cpu.h"

namespace tandem {
namespace {

bool only(std::string_view text, std::string_view extra) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           extra.find(c) != std::string_view::npos;
  });
}

bool begins_with_any(std::string_view text, std::initializer_list<std::string_view> schemes) {
  return std::any_of(schemes.begin(), schemes.end(),
                     [&](std::string_view scheme) { return text.starts_with(scheme); });
}

bool is_origin(std::string_view text) {
  const auto scheme = text.find("://");
  return scheme != std::string_view::npos && scheme > 0 && scheme + 3 < text.size() &&
         text.find('/', scheme + 3) == std::string_view::npos && only(text, ".:/-_[]+");
}

constexpr TextRule kNodeId = {"at most 64 letters, digits, dots, dashes and underscores",
                              [](std::string_view t) { return t.size() <= 64 && only(t, ".-_"); }};
constexpr TextRule kRegion = {
    "1 to 16 letters, digits, dots, dashes and underscores",
    [](std::string_view t) { return !t.empty() && t.size() <= 16 && only(t, ".-_"); }};
constexpr TextRule kHost = {"a host name or an address, without a port", [](std::string_view t) {
                              const bool name = only(t, ".-_") && t.size() <= 253;
                              return name || IpAddress::parse(t).has_value();
                            }};
constexpr TextRule kCpuList = {"cores such as 0-3,8", [](std::string_view t) {
                                 return t.empty() || parse_cpu_list(t).has_value();
                               }};
constexpr TextRule kNotEmpty = {"1 to 256 bytes",
                                [](std::string_view t) { return !t.empty() && t.size() <= 256; }};
// sun_path has 108 bytes with the terminating zero (unix(7)).
constexpr TextRule kSocketPath = {"a path of 1 to 107 bytes",
                                  [](std::string_view t) { return !t.empty() && t.size() <= 107; }};
constexpr TextRule kOrigin = {"* or scheme://host[:port]",
                              [](std::string_view t) { return t == "*" || is_origin(t); }};
constexpr TextRule kPostgresUrl = {
    "postgres://… or postgresql://…", [](std::string_view t) {
      return t.empty() || begins_with_any(t, {"postgres://", "postgresql://"});
    }};
constexpr TextRule kRedisUrl = {
    "redis://…, rediss://… or unix://…", [](std::string_view t) {
      return t.empty() || begins_with_any(t, {"redis://", "rediss://", "unix://"});
    }};
constexpr TextRule kRedisPrefix = {"at most 64 letters, digits and :.-_{}", [](std::string_view t) {
                                     return t.size() <= 64 && only(t, ":.-_{}");
                                   }};

constexpr KeyBounds kAny = {};
constexpr KeyBounds between(double min, double max) {
  return {.min = min, .max = max};
}
constexpr KeyBounds power_of_two(double min, double max) {
  return {.min = min, .max = max, .power_of_two = true};
}
constexpr KeyBounds multiples(std::int64_t of, double min, double max) {
  return {.min = min, .max = max, .multiple_of = of};
}
constexpr KeyBounds rule(const TextRule& rule) {
  return {.rule = &rule};
}

constexpr double kKilo = 1024;
constexpr double kMega = 1024 * kKilo;
constexpr double kGiga = 1024 * kMega;
constexpr double kDayS = 86'400;
constexpr double kYearS = 365 * kDayS;
constexpr double kCountMax = 1e9;

constexpr Applies live = Applies::live;
constexpr Applies restart = Applies::restart;

// A lambda cannot be spelled from a name without the preprocessor, and a name written twice drifts.
#define KEY(path, bounds, applies, meaning) \
  make_key(                                 \
      #path, [](auto& config) -> auto& { return config.path; }, bounds, applies, meaning)

constexpr ConfigKey kKeys[] = {
    KEY(node.id, rule(kNodeId), restart,
        "The node's name in the fleet, in metrics and to clients; no two nodes share one. Empty: "
        "the host's name."),
    KEY(node.region, rule(kRegion), live,
        "The region that rooms and clients are matched with when a relay is picked."),
    KEY(node.public_host, rule(kHost), live,
        "The name or address that clients are told to reach this relay at. Empty: the local "
        "address that their request reached."),
    KEY(node.weight, between(0, 1000), live,
        "The node's share when a relay is picked, beside the others' weights; 0 takes no new "
        "sessions from placement."),

    KEY(engine.backend, kAny, restart,
        "What moves datagrams: io_uring on the kernel's sockets, or DPDK on a network card of "
        "its own (a build option)."),
    KEY(engine.shards, between(0, 256), restart,
        "Threads that carry traffic. 0: one a core; from 3 cores up, one core is left to the "
        "control thread."),
    KEY(engine.cpus, rule(kCpuList), restart,
        "The cores to use, such as \"0-3,8\". Empty: those of the process's affinity mask."),
    KEY(engine.control_cpu, between(-1, 8191), restart,
        "The core of the control thread. -1: the first one from 3 cores up, any below."),
    KEY(engine.submission, kAny, restart,
        "How a shard submits to io_uring: sqpoll (a kernel thread polls, needs a core a shard) "
        "or defer (the shard enters the kernel once a turn). auto: sqpoll where engine.shards "
        "leaves cores over."),
    KEY(engine.sqpoll_idle_ms, between(1, 60'000), restart,
        "With sqpoll, how long the kernel's thread spins without work before it sleeps."),
    KEY(engine.ring_entries, power_of_two(64, 32'768), restart,
        "Submission entries of a shard's ring."),
    KEY(engine.zero_copy, kAny, restart,
        "How bulk streams skip copies: splice through pipes, send_zc from registered memory, or "
        "off. auto: what measures better on the route."),
    KEY(engine.buffer_size, multiples(4096, 4 * kKilo, kMega), restart,
        "One stream buffer. Larger ones favour bulk streams, smaller ones many small messages; "
        "datagram buffers have their own fixed size."),
    KEY(engine.buffers, power_of_two(16, 32'768), restart,
        "Stream buffers a shard; an idle stream holds none. Memory: buffers x buffer_size x "
        "shards."),
    KEY(engine.busy_poll_us, between(0, 10'000), restart,
        "Microseconds that a shard polls the network card before it sleeps (NAPI busy poll): "
        "less latency for more CPU. 0: never."),
    KEY(engine.hugepages, kAny, restart,
        "Buffers in huge pages: auto takes them where there are any, on does not start without."),
    KEY(engine.dpdk_args, kAny, restart,
        "Arguments for DPDK's environment layer, separated by spaces."),

    KEY(listen.address, kAny, restart,
        "The addresses to listen on, IPv4 and IPv6. Each is bound for TCP and UDP; :: takes IPv6 "
        "alone."),
    KEY(listen.port, between(1, 65'535), restart,
        "The relay's port, the same number for TCP and UDP."),
    KEY(listen.tcp, kAny, restart, "Serve TCP on these addresses."),
    KEY(listen.udp, kAny, restart, "Serve UDP on these addresses."),
    KEY(listen.backlog, between(1, 65'535), restart,
        "Accepted connections that may wait for a shard; the kernel caps it at "
        "net.core.somaxconn."),
    KEY(listen.fastopen, kAny, restart,
        "Take TCP Fast Open: saves returning clients a round trip. Off, since a replayed SYN "
        "repeats its JOIN line."),
    KEY(listen.freebind, kAny, restart,
        "Bind addresses that the host does not have yet (a floating address of a standby)."),
    KEY(listen.proxy_protocol, kAny, restart,
        "Every TCP connection begins with a PROXY protocol header (v1 or v2) of one of "
        "trusted_proxies."),
    KEY(listen.trusted_proxies, kAny, live,
        "Networks of load balancers whose word about a client's address is taken, in PROXY "
        "headers and in X-Forwarded-For on the room port."),

    KEY(sessions.max_sessions, between(1, 16'000'000), restart,
        "Sessions at once on this node, all shards together; their table is reserved at the "
        "start."),
    KEY(sessions.max_connections_per_session, multiples(2, 2, 64), live,
        "Connections of one session: TCP lanes of both sides and the UDP sides. Each side may "
        "use half."),
    KEY(sessions.session_timeout_s, between(1, kDayS), live,
        "Seconds after which a session without any live connection ends. Silence alone ends "
        "nothing."),
    KEY(sessions.handshake_timeout_s, between(1, 300), live,
        "Seconds that a TCP connection has for its JOIN line."),
    KEY(sessions.pair_timeout_s, between(1, 3600), live,
        "Seconds that one side waits for its counterpart."),
    KEY(sessions.keepalive_interval_s, between(1, 3600), live,
        "Seconds between keepalives: what UDP clients are told and what TCP uses to find dead "
        "peers. Below 30, the time that connection trackers give an unanswered flow."),
    KEY(sessions.keepalive_timeout_s, between(2, 65'535), live,
        "Seconds of silence after which a UDP side loses its binding and a TCP peer that "
        "acknowledges nothing is dead. Larger than keepalive_interval_s."),
    KEY(sessions.tcp_nodelay, kAny, live, "Send small TCP segments at once (new connections)."),
    KEY(sessions.max_lifetime_s, between(0, kYearS), live,
        "Seconds after which a session ends even if it is in use. 0: never."),
    KEY(sessions.token_max_age_s, between(60, kYearS), live,
        "A token that expires further away than this is refused, so a leaked key's tokens die "
        "out."),
    KEY(sessions.drain_timeout_s, between(0, kDayS), live,
        "Seconds that a draining node gives its sessions before it ends them."),

    KEY(bandwidth.session_mbps, between(0, 1e6), live,
        "Megabits a second (10^6) of forwarded payload a session, both directions together. 0: "
        "no limit."),
    KEY(bandwidth.global_mbps, between(0, 1e7), live,
        "The same for all sessions of the node. 0: no limit; 95 % of the link is a good value."),
    KEY(bandwidth.window_s, between(0.01, 60), live,
        "Seconds over which a rate is held: the time in which a bucket fills once."),
    KEY(bandwidth.burst, between(1, 100), live,
        "How many windows' worth may pass at once after a pause."),

    KEY(security.max_packet_size, between(96, 65'507), live,
        "Largest datagram, in bytes of UDP payload with the relay's header; larger ones are "
        "dropped."),
    KEY(security.packets_per_second, between(0, kCountMax), live,
        "Datagrams a second from one source: address and port once it proved itself, before that "
        "the IPv4 address or IPv6 /64. 0: no limit."),
    KEY(security.blacklist_threshold, between(0, 1e6), live,
        "Offences in 60 seconds (bad token, malformed, over rate) after which an address that "
        "proved to be real is banned. 0: never."),
    KEY(security.blacklist_duration_s, between(1, kYearS), live, "Seconds that a ban lasts."),
    KEY(security.exempt, kAny, live,
        "Networks that are never banned or limited by address: health checkers, local tunnels."),
    KEY(security.connections_per_address, between(0, kCountMax), live,
        "TCP connections at once from one IPv4 address or IPv6 /64. 0: no limit."),
    KEY(security.half_open_per_address, between(0, kCountMax), live,
        "Of these, connections that have not joined yet. 0: no limit."),
    KEY(security.new_connections_per_minute, between(0, kCountMax), live,
        "TCP connections a minute from one address. 0: no limit; mobile carriers put thousands "
        "behind one address."),
    KEY(security.key_file, kAny, live,
        "The token keys: lines of \"<key_id> <hex of 32 bytes or more> [mint]\". Empty: the "
        "credential tandem.keys, else keys in the state folder, made at the first start."),

    KEY(room.enabled, kAny, restart, "Run the room service in this daemon."),
    KEY(room.bind, kAny, restart, "The address of the room service; :: takes IPv6 alone."),
    KEY(room.port, between(0, 65'535), restart,
        "Its port, for HTTP and WebSocket. 0: a free one, named in the log."),
    KEY(room.guest_login, kAny, live,
        "Anyone may ask for a guest's token. Off: only tokens that a back end minted are taken."),
    KEY(room.jwt_secret_file, kAny, live,
        "Keys of client tokens (HS256). Empty: the credential tandem.jwt_secret, else jwt_secret "
        "in the state folder, made at the first start."),
    KEY(room.jwt_issuer, rule(kNotEmpty), live, "The iss that a client's token must carry."),
    KEY(room.jwt_audience, rule(kNotEmpty), live, "The aud that a client's token must carry."),
    KEY(room.token_lifetime_s, between(60, 30 * kDayS), live,
        "Seconds that a guest's token lasts; its live socket is closed then and comes back with "
        "another."),
    KEY(room.ping_interval_ms, between(1000, 600'000), live,
        "Milliseconds between Engine.IO pings (new connections)."),
    KEY(room.ping_timeout_ms, between(1000, 600'000), live,
        "Milliseconds that a client has to answer one (new connections)."),
    KEY(room.max_connections, between(1, 1e6), live, "Clients connected at once."),
    KEY(room.connections_per_address, between(0, 1e6), live,
        "Of these, from one IPv4 address or IPv6 /64. 0: no limit."),
    KEY(room.cors_origins, rule(kOrigin), live,
        "Origins whose pages may call the API. \"*\": all, without credentials; listed ones with."),
    KEY(room.max_request_size, between(kKilo, 64 * kMega), live,
        "Largest HTTP body and WebSocket message."),
    KEY(room.rate_limit.window_s, between(1, 3600), live,
        "Requests a client: the window, in seconds."),
    KEY(room.rate_limit.max, between(0, 1e6), live, "Requests in one window. 0: no limit."),
    KEY(room.rate_limit.block_s, between(0, kDayS), live,
        "Seconds that a client over it is refused. 0: until the window has room again."),
    KEY(room.address_rate_limit.window_s, between(1, 3600), live,
        "Requests an address (IPv4 or IPv6 /64), whoever sends them: the window, in seconds."),
    KEY(room.address_rate_limit.max, between(0, 1e6), live, "Requests in one window. 0: no limit."),
    KEY(room.address_rate_limit.block_s, between(0, kDayS), live,
        "Seconds that an address over it is refused."),
    KEY(room.message_rate_limit.window_s, between(1, 3600), live,
        "room:message of one client: the window, in seconds."),
    KEY(room.message_rate_limit.max, between(0, 1e6), live, "Messages in one window. 0: no limit."),
    KEY(room.message_rate_limit.block_s, between(0, kDayS), live,
        "Seconds that messages of a client over it are refused."),
    KEY(room.signal_rate_limit.window_s, between(1, 3600), live,
        "p2p:signal of one client: the window, in seconds."),
    KEY(room.signal_rate_limit.max, between(0, 1e6), live, "Signals in one window. 0: no limit."),
    KEY(room.signal_rate_limit.block_s, between(0, kDayS), live,
        "Seconds that signals of a client over it are refused."),
    KEY(room.send_queue_bytes, between(4 * kKilo, kGiga), live,
        "Bytes that may wait for a slow client; past it the socket is closed."),
    KEY(room.list_broadcast, kAny, live,
        "Sockets that never subscribed get every public room:list:update, as older clients "
        "expect."),
    KEY(room.reconnect_grace_s, between(0, 3600), live,
        "Seconds that the seats of a client that dropped are kept."),
    KEY(room.session_lifetime_s, between(0, kDayS), live,
        "Seconds in which the same client may take a free seat of its again; at least "
        "reconnect_grace_s."),
    KEY(room.max_rooms, between(1, 1e6), live, "Rooms at once."),
    KEY(room.rooms_per_client, between(1, 1000), live, "Rooms that one client may be in at once."),
    KEY(room.room_timeout_s, between(1, 30 * kDayS), live,
        "Seconds after which a room without a connected member is closed."),
    KEY(room.cleanup_interval_s, between(1, kDayS), live,
        "Seconds between two looks for stored history that is past storage.retention_days."),
    KEY(room.max_players, between(2, 256), live, "The largest room that a client may ask for."),
    KEY(room.tls_cert, kAny, live,
        "Certificate chain (PEM) for HTTPS and WSS on the room port. Empty: plain, for a proxy "
        "in front."),
    KEY(room.tls_key, kAny, live, "Its private key (PEM)."),

    KEY(storage.driver, kAny, restart,
        "Where rooms and the history of sessions are kept; none: in memory alone."),
    KEY(storage.path, kAny, restart, "SQLite's file. Empty: tandem.db in the state folder."),
    KEY(storage.url, rule(kPostgresUrl), restart,
        "PostgreSQL's URL. One with a password belongs in url_file."),
    KEY(storage.url_file, kAny, restart,
        "A file that holds the URL. Empty: the credential tandem.storage_url where there is one."),
    KEY(storage.pool_min, between(1, 100), restart, "PostgreSQL connections that are kept open."),
    KEY(storage.pool_max, between(1, 100), restart, "PostgreSQL connections at most."),
    KEY(storage.retention_days, between(0, 3650), live,
        "Days that the history of ended sessions and rooms is kept. 0: for ever."),

    KEY(cluster.redis_url, rule(kRedisUrl), restart,
        "The Redis that the nodes of a fleet share. Empty, with redis_url_file too: a node on "
        "its own. One with a password belongs in redis_url_file."),
    KEY(cluster.redis_url_file, kAny, restart,
        "A file that holds the URL. Empty: the credential tandem.redis_url where there is one."),
    KEY(cluster.key_prefix, rule(kRedisPrefix), restart,
        "What every Redis key and channel begins with: one for each fleet."),
    KEY(cluster.heartbeat_s, between(1, 300), live,
        "Seconds between a node's heartbeats; one that misses three is taken for dead."),

    KEY(monitoring.bind, kAny, restart,
        "The address of health, metrics and dashboard. Loopback: metrics tell who plays with "
        "whom."),
    KEY(monitoring.port, between(0, 65'535), restart, "Its port. 0: a free one, named in the log."),
    KEY(monitoring.metrics, kAny, live, "Serve /metrics."),
    KEY(monitoring.compat_metrics, kAny, live,
        "Beside the tandem_ metrics, the names that older dashboards and autoscalers read."),

    KEY(log.level, kAny, live, "The least important lines that are written. Also LOG_LEVEL."),
    KEY(log.format, kAny, live,
        "json: one object a line. text: for people and the journal. Also LOG_FORMAT."),
    KEY(log.file, kAny, live,
        "The file to write. Empty: standard error. A reload opens it anew, for logrotate."),
    KEY(log.max_size, between(0, 64 * kGiga), live,
        "Size at which the file is rotated. 0: never, logrotate does it."),
    KEY(log.max_files, between(1, 100), live, "Rotated files that are kept: file.1 is the newest."),

    KEY(admin.socket, rule(kSocketPath), restart,
        "tandemctl's socket. Where it is not set and the user is not root: admin.sock in "
        "$RUNTIME_DIRECTORY, else in $XDG_RUNTIME_DIR/tandem."),
    KEY(admin.token_file, kAny, restart,
        "The operator's token, made with mode 0600 at the first start. Empty: the credential "
        "tandem.admin_token, else admin_token in the state folder."),
};

#undef KEY

}  // namespace

std::span<const ConfigKey> config_keys() {
  return kKeys;
}

const ConfigKey* find_config_key(std::string_view name) {
  const auto at = std::find_if(std::begin(kKeys), std::end(kKeys),
                               [&](const ConfigKey& key) { return key.name == name; });
  return at == std::end(kKeys) ? nullptr : at;
}

std::string environment_name(const ConfigKey& key) {
  std::string name = "TANDEM_";
  for (const char c : key.name) {
    const bool letter = c >= 'a' && c <= 'z';
    name += c == '.' ? '_' : letter ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

}  // namespace tandem
