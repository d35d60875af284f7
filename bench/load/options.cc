#include "bench/load/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <utility>

#include "bench/load/options_typed.h"

namespace tandem::bench {
namespace {

// iperf3's way: without a subcommand -s serves, -u is UDP, and all else TCP.
std::vector<std::string> with_subcommand(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.empty()) return {"--help"};
  const auto& first = arguments.front();
  if (!first.starts_with('-') || first == "-h" || first == "--help" || first == "--version") {
    return arguments;
  }
  const auto is = [&arguments](const char* brief, const char* full) {
    return std::ranges::any_of(arguments, [&](const auto& a) { return a == brief || a == full; });
  };
  const char* mode = is("-s", "--server") ? "server" : is("-u", "--udp") ? "udp" : "tcp";
  std::erase_if(arguments, [](const auto& a) { return a == "-u" || a == "--udp"; });
  arguments.insert(arguments.begin(), mode);
  return arguments;
}

// The subcommands, each with a place of its own to be read into.
struct Parser {
  explicit Parser(Command& command) : command_(command) {
    app.require_subcommand(1);
    // A script's options can be overridden by what is added behind them, as iperf3's.
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    app.set_version_flag("--version", "tandem-bench " TANDEM_VERSION);
    add_load_modes();
    auto* app_sessions =
        add("sessions", "pairings a second, and what idle pairs cost", SessionsCommand{});
    add_sessions(*app_sessions, typed, std::get<SessionsCommand>(modes["sessions"]).sessions);
    add("reflect", "what an unvalidated UDP source gets back", ReflectCommand{});
    for (auto& [name, mode] : modes) {
      add_route(*app.get_subcommand(name), typed, command_);
      add_watched(*app.get_subcommand(name), command_);
    }
    add_room_modes();
    modes["server"] = ServerCommand{};
    add_server(*app.add_subcommand("server", "have the B ends of other hosts' runs (-s)"), typed,
               std::get<ServerCommand>(modes["server"]).server);
  }

  void add_load_modes() {
    auto* tcp = add("tcp", "bulk streams", TcpCommand{});
    add_load(*tcp, typed, command_, kTcpPairs, kSeconds);
    add_tcp(*tcp, typed, std::get<TcpCommand>(modes["tcp"]).bulk);
    auto* udp = add("udp", "datagrams, scattered over many pairs or in trains", UdpCommand{});
    add_load(*udp, typed, command_, kManyPairs, kSeconds);
    add_udp(*udp, typed, std::get<UdpCommand>(modes["udp"]));
    auto* latency =
        add("latency", "messages at a fixed rate, timed from when they were due", LatencyCommand{});
    add_load(*latency, typed, command_, kTimedPairs, kSeconds);
    add_latency(*latency, typed, std::get<LatencyCommand>(modes["latency"]).latency);
    auto* find = add("find-limit", "the highest rate of datagrams without loss, and with 0.5 %",
                     FindLimitCommand{});
    add_load(*find, typed, command_, kManyPairs, kTrialSeconds);
    add_find_limit(*find, std::get<FindLimitCommand>(modes["find-limit"]).find_limit);
  }

  // They have no pairs, so no route.
  void add_room_modes() {
    auto* rooms = add("rooms", "clients of a room service over Socket.IO", RoomsCommand{});
    add_rooms(*rooms, rooms_typed, command_);
    auto* matches = add("matches", "matches of a room service, made at a rate and held at once",
                        MatchesCommand{});
    add_matches(*matches, rooms_typed, command_,
                std::get<MatchesCommand>(modes["matches"]).matches);
    for (auto* app_mode : {rooms, matches}) add_watched(*app_mode, command_);
  }

  CLI::App* add(const std::string& name, const std::string& what, decltype(Command::mode) mode) {
    modes[name] = std::move(mode);
    return app.add_subcommand(name, what);
  }

  void parse(std::vector<std::string> arguments) {
    const auto& first = arguments.front();
    if (!first.starts_with('-') && !modes.contains(first)) {
      throw std::invalid_argument("there is no mode " + first + ": see --help");
    }
    std::ranges::reverse(arguments);  // as CLI11 wants them
    app.parse(arguments);
    finish();
  }

  void finish() {
    command_.mode_name = app.get_subcommands().front()->get_name();
    command_.mode = modes[command_.mode_name];
    if (auto* server = std::get_if<ServerCommand>(&command_.mode)) {
      return finish_server(typed, server->server);
    }
    command_.scene.account = CpuAccount(command_.pids);
    if (auto* rooms = std::get_if<RoomsCommand>(&command_.mode)) {
      return finish_rooms(rooms_typed, command_, rooms->rooms);
    }
    if (auto* matches = std::get_if<MatchesCommand>(&command_.mode)) {
      return finish_matches(rooms_typed, command_, matches->matches);
    }
    command_.scene.route = route_of(typed, command_.scene.tokens);
    if (auto* tcp = std::get_if<TcpCommand>(&command_.mode)) finish_tcp(typed, command_, tcp->bulk);
    if (auto* udp = std::get_if<UdpCommand>(&command_.mode)) finish_udp(typed, command_, *udp);
    if (auto* latency = std::get_if<LatencyCommand>(&command_.mode)) {
      finish_latency(typed, command_, latency->latency);
    }
    if (auto* find = std::get_if<FindLimitCommand>(&command_.mode)) {
      finish_find_limit(typed, command_, find->find_limit);
    }
    if (auto* sessions = std::get_if<SessionsCommand>(&command_.mode)) {
      finish_sessions(typed, command_, sessions->sessions);
    }
  }

  CLI::App app{
      "An iperf for relays: drives pairs through a relay, a proxy or nothing, checks what "
      "arrives and tells what it cost. Without a subcommand: tcp, udp with -u, server with -s.",
      "tandem-bench"};
  Typed typed;
  RoomsTyped rooms_typed;
  std::map<std::string, decltype(Command::mode)> modes;

 private:
  Command& command_;
};

}  // namespace

std::variant<Command, int> parse_command_line(int argc, char** argv) {
  Command command;
  Parser parser(command);
  auto arguments = with_subcommand(argc, argv);
  try {
    parser.parse(std::move(arguments));
    return command;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return parser.app.exit(error);  // help, or the version
    fmt::print(stderr, "tandem-bench: {}\n", error.what());
    return 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "tandem-bench: {}\n", error.what());
    return 1;
  }
}

}  // namespace tandem::bench
