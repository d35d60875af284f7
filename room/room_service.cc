#include "room/room_service.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "common/assert.h"
#include "common/log.h"
#include "room/compat_metrics.h"
#include "room/operator/operator_routes.h"
#include "room/relays/relay_allocator.h"
#include "room/relays/relay_fleet.h"
#include "room/room_metrics.h"
#include "room/room_routes.h"
#include "room/room_sockets.h"
#include "room/room_storage.h"
#include "room/socket_io/socket_server.h"

namespace tandem {
namespace {

namespace asio = boost::asio;

// Pings, graces and lists: what users notice of it is a tenth of a second at most.
constexpr std::chrono::milliseconds kTick(50);
// Beside clients: probes, lists, logins.
constexpr std::size_t kConnectionsBeside = 256;
// Of one drain step; a thousand closed sockets take some milliseconds.
constexpr std::uint32_t kRoomsClosedAtOnce = 256;

// getrandom(2): ids of rooms and clients cannot be guessed.
class KernelRandom final : public RandomSource {
 public:
  void fill(std::span<std::uint8_t> bytes) override {
    while (!bytes.empty()) {
      const ssize_t got = ::getrandom(bytes.data(), bytes.size(), 0);
      TANDEM_CHECK(got > 0);
      bytes = bytes.subspan(static_cast<std::size_t>(got));
    }
  }
};

SipKey random_sip_key() {
  SipKey key{};
  TANDEM_CHECK(::getrandom(&key, sizeof key, 0) == sizeof key);
  return key;
}

RegistryCapacity capacity_of(const Config& config) {
  return {.connected_max = config.room.max_connections,
          .absent_max = config.room.max_connections,
          .rooms_max = config.room.max_rooms};
}

RegistryLimits registry_limits(const Config& config) {
  return {.rooms_max = config.room.max_rooms,
          .rooms_per_client = config.room.rooms_per_client,
          .players_max = config.room.max_players,
          .reconnect_grace = config.room.reconnect_grace_s * kNanosPerSecond,
          .session_lifetime = config.room.session_lifetime_s * kNanosPerSecond,
          .room_timeout = config.room.room_timeout_s * kNanosPerSecond,
          .list_broadcast = config.room.list_broadcast,
          .region = config.node.region};
}

SocketOptions socket_options(const Config& config) {
  SocketOptions options;
  options.engine.ping_interval = config.room.ping_interval_ms * kNanosPerMillisecond;
  options.engine.ping_timeout = config.room.ping_timeout_ms * kNanosPerMillisecond;
  options.engine.max_payload = config.room.max_request_size;
  options.engine.send_queue_bytes = config.room.send_queue_bytes;
  options.engine.sessions_max = config.room.max_connections;
  options.engine.sessions_per_address = config.room.connections_per_address;
  options.recovery.enabled = config.room.reconnect_grace_s > 0;
  return options;
}

WebOptions web_options(const Config& config) {
  WebOptions options;
  options.name = "room";
  options.limits.connections_max = config.room.max_connections + kConnectionsBeside;
  options.limits.connections_per_address = config.room.connections_per_address;
  options.limits.body_bytes_max = config.room.max_request_size;
  options.limits.message_bytes_max = config.room.max_request_size;
  options.limits.send_queue_bytes = config.room.send_queue_bytes;
  options.trusted_proxies = config.listen.trusted_proxies;
  options.proxy_protocol = config.listen.proxy_protocol;
  options.cors_origins = config.room.cors_origins;
  options.tls_cert = config.room.tls_cert;
  options.tls_key = config.room.tls_key;
  return options;
}

Retention retention_of(const Config& config) {
  return {.days = config.storage.retention_days,
          .every = config.room.cleanup_interval_s * kNanosPerSecond};
}

RelayAllocator::Options allocator_options(const Config& config) {
  return {.token_max_age_s = config.sessions.token_max_age_s};
}

std::uint64_t forwarded_bytes(const std::vector<ShardSummary>& shards) {
  std::uint64_t bytes = 0;
  for (const ShardSummary& shard : shards) bytes += shard.stream_bytes + shard.datagram_bytes;
  return bytes;
}

EventLatency latency_of(const RoomStats& stats) {
  EventLatency latency;
  for (const Nanos bound : DurationHistogram::kBounds)
    latency.bounds_ms.push_back(static_cast<double>(bound) / kNanosPerMillisecond);
  const auto counts = stats.event_counts();
  latency.counts.assign(counts.begin(), counts.end());
  return latency;
}

StorageHealth health_of(const StoreStatistics& storage) {
  if (storage.driver == "none") return StorageHealth::off;
  if (!storage.ok) return StorageHealth::down;
  return storage.live_stale ? StorageHealth::behind : StorageHealth::ok;
}

template <class View, class Page>
std::vector<View> all_pages(std::size_t most, Page page) {
  std::vector<View> views;
  std::uint32_t index = 0;
  while (index != RoomRegistry::kListEnd && views.size() < most)
    for (View& view : page(index, most - views.size())) views.push_back(std::move(view));
  return views;
}

}  // namespace

class RoomService::Impl final : public WebApp {
 public:
  Impl(asio::io_context& context, const Config& config, RelayControl& relay, RoomHooks hooks);

