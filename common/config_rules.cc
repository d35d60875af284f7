#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include "common/config_keys.h"

namespace tandem {
namespace {

using Found = std::optional<Contradiction>;
using Environment = std::map<std::string, std::string>;

// --- what contradicts itself

Found check_engine(const Config& config, bool dpdk) {
  const auto& engine = config.engine;
  if (engine.backend == EngineBackend::dpdk && !dpdk) {
    return {
        {{"engine.backend"}, "engine.backend: this build has no DPDK; build with -Ddpdk=enabled"}};
  }
  // What a slip in one of two factors makes of the memory is seen here, not by the kernel's killer.
  constexpr std::uint64_t kShardBytesMax = std::uint64_t{8} << 30;
  if (engine.buffer_size * engine.buffers > kShardBytesMax) {
    return {{{"engine.buffer_size", "engine.buffers"},
             "engine.buffers x engine.buffer_size: more than 8gb a shard"}};
  }
  return std::nullopt;
}

Found check_listen(const Config& config) {
  const auto& listen = config.listen;
  if (!listen.tcp && !listen.udp && !config.room.enabled) {
    return {{{"listen.tcp", "listen.udp", "room.enabled"},
             "listen.tcp, listen.udp and room.enabled are all false: nothing is left to serve"}};
  }
  if ((listen.tcp || listen.udp) && listen.address.empty()) {
    return {{{"listen.address"}, "listen.address: empty while listen.tcp or listen.udp is on"}};
  }
  if (std::set(listen.address.begin(), listen.address.end()).size() != listen.address.size()) {
    return {{{"listen.address"}, "listen.address: names an address twice"}};
  }
  if (listen.proxy_protocol && listen.trusted_proxies.empty()) {
    return {{{"listen.proxy_protocol", "listen.trusted_proxies"},
             "listen.proxy_protocol needs listen.trusted_proxies: without it anyone could claim "
             "any address"}};
  }
  return std::nullopt;
}

Found check_sessions(const Config& config) {
  const auto& sessions = config.sessions;
  if (sessions.keepalive_timeout_s <= sessions.keepalive_interval_s) {
    return {{{"sessions.keepalive_timeout_s", "sessions.keepalive_interval_s"},
             fmt::format(
                 "sessions.keepalive_timeout_s ({}) must be larger than keepalive_interval_s ({})",
                 sessions.keepalive_timeout_s, sessions.keepalive_interval_s)}};
  }
  return std::nullopt;
}

// One of the service's TCP sockets.
struct Door {
  std::string_view port_key;
  std::string_view bind_key;
  IpAddress address;
  std::uint16_t port;
};

bool is_wildcard(const IpAddress& address) {
  return address == IpAddress{} || address == IpAddress::v4(0, 0, 0, 0);
}

bool collide(const Door& a, const Door& b) {
  if (a.port != b.port || a.port == 0 || a.address.is_v4() != b.address.is_v4()) return false;
  return a.address == b.address || is_wildcard(a.address) || is_wildcard(b.address);
}

Found check_ports(const Config& config) {
  std::vector<Door> doors;
  if (config.listen.tcp) {
    for (const IpAddress& address : config.listen.address) {
      doors.push_back({"listen.port", "listen.address", address, config.listen.port});
    }
  }
  if (config.room.enabled) {
    doors.push_back({"room.port", "room.bind", config.room.bind, config.room.port});
  }
  doors.push_back(
      {"monitoring.port", "monitoring.bind", config.monitoring.bind, config.monitoring.port});
  for (auto a = doors.begin(); a != doors.end(); ++a) {
    for (auto b = a + 1; b != doors.end(); ++b) {
      // The relay's own addresses differ from each other.
      if (a->port_key == b->port_key || !collide(*a, *b)) continue;
      return {{{a->port_key, a->bind_key, b->port_key, b->bind_key},
               fmt::format("{} and {} are both {} on the same address", a->port_key, b->port_key,
                           a->port)}};
    }
  }
  return std::nullopt;
}

Found check_room(const Config& config) {
  const auto& room = config.room;
  if (room.tls_cert.empty() != room.tls_key.empty()) {
    return {{{"room.tls_cert", "room.tls_key"}, "room.tls_cert and room.tls_key go together"}};
  }
  if (room.session_lifetime_s < room.reconnect_grace_s) {
    return {{{"room.session_lifetime_s", "room.reconnect_grace_s"},
             fmt::format("room.session_lifetime_s ({}) must be at least reconnect_grace_s ({})",
                         room.session_lifetime_s, room.reconnect_grace_s)}};
  }
  return std::nullopt;
}

Found check_storage(const Config& config) {
  const auto& storage = config.storage;
  const bool url = !storage.url.value.empty();
  const bool url_file = !storage.url_file.empty();
  if (url && url_file) {
    return {{{"storage.url", "storage.url_file"},
             "storage.url and storage.url_file exclude each other"}};
  }
  if (storage.driver == StorageDriver::postgres && !url && !url_file) {
    return {{{"storage.driver"}, "storage.driver: postgres needs storage.url or storage.url_file"}};
  }
  if (storage.driver != StorageDriver::postgres && (url || url_file)) {
    return {{{"storage.driver", "storage.url", "storage.url_file"},
             "storage.url and storage.url_file are for storage.driver = \"postgres\""}};
  }
  if (storage.pool_min > storage.pool_max) {
    return {{{"storage.pool_min", "storage.pool_max"},
             fmt::format("storage.pool_min ({}) must be at most pool_max ({})", storage.pool_min,
                         storage.pool_max)}};
  }
  return std::nullopt;
}

Found check_cluster(const Config& config) {
  if (!config.cluster.redis_url.value.empty() && !config.cluster.redis_url_file.empty()) {
    return {{{"cluster.redis_url", "cluster.redis_url_file"},
             "cluster.redis_url and cluster.redis_url_file exclude each other"}};
  }
  return std::nullopt;
}

// --- what the host decides

std::string variable(const Environment& environment, const char* name) {
  const auto at = environment.find(name);
  return at == environment.end() ? "" : at->second;
}

// systemd joins several directories of one kind by colons (systemd.exec(5)); the first is ours.
std::string directory(const Environment& environment, const char* name) {
  const std::string value = variable(environment, name);
  return value.substr(0, value.find(':'));
}

std::string state_directory(const Environment& environment, bool root) {
  if (auto given = directory(environment, "STATE_DIRECTORY"); !given.empty()) return given;
  const std::string system = "/var/lib/tandem";
  if (root) return system;
  if (auto xdg = variable(environment, "XDG_STATE_HOME"); !xdg.empty()) return xdg + "/tandem";
  if (auto home = variable(environment, "HOME"); !home.empty())
    return home + "/.local/state/tandem";
  return system;
}

std::string user_socket(const Environment& environment, const std::string& state_dir) {
  if (auto given = directory(environment, "RUNTIME_DIRECTORY"); !given.empty())
    return given + "/admin.sock";
  if (auto xdg = variable(environment, "XDG_RUNTIME_DIR"); !xdg.empty())
    return xdg + "/tandem/admin.sock";
  return state_dir + "/admin.sock";
}

// The path of a systemd credential (LoadCredential=) where the unit has one of this name.
std::string credential(const Environment& environment, const std::string& name) {
  const std::string folder = variable(environment, "CREDENTIALS_DIRECTORY");
  if (folder.empty()) return "";
  const std::string path = folder + "/" + name;
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) ? path : "";
}

}  // namespace

