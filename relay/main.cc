// tandemd: reads the configuration, starts the shards and the control core, and ends them in order.
// The one place that sees relay and room together.
#include <fmt/format.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "common/log.h"
#include "common/secret_file.h"
#include "relay/shard_pool.h"
#include "relay/shard_settings.h"
#include "room/admission/jwt_keys.h"
#include "room/control_core.h"
#include "room/version.h"

namespace tandem {
namespace {

constexpr int kExitUsage = 2;

struct Arguments {
  std::string config_path;
  std::vector<std::string> overrides;
  bool check_config = false;
};

Result<Config, ConfigError> load(const Arguments& arguments) {
  ConfigSources sources;
  sources.overrides = arguments.overrides;
  sources.environment = process_environment();
  sources.root = ::geteuid() == 0;
  // Where none is named the shipped place is read if there is such a file, else the defaults hold.
  const bool named = !arguments.config_path.empty();
  const std::string path = named ? arguments.config_path : std::string(kDefaultConfigPath);
  if (named || std::filesystem::exists(path)) {
    auto text = read_config_file(path);
    if (!text) return unexpected(text.error());
    sources.file = std::move(*text);
  }
  return load_config(sources);
}

Result<Keyring, std::string> load_keys(const Config& config) {
  constexpr size_t kKeyBytes = 32;
  // A file that the operator named is never made: a typing error would start a fleet of its own.
  const bool ours = config.security.key_file == config.state_dir + "/keys";
  const auto file = !ours ? read_secret(config.security.key_file)
                          : read_or_make_secret(config.security.key_file, [] {
                              return "# <key_id> <hex of 32 bytes or more> [mint]\n1 " +
                                     random_hex(kKeyBytes) + " mint\n";
                            });
  if (!file) return unexpected(file.error());
  if (file->made)
    log(LogLevel::info, "main", "token key made", {{"file", config.security.key_file}});
  if (file->readable_by_others) {
    log(LogLevel::warn, "main", "key file is readable by others",
        {{"file", config.security.key_file}});
  }
  auto keys = parse_keyring(file->text);
  if (!keys) return unexpected(fmt::format("{}: {}", config.security.key_file, keys.error()));
  if (keys->empty()) return unexpected(fmt::format("{}: no key in it", config.security.key_file));
  return keys;
}

Result<JwtKeys, std::string> load_client_keys(const Config& config) {
  const std::string& path = config.room.jwt_secret_file;
  const bool ours = path == config.state_dir + "/jwt_secret";
  auto file = load_jwt_keys(path, ours);
  if (!file) return unexpected(file.error());
  if (file->made) log(LogLevel::info, "main", "client secret made", {{"file", path}});
  if (file->readable_by_others)
    log(LogLevel::warn, "main", "client secret is readable by others", {{"file", path}});
  return std::move(file->keys);
}

Result<std::string, std::string> load_operator_token(const Config& config) {
  const std::string& path = config.admin.token_file;
  const auto file = read_or_make_secret(path, [] { return random_hex(32) + "\n"; });
  if (!file) return unexpected(file.error());
  if (file->readable_by_others)
    log(LogLevel::warn, "main", "operator's token is readable by others", {{"file", path}});
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = file->text.find_first_not_of(kBlank);
  if (begin == std::string::npos) return unexpected(fmt::format("{}: no token in it", path));
  return file->text.substr(begin, file->text.find_last_not_of(kBlank) + 1 - begin);
}

// The daemon while it runs: what a reload replaces, and the order in which things end.
class Daemon {
 public:
  Daemon(Arguments arguments, Config config)
      : arguments_(std::move(arguments)), config_(std::move(config)) {}

  int run() {
    if (auto opened = open(); !opened) {
      log(LogLevel::fatal, "main", opened.error());
      return EXIT_FAILURE;
    }
    pool_->start();
    log(LogLevel::info, "main", "started",
        {{"version", version()},
         {"shards", static_cast<uint64_t>(proxy_->shards().size())},
         {"port", static_cast<uint64_t>(config_.listen.port)},
         {"engine", fmt::format("{}", fmt::join(proxy_->features().kernel_features, ", "))}});
    const ControlEnd end = control_->run();
    log(LogLevel::info, "main", "stopping",
        {{"how", end == ControlEnd::drained         ? "drained"
                 : end == ControlEnd::drain_timeout ? "drain timeout"
                                                    : "forced"},
         {"sessions", proxy_->sessions()}});
    // Every other thread blocks them: whoever sends a third SIGTERM does not cut this short.
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    proxy_->stop();
    pool_->join();
    proxy_->drain();
    log(LogLevel::info, "main", "stopped");
    return EXIT_SUCCESS;
  }

