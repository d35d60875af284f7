#include "room/control_core.h"

#include <fmt/format.h>
#include <signal.h>
#include <time.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/endpoint.h"
#include "common/log.h"
#include "room/admin_commands.h"
#include "room/admin_server.h"
#include "room/control_loop.h"
#include "room/http_routes.h"
#include "room/http_server.h"
#include "room/metrics_page.h"
#include "room/node_report.h"
#include "room/process_metrics.h"
#include "room/service_notify.h"
#include "room/version.h"

namespace tandem {
namespace {

constexpr Nanos kTick = 100 * kNanosPerMillisecond;
// Past the drain, for stopping shards and storage.
constexpr Nanos kStopMargin = 30 * kNanosPerSecond;

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
  void apply(const Config& config) { config_ = config; }
  void drain_and_end();
  void end(ControlEnd reason);
  std::uint16_t monitoring_port() const { return http_.port(); }

 private:
  AdminSources admin_sources();
  HttpReply answer(const HttpRequest& request) const;
  SessionSources session_sources() const;
  NodeState node() const;
  Metrics metrics() const;
  void take_signals();
  void tick();
  void reload(ReloadDone done);
  DrainSwitch set_draining(bool draining);

  Config config_;
  RelayControl& relay_;
  ControlHooks hooks_;
  const Nanos started_ = monotonic_now();
  const UnixSeconds started_unix_ = unix_now();

  ControlLoop loop_;  // outlives what stands on it
  ServiceNotify service_;
  HttpServer http_;
  AdminCommands commands_;
  AdminServer admin_;

  bool ready_told_ = false;
  bool reloading_ = false;
  std::optional<Nanos> drain_deadline_;  // set: this process is on its way out
  ControlEnd end_ = ControlEnd::forced;
};

ControlCore::Impl::Impl(const Config& config, RelayControl& relay, ControlHooks hooks)
    : config_(config),
      relay_(relay),
      hooks_(std::move(hooks)),
      http_(loop_.context(), HttpLimits{},
            [this](const HttpRequest& request) { return answer(request); }),
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
  take_signals();
  log(LogLevel::info, "control", "listening",
      {{"monitoring", to_string(Endpoint{monitoring.address, http_.port()})},
       {"admin", config_.admin.socket}});
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
  return end_;
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
  relay_.set_draining(true);
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
  relay_.set_draining(draining);
  return DrainSwitch::switched;
}

AdminSources ControlCore::Impl::admin_sources() {
  return {.node = [this] { return node(); },
          .keyring = hooks_.keyring,
          .reload = [this](ReloadDone done) { reload(std::move(done)); },
          .set_draining = [this](bool draining) { return set_draining(draining); },
          .token_max_age_s = [this] { return config_.sessions.token_max_age_s; }};
}

HttpReply ControlCore::Impl::answer(const HttpRequest& request) const {
  HttpSources sources{
      .node = [this] { return node(); }, .metrics = {}, .sessions = session_sources()};
  if (config_.monitoring.metrics) sources.metrics = [this] { return metrics(); };
  HttpReply reply = answer_http(request, sources);
  if (reply.status == 401)
    log_authentication_failed("http", request.client, {{"detail", "operator's token"}});
  return reply;
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
  return {.unix_ms = unix_milliseconds(),
          .uptime = monotonic_now() - started_,
          .relay = relay_.state(),
          .shards_answer = relay_.healthy(),
          .sessions = relay_.sessions(),
          .sessions_max = relay_.sessions_max(),
          .shards = relay_.shards(),
          .process = sample_process()};
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
  append_process_metrics(sample_process(), page);
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
