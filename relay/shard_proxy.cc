#include "relay/shard_proxy.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/token.h"
#include "relay/core/fair_share.h"

namespace tandem {
namespace {

constexpr Nanos kAnswerTimeout = 2 * kNanosPerSecond;
constexpr Nanos kHealthInterval = kNanosPerSecond;
constexpr uint32_t kChecksMissed = 5;
constexpr uint32_t kPageRows = 512;
constexpr uint32_t kRowsMax = 10'000;

uint64_t activity(const SessionRow& row) {
  return row.ends[0].bytes + row.ends[1].bytes;
}

bool busier(const SessionRow& a, const SessionRow& b) {
  return activity(a) > activity(b);
}

RelayOutcome outcome_of(CommandOutcome outcome) {
  switch (outcome) {
    case CommandOutcome::done:
      return RelayOutcome::done;
    case CommandOutcome::not_found:
      return RelayOutcome::not_found;
    case CommandOutcome::table_full:
      return RelayOutcome::table_full;
  }
  return RelayOutcome::request_failed;
}

// Of several shards' answers the one to report: a failure over all, then done over not_found, since
// a session is known to one shard and a block to all.
RelayOutcome weightier(RelayOutcome a, RelayOutcome b) {
  const auto weight = [](RelayOutcome outcome) {
    switch (outcome) {
      case RelayOutcome::not_found:
        return 0;
      case RelayOutcome::done:
        return 1;
      case RelayOutcome::table_full:
        return 2;
      case RelayOutcome::request_failed:
        return 3;
    }
    return 3;
  };
  return weight(a) >= weight(b) ? a : b;
}

}  // namespace

ShardProxy::ShardProxy(std::vector<ShardView> shards, RelayFeatures features,
                       std::unique_ptr<const ShardSettings> settings)
    : shards_(std::move(shards)),
      features_(std::move(features)),
      goes_by_(shards_.size(), settings.get()),
      turns_(shards_.size()),
      demand_(shards_.size()) {
  settings_.push_back(std::move(settings));
}

// ---- requests ----

RequestId ShardProxy::open(uint32_t waiting, Complete complete) {
  if (++last_request_ == 0) ++last_request_;
  Request& request = requests_[last_request_];
  request.waiting = waiting;
  request.deadline = now_ + kAnswerTimeout;
  request.complete = std::move(complete);
  return last_request_;
}

bool ShardProxy::send(uint32_t shard, const ToShard& command) {
  if (!shards_[shard].inbox->commands.try_push(command)) return false;
  shards_[shard].wake();
  return true;
}

void ShardProxy::ask(uint32_t shard, const std::function<ToShard(RequestId)>& command,
                     Complete complete) {
  const RequestId request = open(1, std::move(complete));
  if (!send(shard, command(request))) answered(request, RelayOutcome::request_failed);
}

void ShardProxy::ask_all(const std::function<ToShard(RequestId)>& command, Complete complete) {
  const RequestId request = open(static_cast<uint32_t>(shards_.size()), std::move(complete));
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    if (!send(i, command(request))) answered(request, RelayOutcome::request_failed);
  }
}

void ShardProxy::answered(RequestId id, RelayOutcome outcome) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;  // it came after its deadline
  Request& request = found->second;
  request.outcome = weightier(request.outcome, outcome);
  if (--request.waiting != 0) return;
  Request complete = std::move(request);
  requests_.erase(found);
  complete.complete(complete);
}

void ShardProxy::expire(Nanos now) {
  for (auto it = requests_.begin(); it != requests_.end();) {
    if (it->second.deadline > now) {
      ++it;
      continue;
    }
    Request late = std::move(it->second);
    it = requests_.erase(it);
    late.outcome = RelayOutcome::request_failed;
    late.complete(late);
  }
}

void ShardProxy::kick(uint64_t session_id, Done done) {
  const auto owner = static_cast<uint32_t>((session_id & 0xff) % shards_.size());
  ask(
      owner,
      [=](RequestId request) {
        return KickSession{request, session_id};
      },
      [done = std::move(done)](Request& request) { done(request.outcome); });
}

void ShardProxy::block(const Network& network, Nanos duration, Done done) {
  ask_all(
      [=](RequestId request) {
        return AddBlock{request, network, duration, false};
      },
      [done = std::move(done)](Request& request) { done(request.outcome); });
}

void ShardProxy::unblock(const Network& network, Done done) {
  ask_all(
      [=](RequestId request) {
        return RemoveBlock{request, network};
      },
      [done = std::move(done)](Request& request) { done(request.outcome); });
}

void ShardProxy::blocks(std::function<void(RelayOutcome, std::vector<BlockRow>)> done) {
  // Every shard has the same list: one is asked.
  ask(
      0, [](RequestId request) { return ListBlocks{request}; },
      [done = std::move(done)](Request& request) {
        done(request.outcome, std::move(request.blocks));
      });
}

