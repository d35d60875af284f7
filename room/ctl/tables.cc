#include "room/ctl/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/overloaded.h"
#include "common/token.h"
#include "common/units.h"

namespace tandem {
namespace {

using Json = nlohmann::ordered_json;

// "relay.sessions" and the like, with null for what is not there.
const Json& at(const Json& object, std::string_view path) {
  static const Json kNothing;
  const std::string key(path.substr(0, path.find('.')));
  if (!object.is_object()) return kNothing;
  const auto found = object.find(key);
  if (found == object.end()) return kNothing;
  return key.size() == path.size() ? *found : at(*found, path.substr(key.size() + 1));
}

std::string text(const Json& value) {
  if (value.is_null()) return "-";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::uint64_t number(const Json& value) {
  return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

std::string bytes(const Json& value) {
  return value.is_number_unsigned() ? format_bytes(number(value)) : "-";
}

// The sender's figure may be past what nanoseconds hold.
std::string duration(const Json& value, Nanos unit) {
  if (!value.is_number()) return "-";
  const auto most = static_cast<std::uint64_t>(INT64_MAX / unit);
  return format_duration(static_cast<Nanos>(std::min(number(value), most)) * unit);
}
std::string milliseconds(const Json& value) {
  return duration(value, kNanosPerMillisecond);
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.0f} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string words(const Json& list) {
  std::string joined;
  for (const Json& word : list) {
    if (!joined.empty()) joined += ", ";
    joined += text(word);
  }
  return joined.empty() ? "-" : joined;
}

enum class Align : std::uint8_t { left, right };
struct Column {
  std::string_view title;
  Align align = Align::left;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {
    std::vector<std::string> titles;
    for (const Column& column : columns_) titles.emplace_back(column.title);
    rows_.push_back(std::move(titles));
  }

  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  [[nodiscard]] std::string render() const {
    std::vector<std::size_t> widths(columns_.size());
    for (const auto& row : rows_)
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    std::string page;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        if (i > 0) line += "  ";
        line += columns_[i].align == Align::left ? fmt::format("{:<{}}", row[i], widths[i])
                                                 : fmt::format("{:>{}}", row[i], widths[i]);
      }
      line.erase(line.find_last_not_of(' ') + 1);
      page += line + '\n';
    }
    return page;
  }

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Name and value, for what is told of one thing.
class Sheet {
 public:
  void add(std::string_view name, const std::string& value) {
    page_ += fmt::format("{:<14}{}\n", name, value);
  }
  [[nodiscard]] std::string render() const { return page_; }

 private:
  std::string page_;
};

std::string shards_table(const Json& shards) {
  Table table({{"SHARD", Align::right},
               {"CPU", Align::right},
               {"SESSIONS", Align::right},
               {"PAIRED", Align::right},
               {"STREAMS", Align::right},
               {"TCP", Align::right},
               {"UDP", Align::right},
               {"DATAGRAMS", Align::right},
               {"DROPPED", Align::right},
               {"BUFFERS", Align::right}});
  for (const Json& shard : shards) {
    const std::uint64_t total = number(at(shard, "buffersTotal"));
    const std::uint64_t free = std::min(number(at(shard, "buffersFree")), total);
    table.add({text(at(shard, "shard")), text(at(shard, "cpu")), text(at(shard, "sessions")),
               text(at(shard, "sessionsPaired")), text(at(shard, "streams")),
               bytes(at(shard, "streamBytes")), bytes(at(shard, "datagramBytes")),
               text(at(shard, "datagramsForwarded")), text(at(shard, "datagramsDropped")),
               percent(total - free, total)});
  }
  return table.render();
}

std::string status_page(const Json& answer) {
  Sheet sheet;
  sheet.add("version", text(at(answer, "version")));
  sheet.add("status",
            fmt::format("{}, {}", text(at(answer, "status")), text(at(answer, "readiness"))));
  sheet.add("relay", text(at(answer, "relay.state")));
  sheet.add("uptime", duration(at(answer, "uptime"), kNanosPerSecond));
  sheet.add("sessions", fmt::format("{} of {}, room for {}", text(at(answer, "relay.sessions")),
                                    text(at(answer, "relay.sessionsMax")),
                                    text(at(answer, "relay.sessionsLeft"))));
  sheet.add("memory",
            fmt::format("{}, the host has {} left", bytes(at(answer, "memory.residentBytes")),
                        bytes(at(answer, "checks.memory.availableBytes"))));
  sheet.add("descriptors", fmt::format("{} of {}", text(at(answer, "checks.fileDescriptors.open")),
                                       text(at(answer, "checks.fileDescriptors.max"))));
  sheet.add(
      "back end",
      fmt::format("{}, submission {}, zero copy {}", text(at(answer, "features.backend")),
                  text(at(answer, "features.submission")), text(at(answer, "features.zeroCopy"))));
  sheet.add("kernel", words(at(answer, "features.kernel")));
  return sheet.render() + '\n' + shards_table(at(answer, "relay.shards"));
}

std::string side(const Json& end) {
  const std::uint64_t streams = number(at(end, "tcpStreams"));
  const bool udp = !at(end, "udp").is_null();
  if (streams == 0 && !udp) return "-";
  const std::string address = text(at(end, udp ? "udp" : "tcp"));
  const std::string tcp = streams == 0 ? "" : fmt::format("tcp*{}", streams);
  return fmt::format("{} {}{}{}", address, tcp, udp && streams > 0 ? "+" : "", udp ? "udp" : "");
}

std::string sessions_page(const Json& answer) {
  Table table({{"SESSION"},
               {"SHARD", Align::right},
               {"STATE"},
               {"AGE", Align::right},
               {"IDLE", Align::right},
               {"RATE", Align::right},
               {"FROM A", Align::right},
               {"FROM B", Align::right},
               {"A"},
               {"B"}});
  for (const Json& session : at(answer, "sessions"))
    table.add({text(at(session, "id")), text(at(session, "shard")),
               at(session, "paired") == true ? "paired" : "waiting",
               milliseconds(at(session, "ageMs")), milliseconds(at(session, "idleMs")),
               bytes(at(session, "rateBytesPerSecond")) + "/s", bytes(at(session, "a.bytes")),
               bytes(at(session, "b.bytes")), side(at(session, "a")), side(at(session, "b"))});
  return table.render();
}

std::string session_page(const Json& answer) {
  const Json& session = at(answer, "session");
  Sheet sheet;
  sheet.add("session", text(at(session, "id")));
  sheet.add("shard", text(at(session, "shard")));
  sheet.add("state", at(session, "paired") == true ? "paired" : "waiting");
  sheet.add("age", milliseconds(at(session, "ageMs")));
  sheet.add("idle", milliseconds(at(session, "idleMs")));
  sheet.add("rate", bytes(at(session, "rateBytesPerSecond")) + "/s");
  sheet.add("dropped", text(at(session, "droppedPackets")) + " datagrams");
  Table ends({{"SIDE"},
              {"TCP"},
              {"STREAMS", Align::right},
              {"UDP"},
              {"SENT", Align::right},
              {"DATAGRAMS", Align::right}});
  for (const char* name : {"a", "b"}) {
    const Json& end = at(session, name);
    ends.add({name[0] == 'a' ? "A" : "B", text(at(end, "tcp")), text(at(end, "tcpStreams")),
              text(at(end, "udp")), bytes(at(end, "bytes")), text(at(end, "packets"))});
  }
  return sheet.render() + '\n' + ends.render();
}

std::string blocks_page(const Json& answer) {
  Table table({{"NETWORK"}, {"BY"}, {"REMAINING", Align::right}});
  for (const Json& block : at(answer, "blocks")) {
    const Json& remaining = at(block, "remainingMs");
    table.add({text(at(block, "network")), at(block, "automatic") == true ? "relay" : "operator",
               remaining.is_null() ? "until removed" : milliseconds(remaining)});
  }
  return table.render();
}

std::string rooms_page(const Json& answer) {
  Table table({{"ROOM"},
               {"CODE"},
               {"NAME"},
               {"GAME"},
               {"REGION"},
               {"PLAYERS", Align::right},
               {"THERE", Align::right},
               {"MESSAGES", Align::right},
               {"SEEN BY"}});
  for (const Json& room : at(answer, "rooms"))
    table.add({text(at(room, "id")), text(at(room, "code")), text(at(room, "name")),
               text(at(room, "gameId")), text(at(room, "region")),
               fmt::format("{}/{}", text(at(room, "players")), text(at(room, "maxPlayers"))),
               text(at(room, "connected")), text(at(room, "messages")),
               text(at(room, "visibility"))});
  return table.render();
}

std::string room_page(const Json& answer) {
  const Json& room = at(answer, "room");
  Sheet sheet;
  for (const auto& [name, key] : {std::pair{"room", "id"},
                                  {"code", "code"},
                                  {"name", "name"},
                                  {"game", "gameId"},
                                  {"version", "gameVersion"},
                                  {"region", "region"},
                                  {"seen by", "visibility"}})
    sheet.add(name, text(at(room, key)));
  sheet.add("locked", at(room, "locked") == true ? "yes" : "no");
  sheet.add("players", fmt::format("{} of {}, {} connected", text(at(room, "players")),
                                   text(at(room, "maxPlayers")), text(at(room, "connected"))));
  sheet.add("messages", text(at(room, "messages")));
  sheet.add("banned", words(at(room, "banned")));
  Table players({{"SEAT", Align::right}, {"CLIENT"}, {"NAME"}, {"READY"}, {"HOST"}});
  for (const Json& player : at(room, "playerList"))
    players.add({text(at(player, "seat")), text(at(player, "clientId")), text(at(player, "name")),
                 at(player, "ready") == true ? "yes" : "no",
                 at(player, "clientId") == at(room, "hostId") ? "host" : ""});
  return sheet.render() + '\n' + players.render();
}

std::string clients_page(const Json& answer) {
  Table table({{"CLIENT"}, {"NAME"}, {"STATE"}, {"ROOMS", Align::right}});
  for (const Json& client : at(answer, "clients"))
    table.add({text(at(client, "id")), text(at(client, "name")),
               at(client, "connected") == true ? "connected" : "away", text(at(client, "rooms"))});
  return table.render();
}

// The JOIN lines are for two terminals with nc; a token that needs PROVE or is for UDP has none.
std::string minted_page(const Json& answer) {
  std::string page = fmt::format("session {}\n", text(at(answer, "session")));
  std::string joins;
  for (const char* slot : {"a", "b"}) {
    const Json& token = at(answer, slot);
    if (!token.is_string()) continue;
    page += fmt::format("{} {}\n", slot[0] == 'a' ? 'A' : 'B', text(token));
    joins += fmt::format("TANDEM/1 JOIN {}\n", text(token));
  }
  const bool can_join = at(answer, "tcp") == true && at(answer, "prove") != true;
  return can_join ? page + joins : page;
}

std::string reloaded_page(const Json& answer) {
  const Json& applied = at(answer, "applied");
  const Json& needs_restart = at(answer, "needsRestart");
  if (applied.empty() && needs_restart.empty()) return "nothing changed\n";
  std::string page;
  for (const Json& key : applied) page += fmt::format("applied        {}\n", text(key));
  for (const Json& key : needs_restart) page += fmt::format("needs restart  {}\n", text(key));
  return page;
}

}  // namespace

std::string human_answer(const AdminRequest& request, std::string_view answer) {
  const Json page = Json::parse(answer, nullptr, false);
  return std::visit(
      Overloaded{
          [&](const admin::Status&) { return status_page(page); },
          [&](const admin::Sessions&) { return sessions_page(page); },
          [&](const admin::Session&) { return session_page(page); },
          [](const admin::Kick& kick) {
            return fmt::format("kicked {}\n", format_session_id(kick.id));
          },
          [](const admin::Block& block) {
            return fmt::format("blocked {} {}\n", to_string(block.network),
                               block.seconds == 0 ? "until it is removed"
                                                  : fmt::format("for {} s", block.seconds));
          },
          [](const admin::Unblock& unblock) {
            return fmt::format("unblocked {}\n", to_string(unblock.network));
          },
          [&](const admin::Blocks&) { return blocks_page(page); },
          [&](const MintRequest&) { return minted_page(page); },
          [](const admin::SetDraining& set) {
            return std::string(set.draining ? "draining: new sessions are refused\n"
                                            : "new sessions are welcome again\n");
          },
          [&](const admin::Reload&) { return reloaded_page(page); },
          [](const admin::SetLogLevel& set) {
            return fmt::format("log level is {}\n", log_level_name(set.level));
          },
          [&](const admin::Rooms&) { return rooms_page(page); },
          [&](const admin::Room&) { return room_page(page); },
          [](const admin::CloseRoom& room) { return fmt::format("closed {}\n", room.name); },
          [&](const admin::Clients&) { return clients_page(page); },
          [&](const admin::Backup&) {
            return fmt::format("backed up to {}, {}\n", text(at(page, "path")),
                               bytes(at(page, "bytes")));
          },
          [&](const admin::Version&) {
            return fmt::format("tandemd {}\n", text(at(page, "version")));
          },
      },
      request);
}

}  // namespace tandem
