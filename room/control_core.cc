#include "room/control_core.h"

#include <fmt/format.h>
#include <signal.h>
#include <time.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/endpoint.h"
#include "common/log.h"
#include "room/control_loop.h"
#include "room/http_routes.h"
#include "room/metrics_page.h"
#include "room/node_report.h"
#include "room/node_web.h"
#include "room/operator/admin_commands.h"
#include "room/operator/admin_server.h"
#include "room/process_metrics.h"
#include "room/relays/relay_fleet.h"
#include "room/room_service.h"
#include "room/service_notify.h"
#include "room/version.h"
#include "room/web/web_server.h"

namespace tandem {
namespace {

constexpr Nanos kTick = 100 * kNanosPerMillisecond;
// Past the drain, for stopping shards and storage.
constexpr Nanos kStopMargin = 30 * kNanosPerSecond;
constexpr Nanos kStoragePatience = 20 * kNanosPerSecond;

std::int64_t unix_milliseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1000 + now.tv_nsec / kNanosPerMillisecond;
}

std::string listed(const std::vector<std::string>& keys) {
  std::string list;
  for (const std::string& key : keys) list += (list.empty() ? "" : ", ") + key;
  return list;
}

void log_reload(const ReloadOutcome& outcome) {
  if (!outcome)
    return log(LogLevel::error, "control", "reload refused", {{"reason", outcome.error()}});
  log(LogLevel::info, "control", "reloaded",
      {{"applied", listed(outcome->applied)}, {"needs_restart", listed(outcome->needs_restart)}});
}

}  // namespace

class ControlCore::Impl {
 public:
  Impl(const Config& config, RelayControl& relay, ControlHooks hooks);

  Result<void, std::string> open();
  void watch(int descriptor, std::function<void()> readable) {
    loop_.watch(descriptor, std::move(readable));
  }
  ControlEnd run();
  void apply(const Config& config);
  void drain_and_end();
  void end(ControlEnd reason);
  std::uint16_t monitoring_port() const { return http_.port(); }

 private:
  AdminSources admin_sources();
  NodeWeb::Sources web_sources();
  HttpSources http_sources() const;
  SessionSources session_sources() const;
  RoomAdmin room_admin() const;
  std::function<void(std::string, BackupDone)> backup() const;
  RoomOverview room_overview() const;
  std::string rooms_json(std::uint32_t cursor, std::uint32_t limit) const;
  NodeState node() const;
  Metrics metrics() const;
  void take_signals();
  void finish_storage();
  void tick();
  void reload(ReloadDone done);
  DrainSwitch set_draining(bool draining);
  void set_parts_draining(bool draining);

  Config config_;
  const std::string node_id_;
  RelayControl& relay_;
  ControlHooks hooks_;
  const Nanos started_ = monotonic_now();
  const UnixSeconds started_unix_ = unix_now();

  ControlLoop loop_;  // outlives what stands on it
  ServiceNotify service_;
  NodeWeb web_;
  WebServer http_;
  std::unique_ptr<RoomService> rooms_;  // none where room.enabled is off
  AdminCommands commands_;
  AdminServer admin_;

  bool ready_told_ = false;
  bool reloading_ = false;
  std::optional<Nanos> drain_deadline_;  // set: this process is on its way out
  ControlEnd end_ = ControlEnd::forced;
};

ControlCore::Impl::Impl(const Config& config, RelayControl& relay, ControlHooks hooks)
    : config_(config),
      node_id_(node_id(config)),
      relay_(relay),
      hooks_(std::move(hooks)),
      web_(relay, web_sources()),
      http_(loop_.context(), {.name = "monitoring"}, web_),
      rooms_(!config.room.enabled
                 ? nullptr
                 : std::make_unique<RoomService>(loop_.context(), config, relay,
                                                 RoomHooks{.keyring = hooks_.keyring,
                                                           .jwt_keys = hooks_.jwt_keys,
                                                           .operator_token = hooks_.operator_token,
                                                           .node = &web_})),
      commands_(relay, admin_sources()),
      admin_(loop_.context(), AdminLimits{},
             [this](std::string_view line, AdminCommands::Answer answer) {
               commands_.execute(line, std::move(answer));
             }) {}

Result<void, std::string> ControlCore::Impl::open() {
  const Endpoint monitoring{config_.monitoring.bind, config_.monitoring.port};
  if (const auto listening = http_.listen(monitoring); !listening)
    return unexpected(fmt::format("cannot listen on {} (monitoring.bind, monitoring.port): {}",
                                  to_string(monitoring), listening.error()));
  if (const auto listening = admin_.listen(config_.admin.socket); !listening)
    return unexpected(fmt::format("cannot open the admin socket {} (admin.socket): {}",
                                  config_.admin.socket, listening.error()));
  if (rooms_ != nullptr)
    if (auto opened = rooms_->open(); !opened) return opened;
  take_signals();
  log(LogLevel::info, "control", "listening",
      {{"monitoring", to_string(Endpoint{monitoring.address, http_.port()})},
       {"admin", config_.admin.socket}});
  if (rooms_ != nullptr)
    log(LogLevel::info, "room", "listening",
        {{"rooms", to_string(Endpoint{config_.room.bind, rooms_->port()})},
         {"storage", rooms_->storage().driver}});
  return {};
}