void ShardProxy::list_sessions(uint32_t max,
                               std::function<void(RelayOutcome, std::vector<SessionRow>)> done) {
  const uint32_t rows_max = std::min(max, kRowsMax);
  ask_all(
      [](RequestId request) {
        return ListSessions{request, 0, kPageRows};
      },
      [rows_max, done = std::move(done)](Request& request) {
        auto& rows = request.sessions;
        std::sort(rows.begin(), rows.end(), busier);
        if (rows.size() > rows_max) rows.resize(rows_max);
        done(request.outcome, std::move(rows));
      });
  const auto opened = requests_.find(last_request_);
  // 0 tells the request for a single session.
  if (opened != requests_.end()) opened->second.rows_max = std::max(rows_max, 1u);
}

void ShardProxy::describe_session(uint64_t session_id,
                                  std::function<void(RelayOutcome, SessionRow)> done) {
  const auto owner = static_cast<uint32_t>((session_id & 0xff) % shards_.size());
  ask(
      owner,
      [=](RequestId request) {
        return DescribeSession{request, session_id};
      },
      [done = std::move(done)](Request& request) {
        const bool found = !request.sessions.empty();
        done(found ? RelayOutcome::done : request.outcome,
             found ? request.sessions.front() : SessionRow{});
      });
}

void ShardProxy::set_draining(bool draining) {
  state_ = draining ? RelayState::draining : RelayState::serving;
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    if (!send(i, SetDrain{draining}))
      log(LogLevel::error, "relay", "command ring full", {{"shard", i}});
  }
}

void ShardProxy::apply(const ShardSettings& settings, Done done) {
  settings_.push_back(std::make_unique<const ShardSettings>(settings));
  const ShardSettings* const next = settings_.back().get();
  ask_all(
      [=](RequestId request) {
        return ApplySettings{request, next};
      },
      [done = std::move(done)](Request& request) { done(request.outcome); });
  if (settings.global_bytes_per_second == 0) {
    for (uint32_t i = 0; i < shards_.size(); ++i) (void)send(i, SetGlobalShare{0});
  }
}

void ShardProxy::stop() {
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    if (!send(i, StopShard{})) log(LogLevel::error, "relay", "command ring full", {{"shard", i}});
  }
}

// ---- what shards report ----

void ShardProxy::drain() {
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    FromShard message;
    while (shards_[i].inbox->messages.try_pop(message)) {
      std::visit([&](const auto& it) { on(i, it); }, message);
    }
  }
}

void ShardProxy::on(uint32_t, const SessionRow& row) {
  const auto found = requests_.find(row.request);
  if (found == requests_.end()) return;
  Request& request = found->second;
  request.sessions.push_back(row);
  if (request.rows_max == 0) return answered(row.request, RelayOutcome::done);  // describe
  // A heap of the busiest: its top is the one to go.
  std::push_heap(request.sessions.begin(), request.sessions.end(), busier);
  if (request.sessions.size() > request.rows_max) {
    std::pop_heap(request.sessions.begin(), request.sessions.end(), busier);
    request.sessions.pop_back();
  }
}

void ShardProxy::on(uint32_t, const BlockRow& row) {
  const auto found = requests_.find(row.request);
  if (found != requests_.end()) found->second.blocks.push_back(row);
}

void ShardProxy::on(uint32_t shard, const ListEnd& end) {
  const auto found = requests_.find(end.request);
  if (found == requests_.end()) return;
  if (end.next_cursor == 0) return answered(end.request, RelayOutcome::done);
  found->second.deadline = now_ + kAnswerTimeout;
  if (!send(shard, ListSessions{end.request, end.next_cursor, kPageRows})) {
    answered(end.request, RelayOutcome::request_failed);
  }
}

void ShardProxy::on(uint32_t, const CommandDone& done) {
  answered(done.request, outcome_of(done.outcome));
}

void ShardProxy::on(uint32_t shard, const LogEvent& event) {
  switch (event.kind) {
    case LogKind::authentication_failed:
      return log_authentication_failed("relay", event.address, {{"detail", event.detail}});
    case LogKind::rate_limited:
      return log_rate_limit_exceeded("relay", event.address, {{"limit", event.detail}});
    case LogKind::blocked:
      return log(LogLevel::warn, "relay", "address blocked",
                 {{"address", to_string(event.address)},
                  {"reason", event.detail},
                  {"seconds", event.value}});
    case LogKind::session_paired:
      return log(LogLevel::debug, "relay", "session paired",
                 {{"session", format_session_id(event.session_id)}, {"shard", shard}});
    case LogKind::session_ended:
      return log(LogLevel::debug, "relay", "session ended",
                 {{"session", format_session_id(event.session_id)},
                  {"how", event.detail},
                  {"bytes", event.value}});
    case LogKind::session_kicked:
      return log(LogLevel::info, "relay", "session kicked",
                 {{"session", format_session_id(event.session_id)}});
    case LogKind::bad_request:
      return log(LogLevel::info, "relay", "bad request",
                 {{"address", to_string(event.address)}, {"detail", event.detail}});
    case LogKind::accept_failed:
      return log(LogLevel::error, "relay", "cannot accept connections",
                 {{"shard", shard}, {"errno", event.value}});
    case LogKind::table_full:
      return log(LogLevel::error, "relay", "table full", {{"table", event.detail}});
    case LogKind::zero_copy_off:
      return log(LogLevel::info, "relay", "zero-copy switched off", {{"route", event.detail}});
  }
}

