#include "room/operator/operator_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "common/token.h"
#include "room/text/json_scan.h"

namespace tandem {
namespace {

using Parsed = Result<OperatorRequest, HttpReply>;
// What would have been right, where something was wrong.
using Expected = std::optional<std::string>;

constexpr std::size_t kRoomIdMax = 64;
constexpr std::size_t kBodyDepthMax = 1;
constexpr std::string_view kNetworkExpected = "an address or a network: 192.0.2.7, 2001:db8::/32";

Parsed refuse(unsigned status, std::string_view message) {
  return unexpected(http_error(status, message));
}

// ---- parts ----

template <class Read>
Expected read_body(std::string_view body, Read read) {
  const auto object = scan_json(body, kBodyDepthMax);
  if (!object || object->kind != JsonKind::object) return "the body has to be one JSON object";
  JsonMembers members(*object);
  JsonSpan name;
  JsonSpan value;
  while (members.next(name, value))
    if (Expected wrong = read(json_text(name), value)) return wrong;
  return std::nullopt;
}

Expected has_to_be(std::string_view member, std::string_view what) {
  return fmt::format("\"{}\" has to be {}", member, what);
}

std::optional<std::uint32_t> parse_number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// ---- one for each route; `id` is what stands behind a path that ends in a slash ----

Parsed read_page(const HttpRequest&, std::string_view) {
  return operation::Page{};
}

Parsed read_overview(const HttpRequest&, std::string_view) {
  return operation::Overview{};
}

// ?limit=, which may be left out.
Expected read_limit(const HttpRequest& request, std::uint32_t most, std::uint32_t& into) {
  const std::string given = url_decode(query_value(request.target, "limit"));
  if (given.empty()) return std::nullopt;
  const auto limit = parse_number(given);
  if (!limit || *limit < 1 || *limit > most)
    return fmt::format("limit has to be from 1 to {}", most);
  into = *limit;
  return std::nullopt;
}

Parsed read_sessions(const HttpRequest& request, std::string_view) {
  admin::Sessions sessions;
  if (const Expected wrong = read_limit(request, kOperatorSessionsMax, sessions.max))
    return refuse(400, *wrong);
  return sessions;
}

template <class Request>
Parsed read_session_id(const HttpRequest&, std::string_view id) {
  const auto session = parse_session_id(id);
  if (!session) return refuse(404, "a session id is 16 hex digits");
  return Request{*session};
}

Parsed read_blocks(const HttpRequest&, std::string_view) {
  return admin::Blocks{};
}

Parsed read_block(const HttpRequest& request, std::string_view) {
  std::optional<Network> network;
  std::uint32_t seconds = 0;
  const auto member = [&](std::string_view name, const JsonSpan& value) -> Expected {
    if (name == "network") {
      if (value.kind == JsonKind::string) network = Network::parse(json_text(value));
      return network ? std::nullopt : has_to_be(name, kNetworkExpected);
    }
    if (name == "seconds") {
      const auto given = value.kind == JsonKind::number ? json_uint(value) : std::nullopt;
      if (!given || *given > std::numeric_limits<std::uint32_t>::max())
        return has_to_be(name, "an integer from 0, which is until it is removed, to 4294967295");
      seconds = static_cast<std::uint32_t>(*given);
      return std::nullopt;
    }
    return "there are network and seconds";
  };
  if (const Expected wrong = read_body(request.body, member)) return refuse(400, *wrong);
  if (!network) return refuse(400, *has_to_be("network", kNetworkExpected));
  return admin::Block{*network, seconds};
}

Parsed read_unblock(const HttpRequest& request, std::string_view) {
  const auto network = Network::parse(url_decode(query_value(request.target, "network")));
  if (!network) return refuse(400, fmt::format("?network= has to be {}", kNetworkExpected));
  return admin::Unblock{*network};
}

Parsed read_drain(const HttpRequest& request, std::string_view) {
  std::optional<bool> draining;
  const auto member = [&](std::string_view name, const JsonSpan& value) -> Expected {
    if (name != "draining") return "there is draining alone";
    if (value.kind != JsonKind::boolean) return has_to_be(name, "true or false");
    draining = value.text == "true";
    return std::nullopt;
  };
  if (const Expected wrong = read_body(request.body, member)) return refuse(400, *wrong);
  if (!draining) return refuse(400, *has_to_be("draining", "true or false"));
  return admin::SetDraining{*draining};
}

bool asks_for_all(const HttpRequest& request) {
  return query_value(request.target, "all") == "true";
}

Parsed read_rooms(const HttpRequest& request, std::string_view) {
  if (!asks_for_all(request)) return refuse(404, "without ?all=true this is on the room port");
  operation::Rooms rooms;
  if (const Expected wrong = read_limit(request, kOperatorRoomsMax, rooms.limit))
    return refuse(400, *wrong);
  const std::string given = url_decode(query_value(request.target, "cursor"));
  if (given.empty()) return rooms;
  const auto cursor = parse_number(given);
  if (!cursor) return refuse(400, "cursor has to be the nextCursor of the page before");
  rooms.cursor = *cursor;
  return rooms;
}

Parsed read_close_room(const HttpRequest&, std::string_view id) {
  const bool sound = id.size() <= kRoomIdMax && std::ranges::all_of(id, [](char letter) {
                       return (letter >= '0' && letter <= '9') ||
                              (letter >= 'a' && letter <= 'z') ||
                              (letter >= 'A' && letter <= 'Z') || letter == '-';
                     });
  if (!sound) return refuse(404, "there is no such room");
  return operation::CloseRoom{std::string(id)};
}

// ---- routes ----

struct Route {
  std::string_view method;
  std::string_view path;
  Parsed (*read)(const HttpRequest&, std::string_view id);
  std::string_view allowed;  // on this path, somebody else's methods too
};
constexpr std::string_view kSessions = "/api/v1/sessions";
constexpr std::string_view kRooms = "/api/v1/rooms";
constexpr std::string_view kOneRoom = "/api/v1/rooms/";
constexpr Route kRoutes[] = {
    {"GET", "/", read_page, "GET, HEAD"},
    {"GET", "/dashboard", read_page, "GET, HEAD"},
    {"GET", "/api/v1/overview", read_overview, "GET, HEAD"},
    {"GET", kSessions, read_sessions, "GET, HEAD, POST"},
    {"GET", "/api/v1/sessions/", read_session_id<admin::Session>, "GET, HEAD, DELETE"},
    {"DELETE", "/api/v1/sessions/", read_session_id<admin::Kick>, "GET, HEAD, DELETE"},
    {"GET", "/api/v1/blocks", read_blocks, "GET, HEAD, POST, DELETE"},
    {"POST", "/api/v1/blocks", read_block, "GET, HEAD, POST, DELETE"},
    {"DELETE", "/api/v1/blocks", read_unblock, "GET, HEAD, POST, DELETE"},
    {"POST", "/api/v1/drain", read_drain, "POST"},
    {"GET", kRooms, read_rooms, "GET, HEAD"},
    {"DELETE", kOneRoom, read_close_room, "GET, HEAD, DELETE"},
};

// What stands behind a path with an id, "" for a path without one, nothing where it is another.
std::optional<std::string_view> id_in(std::string_view path, const Route& route) {
  if (path == route.path)
    return route.path.size() > 1 && route.path.ends_with('/') ? std::nullopt
                                                              : std::optional(std::string_view());
  if (route.path.size() == 1 || !route.path.ends_with('/') || !path.starts_with(route.path))
    return std::nullopt;
  const std::string_view id = path.substr(route.path.size());
  return id.find('/') == std::string_view::npos ? std::optional(id) : std::nullopt;
}

std::string_view method_of(const HttpRequest& request) {
  return request.method == "HEAD" ? "GET" : request.method;
}

// What else is at these paths is for clients and back ends.
bool is_others(const HttpRequest& request, std::string_view path) {
  if (path == kSessions) return request.method == "POST";
  if (path == kRooms) return method_of(request) != "GET" || !asks_for_all(request);
  return path.starts_with(kOneRoom) && request.method != "DELETE";
}

}  // namespace

bool is_operator_request(const HttpRequest& request) {
  const std::string_view path = path_of(request.target);
  return !is_others(request, path) && std::ranges::any_of(kRoutes, [&](const Route& route) {
    return id_in(path, route).has_value();
  });
}

bool wants_operator(const HttpRequest& request) {
  const std::string_view path = path_of(request.target);
  return std::ranges::none_of(
      kRoutes, [&](const Route& route) { return route.read == read_page && route.path == path; });
}

Result<OperatorRequest, HttpReply> parse_operator_request(const HttpRequest& request) {
  const std::string_view path = path_of(request.target);
  std::string_view allowed;
  for (const Route& route : kRoutes) {
    const auto id = id_in(path, route);
    if (!id) continue;
    if (route.method == method_of(request)) return route.read(request, *id);
    allowed = route.allowed;
  }
  if (allowed.empty()) return refuse(404, "there is nothing here");
  HttpReply refusal = http_error(405, fmt::format("this is for {}", allowed));
  refusal.allow = allowed;
  return unexpected(std::move(refusal));
}

}  // namespace tandem