void ControlCore::Impl::take_signals() {
  ::signal(SIGPIPE, SIG_IGN);
  const auto stop = [this] {
    if (drain_deadline_) return end(ControlEnd::forced);
    drain_and_end();
  };
  loop_.on_signal(SIGTERM, stop);
  loop_.on_signal(SIGINT, stop);
  loop_.on_signal(SIGHUP, [this] { reload([](const ReloadOutcome&) {}); });
}

ControlEnd ControlCore::Impl::run() {
  loop_.every(kTick, [this] { tick(); });
  if (const auto interval = service_.watchdog_interval())
    loop_.every(*interval, [this] {
      if (relay_.healthy()) service_.watchdog();
    });
  tick();
  loop_.run();
  finish_storage();
  return end_;
}

void ControlCore::Impl::finish_storage() {
  if (rooms_ == nullptr) return;
  const std::size_t lost = rooms_->finish(kStoragePatience);
  if (lost > 0)
    log(LogLevel::error, "storage", "stopped with writes unmade",
        {{"writes", std::uint64_t{lost}}});
}

void ControlCore::Impl::apply(const Config& config) {
  config_ = config;
  if (rooms_ == nullptr) return;
  if (const auto applied = rooms_->apply(config); !applied)
    log(LogLevel::error, "room", "not applied", {{"reason", applied.error()}});
}

void ControlCore::Impl::tick() {
  hooks_.on_tick();
  if (!ready_told_ && relay_.state() != RelayState::starting && !drain_deadline_) {
    ready_told_ = true;
    service_.ready();
    log(LogLevel::info, "control", "ready");
  }
  if (!drain_deadline_) return;
  if (relay_.sessions() == 0) return end(ControlEnd::drained);
  if (monotonic_now() >= *drain_deadline_) end(ControlEnd::drain_timeout);
}

void ControlCore::Impl::drain_and_end() {
  if (drain_deadline_) return;
  const Nanos at_most = config_.sessions.drain_timeout_s * kNanosPerSecond;
  drain_deadline_ = monotonic_now() + at_most;
  set_parts_draining(true);
  service_.stopping(at_most + kStopMargin);
  log(LogLevel::info, "control", "draining",
      {{"sessions", relay_.sessions()}, {"at_most_s", config_.sessions.drain_timeout_s}});
}

void ControlCore::Impl::end(ControlEnd reason) {
  end_ = reason;
  loop_.stop();
}

void ControlCore::Impl::reload(ReloadDone done) {
  // READY=1 after STOPPING=1 would tell the service manager nonsense.
  if (drain_deadline_) return done(unexpected(std::string("the daemon is stopping")));
  if (reloading_) return done(unexpected(std::string("a reload is under way")));
  reloading_ = true;
  reopen_log();
  service_.reloading(monotonic_now());
  hooks_.reload([this, done = std::move(done)](ReloadOutcome outcome) {
    reloading_ = false;
    if (!drain_deadline_) service_.ready();
    log_reload(outcome);
    done(std::move(outcome));
  });
}

DrainSwitch ControlCore::Impl::set_draining(bool draining) {
  if (drain_deadline_) return DrainSwitch::stopping;
  set_parts_draining(draining);
  return DrainSwitch::switched;
}

void ControlCore::Impl::set_parts_draining(bool draining) {
  relay_.set_draining(draining);
  if (rooms_ != nullptr) rooms_->set_draining(draining);
}

AdminSources ControlCore::Impl::admin_sources() {
  return {.node = [this] { return node(); },
          .keyring = hooks_.keyring,
          .reload = [this](ReloadDone done) { reload(std::move(done)); },
          .set_draining = [this](bool draining) { return set_draining(draining); },
          .token_max_age_s = [this] { return config_.sessions.token_max_age_s; },
          .rooms = rooms_ == nullptr ? RoomAdmin{} : room_admin(),
          .backup = backup()};
}

// Empty where there is nothing to back up.
std::function<void(std::string, BackupDone)> ControlCore::Impl::backup() const {
  if (rooms_ == nullptr) return {};
  return [&rooms = *rooms_](std::string path, BackupDone done) {
    rooms.backup(std::move(path), std::move(done));
  };
}

