#include "common/config.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "common/config_keys.h"

namespace tandem {
namespace {

namespace fs = std::filesystem;
using Outcome = Result<Config, ConfigError>;
using Environment = std::map<std::string, std::string>;

Outcome load(std::string text, Environment environment = {},
             std::vector<std::string> overrides = {}) {
  return load_config({.file = ConfigText{"tandem.toml", std::move(text)},
                      .overrides = std::move(overrides),
                      .environment = std::move(environment),
                      .root = true});
}
Outcome load_environment(Environment environment) {
  return load("", std::move(environment));
}
Outcome load_overrides(std::vector<std::string> overrides) {
  return load("", {}, std::move(overrides));
}

std::string error_of(const Outcome& outcome) {
  return outcome.has_value() ? "no error" : to_string(outcome.error());
}

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(std::string(TANDEM_SOURCE_ROOT) + "/" + path).rdbuf();
  return text.str();
}

// As a file without any key gives it: the paths of the state folder are filled in.
Config defaults() {
  return *load("");
}

TEST_CASE("with no source at all the defaults load") {
  const auto config = load_config({.root = true});
  REQUIRE(config.has_value());
  CHECK(config->listen.port == 7777);
  CHECK(config->listen.address.size() == 2);
  CHECK(config->security.key_file == "/var/lib/tandem/keys");
  CHECK(config->admin.socket == "/run/tandem/admin.sock");
}

// --- the table

// A value of the key's that is valid and not the default, as text; what a flag would say.
std::string other_value(const ConfigKey& key) {
  static const std::map<std::string_view, std::string> kRuled = {
      {"node.id", "relay-1"},
      {"node.region", "eu-west"},
      {"node.public_host", "relay.example.org"},
      {"engine.cpus", "0-3,8"},
      {"room.cors_origins", "https://a.example,https://b.example:8443"},
      {"storage.url", "postgres://tandem@db/tandem"},
      {"cluster.redis_url", "rediss://cache:6379/0"},
      {"cluster.key_prefix", "fleet:"}};
  if (const auto ruled = kRuled.find(key.name); ruled != kRuled.end()) return ruled->second;
  const KeyValue usual = key.get(Config{});
  switch (key.type) {
    case KeyType::boolean:
      return std::get<bool>(usual) ? "false" : "true";
    case KeyType::choice:
      return std::string(key.choices.back() == std::get<std::string>(usual) ? key.choices.front()
                                                                            : key.choices.back());
    case KeyType::integer:
    case KeyType::size: {
      const auto number = static_cast<double>(std::get<std::int64_t>(usual));
      return std::to_string(
          static_cast<std::int64_t>(number == key.bounds.max ? key.bounds.min : key.bounds.max));
    }
    case KeyType::decimal:
      return "3.5";
    case KeyType::text:
    case KeyType::secret:
      return "/some/where else";
    case KeyType::address:
      return "2001:db8::1";
    case KeyType::addresses:
      return "192.0.2.1,2001:db8::1";
    case KeyType::networks:
      return "10.0.0.0/8,2001:db8::/32";
    case KeyType::texts:
      return "a,b";
  }
  return "";
}

// What other_value() is in a file.
std::string other_line(const ConfigKey& key) {
  const auto value = parse_value(key, other_value(key));
  REQUIRE(value.has_value());
  return std::string(key.name) + " = " + format_value(key, *value) + "\n";
}

// Sets a key alone: what the others would have to be does not matter here.
KeyValue value_after(const ConfigKey& key, const KeyValue& value) {
  Config config;
  key.set(config, value);
  return key.get(config);
}

TEST_CASE("every key has a name, a variable and a meaning of its own") {
  std::set<std::string_view> names;
  std::set<std::string> variables;
  for (const ConfigKey& key : config_keys()) {
    CAPTURE(key.name);
    CHECK(names.insert(key.name).second);
    CHECK(variables.insert(environment_name(key)).second);
    CHECK(key.meaning.size() > 10);
    CHECK(find_config_key(key.name) == &key);
    CHECK(check_value(key, key.get(Config{})).has_value());
  }
  CHECK(names.size() > 100);
}

TEST_CASE("every key keeps what it is set to") {
  for (const ConfigKey& key : config_keys()) {
    CAPTURE(key.name);
    const auto value = parse_value(key, other_value(key));
    REQUIRE(value.has_value());
    CHECK(*value != key.get(Config{}));
    CHECK(value_after(key, *value) == *value);
  }
}

// The keys that contradict the other defaults when they alone are set, and what has to come with
// them.
std::string company_of(std::string_view key) {
  if (key == "storage.url" || key == "storage.url_file") return "storage.driver=postgres";
  if (key == "sessions.keepalive_interval_s") return "sessions.keepalive_timeout_s=65535";
  if (key == "listen.proxy_protocol") return "listen.trusted_proxies=10.0.0.0/8";
  if (key == "room.tls_cert") return "room.tls_key=key.pem";
  if (key == "room.tls_key") return "room.tls_cert=cert.pem";
  if (key == "room.reconnect_grace_s") return "room.session_lifetime_s=86400";
  if (key == "storage.pool_min") return "storage.pool_max=100";
  if (key == "storage.driver") return "storage.driver=none";
  if (key == "engine.buffers" || key == "engine.buffer_size") return "engine.buffers=64";
  if (key == "listen.port") return "monitoring.port=1";
  return "log.level=info";
}

TEST_CASE("every key can be set through all three doors, to the same effect") {
  for (const ConfigKey& key : config_keys()) {
    CAPTURE(key.name);
    const std::string company = company_of(key.name);
    const auto load_with = [&](std::string text, Environment environment, std::string flag) {
      return load_config({.file = ConfigText{"tandem.toml", std::move(text)},
                          .overrides = {company, flag.empty() ? company : flag},
                          .environment = std::move(environment),
                          .root = true,
                          .dpdk = true});
    };
    const std::string value = other_value(key);
    const auto by_file = load_with(other_line(key), {}, "");
    const auto by_environment = load_with("", {{environment_name(key), value}}, "");
    const auto by_flag = load_with("", {}, std::string(key.name) + "=" + value);
    CAPTURE(error_of(by_file));
    CAPTURE(error_of(by_environment));
    CAPTURE(error_of(by_flag));
    REQUIRE(by_file.has_value());
    REQUIRE(by_environment.has_value());
    REQUIRE(by_flag.has_value());
    CHECK(*by_file == *by_environment);
    const bool company_is_key = company.starts_with(std::string(key.name) + "=");
    if (company_is_key) continue;
    CHECK(*by_file == *by_flag);
    CHECK(key.get(*by_file) == *parse_value(key, value));
  }
}

TEST_CASE("bounds hold at both ends, and no step beyond") {
  for (const ConfigKey& key : config_keys()) {
    if (key.type != KeyType::integer && key.type != KeyType::size) continue;
    CAPTURE(key.name);
    const auto min = static_cast<std::int64_t>(key.bounds.min);
    const auto max = static_cast<std::int64_t>(key.bounds.max);
    CHECK(min < max);
    CHECK(check_value(key, min).has_value());
    CHECK(check_value(key, max).has_value());
    CHECK_FALSE(check_value(key, min - 1).has_value());
    CHECK_FALSE(check_value(key, max + 1).has_value());
    CHECK_FALSE(check_value(key, std::numeric_limits<std::int64_t>::max()).has_value());
    // The member holds every value that the bounds let through.
    CHECK(value_after(key, max) == KeyValue(max));
    CHECK(value_after(key, min) == KeyValue(min));
  }
}

TEST_CASE("every key refuses every other type, in the file with its line") {
  const std::map<KeyType, std::string> wrong = {
      {KeyType::boolean, "1"},    {KeyType::integer, "\"7\""}, {KeyType::decimal, "true"},
      {KeyType::size, "1.5"},     {KeyType::text, "7"},        {KeyType::secret, "7"},
      {KeyType::choice, "false"}, {KeyType::address, "[]"},    {KeyType::addresses, "\"::\""},
      {KeyType::networks, "[1]"}, {KeyType::texts, "\"*\""}};
  for (const ConfigKey& key : config_keys()) {
    for (const std::string& value :
         {wrong.at(key.type), std::string("1979-05-27"), std::string("{a = 1}")}) {
      const auto outcome = load("\n\n" + std::string(key.name) + " = " + value + "\n");
      const std::string name(key.name);
      CAPTURE(name);
      REQUIRE_FALSE(outcome.has_value());
      CHECK(outcome.error().line == 3);
      CHECK(outcome.error().message.find("wrong type: expected ") != std::string::npos);
      CHECK(outcome.error().message.starts_with(name));
    }
  }
}

// --- what is said about mistakes

TEST_CASE("mistakes in the file are told with line and what would be right") {
  CHECK(error_of(load("[security]\nmax_packet_sise = 1\n")) ==
        "tandem.toml:2: security.max_packet_sise: unknown key; did you mean "
        "security.max_packet_size?");
  CHECK(error_of(load("[listen]\nport = \"x\"\n")) ==
        "tandem.toml:2: listen.port: wrong type: expected integer, got string");
  CHECK(error_of(load("[listen]\nport = 70000\n")) ==
        "tandem.toml:2: listen.port: 70000 is out of range: 1 to 65535");
  CHECK(error_of(load("[engine]\nring_entries = 100\n")) ==
        "tandem.toml:2: engine.ring_entries: 100 is not a power of two");
  CHECK(error_of(load("[engine]\nbuffer_size = 5000\n")) ==
        "tandem.toml:2: engine.buffer_size: 5000 is not a multiple of 4096");
  CHECK(error_of(load("[engine]\nbackend = \"epoll\"\n")) ==
        "tandem.toml:2: engine.backend: \"epoll\" is not one of: uring, dpdk");
  CHECK(error_of(load("[room]\nmax_request_size = \"1tb\"\n")) ==
        "tandem.toml:2: room.max_request_size: \"1tb\": expected a size such as 4096, 64k or 1mb");
  CHECK(error_of(load("[room]\nmax_request_size = \"1g\"\n")) ==
        "tandem.toml:2: room.max_request_size: 1073741824 is out of range: 1kb to 64mb");
  CHECK(error_of(load("[listen]\naddress = [\"localhost\"]\n")) ==
        "tandem.toml:2: listen.address: \"localhost\": expected an IPv4 or IPv6 address");
  CHECK(error_of(load("[security]\nexempt = [\"10.0.0.0/33\"]\n")) ==
        "tandem.toml:2: security.exempt: \"10.0.0.0/33\": expected a network such as 10.0.0.0/8 or "
        "2001:db8::/32, or an address");
  CHECK(error_of(load("[listen]\naddress = [\"::\", 4]\n")) ==
        "tandem.toml:2: listen.address: wrong type: expected list of addresses, got a list with "
        "integer");
  CHECK(error_of(load("[node]\nregion = \"\"\n")) ==
        "tandem.toml:2: node.region: \"\": expected 1 to 16 letters, digits, dots, dashes and "
        "underscores");
  CHECK(error_of(load("[bandwidth]\nburst = nan\n")) ==
        "tandem.toml:2: bandwidth.burst: nan is out of range: 1 to 100");
}

TEST_CASE("unknown names of every kind") {
  CHECK(error_of(load("[sessions]\nport = 1\n")) ==
        "tandem.toml:2: sessions.port: unknown key; did you mean listen.port?");
  CHECK(error_of(load("[sesions]\nmax_sessions = 1\n")) ==
        "tandem.toml:1: [sesions]: unknown section; did you mean [sessions]?");
  CHECK(error_of(load("max_sessions = 1\n")) ==
        "tandem.toml:1: max_sessions: unknown key; did you mean sessions.max_sessions?");
  CHECK(error_of(load("[room.rate_limit]\nmaks = 1\n")) ==
        "tandem.toml:2: room.rate_limit.maks: unknown key; did you mean room.rate_limit.max?");
  CHECK(error_of(load("[room]\nrate_limit = 5\n")) ==
        "tandem.toml:2: room.rate_limit: wrong type: expected table, got integer");
  CHECK(error_of(load("room = 5\n")) ==
        "tandem.toml:1: room: wrong type: expected table, got integer");
  CHECK(error_of(load("[[room]]\nport = 5\n")) ==
        "tandem.toml:1: room: wrong type: expected table, got list");
  CHECK(error_of(load("[zebra]\nstripes = 40\n")) == "tandem.toml:1: [zebra]: unknown section");
  CHECK(error_of(load("[room]\n" + std::string(500, 'x') + " = 1\n")).ends_with("unknown key"));
}

TEST_CASE("of several mistakes the first in the file is told") {
  CHECK(error_of(load("[room]\nprot = 1\n[engine]\nshard = 2\n")).starts_with("tandem.toml:2:"));
}

TEST_CASE("syntax errors have line and column") {
  const auto outcome = load("[listen]\nport = = 1\n");
  REQUIRE_FALSE(outcome.has_value());
  CHECK(outcome.error().line == 2);
  CHECK(outcome.error().column > 1);
  CHECK_FALSE(outcome.error().message.empty());
  CHECK(load("[listen]\nport = 1\nport = 2\n").error().line == 3);
  CHECK_FALSE(load("[listen").has_value());
  CHECK_FALSE(load("\xff\xfe").has_value());
}

TEST_CASE("mistakes in flags and in the environment name their door") {
  CHECK(error_of(load_overrides({"listen.port"})) ==
        "--set: listen.port: expected section.key=value");
  CHECK(error_of(load_overrides({"listen.prot=1"})) ==
        "--set: listen.prot: unknown key; did you mean listen.port?");
  CHECK(error_of(load_overrides({"listen.port=seven"})) ==
        "--set: listen.port: \"seven\": expected integer");
  CHECK(error_of(load_overrides({"listen.port=0"})) ==
        "--set: listen.port: 0 is out of range: 1 to 65535");
  CHECK(error_of(load_overrides({"listen.tcp=maybe"})) ==
        "--set: listen.tcp: \"maybe\": expected boolean");
  CHECK(error_of(load_overrides({"log.level=loud"})) ==
        "--set: log.level: \"loud\" is not one of: debug, info, warn, error, fatal");
  CHECK(error_of(load_environment({{"TANDEM_LISTEN_PROT", "1"}})) ==
        "environment: TANDEM_LISTEN_PROT: no key has this variable; did you mean "
        "TANDEM_LISTEN_PORT?");
  CHECK(error_of(load_environment({{"TANDEM_XYZZY", "1"}})) ==
        "environment: TANDEM_XYZZY: no key has this variable");
  CHECK(error_of(load_environment({{"TANDEM_ROOM_RATE_LIMIT_MAX", "-1"}})) ==
        "environment: TANDEM_ROOM_RATE_LIMIT_MAX: -1 is out of range: 0 to 1000000");
  CHECK(error_of(load_environment({{"LOG_FORMAT", "xml"}})) ==
        "environment: LOG_FORMAT: \"xml\" is not one of: json, text");
}

TEST_CASE("messages repeat no secret, no control character and no novel") {
  const auto secret = load("[storage]\nurl = \"mysql://user:hunter2@db\"\n");
  CHECK(error_of(secret).find("hunter2") == std::string::npos);
  CHECK(error_of(secret) ==
        "tandem.toml:2: storage.url: the value: expected postgres://… or postgresql://…");
  const auto control = load("[log]\nfile = \"a\\u001b[31mb\\nc\"\n");
  CHECK(error_of(control) == "tandem.toml:2: log.file: \"a?[31mb?c\" holds a control character");
  CHECK(error_of(load("[node]\nid = \"" + std::string(10'000, 'y') + "\"\n")).size() < 300);
}

// --- precedence

TEST_CASE("flags win over the environment, that over the file, that over the default") {
  const std::string file = "[listen]\nport = 1001\n";
  const Environment environment = {{"TANDEM_LISTEN_PORT", "1002"}};
  CHECK(defaults().listen.port == 7777);
  CHECK(load(file)->listen.port == 1001);
  CHECK(load(file, environment)->listen.port == 1002);
  CHECK(load(file, environment, {"listen.port=1003"})->listen.port == 1003);
  CHECK(load(file, environment, {"listen.port=1003", "listen.port=1004"})->listen.port == 1004);
}

TEST_CASE("LOG_LEVEL and LOG_FORMAT are taken, in any case, unless the full name is there") {
  CHECK(load_environment({{"LOG_LEVEL", "DEBUG"}})->log.level == LogLevel::debug);
  CHECK(load_environment({{"LOG_FORMAT", "text"}})->log.format == LogFormat::text);
  CHECK(load_environment({{"LOG_LEVEL", "debug"}, {"TANDEM_LOG_LEVEL", "error"}})->log.level ==
        LogLevel::error);
  CHECK(load_environment({{"LOG_LEVEL", "debug"}, {"TANDEM_LOG_LEVEL", ""}})->log.level ==
        LogLevel::debug);
}

TEST_CASE("empty variables are unset, other programs' are passed over, and so are service links") {
  const Config usual = defaults();
  CHECK(*load_environment({{"TANDEM_LISTEN_PORT", ""}, {"LOG_LEVEL", ""}}) == usual);
  CHECK(*load_environment({{"PATH", "/bin"}, {"TANDEMONIUM", "1"}, {"TANDEM_CONFIG", "x"}}) ==
        usual);
  CHECK(*load_environment({{"TANDEM_PORT", "tcp://10.0.0.1:7777"},
                           {"TANDEM_PORT_7777_TCP", "tcp://10.0.0.1:7777"},
                           {"TANDEM_PORT_7777_TCP_ADDR", "10.0.0.1"},
                           {"TANDEM_PORT_7777_TCP_PORT", "7777"},
                           {"TANDEM_PORT_7777_TCP_PROTO", "tcp"},
                           {"TANDEM_ROOM_PORT", "tcp://10.0.0.2:3000"},
                           {"TANDEM_ROOM_SERVICE_HOST", "10.0.0.2"},
                           {"TANDEM_SERVICE_PORT_HTTP", "3000"}}) == usual);
  CHECK(load_environment({{"TANDEM_ROOM_PORT", "3001"}})->room.port == 3001);
}

TEST_CASE("lists come separated by commas; an empty flag is an empty list") {
  const auto config = load_overrides({"security.exempt=10.0.0.0/8, ::1", "room.cors_origins="});
  REQUIRE(config.has_value());
  CHECK(config->security.exempt.size() == 2);
  CHECK(to_string(config->security.exempt[0]) == "10.0.0.0/8");
  CHECK(config->room.cors_origins.empty());
}

TEST_CASE("sizes come as integers, with units, and in any case") {
  CHECK(load("[room]\nmax_request_size = 2048\n")->room.max_request_size == 2048);
  CHECK(load("[room]\nmax_request_size = \"2KB\"\n")->room.max_request_size == 2048);
  CHECK(load("[room]\nmax_request_size = \"3m\"\n")->room.max_request_size == 3U << 20);
  CHECK(load_overrides({"log.max_size=2g"})->log.max_size == std::uint64_t{2} << 30);
}

TEST_CASE("nested limits as table, inline table and dotted key are the same") {
  const auto table = load("[room.rate_limit]\nmax = 7\nwindow_s = 9\n");
  CHECK(table->room.rate_limit == RateLimit{9, 7, 300});
  CHECK(*table == *load("[room]\nrate_limit = {max = 7, window_s = 9}\n"));
  CHECK(*table == *load("room.rate_limit.max = 7\nroom.rate_limit.window_s = 9\n"));
  CHECK(*table == *load_environment({{"TANDEM_ROOM_RATE_LIMIT_MAX", "7"},
                                     {"TANDEM_ROOM_RATE_LIMIT_WINDOW_S", "9"}}));
}

// --- contradictions

TEST_CASE("contradictions are told at the line that was set last") {
  CHECK(error_of(load("[sessions]\nkeepalive_interval_s = 60\nkeepalive_timeout_s = 60\n")) ==
        "tandem.toml:3: sessions.keepalive_timeout_s (60) must be larger than keepalive_interval_s "
        "(60)");
  CHECK(error_of(load("[sessions]\nkeepalive_interval_s = 60\n",
                      {{"TANDEM_SESSIONS_KEEPALIVE_TIMEOUT_S", "30"}})) ==
        "environment: sessions.keepalive_timeout_s (30) must be larger than keepalive_interval_s "
        "(60)");
  CHECK(error_of(load("[listen]\nproxy_protocol = true\n"))
            .starts_with("tandem.toml:2: listen.proxy_protocol needs listen.trusted_proxies"));
  CHECK(error_of(load_overrides({"engine.backend=dpdk"})) ==
        "--set: engine.backend: this build has no DPDK; build with -Ddpdk=enabled");
}

TEST_CASE("every rule refuses what it is for, and takes what is right") {
  const std::vector<std::vector<std::string>> refused = {
      {"listen.address="},
      {"listen.address=::,0.0.0.0,::"},
      {"listen.tcp=false", "listen.udp=false", "room.enabled=false"},
      {"room.port=7777"},
      {"room.port=8080"},
      {"monitoring.bind=0.0.0.0", "monitoring.port=3000"},
      {"room.bind=::", "room.port=7777"},
      {"room.tls_cert=a.pem"},
      {"room.tls_key=a.pem"},
      {"room.reconnect_grace_s=600", "room.session_lifetime_s=599"},
      {"storage.driver=postgres"},
      {"storage.driver=postgres", "storage.url=postgres://a", "storage.url_file=b"},
      {"storage.url=postgres://a"},
      {"storage.pool_min=11"},
      {"cluster.redis_url=redis://a", "cluster.redis_url_file=b"},
      {"engine.buffer_size=1mb", "engine.buffers=16384"},
  };
  for (const auto& overrides : refused) {
    CAPTURE(overrides.front());
    CHECK_FALSE(load_overrides(overrides).has_value());
  }
  const std::vector<std::vector<std::string>> taken = {
      {"listen.tcp=false", "listen.udp=false", "listen.address="},
      {"listen.tcp=false", "room.port=7777"},
      {"listen.address=192.0.2.1", "room.bind=192.0.2.2", "room.port=7777"},
      {"room.enabled=false", "monitoring.port=3000", "monitoring.bind=0.0.0.0"},
      {"listen.address=0.0.0.0", "room.bind=::", "room.port=7777"},
      {"room.port=0", "monitoring.port=0"},
      {"storage.driver=postgres", "storage.url=postgresql://a"},
      {"storage.driver=postgres", "storage.url_file=/run/secret"},
      {"listen.proxy_protocol=true", "listen.trusted_proxies=10.0.0.0/8"},
  };
  for (const auto& overrides : taken) {
    CAPTURE(overrides.front());
    CHECK(error_of(load_overrides(overrides)) == "no error");
  }
  CHECK(load_config({.overrides = {"engine.backend=dpdk"}, .dpdk = true}).has_value());
}

// --- what the host decides

Config as_user(Environment environment, std::vector<std::string> overrides = {}) {
  return *load_config({.overrides = std::move(overrides), .environment = std::move(environment)});
}

TEST_CASE("the state folder is where the host says") {
  CHECK(load_environment({{"STATE_DIRECTORY", "/srv/a:/srv/b"}})->state_dir == "/srv/a");
  CHECK(defaults().state_dir == "/var/lib/tandem");
  CHECK(as_user({{"STATE_DIRECTORY", "/srv/a"}, {"HOME", "/home/u"}}).state_dir == "/srv/a");
  CHECK(as_user({{"XDG_STATE_HOME", "/x"}, {"HOME", "/home/u"}}).state_dir == "/x/tandem");
  CHECK(as_user({{"HOME", "/home/u"}}).state_dir == "/home/u/.local/state/tandem");
  CHECK(as_user({}).state_dir == "/var/lib/tandem");
}

TEST_CASE("paths that are not set are in the state folder; those that are set stay") {
  const Config usual = defaults();
  CHECK(usual.room.jwt_secret_file == "/var/lib/tandem/jwt_secret");
  CHECK(usual.admin.token_file == "/var/lib/tandem/admin_token");
  CHECK(usual.storage.path == "/var/lib/tandem/tandem.db");
  const auto set = load_overrides({"security.key_file=/k", "storage.path=/s.db"});
  CHECK(set->security.key_file == "/k");
  CHECK(set->storage.path == "/s.db");
}

TEST_CASE("the admin socket is where its user may make it, unless it is set") {
  CHECK(as_user({{"RUNTIME_DIRECTORY", "/run/tandem"}}).admin.socket == "/run/tandem/admin.sock");
  CHECK(as_user({{"XDG_RUNTIME_DIR", "/run/user/7"}}).admin.socket ==
        "/run/user/7/tandem/admin.sock");
  CHECK(as_user({{"HOME", "/home/u"}}).admin.socket == "/home/u/.local/state/tandem/admin.sock");
  CHECK(as_user({{"XDG_RUNTIME_DIR", "/run/user/7"}}, {"admin.socket=/run/tandem/admin.sock"})
            .admin.socket == "/run/tandem/admin.sock");
  CHECK(load_environment({{"XDG_RUNTIME_DIR", "/run/user/0"}})->admin.socket ==
        "/run/tandem/admin.sock");
}

TEST_CASE("credentials stand in for secrets that are not set") {
  std::string pattern = (fs::temp_directory_path() / "tandem-credentials-XXXXXX").string();
  const fs::path folder = ::mkdtemp(pattern.data());
  for (const char* name : {"tandem.keys", "tandem.redis_url", "tandem.storage_url"}) {
    std::ofstream(folder / name) << "secret";
  }
  const Environment environment = {{"CREDENTIALS_DIRECTORY", folder.string()}};
  const auto config = load_environment(environment);
  CHECK(config->security.key_file == (folder / "tandem.keys").string());
  CHECK(config->cluster.redis_url_file == (folder / "tandem.redis_url").string());
  CHECK(config->storage.url_file.empty());
  CHECK(config->admin.token_file == "/var/lib/tandem/admin_token");
  CHECK(load("", environment, {"storage.driver=postgres"})->storage.url_file ==
        (folder / "tandem.storage_url").string());
  CHECK(load("", environment, {"cluster.redis_url=redis://a"})->cluster.redis_url_file.empty());
  CHECK(load("", environment, {"security.key_file=/k"})->security.key_file == "/k");
  fs::remove_all(folder);
}

TEST_CASE("files that cannot be read say why") {
  CHECK(to_string(read_config_file("/no/such/tandem.toml").error()) ==
        "/no/such/tandem.toml: No such file or directory");
  CHECK_FALSE(read_config_file("/").has_value());
  CHECK(to_string(read_config_file("/dev/zero").error()) == "/dev/zero: larger than 1 MiB");
  const auto shipped = read_config_file(std::string(TANDEM_SOURCE_ROOT) + "/packaging/tandem.toml");
  REQUIRE(shipped.has_value());
  CHECK(shipped->text == content("packaging/tandem.toml"));
}

TEST_CASE("the process's environment is there") {
  ::setenv("TANDEM_CONFIG", "a=b", 1);
  CHECK(process_environment().at("TANDEM_CONFIG") == "a=b");
}

// --- reload

TEST_CASE("a reload tells what changed, in the table's order, and hides secrets") {
  const Config before = defaults();
  CHECK(diff(before, before).empty());
  const auto after =
      load_overrides({"log.level=debug", "listen.port=1", "bandwidth.burst=3",
                      "cluster.redis_url=redis://:hunter2@h", "room.rate_limit.max=5"});
  const auto changes = diff(before, *after);
  REQUIRE(changes.size() == 5);
  CHECK(changes[0].key == "listen.port");
  CHECK(changes[0].from == "7777");
  CHECK(changes[0].to == "1");
  CHECK(changes[0].applies == Applies::restart);
  CHECK(changes[1].key == "bandwidth.burst");
  CHECK(changes[1].from == "2.0");
  CHECK(changes[1].applies == Applies::live);
  CHECK(changes[2].key == "room.rate_limit.max");
  CHECK(changes[3].to == "(hidden)");
  CHECK(changes[4].to == "\"debug\"");
}

TEST_CASE("applying a reload takes live keys and leaves the others for the restart") {
  const Config before = defaults();
  const auto after =
      load_overrides({"log.level=debug", "listen.port=1", "sessions.max_sessions=5"});
  const Config applied = apply_live(before, *after);
  CHECK(applied.log.level == LogLevel::debug);
  CHECK(applied.listen.port == 7777);
  const auto waiting = diff(applied, *after);
  CHECK(waiting.size() == 2);
  for (const auto& change : waiting) CHECK(change.applies == Applies::restart);
  for (const auto& change : diff(before, applied)) CHECK(change.applies == Applies::live);
}

TEST_CASE("every key's change is seen") {
  for (const ConfigKey& key : config_keys()) {
    Config after;
    key.set(after, *parse_value(key, other_value(key)));
    const auto changes = diff(Config{}, after);
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].key == key.name);
    CHECK((apply_live(Config{}, after) == after) == (key.applies == Applies::live));
  }
}

// --- the shipped file and the documentation. Where these fail: UPDATE_FILES=1 <this test> writes
// both anew.

void write(const std::string& path, const std::string& text) {
  std::ofstream(std::string(TANDEM_SOURCE_ROOT) + "/" + path) << text;
}

bool is_update() {
  return std::getenv("UPDATE_FILES") != nullptr;
}

// "#port = 7777" becomes "port = 7777"; prose has a blank after its #.
std::string uncommented(const std::string& text) {
  std::string file;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    const bool is_key = line.size() > 1 && line[0] == '#' && std::islower(line[1]) != 0;
    file += (is_key ? line.substr(1) : line) + "\n";
  }
  return file;
}

TEST_CASE("the shipped file is the table's, and so are its defaults") {
  if (is_update()) write("packaging/tandem.toml", render_default_file());
  const std::string shipped = content("packaging/tandem.toml");
  CHECK(shipped == render_default_file());
  CHECK(*load(shipped) == defaults());
  const auto all_set = load(uncommented(shipped));
  CAPTURE(error_of(all_set));
  REQUIRE(all_set.has_value());
  CHECK(*all_set == defaults());
  for (const ConfigKey& key : config_keys()) {
    const std::string name(key.name.substr(key.name.find('.') + 1));
    CHECK(uncommented(shipped).find("\n" + name + " = ") != std::string::npos);
  }
}

// The page with the rows of a section's table replaced by the present ones.
std::string with_rows(const std::string& page, const std::string& section) {
  const auto heading = page.find("## [" + section + "]\n");
  const auto rule = page.find("|---|", heading);
  const auto first = page.find('\n', rule) + 1;
  const auto end = page.find("\n\n", first - 1) + 1;
  return page.substr(0, first) + render_key_rows(section) + page.substr(end);
}

TEST_CASE("the documentation has every section's table as the parser does") {
  std::string page = content("docs/CONFIGURATION.md");
  std::set<std::string> sections;
  for (const ConfigKey& key : config_keys())
    sections.emplace(key.name.substr(0, key.name.find('.')));
  for (const auto& section : sections) {
    CAPTURE(section);
    REQUIRE(page.find("## [" + section + "]\n") != std::string::npos);
    if (is_update()) page = with_rows(page, section);
    CHECK(page.find("|---|---|---|---|---|---|\n" + render_key_rows(section) + "\n") !=
          std::string::npos);
  }
  if (is_update()) write("docs/CONFIGURATION.md", page);
}

TEST_CASE("descriptions cover the table") {
  const auto described = describe_keys();
  REQUIRE(described.size() == config_keys().size());
  const auto size = std::find_if(described.begin(), described.end(), [](const KeyDescription& key) {
    return key.key == "room.max_request_size";
  });
  REQUIRE(size != described.end());
  CHECK(size->environment == "TANDEM_ROOM_MAX_REQUEST_SIZE");
  CHECK(size->type == "size");
  CHECK(size->bounds == "1kb to 64mb");
  CHECK(size->default_value == "\"1mb\"");
}

}  // namespace
}  // namespace tandem
