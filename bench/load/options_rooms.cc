#include <fmt/format.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <array>
#include <fstream>
#include <sstream>

#include "bench/load/options_typed.h"
#include "bench/load/rooms/payload.h"
#include "bench/load/rooms/room_ledger.h"

namespace tandem::bench {
namespace {

constexpr std::int64_t kTokenLifetimeS = 24 * 3600;

struct Profile {
  std::string_view name;
  std::size_t clients;
  double connects_per_s;
  std::size_t room_size;
  double events_per_s;
  std::size_t message_bytes;
};
constexpr std::array<Profile, 3> kProfiles{{
    {.name = "small",
     .clients = 100,
     .connects_per_s = 100,
     .room_size = 4,
     .events_per_s = 500,
     .message_bytes = 128},
    {.name = "medium",
     .clients = 1000,
     .connects_per_s = 500,
     .room_size = 8,
     .events_per_s = 2000,
     .message_bytes = 128},
    {.name = "large",
     .clients = 5000,
     .connects_per_s = 500,
     .room_size = 2,
     .events_per_s = 25'000,
     .message_bytes = 128},
}};

// Options of both modes that the server is reached by.
void add_service(CLI::App& app, RoomsTyped& typed) {
  app.add_option("url", typed.url, "the room service, http://HOST:PORT[/PATH of Engine.IO]")
      ->required();
  auto* secret = app.add_option("--jwt-secret", typed.secret_file,
                                "the server's secret file, to mint tokens with; without it each "
                                "client logs in as a guest");
  app.add_option("--jwt-issuer", typed.claims.issuer)->needs(secret)->capture_default_str();
  app.add_option("--jwt-audience", typed.claims.audience)->needs(secret)->capture_default_str();
  app.add_option("-l,--length", typed.message_bytes, "bytes a message (128)")
      ->check(CLI::Range(kMessageBytesMin, kMessageBytesMax));
  app.add_option("--visibility", typed.visibility, "of the rooms (unlisted)")
      ->check(CLI::IsMember({"public", "unlisted", "private"}));
  app.add_option("--timeout", typed.timeout_s, "seconds that an answer may take")
      ->check(CLI::Range(0.1, 600.0))
      ->capture_default_str();
  app.add_flag("--spin", typed.spin,
               "never sleep, for a core of its own: no server pays for waking a client");
  app.add_option("-i,--interval", typed.interval_s, "seconds between two lines; 0: none")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
}

std::string read_whole(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) throw std::runtime_error("cannot read " + path);
  return text.str();
}

RoomLoadOptions load_of(const RoomsTyped& typed, const Command& command,
                        std::size_t message_bytes) {
  RoomLoadOptions load{.service = parse_room_service(typed.url),
                       .metrics_url = command.metrics_url,
                       .message_bytes = message_bytes,
                       .visibility = typed.visibility,
                       .timeout_s = typed.timeout_s,
                       .spin = typed.spin};
  if (!typed.secret_file.empty()) {
    load.service.secret = parse_jwt_secret(read_whole(typed.secret_file));
    load.service.claims = typed.claims;
    load.service.claims.issued_at_s = ::time(nullptr);
    load.service.claims.expires_at_s = load.service.claims.issued_at_s + kTokenLifetimeS;
  }
  return load;
}

void check_room_size(std::size_t size, std::size_t least) {
  if (size < least || size > RoomLedger::kMembersMax) {
    throw std::invalid_argument(
        fmt::format("a room has {} to {} members here", least, RoomLedger::kMembersMax));
  }
}

void tell_load(const RoomsTyped& typed, const RoomLoadOptions& load, Command& command) {
  Figures& told = command.told;
  told.add("url", typed.url);
  told.add("tokens", load.service.secret ? "minted" : "guest login");
  told.add("length", std::uint64_t{load.message_bytes});
  told.add("visibility", load.visibility);
  told.add("timeout_s", load.timeout_s);
  told.add("threads", std::uint64_t{command.scene.threads});
  if (load.spin) told.add("waits", "spinning");
}

const Profile& profile_of(std::string_view name) {
  for (const Profile& profile : kProfiles) {
    if (profile.name == name) return profile;
  }
  throw std::invalid_argument("--profile is small, medium or large");
}

}  // namespace