void ShardProxy::on(uint32_t shard, const AutoBlocked& blocked) {
  Network scope{rate_scope(blocked.address), 128};
  if (!blocked.address.is_v4()) scope.prefix = 64;
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    if (i != shard) (void)send(i, AddBlock{0, scope, blocked.duration, true});
  }
}

void ShardProxy::on(uint32_t shard, const SettingsApplied& applied) {
  goes_by_[shard] = applied.settings;
  // A shard takes its commands in order: what is older than all that are gone by is done with.
  while (std::ranges::find(goes_by_, settings_.front().get()) == goes_by_.end()) {
    settings_.pop_front();
  }
  answered(applied.request, RelayOutcome::done);
}

void ShardProxy::on(uint32_t, const ShardStopped&) {
  if (++stopped_ == shards_.size()) state_ = RelayState::stopped;
}

// ---- now and then ----

void ShardProxy::tick(Nanos now) {
  now_ = now;
  drain();
  expire(now);
  deal_global_bandwidth();
  check_health(now);
}

void ShardProxy::check_health(Nanos now) {
  if (now - health_checked_ < kHealthInterval) return;
  const bool first = health_checked_ == 0;
  health_checked_ = now;
  bool all_turn = true;
  standing_.resize(shards_.size());
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    const uint64_t turns = shards_[i].counters->turns.load();
    // A shard without work sleeps: it was woken at the last check, and one that lives has turned.
    // On a host that is out of time it may take a while, so one check proves nothing.
    standing_[i] = turns == turns_[i] && !first ? standing_[i] + 1 : 0;
    if (standing_[i] >= kChecksMissed) all_turn = false;
    turns_[i] = turns;
    shards_[i].wake();
  }
  if (all_turn != healthy_) {
    log(all_turn ? LogLevel::info : LogLevel::error, "relay",
        all_turn ? "all shards turn again" : "a shard stands still");
  }
  healthy_ = all_turn;
}

void ShardProxy::deal_global_bandwidth() {
  const uint64_t total = settings_.back()->global_bytes_per_second;
  if (total == 0) return;
  constexpr uint64_t kDealsPerSecond = 10;
  std::vector<uint64_t> wanted(shards_.size());
  std::vector<uint64_t> share(shards_.size());
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    const uint64_t demand = shards_[i].counters->demand.load();
    // A part is kept ready for whoever is idle, so that its first session starts at once.
    wanted[i] = std::max((demand - demand_[i]) * kDealsPerSecond, total / (10 * shards_.size()));
    demand_[i] = demand;
  }
  fair_share(total, wanted, share);
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    (void)send(i, SetGlobalShare{std::max<uint64_t>(share[i], 1)});
  }
}

// ---- figures ----

std::vector<ShardSummary> ShardProxy::shards() const {
  std::vector<ShardSummary> summaries;
  for (uint32_t i = 0; i < shards_.size(); ++i) {
    const RelayCounters& counters = *shards_[i].counters;
    const auto [buffers_free, buffers_total] = shards_[i].buffers();
    summaries.push_back({.shard = static_cast<uint16_t>(i),
                         .cpu = shards_[i].cpu,
                         .sessions = counters.sessions.load(),
                         .sessions_paired = counters.sessions_paired.load(),
                         .streams = counters.streams.load(),
                         .datagrams_received = counters.datagrams_received.load(),
                         .datagrams_forwarded = counters.datagrams_forwarded.load(),
                         .datagrams_dropped = counters.datagrams_dropped.total(),
                         .stream_bytes = counters.stream_bytes.load(),
                         .datagram_bytes = counters.datagram_bytes.load(),
                         .buffers_free = buffers_free,
                         .buffers_total = buffers_total,
                         .turns = counters.turns.load()});
  }
  return summaries;
}

uint64_t ShardProxy::sessions() const {
  uint64_t sum = 0;
  for (const ShardView& shard : shards_) sum += shard.counters->sessions.load();
  return sum;
}

}  // namespace tandem