RoomAdmin ControlCore::Impl::room_admin() const {
  RoomService& rooms = *rooms_;
  return {.rooms = [&rooms](std::size_t most) { return rooms.rooms(most); },
          .room = [&rooms](std::string_view name) { return rooms.room(name); },
          .close = [&rooms](std::string_view id) { return rooms.close_room(id); },
          .clients = [&rooms](std::size_t most) { return rooms.clients(most); }};
}

NodeWeb::Sources ControlCore::Impl::web_sources() {
  return {
      .http = [this] { return http_sources(); },
      .operations = {
          .token = hooks_.operator_token,
          .identity =
              [this] {
                return NodeIdentity{.id = node_id_,
                                    .host = config_.node.public_host,
                                    .region = config_.node.region};
              },
          .node = [this] { return node(); },
          .rooms = [this] { return room_overview(); },
          .set_draining = [this](bool draining) { return set_draining(draining); },
          .rooms_json = [this](auto from, auto most) { return rooms_json(from, most); },
          .close_room =
              [this](std::string_view id) { return rooms_ != nullptr && rooms_->close_room(id); }}};
}

HttpSources ControlCore::Impl::http_sources() const {
  HttpSources sources{
      .node = [this] { return node(); }, .metrics = {}, .sessions = session_sources()};
  if (config_.monitoring.metrics) sources.metrics = [this] { return metrics(); };
  return sources;
}

RoomOverview ControlCore::Impl::room_overview() const {
  return rooms_ == nullptr ? RoomOverview{} : rooms_->overview();
}

std::string ControlCore::Impl::rooms_json(std::uint32_t cursor, std::uint32_t limit) const {
  return rooms_ == nullptr ? R"({"rooms":[],"nextCursor":null})"
                           : rooms_->rooms_json(cursor, limit);
}

SessionSources ControlCore::Impl::session_sources() const {
  return {.operator_token = hooks_.operator_token,
          .offer =
              [this] {
                const RelayState state = relay_.state();
                return SessionOffer{
                    .host = config_.node.public_host,
                    .port = config_.listen.port,
                    .tcp = config_.listen.tcp,
                    .udp = config_.listen.udp,
                    .expires_max_s = config_.sessions.token_max_age_s,
                    .draining = state == RelayState::draining || state == RelayState::stopped};
              },
          .mint =
              [this](const MintRequest& request) {
                return mint_tokens(hooks_.keyring(), request,
                                   request.session_id.value_or(random_session_id()), unix_now(),
                                   config_.sessions.token_max_age_s);
              }};
}

NodeState ControlCore::Impl::node() const {
  NodeState node{.unix_ms = unix_milliseconds(),
                 .uptime = monotonic_now() - started_,
                 .relay = relay_.state(),
                 .shards_answer = relay_.healthy(),
                 .sessions = relay_.sessions(),
                 .sessions_max = relay_.sessions_max(),
                 .shards = relay_.shards(),
                 .process = sample_process()};
  if (rooms_ != nullptr) rooms_->describe(node);
  return node;
}

Metrics ControlCore::Impl::metrics() const {
  Metrics page;
  page.push_back({"tandem_build_info", "What is running; always 1.", MetricType::gauge,
                  metric_label("version", version()), 1});
  page.push_back({"tandem_start_time_seconds",
                  "When the daemon started, Unix time.",
                  MetricType::gauge,
                  {},
                  static_cast<double>(started_unix_)});
  page.push_back({"tandem_log_lines_dropped_total",
                  "Log lines that the logger's queue had no room for.",
                  MetricType::counter,
                  {},
                  static_cast<double>(log_statistics().dropped)});
  relay_.collect(page);
  http_.collect(page);
  const ProcessSample process = sample_process();
  append_process_metrics(process, page);
  if (rooms_ != nullptr) rooms_->collect(page);
  if (rooms_ != nullptr && config_.monitoring.compat_metrics)
    rooms_->collect_compatible(process.resident_bytes, page);
  return page;
}

ControlCore::ControlCore(const Config& config, RelayControl& relay, ControlHooks hooks)
    : impl_(std::make_unique<Impl>(config, relay, std::move(hooks))) {}
ControlCore::~ControlCore() = default;

Result<void, std::string> ControlCore::open() {
  return impl_->open();
}
void ControlCore::watch_descriptor(int descriptor, std::function<void()> readable) {
  impl_->watch(descriptor, std::move(readable));
}
ControlEnd ControlCore::run() {
  return impl_->run();
}
void ControlCore::apply(const Config& config) {
  impl_->apply(config);
}
void ControlCore::drain_and_end() {
  impl_->drain_and_end();
}
void ControlCore::end() {
  impl_->end(ControlEnd::forced);
}
std::uint16_t ControlCore::monitoring_port() const {
  return impl_->monitoring_port();
}

}  // namespace tandem
