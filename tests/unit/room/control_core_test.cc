// The control core as main.cc uses it, over a relay without shards: HTTP by curl, tandemctl as a
// program, signals as signals.
#include "room/control_core.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/token.h"
#include "room/operator/admin_commands.h"
#include "tests/unit/room/fake_relay.h"
#include "tests/unit/room/loopback.h"
#include "tests/unit/room/notify_socket.h"

namespace tandem {
namespace {

using Json = nlohmann::json;

// A small daemon: the core on a thread of its own, until end() or a signal.
class Daemon {
 public:
  explicit Daemon(RelayState state = RelayState::serving, std::uint32_t drain_timeout_s = 300) {
    relay.state_ = state;
    config_.monitoring.bind = IpAddress::v4(127, 0, 0, 1);
    config_.monitoring.port = 0;
    config_.monitoring.compat_metrics = false;  // promtool complains about their names
    config_.admin.socket = folder.file("admin.sock");
    config_.room.bind = IpAddress::v4(127, 0, 0, 1);
    config_.room.port = 0;
    config_.storage.path = folder.file("tandem.db");
    config_.sessions.drain_timeout_s = drain_timeout_s;
    REQUIRE(keys_.add(1, std::array<std::uint8_t, 32>{}) == Keyring::AddOutcome::added);
    REQUIRE(client_keys_.add("", std::string(32, 's')) == JwtKeys::AddOutcome::added);
    core.emplace(config_, relay, hooks());
    const auto opened = core->open();
    REQUIRE(opened);
    port = core->monitoring_port();
  }
  ~Daemon() {
    if (!thread_.joinable()) return;
    on_control([this] { core->end(); });
    thread_.join();
  }

  void start() {
    thread_ = std::thread([this] { ended_.set_value(core->run()); });
  }

  // Runs `action` on the control thread and waits for it.
  void on_control(std::function<void()> action) {
    std::promise<void> done;
    {
      const std::lock_guard lock(mutex_);
      actions_.push_back([&] {
        action();
        done.set_value();
      });
    }
    REQUIRE(done.get_future().wait_for(std::chrono::seconds(5)) == std::future_status::ready);
  }

  ControlEnd wait_end() {
    auto end = ended_.get_future();
    REQUIRE(end.wait_for(std::chrono::seconds(5)) == std::future_status::ready);
    thread_.join();
    return end.get();
  }

  [[nodiscard]] ProgramEnd ctl(std::vector<std::string> words) const {
    words.insert(words.begin(), {::getenv("TANDEMCTL"), "--socket", config_.admin.socket});
    return run_program(words);
  }

  [[nodiscard]] ProgramEnd curl(const std::string& path, std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"curl",
                                   "-sS",
                                   "-m",
                                   "5",
                                   "-w",
                                   "\n%{http_code}",
                                   "http://127.0.0.1:" + std::to_string(port) + path};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }
  [[nodiscard]] std::string status(const std::string& path) const {
    const std::string output = curl(path).output;
    return output.substr(output.rfind('\n') + 1);
  }

  TempFolder folder;
  FakeRelay relay;
  std::optional<ControlCore> core;
  std::uint16_t port = 0;
  std::atomic<int> reloads = 0;
  ReloadOutcome reload_outcome = ReloadReport{{"log.level"}, {"listen.port"}};

 private:
  ControlHooks hooks() {
    return {.reload =
                [this](const ReloadDone& done) {
                  ++reloads;
                  done(reload_outcome);
                },
            .keyring = [this]() -> const Keyring& { return keys_; },
            .jwt_keys = [this]() -> const JwtKeys& { return client_keys_; },
            .operator_token = "the operator's",
            .on_tick = [this] { run_actions(); }};
  }

  void run_actions() {
    std::vector<std::function<void()>> actions;
    {
      const std::lock_guard lock(mutex_);
      actions.swap(actions_);
    }
    for (const auto& action : actions) action();
  }

