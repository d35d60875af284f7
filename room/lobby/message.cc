#include "room/lobby/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "room/lobby/payload.h"
#include "room/lobby/room_code.h"
#include "room/text/visible_text.h"

namespace tandem {
namespace {

constexpr std::size_t kRoomIdMax = 64;
constexpr std::size_t kCodeTypedMax = 16;  // with hyphens
constexpr std::size_t kCursorMax = 32;
constexpr std::uint32_t kOffsetMax = 100'000;
constexpr std::size_t kNameShown = 64;
constexpr double kLatencyMaxMs = 600'000;
constexpr double kBandwidthMaxKbps = 1e9;

using Parsed = Result<RoomRequest, ApiError>;

ApiError bad_request(std::string sentence) {
  return {ErrorCode::bad_request, std::move(sentence)};
}

// What was read, where nothing was wrong.
template <class T>
Parsed finish(const Payload& payload, T&& request) {
  if (payload.fault()) return unexpected(*payload.fault());
  return RoomRequest(std::forward<T>(request));
}

template <class T>
void take(std::optional<T>&& given, T& into) {
  if (given) into = std::move(*given);
}

void read_room_id(Payload& payload, RoomName& room) {
  payload.text("roomId", Need::required, kRoomIdMax, room.id);
}

void read_client(Payload& payload, std::string_view name, std::string& into) {
  payload.text(name, Need::required, kClientIdMax, into);
}

void read_metadata(Payload& payload, std::optional<std::string>& into) {
  std::optional<std::string_view> json;
  payload.json("metadata", Need::optional, kMetadataBytesMax, json);
  if (json) into = payload.is_null("metadata") ? "{}" : std::string(*json);
}

Parsed parse_create(JsonSpan object, const MessageLimits& limits) {
  Payload payload(object, {"name", "gameId", "gameVersion", "maxPlayers", "visibility", "password",
                           "region", "metadata", "hostEndpoint", "hostPeerId"});
  CreateRoom create;
  payload.text("name", Need::required, kRoomNameMax, create.name);
  std::optional<std::string> game;
  payload.game_id("gameId", Need::required, game);
  take(std::move(game), create.game_id);
  payload.text("gameVersion", Need::optional, kGameVersionMax, create.game_version);
  payload.integer("maxPlayers", 2u, limits.max_players, create.max_players);
  std::optional<Visibility> visibility;
  payload.visibility("visibility", visibility);
  take(std::move(visibility), create.visibility);
  payload.text("password", Need::optional, kPasswordMax, create.password);
  payload.text("region", Need::optional, kShortTextMax, create.region);
  std::optional<std::string> metadata;
  read_metadata(payload, metadata);
  take(std::move(metadata), create.metadata);
  payload.text("hostEndpoint", Need::optional, kHostEndpointMax, create.host_endpoint);
  payload.text("hostPeerId", Need::optional, kHostPeerIdMax, create.host_peer_id);
  return finish(payload, std::move(create));
}

Parsed parse_update(JsonSpan object, const MessageLimits& limits) {
  Payload payload(object, {"roomId", "name", "maxPlayers", "visibility", "password", "locked",
                           "metadata", "hostEndpoint", "hostPeerId"});
  UpdateRoom update;
  read_room_id(payload, update.room);
  if (payload.find("name") != nullptr)
    payload.text("name", Need::required, kRoomNameMax, update.name.emplace());
  payload.integer("maxPlayers", 2u, limits.max_players, update.max_players);
  payload.visibility("visibility", update.visibility);
  payload.text("password", kPasswordMax, update.password);
  if (payload.is_null("password")) update.password.emplace();
  payload.flag("locked", Need::optional, update.locked);
  read_metadata(payload, update.metadata);
  payload.text("hostEndpoint", kHostEndpointMax, update.host_endpoint);
  payload.text("hostPeerId", kHostPeerIdMax, update.host_peer_id);
  return finish(payload, std::move(update));
}

void read_filter(Payload& payload, RoomFilter& filter) {
  payload.game_id("gameId", Need::optional, filter.game_id);
  payload.text("region", kShortTextMax, filter.region);
  payload.flag("open", Need::optional, filter.open);
  payload.flag("hasPassword", Need::optional, filter.has_password);
  payload.text("text", Need::optional, kRoomNameMax, filter.text);
}

Parsed parse_list(JsonSpan object) {
  Payload payload(object,
                  {"gameId", "region", "open", "hasPassword", "text", "limit", "cursor", "offset"});
  ListRooms list;
  read_filter(payload, list.filter);
  std::optional<std::uint32_t> limit;
  payload.integer("limit", 1u, std::numeric_limits<std::uint32_t>::max(), limit);
  if (limit) list.limit = std::min<std::uint32_t>(*limit, kListLimitMax);
  std::optional<std::string> cursor;
  payload.text("cursor", kCursorMax, cursor);
  if (cursor && !cursor->empty()) {
    list.before = decode_cursor(*cursor);
    if (!list.before) payload.refuse("cursor", "the nextCursor of an earlier list");
  }
  std::optional<std::uint32_t> offset;
  payload.integer("offset", 0u, kOffsetMax, offset);
  take(std::move(offset), list.offset);
  return finish(payload, std::move(list));
}

template <class T>
Parsed parse_filter(JsonSpan object) {
  Payload payload(object, {"gameId", "region", "open", "hasPassword", "text"});
  T request;
  read_filter(payload, request.filter);
  return finish(payload, std::move(request));
}

Parsed parse_join(JsonSpan object) {
  Payload payload(object, {"roomId", "code", "password"});
  JoinRoom join;
  payload.text("roomId", Need::optional, kRoomIdMax, join.room.id);
  std::string typed;
  payload.text("code", Need::optional, kCodeTypedMax, typed);
  if (join.room.id.empty()) {
    if (typed.empty()) payload.refuse(R"("roomId" or "code" is missing)");
    if (auto code = normalize_room_code(typed)) {
      join.room.code = std::move(*code);
    } else {
      payload.refuse("code", fmt::format("{} to {} of the characters 0-9 and A-Z", kRoomCodeMin,
                                         kRoomCodeMax));
    }
  }
  payload.text("password", Need::optional, kPasswordMax, join.password);
  return finish(payload, std::move(join));
}

Parsed parse_leave(JsonSpan object) {
  Payload payload(object, {"roomId"});
  LeaveRoom leave;
  read_room_id(payload, leave.room);
  return finish(payload, std::move(leave));
}

Parsed parse_remove(JsonSpan object, bool ban) {
  Payload payload(object, {"roomId", "clientId", "reason"});
  RemovePlayer remove{.room = {}, .client_id = {}, .reason = {}, .ban = ban};
  read_room_id(payload, remove.room);
  read_client(payload, "clientId", remove.client_id);
  payload.text("reason", Need::optional, kReasonMax, remove.reason);
  return finish(payload, std::move(remove));
}

Parsed parse_transfer(JsonSpan object) {
  Payload payload(object, {"roomId", "clientId"});
  TransferHost transfer;
  read_room_id(payload, transfer.room);
  read_client(payload, "clientId", transfer.client_id);
  return finish(payload, std::move(transfer));
}

Parsed parse_ready(JsonSpan object) {
  Payload payload(object, {"roomId", "ready"});
  SetReady ready;
  read_room_id(payload, ready.room);
  std::optional<bool> flag;
  payload.flag("ready", Need::required, flag);
  take(std::move(flag), ready.ready);
  return finish(payload, std::move(ready));
}

void read_data(Payload& payload, std::string_view& into) {
  std::optional<std::string_view> data;
  payload.json("data", Need::required, std::numeric_limits<std::size_t>::max(), data);
  take(std::move(data), into);
}

Parsed parse_message(JsonSpan object) {
  Payload payload(object, {"roomId", "data", "to"});
  SendMessage message;
  payload.text("roomId", Need::required, kRoomIdMax, message.room_id);
  if (payload.find("to") != nullptr)
    payload.text("to", Need::required, kClientIdMax, message.to.emplace());
  read_data(payload, message.data);
  return finish(payload, std::move(message));
}

Parsed parse_signal(JsonSpan object) {
  Payload payload(object, {"roomId", "targetClientId", "data"});
  SendSignal signal;
  payload.text("roomId", Need::required, kRoomIdMax, signal.room_id);
  payload.text("targetClientId", Need::required, kClientIdMax, signal.target_client_id);
  read_data(payload, signal.data);
  return finish(payload, std::move(signal));
}

Parsed parse_p2p_success(JsonSpan object) {
  Payload payload(object, {"roomId", "targetClientId", "latencyMs", "connectionType"});
  ReportP2pSuccess report;
  read_room_id(payload, report.room);
  read_client(payload, "targetClientId", report.target_client_id);
  payload.number("latencyMs", Need::optional, 0, kLatencyMaxMs, report.latency_ms);
  payload.text("connectionType", Need::optional, kShortTextMax, report.connection_type);
  return finish(payload, std::move(report));
}

Parsed parse_p2p_failure(JsonSpan object) {
  Payload payload(object, {"roomId", "targetClientId", "reason", "sessionId"});
  ReportP2pFailure report;
  read_room_id(payload, report.room);
  read_client(payload, "targetClientId", report.target_client_id);
  payload.text("reason", Need::optional, kReasonMax, report.reason);
  payload.session_id("sessionId", Need::optional, report.session_id);
  return finish(payload, std::move(report));
}

Parsed parse_beacons(JsonSpan object) {
  Payload payload(object, {"relays"});
  const JsonSpan* relays = payload.find("relays");
  const std::string wanted = fmt::format("a list of at most {} {{\"id\",\"rttMs\"}}", kBeaconsMax);
  if (relays == nullptr || relays->kind != JsonKind::array) {
    payload.refuse("relays", wanted);
    return finish(payload, ReportBeacons{});
  }
  ReportBeacons beacons;
  JsonElements elements(*relays);
  for (JsonSpan element; elements.next(element);) {
    if (element.kind != JsonKind::object || beacons.relays.size() == kBeaconsMax) {
      payload.refuse("relays", wanted);
      break;
    }
    Payload each(element, {"id", "rttMs"});
    Beacon beacon;
    each.text("id", Need::required, kRelayIdMax, beacon.relay_id);
    std::optional<double> rtt;
    each.number("rttMs", Need::required, 0, kLatencyMaxMs, rtt);
    if (each.fault()) return unexpected(*each.fault());
    take(std::move(rtt), beacon.rtt_ms);
    beacons.relays.push_back(std::move(beacon));
  }
  return finish(payload, std::move(beacons));
}

Parsed parse_relay_report(JsonSpan object) {
  Payload payload(object, {"sessionId", "latencyMs", "packetLoss", "bandwidthKbps"});
  ReportRelay report;
  std::optional<std::uint64_t> session;
  payload.session_id("sessionId", Need::required, session);
  take(std::move(session), report.session_id);
  payload.number("latencyMs", Need::optional, 0, kLatencyMaxMs, report.latency_ms);
  payload.number("packetLoss", Need::optional, 0, 1, report.packet_loss);
  payload.number("bandwidthKbps", Need::optional, 0, kBandwidthMaxKbps, report.bandwidth_kbps);
  return finish(payload, std::move(report));
}

// What a client can send, and how it is read.
struct Kind {
  std::string_view event;
  Parsed (*parse)(JsonSpan object, const MessageLimits& limits);
  EventClass budget = EventClass::request;
  bool may_be_bare = false;  // without any argument
};

constexpr Kind kKinds[] = {
    {"room:message", [](JsonSpan o, const MessageLimits&) { return parse_message(o); },
     EventClass::message},
    {"p2p:signal", [](JsonSpan o, const MessageLimits&) { return parse_signal(o); },
     EventClass::signal},
    {"room:create", parse_create},
    {"room:list", [](JsonSpan o, const MessageLimits&) { return parse_list(o); },
     EventClass::request, true},
    {"room:subscribe",
     [](JsonSpan o, const MessageLimits&) { return parse_filter<SubscribeList>(o); },
     EventClass::request, true},
    {"room:unsubscribe",
     [](JsonSpan o, const MessageLimits&) { return parse_filter<UnsubscribeList>(o); },
     EventClass::request, true},
    {"room:join", [](JsonSpan o, const MessageLimits&) { return parse_join(o); }},
    {"room:leave", [](JsonSpan o, const MessageLimits&) { return parse_leave(o); }},
    {"room:update", parse_update},
    {"room:kick", [](JsonSpan o, const MessageLimits&) { return parse_remove(o, false); }},
    {"room:ban", [](JsonSpan o, const MessageLimits&) { return parse_remove(o, true); }},
    {"room:transfer", [](JsonSpan o, const MessageLimits&) { return parse_transfer(o); }},
    {"room:ready", [](JsonSpan o, const MessageLimits&) { return parse_ready(o); }},
    {"p2p:success", [](JsonSpan o, const MessageLimits&) { return parse_p2p_success(o); }},
    {"p2p:failure", [](JsonSpan o, const MessageLimits&) { return parse_p2p_failure(o); }},
    {"relay:beacons", [](JsonSpan o, const MessageLimits&) { return parse_beacons(o); }},
    {"relay:report", [](JsonSpan o, const MessageLimits&) { return parse_relay_report(o); }},
};

const Kind* find_kind(std::string_view event) {
  for (const Kind& kind : kKinds)
    if (kind.event == event) return &kind;
  return nullptr;
}

}  // namespace

EventClass event_class(std::string_view event) {
  const Kind* kind = find_kind(event);
  return kind == nullptr ? EventClass::request : kind->budget;
}

bool is_room_request(std::string_view event) {
  return find_kind(event) != nullptr;
}

Parsed parse_request(std::string_view event, std::span<const JsonSpan> arguments,
                     std::size_t attachments, const MessageLimits& limits) {
  const Kind* kind = find_kind(event);
  if (kind == nullptr)
    return unexpected(
        bad_request(fmt::format("there is no event \"{}\"", visible_part(event, kNameShown))));
  if (attachments > 0 && kind->budget == EventClass::request)
    return unexpected(bad_request(fmt::format("{} carries nothing binary", event)));
  if (arguments.empty() && kind->may_be_bare) return kind->parse({JsonKind::object, "{}"}, limits);
  if (arguments.empty() || arguments.front().kind != JsonKind::object)
    return unexpected(bad_request(fmt::format("the payload of {} has to be an object", event)));
  return kind->parse(arguments.front(), limits);
}

Result<void, ApiError> read_list_parameter(std::string_view name, std::string_view value,
                                           ListRooms& list) {
  const auto refuse = [&](std::string_view wanted) {
    return unexpected(bad_request(fmt::format("\"{}\" has to be {}", name, wanted)));
  };
  const auto text = [&](std::size_t most) {
    const auto count = value.size() <= most * 4 ? visible_code_points(value) : std::nullopt;
    return count && *count <= most;
  };
  const auto integer = [&](std::uint32_t least, std::uint32_t most) {
    std::uint32_t number = 0;
    const auto [end, fault] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool sound = fault == std::errc{} && end == value.data() + value.size() &&
                       number >= least && number <= most;
    return sound ? std::optional(number) : std::nullopt;
  };
  if (name == "gameId") {
    if (value.empty() || !text(kGameIdMax))
      return refuse(fmt::format("a text of 1 to {} characters", kGameIdMax));
    list.filter.game_id = value;
  } else if (name == "region") {
    if (!text(kShortTextMax))
      return refuse(fmt::format("a text of at most {} characters", kShortTextMax));
    list.filter.region = value;
  } else if (name == "open" || name == "hasPassword") {
    if (value != "true" && value != "false" && value != "1" && value != "0")
      return refuse("true or false");
    (name == "open" ? list.filter.open : list.filter.has_password) =
        value == "true" || value == "1";
  } else if (name == "text") {
    if (!text(kRoomNameMax))
      return refuse(fmt::format("a text of at most {} characters", kRoomNameMax));
    list.filter.text = value;
  } else if (name == "limit") {
    const auto limit = integer(1, std::numeric_limits<std::uint32_t>::max());
    if (!limit) return refuse("an integer from 1");
    list.limit = std::min<std::uint32_t>(*limit, kListLimitMax);
  } else if (name == "cursor") {
    list.before = decode_cursor(value);
    if (!list.before) return refuse("the nextCursor of an earlier list");
  } else if (name == "offset") {
    const auto offset = integer(0, kOffsetMax);
    if (!offset) return refuse(fmt::format("an integer from 0 to {}", kOffsetMax));
    list.offset = *offset;
  }
  return {};
}

}  // namespace tandem
