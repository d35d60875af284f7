// Owns what the modes' command lines share: options as they were typed, and the steps from there to
// a Command. options.cc puts them together; each mode has its own file. Knows CLI11 by name alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "bench/load/options.h"

namespace CLI {
class App;
}

namespace tandem::bench {

// As it was typed; turned into a Command when all of it is there.
struct Typed {
  bool direct = false;
  std::string via, sink, relay, pairing, greetings;
  std::string client;
  std::uint16_t port = kControlPort;
  std::string bind = "127.0.0.1";
  std::size_t pairs = 0;
  double seconds = 0;
  double warm_up_s = 0.5;
  double interval_s = 1;
  std::string length;
  std::string bit_rate = "0";
  double rate = 0;
  bool reverse = false;
  bool both_ways = false;
  Verify verify = Verify::sampled;
  bool no_direct = false;
  bool close = false;
  bool server = false;  // said already by the subcommand
};

// The same of the room service's modes.
struct RoomsTyped {
  std::string url;
  std::string secret_file;
  JwtClaims claims{};
  std::optional<std::size_t> message_bytes{};
  std::string visibility = "unlisted";
  double timeout_s = 10;
  bool spin = false;
  double interval_s = 1;
  std::string profile = "medium";
  std::optional<std::size_t> clients{};
  std::optional<double> connects_per_s{};
  std::optional<std::size_t> room_size{};
  std::optional<double> events_per_s{};
  double turnover_share = 0.1;
  double seconds = 10;
  double warm_up_s = 1;
  std::size_t ramp = 0;
};

inline constexpr std::size_t kTcpPairs = 8;
inline constexpr std::size_t kManyPairs = 1000;
inline constexpr std::size_t kTimedPairs = 100;
inline constexpr double kSeconds = 10;
inline constexpr double kTrialSeconds = 2;

// options_shared.cc
void add_transport(CLI::App& app, const std::string& names, Transport& transport);
void add_verify(CLI::App& app, Verify& verify);
// Whose CPU counts, and where the report goes.
void add_watched(CLI::App& app, Command& command);
void add_load(CLI::App& app, Typed& typed, Command& command, std::size_t pairs, double seconds);
void set_defaults(Typed& typed, Scene& scene, std::size_t pairs, double seconds);
[[nodiscard]] Direction direction_of(const Typed& typed);
[[nodiscard]] std::size_t length_of(const Typed& typed, std::size_t least, std::size_t most,
                                    std::size_t otherwise);
void tell_options(const Typed& typed, Command& command, const std::string& length);

// options_route.cc. Throws std::invalid_argument for what is no route.
void add_route(CLI::App& app, Typed& typed, Command& command);
[[nodiscard]] RouteOptions route_of(const Typed& typed, const TokenSource& tokens);

// options_load.cc
void add_tcp(CLI::App& app, Typed& typed, BulkOptions& bulk);
void finish_tcp(Typed& typed, Command& command, BulkOptions& bulk);
void add_udp(CLI::App& app, Typed& typed, UdpCommand& command);
void finish_udp(Typed& typed, Command& command, UdpCommand& udp_command);
void add_latency(CLI::App& app, Typed& typed, LatencyOptions& latency);
void finish_latency(Typed& typed, Command& command, LatencyOptions& latency);
void add_find_limit(CLI::App& app, FindLimitOptions& find);
void finish_find_limit(Typed& typed, Command& command, FindLimitOptions& find);

// options_sessions.cc
void add_sessions(CLI::App& app, Typed& typed, SessionsOptions& sessions);
void finish_sessions(const Typed& typed, Command& command, SessionsOptions& sessions);

// options_rooms.cc
void add_rooms(CLI::App& app, RoomsTyped& typed, Command& command);
void finish_rooms(const RoomsTyped& typed, Command& command, RoomsOptions& rooms);
void add_matches(CLI::App& app, RoomsTyped& typed, Command& command, MatchesOptions& matches);
void finish_matches(const RoomsTyped& typed, Command& command, MatchesOptions& matches);

// options_server.cc
void add_server(CLI::App& app, Typed& typed, ServerOptions& server);
void finish_server(const Typed& typed, ServerOptions& server);

}  // namespace tandem::bench
