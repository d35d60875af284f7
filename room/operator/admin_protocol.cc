#include "room/operator/admin_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/overloaded.h"
#include "common/token.h"
#include "room/operator/row_json.h"

namespace tandem {
namespace {

using Json = nlohmann::ordered_json;

// Strangers' text (a reload's error may quote a file) is made UTF-8 rather than thrown over.
std::string write(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <class Value, std::size_t kCount>
using Names = std::array<std::pair<std::string_view, Value>, kCount>;

constexpr Names<LogLevel, 5> kLogLevels{{{"debug", LogLevel::debug},
                                         {"info", LogLevel::info},
                                         {"warn", LogLevel::warn},
                                         {"error", LogLevel::error},
                                         {"fatal", LogLevel::fatal}}};
constexpr Names<MintSlots, 3> kSlots{
    {{"a", MintSlots::a}, {"b", MintSlots::b}, {"both", MintSlots::both}}};

template <class Value, std::size_t kCount>
std::string_view name_of(const Names<Value, kCount>& names, Value value) {
  for (const auto& [name, named] : names)
    if (named == value) return name;
  return {};
}

template <class Value, std::size_t kCount>
std::optional<Value> find_name(const Names<Value, kCount>& names, std::string_view wanted) {
  for (const auto& [name, value] : names)
    if (name == wanted) return value;
  return std::nullopt;
}

// Takes the keys of a request one by one; the first fault is kept, and a key that nobody took is
// one.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}

  // `parse` gives an optional; nothing where the key is absent.
  template <class Parse>
  auto text(std::string_view key, std::string_view expected, Parse parse)
      -> decltype(parse(std::string_view())) {
    const Json* value = take(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_string())
      if (auto parsed = parse(std::string_view(value->get_ref<const std::string&>())))
        return parsed;
    fail(key, expected);
    return std::nullopt;
  }

  template <class Parse>
  auto required(std::string_view key, std::string_view expected, Parse parse) ->
      typename decltype(parse(std::string_view()))::value_type {
    auto value = text(key, expected, parse);
    if (!value) fail(key, expected);
    return value.value_or(typename decltype(value)::value_type{});
  }

  template <class Integer>
  Integer number(std::string_view key, Integer otherwise, Integer least, Integer most) {
    const Json* value = take(key);
    if (value == nullptr) return otherwise;
    if (value->is_number_unsigned()) {
      const auto given = value->get<std::uint64_t>();
      if (given >= least && given <= most) return static_cast<Integer>(given);
    }
    fail(key, fmt::format("an integer from {} to {}", least, most));
    return otherwise;
  }

  bool flag(std::string_view key, bool otherwise) {
    const Json* value = take(key);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) {
      fail(key, "true or false");
      return otherwise;
    }
    return value->get<bool>();
  }

  // The request, unless something was wrong with it.
  Result<AdminRequest, AdminError> finish(AdminRequest request) {
    if (fault_.empty() && taken_ < object_.size())
      fault_ = fmt::format("the request has a key that this command does not know");
    if (!fault_.empty()) return unexpected(AdminError{AdminErrorCode::bad_request, fault_});
    return request;
  }

 private:
  const Json* take(std::string_view key) {
    const auto found = object_.find(std::string(key));
    if (found == object_.end()) return nullptr;
    ++taken_;
    return &*found;
  }

  void fail(std::string_view key, std::string_view expected) {
    if (fault_.empty()) fault_ = fmt::format("\"{}\" has to be {}", key, expected);
  }