  Config config_;
  Keyring keys_;
  JwtKeys client_keys_;
  std::mutex mutex_;
  std::vector<std::function<void()>> actions_;
  std::promise<ControlEnd> ended_;
  std::thread thread_;
};

TEST_CASE("monitoring answers over a real socket") {
  Daemon daemon;
  daemon.start();
  const ProgramEnd health = daemon.curl("/health");
  CHECK(health.output.ends_with("\n200"));
  CHECK(Json::parse(health.output.substr(0, health.output.rfind('\n')))["relay"]["sessions"] == 2);
  CHECK(daemon.status("/ready") == "200");
  CHECK(daemon.status("/nothing") == "404");
  CHECK(daemon.curl("/health", {"-I"}).output.ends_with("\n200"));
  CHECK(daemon.curl("/health", {"-d", "x"}).output.ends_with("\n405"));
  daemon.on_control([&] { daemon.relay.healthy_ = false; });
  CHECK(daemon.status("/health") == "503");
  daemon.on_control([&] {
    daemon.relay.healthy_ = true;
    daemon.relay.sessions_max_ = 2;
  });
  CHECK(daemon.status("/ready") == "503");
}

TEST_CASE("a back end gets both tokens of a session for the operator's token") {
  Daemon daemon;
  daemon.start();
  const auto post = [&](const std::string& authorization, const std::string& body) {
    const ProgramEnd end = daemon.curl(
        "/api/v1/sessions", {"-X", "POST", "-H", "Authorization: " + authorization, "-d", body});
    const auto cut = end.output.rfind('\n');
    return std::pair(end.output.substr(cut + 1), Json::parse(end.output.substr(0, cut)));
  };
  const UnixSeconds before = unix_now();
  const auto [status, reply] =
      post("Bearer the operator's", R"({"sessionId":"00000000000000AB","expiresInS":60})");
  CHECK(status == "201");
  CHECK(reply["sessionId"] == "00000000000000ab");
  CHECK(reply["expiresAt"] >= before + 60);
  TokenVerifier verifier(*parse_keyring("1 " + std::string(64, '0')));
  for (const char* slot : {"a", "b"}) {
    const TokenBytes token = *parse_token_text(reply["tokens"][slot].get<std::string>());
    TokenClaims judged;
    CHECK(verifier.judge(claims_of(token), secret_of(token), unix_now(), 86'400, judged) ==
          TokenVerdict::ok);
    CHECK(judged.session_id == 0xab);
    CHECK(judged.slot == (*slot == 'a' ? 0 : 1));
    CHECK(judged.expires_at == reply["expiresAt"]);
  }
  CHECK(post("Bearer the operator's", "").second["sessionId"] !=
        post("Bearer the operator's", "").second["sessionId"]);
  CHECK(post("Bearer the operators", "").first == "401");
  CHECK(daemon.ctl({"drain"}).code == 0);
  CHECK(post("Bearer the operator's", "").first == "503");
}

TEST_CASE("promtool has no complaint about the whole page" *
          doctest::skip(!is_installed("promtool"))) {
  Daemon daemon;
  daemon.start();
  std::string page = daemon.curl("/metrics").output;
  page.resize(page.rfind('\n'));
  for (const char* name : {"tandem_build_info{version=", "tandem_start_time_seconds ",
                           "tandem_log_lines_dropped_total ", "tandem_sessions{shard=\"0\"} 2",
                           "process_open_fds ", "tandem_http_connections "})
    CHECK(page.find(name) != std::string::npos);
  const ProgramEnd end = run_program({"promtool", "check", "metrics"}, page);
  CHECK(end.code == 0);
  CHECK(end.output + end.errors == "");
}

TEST_CASE("tandemctl looks") {
  Daemon daemon;
  daemon.start();
  const ProgramEnd status = daemon.ctl({"status"});
  CHECK(status.code == 0);
  CHECK(status.output.find("sessions      2 of 1000, room for 998\n") != std::string::npos);
  CHECK(Json::parse(daemon.ctl({"status", "--json"}).output)["features"]["backend"] == "io_uring");
  CHECK(Json::parse(daemon.ctl({"--json", "sessions", "--max", "1"}).output)["sessions"].size() ==
        1);
  CHECK(daemon.ctl({"sessions"}).output.find("fedcba9876543210") != std::string::npos);
  CHECK(daemon.ctl({"session", "0123456789ABCDEF"})
            .output.starts_with("session       0123456789abcdef\n"));
  CHECK(daemon.ctl({"version"}).output.starts_with("tandemd "));
}

TEST_CASE("tandemctl acts") {
  Daemon daemon;
  daemon.start();
  CHECK(daemon.ctl({"kick", "0123456789abcdef"}).output == "kicked 0123456789abcdef\n");
  const ProgramEnd again = daemon.ctl({"kick", "0123456789abcdef"});
  CHECK(again.code == 1);
  CHECK(again.errors.starts_with("tandemctl: "));
  CHECK(Json::parse(daemon.ctl({"--json", "kick", "0123456789abcdef"}).output)["error"]["code"] ==
        "not_found");

  CHECK(daemon.ctl({"block", "192.0.2.0/24", "--for", "60"}).code == 0);
  CHECK(daemon.ctl({"block", "2001:db8::1"}).code == 0);
  const Json blocks = Json::parse(daemon.ctl({"--json", "blocks"}).output)["blocks"];
  CHECK(blocks[0]["network"] == "192.0.2.0/24");
  CHECK(blocks[0]["remainingMs"] == 60'000);
  CHECK(blocks[1]["remainingMs"].is_null());
  CHECK(daemon.ctl({"unblock", "192.0.2.0/24"}).code == 0);
  CHECK(daemon.ctl({"unblock", "192.0.2.0/24"}).code == 1);

  CHECK(daemon.ctl({"drain"}).code == 0);
  CHECK(daemon.status("/ready") == "503");
  CHECK(daemon.status("/health") == "200");
  CHECK(daemon.ctl({"undrain"}).code == 0);
  CHECK(daemon.status("/ready") == "200");
  CHECK(daemon.ctl({"loglevel", "debug"}).output == "log level is debug\n");
  CHECK(daemon.ctl({"loglevel", "info"}).code == 0);

  CHECK(daemon.ctl({"reload"}).output == "applied        log.level\nneeds restart  listen.port\n");
  daemon.on_control([&] { daemon.reload_outcome = unexpected(std::string("line 3: no")); });
  const ProgramEnd refused = daemon.ctl({"reload"});
  CHECK(refused.code == 1);
  CHECK(refused.errors == "tandemctl: line 3: no\n");
}

TEST_CASE("tandemctl has the database backed up") {
  Daemon daemon;
  daemon.start();
  const std::string copy = daemon.folder.file("copy.db");
  CHECK(daemon.ctl({"backup", copy}).output.starts_with("backed up to " + copy + ", "));
  CHECK(std::filesystem::file_size(copy) > 0);
  const ProgramEnd again = daemon.ctl({"backup", copy});
  CHECK(again.code == 1);
  CHECK(again.errors == "tandemctl: cannot back up to " + copy + ": File exists\n");
  const std::string relative = std::filesystem::relative(daemon.folder.file("other.db"));
  CHECK(Json::parse(daemon.ctl({"--json", "backup", relative}).output)["path"] ==
        daemon.folder.file("other.db"));
  CHECK(daemon.ctl({"backup"}).code == 2);
  CHECK(daemon.ctl({"backup", ""}).code == 2);
  CHECK(daemon.ctl({"backup", "/\xff"}).code == 2);
}

TEST_CASE("tandemctl looks at the rooms and closes one") {
  Daemon daemon;
  daemon.start();
  CHECK(daemon.ctl({"rooms"}).output.starts_with("ROOM"));
  CHECK(Json::parse(daemon.ctl({"clients", "--json"}).output)["clients"].empty());
  const ProgramEnd none = daemon.ctl({"room", "7KQ2XV"});
  CHECK(none.code == 1);
  CHECK(none.errors == "tandemctl: there is no such room\n");
  CHECK(daemon.ctl({"room", "close", "7KQ2XV"}).code == 1);
  CHECK(daemon.ctl({"room"}).code == 2);
  CHECK(daemon.ctl({"room", "close"}).code == 2);
}

TEST_CASE("a daemon without a database refuses to back it up") {
  FakeRelay relay;
  AdminCommands commands(relay, {});
  std::string answer;
  commands.execute(R"({"command":"backup","path":"/b/1"})",
                   [&](std::string given) { answer = std::move(given); });
  CHECK(refusal_in(answer)->code == AdminErrorCode::refused);
  CHECK(refusal_in(answer)->message == "the daemon keeps no database");
}

TEST_CASE("tandemctl mints, with a daemon and without") {
  Daemon daemon;
  daemon.start();
  const Json minted = Json::parse(
      daemon.ctl({"--json", "token", "mint", "--new", "--rate-kbps", "500", "--lanes", "2"})
          .output);
  const auto claims = decode_claims(claims_of(*parse_token_text(minted["a"].get<std::string>())));
  REQUIRE(claims);
  CHECK(format_session_id(claims->session_id) == minted["session"]);
  CHECK(claims->rate_kbps == 500);
  CHECK(claims->lanes_max == 2);
  CHECK(claims->flags == (kTokenTcp | kTokenUdp));

  const std::string page =
      daemon.ctl({"token", "mint", "--session", "00000000000000ab", "--slot", "a", "--tcp"}).output;
  CHECK(page.starts_with("session 00000000000000ab\nA "));
  CHECK(page.find("\nTANDEM/1 JOIN ") != std::string::npos);
  CHECK(daemon.ctl({"token", "mint", "--new", "--expires", "86401"}).code == 1);

  std::ofstream(daemon.folder.file("keys")) << "1 " << std::string(64, '0') << " mint\n";
  const ProgramEnd offline =
      run_program({::getenv("TANDEMCTL"), "token", "mint", "--session", "00000000000000ab",
                   "--json", "--key-file", daemon.folder.file("keys")});
  CHECK(offline.code == 0);
  const Json tokens = Json::parse(offline.output);
  TokenVerifier verifier(*parse_keyring("1 " + std::string(64, '0')));
  const TokenBytes token = *parse_token_text(tokens["b"].get<std::string>());
  TokenClaims judged;
  CHECK(verifier.judge(claims_of(token), secret_of(token), unix_now(), 86'400, judged) ==
        TokenVerdict::ok);
  CHECK(judged.slot == 1);
  CHECK(run_program({::getenv("TANDEMCTL"), "token", "mint", "--new", "--key-file", "/nowhere"})
            .code == 1);
}

TEST_CASE("tandemctl's exit codes for usage and for no daemon") {
  const std::string ctl = ::getenv("TANDEMCTL");
  const auto code = [&](std::vector<std::string> words) {
    words.insert(words.begin(), ctl);
    return run_program(words).code;
  };
  CHECK(code({"--help"}) == 0);
  CHECK(code({"--version"}) == 0);
  CHECK(code({"token", "mint", "--help"}) == 0);
  CHECK(code({}) == 2);
  CHECK(code({"nonsense"}) == 2);
  CHECK(code({"kick"}) == 2);
  CHECK(code({"kick", "12"}) == 2);
  CHECK(code({"block", "example.org"}) == 2);
  CHECK(code({"block", "10.0.0.0/8", "--for", "0"}) == 2);
  CHECK(code({"sessions", "--max", "10001"}) == 2);
  CHECK(code({"loglevel", "loud"}) == 2);
  CHECK(code({"token", "mint"}) == 2);
  CHECK(code({"token", "mint", "--new", "--session", "00000000000000ab"}) == 2);
  CHECK(code({"token", "mint", "--new", "--lanes", "65536"}) == 2);
  const ProgramEnd alone = run_program({ctl, "--socket", "/nowhere/admin.sock", "status"});
  CHECK(alone.code == 3);
  CHECK(alone.errors == "tandemctl: no daemon at /nowhere/admin.sock: No such file or directory\n");
}

TEST_CASE("a session's answer that comes late keeps nobody else waiting") {
  Daemon daemon;
  daemon.relay.hold_ = true;
  daemon.start();
  auto kicked = std::async(std::launch::async, [&] {
    return daemon.ctl({"kick", "00000000000000ab"});
  });
  CHECK(daemon.ctl({"version"}).code == 0);
  CHECK(daemon.status("/health") == "200");
  // The command may reach the daemon any time: release until it is answered.
  while (kicked.wait_for(std::chrono::milliseconds(10)) != std::future_status::ready)
    daemon.on_control([&] { daemon.relay.release(); });
  CHECK(kicked.get().code == 1);
}

TEST_CASE("SIGTERM drains until the last session has gone") {
  Daemon daemon;
  const NotifySocket manager(daemon.folder.file("notify"));
  daemon.start();
  CHECK(manager.next() == "READY=1");
  ::kill(::getpid(), SIGTERM);
  CHECK(manager.next() == "STOPPING=1\nEXTEND_TIMEOUT_USEC=330000000");
  CHECK(daemon.status("/ready") == "503");
  CHECK(daemon.ctl({"undrain"}).code == 1);
  CHECK(daemon.ctl({"reload"}).code == 1);
  CHECK(daemon.reloads == 0);
  daemon.on_control([&] {
    CHECK(daemon.relay.state_ == RelayState::draining);
    daemon.relay.rows_.clear();
  });
  CHECK(daemon.wait_end() == ControlEnd::drained);
  CHECK(manager.next_now().empty());
}

TEST_CASE("a drain ends when its time is over") {
  Daemon daemon(RelayState::serving, 1);
  daemon.start();
  ::kill(::getpid(), SIGINT);
  CHECK(daemon.wait_end() == ControlEnd::drain_timeout);
}

TEST_CASE("a second signal ends at once") {
  Daemon daemon;
  const NotifySocket manager(daemon.folder.file("notify"));
  daemon.start();
  CHECK(manager.next() == "READY=1");
  ::kill(::getpid(), SIGTERM);
  CHECK(manager.next().starts_with("STOPPING=1"));
  ::kill(::getpid(), SIGTERM);
  CHECK(daemon.wait_end() == ControlEnd::forced);
}

TEST_CASE("SIGHUP reloads, and the manager knows when") {
  Daemon daemon;
  const NotifySocket manager(daemon.folder.file("notify"));
  daemon.start();
  CHECK(manager.next() == "READY=1");
  ::kill(::getpid(), SIGHUP);
  CHECK(manager.next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  CHECK(manager.next() == "READY=1");
  CHECK(daemon.reloads == 1);
}

TEST_CASE("READY waits for the relay") {
  Daemon daemon(RelayState::starting);
  const NotifySocket manager(daemon.folder.file("notify"));
  daemon.start();
  CHECK(daemon.status("/ready") == "503");
  CHECK(manager.next_now().empty());
  daemon.on_control([&] { daemon.relay.state_ = RelayState::serving; });
  CHECK(manager.next() == "READY=1");
  CHECK(daemon.status("/ready") == "200");
}

TEST_CASE("the watchdog starves when a shard does not answer") {
  ::setenv("WATCHDOG_USEC", "20000", 1);
  Daemon daemon;
  const NotifySocket manager(daemon.folder.file("notify"));
  daemon.start();
  ::unsetenv("WATCHDOG_USEC");
  std::string told = manager.next();
  while (told == "READY=1") told = manager.next();
  CHECK(told == "WATCHDOG=1");
  daemon.on_control([&] { daemon.relay.healthy_ = false; });
  while (!manager.next_now().empty()) {
  }
  daemon.on_control([] {});  // at least one tick, five times the watchdog's
  CHECK(manager.next_now().empty());
}

TEST_CASE("a watched descriptor wakes the control thread") {
  Daemon daemon;
  const int event = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  std::promise<std::uint64_t> woken;
  int calls = 0;
  daemon.core->watch_descriptor(event, [&] {
    std::uint64_t count = 0;
    if (::read(event, &count, sizeof count) == sizeof count && ++calls == 3) woken.set_value(count);
  });
  daemon.start();
  auto third = woken.get_future();
  const std::uint64_t one = 1;
  // Each write may be taken alone or with the next: write until the third wake-up.
  while (third.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready)
    REQUIRE(::write(event, &one, sizeof one) == sizeof one);
  CHECK(third.get() >= 1);
  daemon.on_control([&] { daemon.core->end(); });
  CHECK(daemon.wait_end() == ControlEnd::forced);
  daemon.core.reset();
  CHECK(::close(event) == 0);  // it was left to its owner
}

TEST_CASE("what is taken is one clear error") {
  Daemon first;
  first.start();
  FakeRelay relay;
  Config config;
  config.monitoring.port = first.port;
  config.admin.socket = first.folder.file("other.sock");
  config.room.enabled = false;
  const Keyring keys;
  const JwtKeys client_keys;
  const ControlHooks hooks{.reload = [](const ReloadDone&) {},
                           .keyring = [&]() -> const Keyring& { return keys; },
                           .jwt_keys = [&]() -> const JwtKeys& { return client_keys; },
                           .operator_token = "x",
                           .on_tick = [] {}};
  CHECK(ControlCore(config, relay, hooks).open().error() ==
        "cannot listen on 127.0.0.1:" + std::to_string(first.port) +
            " (monitoring.bind, monitoring.port): Address already in use");
  config.monitoring.port = 0;
  config.admin.socket = first.folder.file("admin.sock");
  CHECK(ControlCore(config, relay, hooks).open().error() ==
        "cannot open the admin socket " + config.admin.socket +
            " (admin.socket): another daemon listens there");
}

}  // namespace
}  // namespace tandem
