// Owns the command line of tandem-bench: what can be asked for, its bounds and its defaults. Knows
// nothing of how it is done.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "bench/load/find_limit.h"
#include "bench/load/latency_mode.h"
#include "bench/load/rooms/room_modes.h"
#include "bench/load/scene.h"
#include "bench/load/server.h"
#include "bench/load/sessions_load.h"

namespace tandem::bench {

struct TcpCommand {
  BulkOptions bulk;
};
struct UdpCommand {
  UdpShape shape = UdpShape::scattered;
  UdpOptions udp;
};
struct LatencyCommand {
  LatencyOptions latency;
};
struct SessionsCommand {
  SessionsOptions sessions;
};
struct FindLimitCommand {
  FindLimitOptions find_limit;
};
struct ReflectCommand {};
struct RoomsCommand {
  RoomsOptions rooms;
};
struct MatchesCommand {
  MatchesOptions matches;
};
struct ServerCommand {
  ServerOptions server;
};

// Where the report goes. Files are made anew.
struct OutputOptions {
  bool json = false;  // on standard output, instead of text
  std::string json_file;
  std::string csv_file;
  std::string html_file;
};

struct Command {
  std::variant<TcpCommand, UdpCommand, LatencyCommand, SessionsCommand, FindLimitCommand,
               ReflectCommand, RoomsCommand, MatchesCommand, ServerCommand>
      mode;
  std::string mode_name;
  Scene scene;
  std::vector<pid_t> pids;
  std::string metrics_url;  // empty: the relay's metrics are not read
  OutputOptions output;
  Figures told;  // what was asked for, for the report
};

// What the process is to do, or the exit code with which it ends now, having said why: 0 after help
// or the version, 1 after a mistake.
[[nodiscard]] std::variant<Command, int> parse_command_line(int argc, char** argv);

}  // namespace tandem::bench