 private:
  Result<void, std::string> open() {
    auto keys = load_keys(config_);
    if (!keys) return unexpected(keys.error());
    keys_ = std::move(*keys);
    auto operator_token = load_operator_token(config_);
    if (!operator_token) return unexpected(operator_token.error());
    auto client_keys = load_client_keys(config_);
    if (!client_keys) return unexpected(client_keys.error());
    client_keys_ = std::move(*client_keys);
    const auto plan = plan_cpus(config_.engine, online_cpus());
    if (!plan) return unexpected(plan.error());
    wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    TANDEM_CHECK(wake_ >= 0);
    auto settings = std::make_unique<const ShardSettings>(shard_settings_of(config_, keys_));
    auto pool = ShardPool::open(config_, *plan, *settings, [wake = wake_] {
      constexpr uint64_t kOne = 1;
      // Full means that control has been woken and has not come yet.
      (void)!::write(wake, &kOne, sizeof kOne);
    });
    if (!pool) return unexpected(pool.error());
    pool_ = std::move(*pool);
    proxy_ = std::make_unique<ShardProxy>(pool_->views(), pool_->features(), std::move(settings));
    control_ = std::make_unique<ControlCore>(config_, *proxy_, hooks(std::move(*operator_token)));
    if (auto opened = control_->open(); !opened) return opened;
    control_->watch_descriptor(wake_, [this] {
      uint64_t count;
      (void)!::read(wake_, &count, sizeof count);
      proxy_->drain();
    });
    (void)pin_thread(plan->control);
    return {};
  }

  ControlHooks hooks(std::string operator_token) {
    return {.reload = [this](ReloadDone done) { reload(std::move(done)); },
            .keyring = [this]() -> const Keyring& { return keys_; },
            .jwt_keys = [this]() -> const JwtKeys& { return client_keys_; },
            .operator_token = std::move(operator_token),
            .on_tick = [this] { proxy_->tick(monotonic_now()); }};
  }

  void reload(ReloadDone done) {
    auto loaded = load(arguments_);
    if (!loaded) return done(unexpected(to_string(loaded.error())));
    auto keys = load_keys(*loaded);
    if (!keys) return done(unexpected(keys.error()));
    auto client_keys = load_client_keys(*loaded);
    if (!client_keys) return done(unexpected(client_keys.error()));
    ReloadReport report;
    for (const KeyChange& change : diff(config_, *loaded)) {
      (change.applies == Applies::live ? report.applied : report.needs_restart)
          .emplace_back(change.key);
    }
    config_ = apply_live(config_, *loaded);
    keys_ = std::move(*keys);
    client_keys_ = std::move(*client_keys);
    if (auto log_started = start_log(config_.log); !log_started) {
      log(LogLevel::error, "main", log_started.error());
    }
    control_->apply(config_);
    proxy_->apply(shard_settings_of(config_, keys_),
                  [report = std::move(report), done = std::move(done)](RelayOutcome outcome) {
                    if (outcome == RelayOutcome::done) return done(report);
                    done(
                        unexpected(std::string("a shard did not take the settings in time; until "
                                               "it does it goes by those before")));
                  });
  }

  Arguments arguments_;
  Config config_;
  Keyring keys_;
  JwtKeys client_keys_;
  int wake_ = -1;
  // In the order of their making; they end the other way round.
  std::unique_ptr<ShardPool> pool_;
  std::unique_ptr<ShardProxy> proxy_;
  std::unique_ptr<ControlCore> control_;
};

int run(int argc, char** argv) {
  CLI::App app("Tandem: joins two clients that cannot reach each other, over TCP and UDP.",
               "tandemd");
  Arguments arguments;
  app.add_option("--config", arguments.config_path,
                 fmt::format("the configuration file; {} where it exists", kDefaultConfigPath))
      ->envname("TANDEM_CONFIG");
  app.add_option("--set", arguments.overrides, "section.key=value, over file and environment")
      ->take_all()
      ->allow_extra_args(false);
  app.add_flag("--check-config", arguments.check_config,
               "only say whether the configuration is right");
  app.set_version_flag("--version", fmt::format("tandemd {}", version()));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : kExitUsage;
  }
  auto config = load(arguments);
  if (!config) {
    fmt::print(stderr, "tandemd: {}\n", to_string(config.error()));
    return EXIT_FAILURE;
  }
  if (arguments.check_config) {
    fmt::print("the configuration is right\n");
    return EXIT_SUCCESS;
  }
  if (auto started = start_log(config->log); !started) {
    fmt::print(stderr, "tandemd: {}\n", started.error());
    return EXIT_FAILURE;
  }
  const int code = Daemon(std::move(arguments), std::move(*config)).run();
  stop_log();
  return code;
}

}  // namespace
}  // namespace tandem

int main(int argc, char** argv) {
  return tandem::run(argc, argv);
}