  const Json& object_;
  std::size_t taken_ = 1;  // "command" itself
  std::string fault_;
};

using Decoded = Result<AdminRequest, AdminError>;

constexpr std::string_view kIdExpected = "a session id: 16 hex digits";
constexpr std::string_view kPathExpected =
    "an absolute path of at most 1024 bytes, without control characters";
constexpr std::string_view kNetworkExpected = "an address or a network: 192.0.2.7, 2001:db8::/32";

constexpr std::string_view kRoomExpected = "a room's id or its code";

std::optional<std::string> parse_room_name(std::string_view text) {
  if (text.empty() || text.size() > kAdminRoomNameMax) return std::nullopt;
  return std::string(text);
}

Decoded decode_mint(Fields& fields) {
  const MintRequest defaults;
  MintRequest mint;
  mint.session_id = fields.text("session", kIdExpected, parse_session_id);
  mint.slots = fields
                   .text("slot", "a, b or both",
                         [](std::string_view name) { return find_name(kSlots, name); })
                   .value_or(defaults.slots);
  mint.tcp = fields.flag("tcp", defaults.tcp);
  mint.udp = fields.flag("udp", defaults.udp);
  mint.prove = fields.flag("prove", defaults.prove);
  mint.expires_in_s = fields.number<std::uint32_t>("expires", defaults.expires_in_s, 1,
                                                   std::numeric_limits<std::uint32_t>::max());
  mint.rate_kbps =
      fields.number<std::uint32_t>("rateKbps", 0, 0, std::numeric_limits<std::uint32_t>::max());
  mint.lanes_max =
      fields.number<std::uint16_t>("lanes", 0, 0, std::numeric_limits<std::uint16_t>::max());
  return fields.finish(mint);
}

Decoded decode_block(Fields& fields) {
  admin::Block block;
  block.network = fields.required("network", kNetworkExpected, Network::parse);
  block.seconds =
      fields.number<std::uint32_t>("seconds", 0, 0, std::numeric_limits<std::uint32_t>::max());
  return fields.finish(block);
}

std::optional<std::string> parse_path(std::string_view path) {
  return is_admin_path(path) ? std::optional(std::string(path)) : std::nullopt;
}

Decoded decode_command(std::string_view command, Fields& fields) {
  const auto id = [&] { return fields.required("id", kIdExpected, parse_session_id); };
  if (command == "status") return fields.finish(admin::Status{});
  if (command == "sessions")
    return fields.finish(
        admin::Sessions{fields.number<std::uint32_t>("max", 50, 1, kAdminRowsMax)});
  if (command == "session") return fields.finish(admin::Session{id()});
  if (command == "kick") return fields.finish(admin::Kick{id()});
  if (command == "block") return decode_block(fields);
  if (command == "unblock")
    return fields.finish(
        admin::Unblock{fields.required("network", kNetworkExpected, Network::parse)});
  if (command == "blocks") return fields.finish(admin::Blocks{});
  if (command == "mint") return decode_mint(fields);
  if (command == "drain") return fields.finish(admin::SetDraining{true});
  if (command == "undrain") return fields.finish(admin::SetDraining{false});
  if (command == "reload") return fields.finish(admin::Reload{});
  if (command == "loglevel")
    return fields.finish(admin::SetLogLevel{
        fields.required("level", "debug, info, warn, error or fatal", parse_log_level)});
  const auto rows = [&] { return fields.number<std::uint32_t>("max", 50, 1, kAdminRowsMax); };
  const auto room = [&] { return fields.required("room", kRoomExpected, parse_room_name); };
  if (command == "rooms") return fields.finish(admin::Rooms{rows()});
  if (command == "room") return fields.finish(admin::Room{room()});
  if (command == "closeroom") return fields.finish(admin::CloseRoom{room()});
  if (command == "clients") return fields.finish(admin::Clients{rows()});
  if (command == "backup")
    return fields.finish(admin::Backup{fields.required("path", kPathExpected, parse_path)});
  if (command == "version") return fields.finish(admin::Version{});
  return unexpected(AdminError{AdminErrorCode::bad_request, "there is no such command"});
}

Json mint_request_json(const MintRequest& mint) {
  Json request = {{"command", "mint"}};
  if (mint.session_id) request["session"] = format_session_id(*mint.session_id);
  request.update({{"slot", name_of(kSlots, mint.slots)},
                  {"tcp", mint.tcp},
                  {"udp", mint.udp},
                  {"prove", mint.prove},
                  {"expires", mint.expires_in_s},
                  {"rateKbps", mint.rate_kbps},
                  {"lanes", mint.lanes_max}});
  return request;
}

Json request_json(const AdminRequest& request) {
  const auto plain = [](std::string_view name) { return Json{{"command", name}}; };
  return std::visit(
      Overloaded{
          [&](const admin::Status&) { return plain("status"); },
          [](const admin::Sessions& sessions) {
            return Json{{"command", "sessions"}, {"max", sessions.max}};
          },
          [](const admin::Session& session) {
            return Json{{"command", "session"}, {"id", format_session_id(session.id)}};
          },
          [](const admin::Kick& kick) {
            return Json{{"command", "kick"}, {"id", format_session_id(kick.id)}};
          },
          [](const admin::Block& block) {
            return Json{{"command", "block"},
                        {"network", to_string(block.network)},
                        {"seconds", block.seconds}};
          },
          [](const admin::Unblock& unblock) {
            return Json{{"command", "unblock"}, {"network", to_string(unblock.network)}};
          },
          [&](const admin::Blocks&) { return plain("blocks"); },
          [](const MintRequest& mint) { return mint_request_json(mint); },
          [&](const admin::SetDraining& set) { return plain(set.draining ? "drain" : "undrain"); },
          [&](const admin::Reload&) { return plain("reload"); },
          [](const admin::SetLogLevel& set) {
            return Json{{"command", "loglevel"}, {"level", log_level_name(set.level)}};
          },
          [](const admin::Rooms& rooms) {
            return Json{{"command", "rooms"}, {"max", rooms.max}};
          },
          [](const admin::Room& room) {
            return Json{{"command", "room"}, {"room", room.name}};
          },
          [](const admin::CloseRoom& room) {
            return Json{{"command", "closeroom"}, {"room", room.name}};
          },
          [](const admin::Clients& clients) {
            return Json{{"command", "clients"}, {"max", clients.max}};
          },
          [](const admin::Backup& backup) {
            return Json{{"command", "backup"}, {"path", backup.path}};
          },
          [&](const admin::Version&) { return plain("version"); },
      },
      request);
}

Json room_json(const RoomView& view) {
  const RoomRecord& room = view.record;
  return {{"id", room.id},
          {"code", room.code},
          {"name", room.name},
          {"gameId", room.game_id},
          {"gameVersion", room.game_version},
          {"region", room.region},
          {"hostId", room.host_id},
          {"visibility", visibility_name(room.visibility)},
          {"locked", room.locked},
          {"players", room.players.size()},
          {"connected", view.connected},
          {"maxPlayers", room.max_players},
          {"messages", view.messages},
          {"createdAt", room.created_at}};
}

Json player_json(const PlayerRecord& player) {
  return {{"clientId", player.client_id},
          {"seat", player.player_id},
          {"name", player.name},
          {"joinedAt", player.joined_at},
          {"ready", player.ready}};
}

constexpr Names<AdminErrorCode, 6> kAdminErrorNames{{{"bad_request", AdminErrorCode::bad_request},
                                                     {"not_found", AdminErrorCode::not_found},
                                                     {"table_full", AdminErrorCode::table_full},
                                                     {"no_answer", AdminErrorCode::no_answer},
                                                     {"refused", AdminErrorCode::refused},
                                                     {"failed", AdminErrorCode::failed}}};

}  // namespace