  ~Impl();

  Result<void, std::string> open();
  Result<void, std::string> apply(const Config& config);
  void set_draining(bool draining);
  void collect(Metrics& into) const;
  void collect_compatible(std::uint64_t resident_bytes, Metrics& into) const;
  void describe(NodeState& node) const;
  RoomOverview overview() const;
  bool close_room(std::string_view id);

  const WebServer& web() const { return *web_; }
  RoomRegistry& registry() { return registry_; }
  RoomSockets& sockets() { return *sockets_; }
  Store& store() { return *store_; }

 private:
  void on_request(const HttpRequest& request, HttpResponder responder) override;
  WebSocketEvents* on_websocket(const HttpRequest& request, WebSocket& socket,
                                HttpReply& refusal) override;
  void take_up(const LiveRooms& live);
  void start_parts();
  RoomFigures figures() const;
  void tick();
  void tick_later();
  void close_all_rooms();

  asio::io_context& context_;
  Config config_;
  RelayControl& relay_;
  RoomHooks hooks_;
  std::function<void(std::function<void()>)> post_;
  const SipKey hash_key_ = random_sip_key();
  KernelRandom random_;
  RoomStats stats_;
  AddressLimits address_limits_;
  ClientLimiter client_limits_;
  LocalRelay fleet_;
  RelayAllocator relays_;
  RoomRegistry registry_;
  PasswordWorker passwords_;
  std::unique_ptr<Store> store_;
  // They end the other way round: the port before the sockets that it serves.
  std::unique_ptr<RoomSockets> sockets_;
  std::unique_ptr<SocketServer> server_;
  std::unique_ptr<RoomRoutes> routes_;
  std::unique_ptr<WebServer> web_;
  asio::steady_timer timer_;
  bool draining_ = false;
};

RoomService::Impl::Impl(asio::io_context& context, const Config& config, RelayControl& relay,
                        RoomHooks hooks)
    : context_(context),
      config_(config),
      relay_(relay),
      hooks_(std::move(hooks)),
      post_([&context](std::function<void()> call) { asio::post(context, std::move(call)); }),
      address_limits_(hash_key_),
      client_limits_(hash_key_, std::size_t{2} * config.room.max_connections),
      fleet_(config, relay),
      relays_(fleet_, hooks_.keyring, allocator_options(config)),
      registry_(capacity_of(config), registry_limits(config), hash_key_, random_, moment_now()),
      passwords_(post_),
      timer_(context) {}

// The port goes first, then what clients' sockets have of ours, then the sockets.
RoomService::Impl::~Impl() {
  web_.reset();
  if (sockets_ != nullptr) sockets_->close();
  server_.reset();
}

Result<void, std::string> RoomService::Impl::open() {
  auto store = open_store(config_.storage, post_);
  if (!store) return unexpected(store.error());
  store_ = std::move(*store);
  const auto live = store_->load();
  if (!live) return unexpected(live.error());
  store_->set_retention(retention_of(config_));
  take_up(*live);
  start_parts();
  const Endpoint endpoint{config_.room.bind, config_.room.port};
  if (const auto listening = web_->listen(endpoint); !listening)
    return unexpected(fmt::format("cannot listen on {} (room.bind, room.port): {}",
                                  to_string(endpoint), listening.error()));
  tick_later();
  return {};
}

// What the registry leaves out is of no use to anybody: the store goes by what is there now.
void RoomService::Impl::take_up(const LiveRooms& live) {
  if (live.rooms.empty()) return;
  const std::size_t taken = registry_.restore(moment_now(), room_records(live));
  std::vector<RoomRecord> records;
  std::uint32_t index = 0;
  while (index != RoomRegistry::kListEnd)
    for (RoomRecord& record : registry_.records(index, kRoomsClosedAtOnce))
      records.push_back(std::move(record));
  if (taken < live.rooms.size()) store_->replace_live(live_rooms(records));
  log(LogLevel::info, "room", "rooms of before the restart",
      {{"rooms", std::uint64_t{taken}}, {"left_out", std::uint64_t{live.rooms.size() - taken}}});
}

void RoomService::Impl::start_parts() {
  sockets_ = std::make_unique<RoomSockets>(config_, RoomParts{.registry = registry_,
                                                              .relays = relays_,
                                                              .store = *store_,
                                                              .passwords = passwords_,
                                                              .address_limits = address_limits_,
                                                              .client_limits = client_limits_,
                                                              .stats = stats_,
                                                              .jwt_keys = hooks_.jwt_keys});
  server_ = std::make_unique<SocketServer>(socket_options(config_), *sockets_, [this] {
    asio::post(context_, [this] { server_->flush(); });
  });
  sockets_->attach(*server_);
  routes_ = std::make_unique<RoomRoutes>(config_,
                                         RoomRouteParts{.registry = registry_,
                                                        .fleet = fleet_,
                                                        .store = *store_,
                                                        .address_limits = address_limits_,
                                                        .client_limits = client_limits_,
                                                        .stats = stats_,
                                                        .random = random_,
                                                        .jwt_keys = hooks_.jwt_keys,
                                                        .operator_token = hooks_.operator_token});
  web_ = std::make_unique<WebServer>(context_, web_options(config_), *this);
}

Result<void, std::string> RoomService::Impl::apply(const Config& config) {
  config_ = config;
  fleet_.apply(config);
  relays_.apply(allocator_options(config));
  registry_.set_limits(registry_limits(config));
  sockets_->apply(config);
  routes_->apply(config);
  store_->set_retention(retention_of(config));
  server_->engine().set_bounds(config.room.send_queue_bytes, config.room.max_connections,
                               config.room.connections_per_address);
  return web_->apply(web_options(config));
}

void RoomService::Impl::set_draining(bool draining) {
  if (draining_ == draining) return;
  draining_ = draining;
  routes_->set_draining(draining);
  server_->engine().set_draining(draining);
  if (draining && config_.storage.driver == StorageDriver::none) close_all_rooms();
  sockets_->set_draining(draining);
  if (draining) server_->engine().drop_all();
}

void RoomService::Impl::close_all_rooms() {
  Outcome outcome;
  do {
    outcome.clear();
    registry_.close_rooms(moment_now(), CloseReason::draining, kRoomsClosedAtOnce, outcome);
    sockets_->settle(outcome);
  } while (registry_.rooms() > 0);
}

bool RoomService::Impl::close_room(std::string_view id) {
  Outcome outcome;
  const bool closed = registry_.close_room(moment_now(), id, CloseReason::by_operator, outcome);
  sockets_->settle(outcome);
  return closed;
}

void RoomService::Impl::tick_later() {
  timer_.expires_after(kTick);
  timer_.async_wait([this](const boost::system::error_code& fault) {
    if (fault) return;
    tick();
    tick_later();
  });
}

void RoomService::Impl::tick() {
  const Moment now = moment_now();
  server_->tick(now.mono);
  sockets_->tick(now);
  const StoreStatistics storage = store_->statistics();
  if (!storage.live_stale || !storage.ok) return;
  std::vector<RoomRecord> records;
  std::uint32_t index = 0;
  while (index != RoomRegistry::kListEnd)
    for (RoomRecord& record : registry_.records(index, kRoomsClosedAtOnce))
      records.push_back(std::move(record));
  store_->replace_live(live_rooms(records));
}

void RoomService::Impl::on_request(const HttpRequest& request, HttpResponder responder) {
  const std::string_view path = path_of(request.target);
  if (server_->engine().serves(path))
    return server_->engine().on_request(request, std::move(responder), monotonic_now());
  if (!OperatorRoutes::handles(request) && RoomRoutes::handles(path))
    return responder.reply(routes_->answer(request, moment_now()));
  hooks_.node->on_request(request, std::move(responder));
}

WebSocketEvents* RoomService::Impl::on_websocket(const HttpRequest& request, WebSocket& socket,
                                                 HttpReply& refusal) {
  if (server_->engine().serves(path_of(request.target)))
    return server_->engine().on_websocket(request, socket, refusal, monotonic_now());
  refusal = http_error(404, "WebSockets are at /socket.io/");
  return nullptr;
}

RoomFigures RoomService::Impl::figures() const {
  const RegistryCounts& counts = registry_.counts();
  std::uint64_t closed = 0;
  for (const std::uint64_t of_reason : counts.rooms_closed) closed += of_reason;
  return {.clients = registry_.connected(),
          .clients_absent = registry_.absent(),
          .rooms = registry_.rooms(),
          .rooms_max = registry_.limits().rooms_max,
          .players = registry_.players(),
          .list_subscribers = registry_.directory().followers(),
          .relay_sessions = registry_.relay_sessions(),
          .passwords_waiting = passwords_.waiting(),
          .addresses_evicted = address_limits_.evicted(),
          .rooms_created = counts.rooms_created,
          .rooms_closed = closed,
          .joins = counts.joins,
          .messages = counts.messages,
          .signals = counts.signals};
}

void RoomService::Impl::collect(Metrics& into) const {
  web_->collect(into);
  server_->engine().collect(into);
  server_->collect(into);
  append_room_metrics(stats_, figures(), into);
  append_store_metrics(store_->statistics(), into);
}

void RoomService::Impl::collect_compatible(std::uint64_t resident_bytes, Metrics& into) const {
  const CompatFigures figures{.node = fleet_.id(),
                              .region = config_.node.region,
                              .websockets = web_->websockets(),
                              .websockets_opened = web_->websockets_opened(),
                              .clients = registry_.connected(),
                              .rooms = registry_.rooms(),
                              .games = largest_games(registry_.rooms_by_game(), kGamesShown),
                              .matches = registry_.matches(),
                              .relay_bytes = forwarded_bytes(relay_.shards()),
                              .resident_bytes = resident_bytes,
                              .http_requests = http_requests_by_status(into)};
  append_compat_metrics(stats_, figures, into);
}

void RoomService::Impl::describe(NodeState& node) const {
  node.rooms = {.enabled = true,
                .connections = server_->engine().sessions(),
                .connections_max = config_.room.max_connections,
                .clients = registry_.connected(),
                .rooms = registry_.rooms(),
                .rooms_max = registry_.limits().rooms_max,
                .players = registry_.players()};
  const StoreStatistics storage = store_->statistics();
  node.storage = {.driver = storage.driver,
                  .ok = storage.ok,
                  .queue = storage.queued,
                  .queue_max = storage.queue_max,
                  .dropped = storage.dropped};
}

RoomOverview RoomService::Impl::overview() const {
  const StoreStatistics storage = store_->statistics();
  RoomOverview view{.enabled = true,
                    .rooms = registry_.rooms(),
                    .rooms_max = registry_.limits().rooms_max,
                    .members = registry_.players(),
                    .clients = registry_.connected(),
                    .connections = web_->connections(),
                    .connections_max = config_.room.max_connections,
                    .websockets = web_->websockets(),
                    .subscribers = registry_.directory().followers(),
                    .events_total = stats_.events_total(),
                    .events_refused_total = stats_.limited_total(),
                    .p2p_succeeded_total = stats_.p2p_successes_total(),
                    .p2p_failed_total = stats_.p2p_failures(),
                    .authentications_failed_total = stats_.authentications_failed(),
                    .latency = latency_of(stats_),
                    .storage = {.driver = std::string(storage.driver),
                                .health = health_of(storage),
                                .queued = storage.queued,
                                .queue_max = storage.queue_max,
                                .written = storage.written,
                                .failed = storage.errors,
                                .dropped = storage.dropped},
                    .cluster = {}};
  return view;
}

RoomService::RoomService(asio::io_context& context, const Config& config, RelayControl& relay,
                         RoomHooks hooks)
    : impl_(std::make_unique<Impl>(context, config, relay, std::move(hooks))) {}
RoomService::~RoomService() = default;

Result<void, std::string> RoomService::open() {
  return impl_->open();
}
std::uint16_t RoomService::port() const {
  return impl_->web().port();
}
Result<void, std::string> RoomService::apply(const Config& config) {
  return impl_->apply(config);
}
void RoomService::set_draining(bool draining) {
  impl_->set_draining(draining);
}
std::size_t RoomService::finish(Nanos patience) {
  impl_->sockets().end_links();
  return impl_->store().finish(patience);
}
void RoomService::collect(Metrics& into) const {
  impl_->collect(into);
}
void RoomService::collect_compatible(std::uint64_t resident_bytes, Metrics& into) const {
  impl_->collect_compatible(resident_bytes, into);
}
void RoomService::describe(NodeState& node) const {
  impl_->describe(node);
}
RoomOverview RoomService::overview() const {
  return impl_->overview();
}
StoreStatistics RoomService::storage() const {
  return impl_->store().statistics();
}
bool RoomService::close_room(std::string_view id) {
  return impl_->close_room(id);
}
std::optional<RoomView> RoomService::room(std::string_view id_or_code) const {
  return impl_->registry().view_room(id_or_code);
}
std::vector<RoomView> RoomService::rooms(std::size_t most) const {
  return all_pages<RoomView>(most, [this](std::uint32_t& index, std::size_t some) {
    return impl_->registry().view_rooms(index, some);
  });
}
std::string RoomService::rooms_json(std::uint32_t cursor, std::uint32_t limit) const {
  std::string json;
  impl_->registry().append_all(json, cursor, limit);
  return json;
}
std::vector<ClientView> RoomService::clients(std::size_t most) const {
  return all_pages<ClientView>(most, [this](std::uint32_t& index, std::size_t some) {
    return impl_->registry().view_clients(index, some);
  });
}
void RoomService::backup(std::string path, BackupDone done) {
  impl_->store().backup(std::move(path), std::move(done));
}

}  // namespace tandem