void add_rooms(CLI::App& app, RoomsTyped& typed, Command& command) {
  add_service(app, typed);
  app.add_option("--profile", typed.profile,
                 "small: 100 clients, rooms of 4, 500 events a second; medium: 1,000, of 8, 2,000; "
                 "large: 5,000, of 2, 25,000. The options below change it (medium)")
      ->check(CLI::IsMember({"small", "medium", "large"}));
  app.add_option("-P,--clients", typed.clients)
      ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}));
  app.add_option("--connect-rate", typed.connects_per_s, "clients a second")
      ->check(CLI::Range(0.1, 1e5));
  app.add_option("--rooms-of", typed.room_size,
                 "members a room; 0: no rooms, the clients are only connected")
      ->check(CLI::Range(std::size_t{0}, RoomLedger::kMembersMax));
  app.add_option("--rate", typed.events_per_s,
                 "events a second, sent by all clients together; 0: they are idle")
      ->check(CLI::Range(0.0, 1e7));
  app.add_option("--turnover", typed.turnover_share,
                 "the part of the events with which rooms end and others begin: leave, create and "
                 "join (0.1)")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("-t,--time,--duration", typed.seconds,
                 "seconds measured; with --ramp of each step")
      ->check(CLI::Range(0.01, 86400.0))
      ->capture_default_str();
  app.add_option("-O,--omit,--warm-up", typed.warm_up_s, "seconds before, not counted")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  app.add_option("--ramp", typed.ramp, "climb by so many clients a step, and measure each step")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}));
  app.add_option("--threads", command.scene.threads, "of the generator")
      ->check(CLI::Range(std::size_t{1}, std::size_t{256}))
      ->capture_default_str();
}

void finish_rooms(const RoomsTyped& typed, Command& command, RoomsOptions& rooms) {
  const Profile& profile = profile_of(typed.profile);
  rooms.load = load_of(typed, command, typed.message_bytes.value_or(profile.message_bytes));
  rooms.clients = typed.clients.value_or(profile.clients);
  rooms.connects_per_s = typed.connects_per_s.value_or(profile.connects_per_s);
  rooms.room_size = typed.room_size.value_or(profile.room_size);
  rooms.events_per_s = typed.events_per_s.value_or(rooms.room_size == 0 ? 0 : profile.events_per_s);
  rooms.turnover_share = typed.turnover_share;
  rooms.ramp = typed.ramp;
  check_room_size(rooms.room_size, rooms.room_size == 0 ? 0 : 2);
  if (rooms.room_size == 0 && rooms.events_per_s > 0) {
    throw std::invalid_argument("without rooms there are no events: --rate 0, or --rooms-of");
  }
  if (rooms.room_size > rooms.clients) {
    throw std::invalid_argument("there are fewer clients than members of a room");
  }
  if (rooms.ramp > rooms.clients) {
    throw std::invalid_argument("--ramp is at most as many as --clients");
  }
  command.scene.timing = {
      .warm_up_s = typed.warm_up_s, .seconds = typed.seconds, .interval_s = typed.interval_s};
  tell_load(typed, rooms.load, command);
  Figures& told = command.told;
  told.add("clients", std::uint64_t{rooms.clients});
  told.add("connect_rate", rooms.connects_per_s);
  told.add("rooms_of", std::uint64_t{rooms.room_size});
  told.add("events_per_s", rooms.events_per_s);
  told.add("turnover", rooms.turnover_share);
  if (rooms.ramp > 0) told.add("ramp", std::uint64_t{rooms.ramp});
  told.add("seconds", typed.seconds);
  told.add("warm_up_s", typed.warm_up_s);
}

void add_matches(CLI::App& app, RoomsTyped& typed, Command& command, MatchesOptions& matches) {
  add_service(app, typed);
  app.add_option("--matches", matches.matches, "all held at once")
      ->check(CLI::Range(std::size_t{1}, std::size_t{500'000}))
      ->capture_default_str();
  app.add_option("--rate", matches.matches_per_s, "matches made a second")
      ->check(CLI::Range(0.1, 1e5))
      ->capture_default_str();
  app.add_option("--players", matches.players, "of each match")
      ->check(CLI::Range(std::size_t{2}, RoomLedger::kMembersMax))
      ->capture_default_str();
  app.add_option("--messages", matches.messages, "that each player sends")
      ->check(CLI::Range(std::size_t{0}, std::size_t{1'000'000}))
      ->capture_default_str();
  app.add_option("--message-interval", matches.interval_s, "seconds between two of a player's")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  app.add_option("--threads", command.scene.threads, "of the generator")
      ->check(CLI::Range(std::size_t{1}, std::size_t{256}))
      ->capture_default_str();
}

void finish_matches(const RoomsTyped& typed, Command& command, MatchesOptions& matches) {
  matches.load = load_of(typed, command, typed.message_bytes.value_or(128));
  command.scene.timing.interval_s = typed.interval_s;
  tell_load(typed, matches.load, command);
  Figures& told = command.told;
  told.add("matches", std::uint64_t{matches.matches});
  told.add("matches_per_s", matches.matches_per_s);
  told.add("players", std::uint64_t{matches.players});
  told.add("messages", std::uint64_t{matches.messages});
  told.add("message_interval_s", matches.interval_s);
}

}  // namespace tandem::bench