std::optional<Contradiction> find_contradiction(const Config& config, bool dpdk) {
  if (auto found = check_engine(config, dpdk)) return found;
  for (const auto check :
       {check_listen, check_sessions, check_ports, check_room, check_storage, check_cluster}) {
    if (auto found = check(config)) return found;
  }
  return std::nullopt;
}

void resolve_paths(Config& config, const Environment& environment, bool root, bool socket_is_set) {
  config.state_dir = state_directory(environment, root);
  const auto fill = [&](std::string& path, const char* credential_name, const char* state_name) {
    if (path.empty()) path = credential(environment, credential_name);
    if (path.empty()) path = config.state_dir + "/" + state_name;
  };
  fill(config.security.key_file, "tandem.keys", "keys");
  fill(config.room.jwt_secret_file, "tandem.jwt_secret", "jwt_secret");
  fill(config.admin.token_file, "tandem.admin_token", "admin_token");
  if (config.storage.path.empty()) config.storage.path = config.state_dir + "/tandem.db";

  auto& storage = config.storage;
  if (storage.driver == StorageDriver::postgres && storage.url.value.empty() &&
      storage.url_file.empty()) {
    storage.url_file = credential(environment, "tandem.storage_url");
  }
  auto& cluster = config.cluster;
  if (cluster.redis_url.value.empty() && cluster.redis_url_file.empty()) {
    cluster.redis_url_file = credential(environment, "tandem.redis_url");
  }
  if (!root && !socket_is_set) config.admin.socket = user_socket(environment, config.state_dir);
}

}  // namespace tandem