std::string_view to_string(AdminErrorCode code) {
  return name_of(kAdminErrorNames, code);
}

std::string encode_request(const AdminRequest& request) {
  return write(request_json(request));
}

Result<AdminRequest, AdminError> decode_request(std::string_view line) {
  const auto bad = [](std::string message) {
    return unexpected(AdminError{AdminErrorCode::bad_request, std::move(message)});
  };
  if (line.size() >= kAdminRequestMax)
    return bad(fmt::format("a request has at most {} bytes", kAdminRequestMax));
  const Json object = Json::parse(line, nullptr, false);
  if (!object.is_object()) return bad("a request is one JSON object a line");
  const auto command = object.find("command");
  if (command == object.end() || !command->is_string())
    return bad("a request has a \"command\", a string");
  Fields fields(object);
  return decode_command(command->get_ref<const std::string&>(), fields);
}

std::string encode_done() {
  return R"({"ok":true})";
}

std::string encode_error(const AdminError& error) {
  return write(
      {{"ok", false}, {"error", {{"code", to_string(error.code)}, {"message", error.message}}}});
}

std::string encode_sessions(std::span<const SessionRow> rows) {
  return fmt::format(R"({{"ok":true,"sessions":{}}})", rows_json(rows));
}

std::string encode_session(const SessionRow& row) {
  return fmt::format(R"({{"ok":true,"session":{}}})", row_json(row));
}

