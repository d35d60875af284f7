#include "room/room_sockets.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/assert.h"
#include "common/log.h"
#include "room/lobby/message.h"
#include "room/room_sockets_client.h"
#include "room/version.h"

namespace tandem {
namespace {

constexpr std::string_view kNamespace = "/";
constexpr Nanos kListInterval = 100 * kNanosPerMillisecond;
// Of one tick, so that a thousand graces that end at once do not hold up everyone else.
constexpr std::uint32_t kExpiriesPerTick = 256;
constexpr std::size_t kListRoomsPerTick = 256;
// So that what a room leaves behind is not held for all of them at once.
constexpr std::size_t kRoomsEndedAtOnce = 64;
// A token's end is noticed within that many ticks.
constexpr std::size_t kTokenSweepTicks = 20;

ConnectRefusal refusal_of(const ApiError& error) {
  ConnectRefusal refusal{.message = error.message, .data = {}};
  append_error(refusal.data, error);
  return refusal;
}

// The event in a packet of ours: ["name",argument].
struct SentEvent {
  std::string_view name;
  std::string_view arguments;
  std::string_view room_id;  // "" where it is of no room
};

std::optional<SentEvent> read_packet(const SocketPacket& packet) {
  const std::string_view text = packet.frames.front()->payload();
  const std::size_t begin = text.find('[');
  if (begin == std::string_view::npos) return std::nullopt;
  const JsonSpan array{JsonKind::array, text.substr(begin)};
  JsonElements elements(array);
  JsonSpan name, argument;
  if (!elements.next(name) || !elements.next(argument)) return std::nullopt;
  if (name.kind != JsonKind::string || argument.kind != JsonKind::object) return std::nullopt;
  SentEvent event{json_plain_text(name).value_or(""), argument.text, ""};
  JsonMembers members(argument);
  JsonSpan key, value;
  while (members.next(key, value))
    if (key.text == R"("roomId")" && value.kind == JsonKind::string)
      event.room_id = json_plain_text(value).value_or("");
  return event;
}

}  // namespace

Moment moment_now() {
  timespec wall{};
  ::clock_gettime(CLOCK_REALTIME, &wall);
  return {.mono = monotonic_now(),
          .wall = wall.tv_sec * 1000 + wall.tv_nsec / kNanosPerMillisecond};
}

RoomSockets::RoomSockets(const Config& config, RoomParts parts)
    : config_(config), node_id_(node_id(config)), parts_(std::move(parts)) {}
RoomSockets::~RoomSockets() = default;

void RoomSockets::apply(const Config& config) {
  config_ = config;
}

void RoomSockets::set_draining(bool draining) {
  draining_ = draining;
  parts_.registry.set_draining(draining);
  if (!draining) parts_.registry.begin_graces_anew(moment_now());
}

JwtRules RoomSockets::jwt_rules() const {
  return {.issuer = config_.room.jwt_issuer, .audience = config_.room.jwt_audience};
}

Socket* RoomSockets::socket_of(ClientKey key) const {
  if (key.handle.index >= seats_.size()) return nullptr;
  const Seat& seat = seats_[key.handle.index];
  return seat.key == key ? seat.socket : nullptr;
}

// ---- coming in ----

std::optional<ConnectRefusal> RoomSockets::judge(Socket& socket, std::optional<JsonSpan> auth) {
  const Moment now = moment_now();
  const IpAddress& address = socket.client();
  if (const auto verdict = parts_.address_limits.may_log_in(address, now.mono);
      !verdict.allowed()) {
    parts_.stats.record_limited(LimitScope::login);
    return refusal_of({ErrorCode::rate_limited, "too many failed logins from this address",
                       verdict.retry_after_s});
  }
  std::string token;
  if (auth && auth->kind == JsonKind::object) {
    JsonMembers members(*auth);
    JsonSpan name, value;
    while (members.next(name, value))
      if (name.text == R"("token")" && value.kind == JsonKind::string) token = json_text(value);
  }
  auto claims = verify_jwt(token, parts_.jwt_keys(), jwt_rules(), now.wall / 1000);
  if (claims) {
    admitted_ = std::move(*claims);
    return std::nullopt;
  }
  if (token.empty()) {
    parts_.stats.record_missing_token();
  } else {
    parts_.stats.record_bad_token(claims.error());
  }
  (void)parts_.address_limits.record_failed_login(address, now.mono);
  const std::string_view why = token.empty() ? "no token" : to_string(claims.error());
  log_authentication_failed("room", address, {{"detail", why}});
  return refusal_of({ErrorCode::auth_failed, fmt::format("Authentication failed: {}", why)});
}

std::optional<ConnectRefusal> RoomSockets::on_connect(Socket& socket, std::optional<JsonSpan> auth,
                                                      std::string& identity) {
  if (draining_)
    return refusal_of({ErrorCode::draining, "this node takes no new clients: ask another"});
  if (auto refusal = judge(socket, auth)) return refusal;
  identity = admitted_.subject;
  return std::nullopt;
}

void RoomSockets::on_connected(Socket& socket) {
  const Nanos begun = monotonic_now();
  // What an older socket of the same client has not got, while that socket still has it.
  enter(socket, Return::fresh, retire(admitted_.subject));
  parts_.stats.record_event(EventType::connect, monotonic_now() - begun);
}

void RoomSockets::on_recovered(Socket& socket) {
  enter(socket, Return::recovered, {});
}

// The same client has another socket here, live or parked: it goes, and what it missed is told to
// the new one.
MissedPackets RoomSockets::retire(std::string_view client_id) {
  const auto key = parts_.registry.find_client(client_id);
  Socket* const older = key ? socket_of(*key) : nullptr;
  if (older == nullptr) return {};
  auto missed = server_->take_missed(*older);
  forget(*older);
  if (older->is_connected()) {
    older->disconnect(true);
  } else {
    server_->discard(*older);
  }
  return missed;
}

void RoomSockets::unpark(Client& client) {
  if (client.parked) parked_.erase(*std::exchange(client.parked, std::nullopt));
}

// The socket is nobody's any more. Its place may be another client's by now.
void RoomSockets::forget(Socket& socket) {
  auto* const client = static_cast<Client*>(std::exchange(socket.user, nullptr));
  if (client == nullptr) return;
  unpark(*client);
  Seat& seat = seats_[client->key.handle.index];
  if (seat.socket == &socket) seat = {};
  delete client;
}

void RoomSockets::end_links() {
  for (std::uint32_t index = 0; index != RoomRegistry::kListEnd;) {
    outcome_.clear();
    parts_.registry.end_links(moment_now(), index, kRoomsEndedAtOnce, outcome_);
    keep(outcome_);
  }
}

void RoomSockets::close() {
  while (!parked_.empty()) forget(*parked_.front().socket);
  for (const Seat& seat : seats_)
    if (seat.socket != nullptr) forget(*seat.socket);
}

void RoomSockets::enter(Socket& socket, Return how, const MissedPackets& missed) {
  outcome_.clear();
  const std::string_view name = admitted_.name.empty() ? admitted_.subject : admitted_.name;
  const auto connection =
      parts_.registry.connect(moment_now(), admitted_.subject, name, how, outcome_);
  if (!connection) {
    refuse(socket, std::nullopt, connection.error());
    return socket.disconnect(true);
  }
  if (socket.user == nullptr) socket.user = new Client;
  auto* const client = static_cast<Client*>(socket.user);
  client->key = connection->client;
  client->number = connection->number;
  client->expires_at = admitted_.expires_at;
  unpark(*client);
  const std::uint32_t index = client->key.handle.index;
  if (index >= seats_.size()) seats_.resize(index + 1);
  seats_[index] = {client->key, &socket};
  greet(socket);
  for (std::size_t i = 0; i < outcome_.event_count(); ++i)
    if (const RoomEvent event = outcome_.event(i); event.name == RoomEventName::room_resumed)
      send_resumed(socket, event.arguments, missed);
  keep(outcome_);
  parts_.store.post(ClientSeen{.id = admitted_.subject,
                               .username = std::string(name),
                               .platform = {},
                               .version = {},
                               .at = moment_now().wall});
}

void RoomSockets::greet(Socket& socket) {
  std::string arguments;
  append_connected(arguments, {.client_id = admitted_.subject,
                               .server_time = moment_now().wall,
                               .server_version = version(),
                               .node = node_id_,
                               .region = config_.node.region});
  socket.emit(encode_event(kNamespace, "connected", arguments));
}

// Events with attachments cannot stand in another event's JSON: they come behind it, as they were.
void RoomSockets::send_resumed(Socket& socket, std::string_view arguments,
                               const MissedPackets& missed) {
  std::string_view room_id;
  JsonMembers members({JsonKind::object, arguments});
  JsonSpan name, value;
  while (members.next(name, value))
    if (name.text == R"("roomId")") room_id = json_plain_text(value).value_or("");
  std::vector<MissedEvent> told;
  std::vector<SharedPacket> behind;
  for (const SharedPacket& packet : missed.packets) {
    const auto event = read_packet(*packet);
    if (!event || event->room_id != room_id || event->name == "room:resumed") continue;
    if (packet->frames.size() > 1) {
      behind.push_back(packet);
    } else {
      told.push_back({event->name, event->arguments});
    }
  }
  text_.assign(arguments);
  append_missed(text_, told, missed.all);
  socket.emit(encode_event(kNamespace, room_event_name(RoomEventName::room_resumed), text_));
  for (const SharedPacket& packet : behind) socket.emit(packet);
}

// ---- going ----

void RoomSockets::park(Socket& socket, Client& client, Nanos until) {
  client.parked = parked_.insert(parked_.end(), {until, &socket});
}

Parting RoomSockets::on_disconnect(Socket& socket, SocketEnd) {
  auto* const client = static_cast<Client*>(socket.user);
  if (client == nullptr) return Parting::gone;  // never let in, or another one has taken over
  const Moment now = moment_now();
  const ClientKey key = client->key;
  outcome_.clear();
  parts_.registry.drop(now, key, client->number, outcome_);
  const bool kept = !parts_.registry.client_id(key).empty();
  if (kept) {
    park(socket, *client, now.mono + parts_.registry.limits().reconnect_grace);
  } else {
    forget(socket);
  }
  settle(outcome_);
  parts_.stats.record_event(EventType::disconnect, monotonic_now() - now.mono);
  return kept ? Parting::parked : Parting::gone;
}

// ---- time ----

void RoomSockets::tick(Moment now) {
  if (!draining_) {
    outcome_.clear();
    parts_.registry.expire(now, kExpiriesPerTick, outcome_);
    settle(outcome_);
    expire_parked(now);
    replace_lost_relays(now);
  }
  expire_tokens(now);
  if (now.mono < next_lists_ || !parts_.registry.has_list_changes()) return;
  next_lists_ = now.mono + kListInterval;
  outcome_.clear();
  parts_.registry.take_list_changes(kListRoomsPerTick, outcome_);
  settle(outcome_);
}

void RoomSockets::expire_parked(Moment now) {
  while (!parked_.empty() && parked_.front().until <= now.mono) {
    Socket& socket = *parked_.front().socket;
    auto* const client = static_cast<Client*>(socket.user);
    if (!parts_.registry.client_id(client->key).empty()) {
      // Its grace is longer than it was when it began.
      unpark(*client);
      park(socket, *client, now.mono + kListInterval);
      continue;
    }
    forget(socket);
    server_->discard(socket);
  }
}

// The connection goes without a DISCONNECT: the client comes back by itself, and its program gives
// a fresh token then.
void RoomSockets::expire_tokens(Moment now) {
  const std::size_t some = seats_.size() / kTokenSweepTicks + 1;
  for (std::size_t i = 0; i < some && !seats_.empty(); ++i) {
    token_sweep_ = (token_sweep_ + 1) % seats_.size();
    Socket* const socket = seats_[token_sweep_].socket;
    if (socket == nullptr || !socket->is_connected()) continue;
    if (static_cast<Client*>(socket->user)->expires_at <= now.wall / 1000) socket->drop();
  }
}

}  // namespace tandem