std::string encode_blocks(std::span<const BlockRow> rows) {
  return fmt::format(R"({{"ok":true,"blocks":{}}})", rows_json(rows));
}

std::string encode_rooms(std::span<const RoomView> rooms) {
  Json list = Json::array();
  for (const RoomView& room : rooms) list.push_back(room_json(room));
  return write({{"ok", true}, {"rooms", std::move(list)}});
}

std::string encode_room(const RoomView& room) {
  Json shown = room_json(room);
  Json players = Json::array();
  for (const PlayerRecord& player : room.record.players) players.push_back(player_json(player));
  shown["playerList"] = std::move(players);
  shown["banned"] = room.record.banned;
  return write({{"ok", true}, {"room", std::move(shown)}});
}

std::string encode_clients(std::span<const ClientView> clients) {
  Json list = Json::array();
  for (const ClientView& client : clients)
    list.push_back({{"id", client.id},
                    {"name", client.name},
                    {"connected", client.connected},
                    {"rooms", client.rooms}});
  return write({{"ok", true}, {"clients", std::move(list)}});
}

std::string encode_minted(const MintedTokens& minted) {
  Json answer = {{"ok", true},
                 {"session", format_session_id(minted.session_id)},
                 {"expiresAt", minted.expires_at},
                 {"tcp", minted.tcp},
                 {"udp", minted.udp},
                 {"prove", minted.prove}};
  if (!minted.a.empty()) answer["a"] = minted.a;
  if (!minted.b.empty()) answer["b"] = minted.b;
  return write(answer);
}

std::string encode_reloaded(const ReloadReport& report) {
  return write({{"ok", true}, {"applied", report.applied}, {"needsRestart", report.needs_restart}});
}

std::string encode_backed_up(std::string_view path, std::uint64_t bytes) {
  return write({{"ok", true}, {"path", path}, {"bytes", bytes}});
}

std::string encode_version(std::string_view version) {
  return write({{"ok", true}, {"version", version}});
}

std::optional<AdminError> refusal_in(std::string_view answer) {
  const AdminError garbled{AdminErrorCode::bad_request, "the daemon's answer makes no sense"};
  const Json object = Json::parse(answer, nullptr, false);
  if (!object.is_object()) return garbled;
  const auto ok = object.find("ok");
  if (ok == object.end() || !ok->is_boolean()) return garbled;
  if (ok->get<bool>()) return std::nullopt;
  const auto error = object.find("error");
  if (error == object.end() || !error->is_object()) return garbled;
  const auto text = [&](const char* key) {
    const auto found = error->find(key);
    return found != error->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return AdminError{find_name(kAdminErrorNames, text("code")).value_or(AdminErrorCode::refused),
                    text("message")};
}

bool is_admin_path(std::string_view path) {
  if (path.empty() || path.front() != '/' || path.size() > kAdminPathMax) return false;
  const auto is_control = [](char byte) { return static_cast<unsigned char>(byte) < 0x20; };
  if (std::ranges::any_of(path, is_control)) return false;
  // The strict writer throws over what is not UTF-8, the other one changes it.
  return Json::parse(write(Json(path)), nullptr, false) == Json(path);
}

std::string_view log_level_name(LogLevel level) {
  return name_of(kLogLevels, level);
}

std::optional<LogLevel> parse_log_level(std::string_view name) {
  return find_name(kLogLevels, name);
}

}  // namespace tandem
