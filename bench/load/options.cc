#include "bench/load/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "bench/load/far_request.h"
#include "bench/load/quantities.h"
#include "common/units.h"

namespace tandem::bench {
namespace {

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

const std::map<std::string, Verify> kVerify{{"sampled", Verify::sampled}, {"full", Verify::full}};
const std::map<std::string, Transport> kTransport{{"tcp", Transport::tcp}, {"udp", Transport::udp}};

// One of the words, which becomes the number that CLI11 reads an enum from.
template <typename Enum>
CLI::Validator word_of(const std::map<std::string, Enum>& words) {
  std::vector<std::string> names;
  for (const auto& [name, value] : words) names.push_back(name);
  const auto known = fmt::format("{}", fmt::join(names, "|"));
  const auto replace = [words, known](std::string& text) -> std::string {
    const auto found = words.find(text);
    if (found == words.end()) return fmt::format("{} is none of {}", text, known);
    text = std::to_string(std::to_underlying(found->second));
    return {};
  };
  return {replace, known};
}

void add_route(CLI::App& app, Typed& typed, Command& command) {
  auto* route = app.add_option_group("route", "how the ends of a pair are joined")->silent(false);
  route->add_flag("--direct", typed.direct, "no relay: one end dials the other");
  route->add_option("--relay", typed.relay, "a Tandem relay, HOST:PORT; needs tokens");
  route->add_option("--via", typed.via, "a plain proxy, HOST:PORT, that forwards to --sink");
  route->add_option("--pairing", typed.pairing,
                    "another relay, HOST:PORT, that pairs by --greetings");
  app.add_option(
      "--sink", typed.sink,
      "[HOST:]PORT to which the proxy forwards; HOST:* where it forwards each UDP client "
      "to its own port number there");
  app.add_option("--greetings", typed.greetings,
                 "what each pair says to --pairing, a JSON object a line");
  app.add_option("--key-file", command.scene.tokens.key_file,
                 "the relay's keys, to mint tokens with");
  auto* api = app.add_option("--api", command.scene.tokens.api,
                             "http://HOST:PORT that makes tokens (POST /api/v1/sessions)");
  app.add_option("--operator-token-file", command.scene.tokens.operator_token_file, "for --api")
      ->needs(api);
}

void add_common(CLI::App& app, Typed& typed, Command& command) {
  add_route(app, typed, command);
  app.add_option("-A,--cpu", command.scene.cpus, "pin the generator's threads to these cores")
      ->delimiter(',');
  app.add_option("--pid", command.pids,
                 "a process whose CPU and memory, with its children's, count as the relay's");
  app.add_option("--metrics", command.metrics_url, "http://HOST:PORT/metrics of the relay");
  app.add_flag("-J", command.output.json, "print JSON");
  app.add_option("--json", command.output.json_file, "write JSON to this file");
  app.add_option("--csv", command.output.csv_file, "write CSV to this file");
  app.add_option("--html", command.output.html_file, "write a page with plots to this file");
}

void add_load(CLI::App& app, Typed& typed, Command& command, std::size_t pairs, double seconds) {
  typed.pairs = 0;
  app.add_option("-c,--client", typed.client,
                 "the B ends are at a `tandem-bench -s` there; without it both are here");
  app.add_option("-p,--port", typed.port, "its control port")->capture_default_str();
  app.add_option("-P,--parallel,--pairs", typed.pairs, fmt::format("pairs ({})", pairs))
      ->check(CLI::Range(std::size_t{1}, kFarPairsMax));
  app.add_option("-t,--time,--seconds", typed.seconds,
                 fmt::format("seconds measured ({})", seconds))
      ->check(CLI::Range(0.01, 86400.0));
  app.add_option("-O,--omit,--warm-up", typed.warm_up_s, "seconds before, not counted")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  app.add_option("-i,--interval", typed.interval_s, "seconds between two lines; 0: none")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  app.add_option("--threads", command.scene.threads, "of the generator")
      ->check(CLI::Range(std::size_t{1}, std::size_t{256}))
      ->capture_default_str();
}

void add_directions(CLI::App& app, Typed& typed) {
  auto* reverse = app.add_flag("-R,--reverse", typed.reverse, "B sends");
  app.add_flag("--bidir", typed.both_ways, "both send")->excludes(reverse);
  app.add_option("--verify", typed.verify,
                 "sampled: stamps and each 16th block or datagram; full: all")
      ->transform(word_of(kVerify));
}

void add_tcp(CLI::App& app, Typed& typed, BulkOptions& bulk) {
  add_directions(app, typed);
  app.add_option("-l,--length", typed.length, "bytes in one send or receive (64k)");
  app.add_option("-b,--bitrate", typed.bit_rate,
                 "bit/s of each pair and direction, such as 100M; 0: as much as goes");
  app.add_option("-w,--window", bulk.socket_buffer,
                 "socket buffers in bytes; 0: the kernel's tuning")
      ->check(CLI::Range(0, 1 << 30));
}

void add_udp(CLI::App& app, Typed& typed, UdpCommand& command) {
  add_directions(app, typed);
  UdpOptions& udp = command.udp;
  app.add_option("-l,--length", typed.length, "bytes of payload, or imix (200; 1200 with --train)");
  auto* bit_rate =
      app.add_option("-b,--bitrate", typed.bit_rate,
                     "bit/s of each pair and direction; 0: a closed loop (with -c: 1M)");
  app.add_option("--rate", typed.rate, "datagrams a second, all pairs together")
      ->check(CLI::Range(0.001, 1e9))
      ->excludes(bit_rate);
  app.add_flag_callback(
      "--train", [&command] { command.shape = UdpShape::trains; },
      "back to back on one pair after the other, by UDP_SEGMENT and UDP_GRO");
  app.add_option("--train-length", udp.train, "datagrams a train")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--window", udp.window, "closed loop: datagrams under way")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--batch", udp.batch, "datagrams a system call")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

void add_latency(CLI::App& app, Typed& typed, LatencyOptions& latency) {
  app.add_option("--transport", latency.transport)->transform(word_of(kTransport));
  app.add_option("-l,--length", typed.length, "bytes a message (128)");
  app.add_option("--rate", typed.rate, "messages a second, all pairs together (10 each)")
      ->check(CLI::Range(0.001, 1e9));
  app.add_flag("--no-direct", typed.no_direct, "do not measure a direct leg beside it");
}

void add_sessions(CLI::App& app, Typed& typed, SessionsOptions& sessions) {
  app.add_option("--kind,--transport", sessions.transport)->transform(word_of(kTransport));
  app.add_option("--count,-P", sessions.count, "pairs")
      ->check(CLI::Range(1, 2'000'000))
      ->capture_default_str();
  app.add_flag("--close", typed.close, "close each TCP pair once it is joined");
  app.add_option("--hold,-t", sessions.quiet_s, "seconds to watch the idle pairs")
      ->check(CLI::Range(0.0, 86400.0));
  app.add_option("--settle", sessions.settle_s, "seconds before")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  app.add_option("--in-flight", sessions.in_flight, "pairs at once")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--workers", sessions.workers, "processes, TCP")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
}

void add_find_limit(CLI::App& app, FindLimitOptions& find) {
  app.add_option("--sizes", find.sizes, "payloads in bytes, or imix (64,200,512,1200,imix)")
      ->delimiter(',');
  app.add_option("--repeat", find.repeat, "searches for each size")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--resolution", find.resolution, "of the rate")
      ->check(CLI::Range(0.001, 0.5))
      ->capture_default_str();
}

void add_server(CLI::App& app, Typed& typed, ServerOptions& server) {
  app.add_flag("-s,--server", typed.server, "have the B ends of other hosts' runs");
  app.add_option("-p,--port", typed.port, "control port; 0: any that is free")
      ->capture_default_str();
  app.add_option("-B,--bind", typed.bind, "where to listen; 0.0.0.0 or :: for other hosts")
      ->capture_default_str();
  app.add_flag("-1,--one-off", server.once, "end after one run");
  app.add_option("--relay", typed.relay, "HOST:PORT at which B may join");
  app.add_option("--pairing", typed.pairing, "HOST:PORT at which B may join by a greeting");
  app.add_option("--sink", typed.sink, "[HOST:]PORT at which B may listen for a proxy");
  app.add_option("--threads", server.threads)->check(CLI::Range(std::size_t{1}, std::size_t{256}));
  app.add_option("-A,--cpu", server.cpus, "pin its threads to these cores")->delimiter(',');
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) throw std::runtime_error("cannot read " + path);
  return text.str();
}

void set_sink(const Typed& typed, RouteOptions& route) {
  if (typed.sink.empty()) throw std::invalid_argument("--via needs --sink");
  route.sink_mirrors_port = typed.sink.ends_with(":*");
  auto text = typed.sink;
  if (route.sink_mirrors_port) text.replace(text.size() - 1, 1, "1");  // any: it is not used
  route.sink = parse_address(text, {.host = "127.0.0.1"});
}

RouteOptions route_of(const Typed& typed, const TokenSource& tokens) {
  const int given =
      int{typed.direct} + !typed.via.empty() + !typed.relay.empty() + !typed.pairing.empty();
  if (given > 1)
    throw std::invalid_argument("--direct, --via, --relay and --pairing exclude each other");
  if (given == 0 && typed.client.empty()) {
    throw std::invalid_argument("which route? --direct, --via, --relay or --pairing (or -c HOST)");
  }
  RouteOptions route;
  if (!typed.via.empty()) {
    route.kind = RouteKind::proxy;
    route.target = parse_address(typed.via);
    set_sink(typed, route);
  } else if (!typed.relay.empty()) {
    route.kind = RouteKind::relay;
    route.target = parse_address(typed.relay, {.host = {}, .port = 7777});
    if (tokens.key_file.empty() == tokens.api.empty()) {
      throw std::invalid_argument("--relay needs either --key-file or --api");
    }
    if (!tokens.api.empty() && tokens.operator_token_file.empty()) {
      throw std::invalid_argument("--api needs --operator-token-file");
    }
  } else if (!typed.pairing.empty()) {
    route.kind = RouteKind::greeted;
    route.target = parse_address(typed.pairing);
    if (typed.greetings.empty()) throw std::invalid_argument("--pairing needs --greetings");
    route.greetings = parse_greetings(read_file(typed.greetings));
  }
  return route;
}

Direction direction_of(const Typed& typed) {
  if (typed.both_ways) return Direction::both;
  return typed.reverse ? Direction::reverse : Direction::forward;
}

std::size_t length_of(const Typed& typed, std::size_t least, std::size_t most,
                      std::size_t otherwise) {
  if (typed.length.empty()) return otherwise;
  const auto length = parse_size(typed.length);
  if (!length) throw std::invalid_argument("-l: " + length.error());
  if (*length < least || *length > most) {
    throw std::invalid_argument(fmt::format("-l is {} to {} bytes here", least, most));
  }
  return *length;
}

void set_defaults(Typed& typed, Scene& scene, std::size_t pairs, double seconds) {
  scene.pairs = typed.pairs == 0 ? pairs : typed.pairs;
  scene.timing = {.warm_up_s = typed.warm_up_s,
                  .seconds = typed.seconds == 0 ? seconds : typed.seconds,
                  .interval_s = typed.interval_s};
  if (!typed.client.empty()) {
    scene.far_host = parse_address(typed.client, {.host = {}, .port = typed.port});
    if (scene.route.kind == RouteKind::direct) scene.route.target = *scene.far_host;
    if (scene.route.sink_mirrors_port) {
      throw std::invalid_argument("--sink HOST:* needs both ends here");
    }
  }
}

void tell_options(const Typed& typed, Command& command, const std::string& length) {
  Figures& told = command.told;
  const Scene& scene = command.scene;
  told.add("route", std::string(name_of(scene.route.kind)));
  if (scene.route.kind != RouteKind::direct) told.add("target", to_string(scene.route.target));
  if (scene.far_host) told.add("far_host", to_string(*scene.far_host));
  told.add("pairs", std::uint64_t{scene.pairs});
  told.add("threads", std::uint64_t{scene.threads});
  told.add("seconds", scene.timing.seconds);
  told.add("warm_up_s", scene.timing.warm_up_s);
  if (!length.empty()) told.add("length", length);
  told.add("verify", typed.verify == Verify::full ? "full" : "sampled");
  const auto direction = direction_of(typed);
  told.add("direction", direction == Direction::both      ? "both"
                        : direction == Direction::reverse ? "reverse"
                                                          : "forward");
}

constexpr std::size_t kTcpPairs = 8;
constexpr std::size_t kManyPairs = 1000;
constexpr double kSeconds = 10;
constexpr double kTrialSeconds = 2;

void finish_tcp(Typed& typed, Command& command, BulkOptions& bulk) {
  set_defaults(typed, command.scene, kTcpPairs, kSeconds);
  bulk.direction = direction_of(typed);
  bulk.verify = typed.verify;
  bulk.chunk = length_of(typed, 1, 16 << 20, bulk.chunk);
  bulk.bytes_per_second_each = parse_bit_rate(typed.bit_rate) / 8;
  tell_options(typed, command, std::to_string(bulk.chunk));
  command.told.add("rate_each_bit_s", bulk.bytes_per_second_each * 8);
}

void finish_udp(Typed& typed, Command& command, UdpCommand& udp_command) {
  constexpr double kFarBitRate = 1e6;  // as iperf3's: between hosts nothing closes the loop
  UdpOptions& udp = udp_command.udp;
  const bool trains = udp_command.shape == UdpShape::trains;
  set_defaults(typed, command.scene, trains ? 1 : kManyPairs, kSeconds);
  const std::string length = !typed.length.empty() ? typed.length : trains ? "1200" : "200";
  udp.shape.sizes = parse_sizes(length);
  udp.direction = direction_of(typed);
  udp.verify = typed.verify;
  if (trains && (udp.shape.sizes.size() > 1 || udp.direction != Direction::forward)) {
    throw std::invalid_argument("trains have one size and go forward");
  }
  double bits = parse_bit_rate(typed.bit_rate);
  if (bits == 0 && typed.rate == 0 && command.scene.far_host) bits = kFarBitRate;
  const double flows =
      static_cast<double>(command.scene.pairs) * (udp.direction == Direction::both ? 2 : 1);
  udp.per_second = typed.rate > 0 ? typed.rate : flows * bits / 8 / udp.shape.size_mean();
  tell_options(typed, command, length);
  command.told.add("shape", trains ? "trains" : "scattered");
  command.told.add("datagrams_per_s", udp.per_second);
  if (udp.per_second == 0) command.told.add("window", std::uint64_t{udp.window});
}

void finish_latency(Typed& typed, Command& command, LatencyOptions& latency) {
  constexpr std::size_t kPairs = 100;
  constexpr double kRateEach = 10;
  constexpr std::size_t kLength = 128;
  set_defaults(typed, command.scene, kPairs, kSeconds);
  const bool udp = latency.transport == Transport::udp;
  latency.message.size =
      length_of(typed, kMessageSizeMin, udp ? kPayloadMax : std::size_t{65536}, kLength);
  latency.message.per_second =
      typed.rate > 0 ? typed.rate : kRateEach * static_cast<double>(command.scene.pairs);
  latency.against_direct = !typed.no_direct;
  tell_options(typed, command, std::to_string(latency.message.size));
  command.told.add("transport", std::string(name_of(latency.transport)));
  command.told.add("messages_per_s", latency.message.per_second);
}

void finish_find_limit(Typed& typed, Command& command, FindLimitOptions& find) {
  for (const auto& size : find.sizes) (void)parse_sizes(size);
  set_defaults(typed, command.scene, kManyPairs, kTrialSeconds);
  tell_options(typed, command, fmt::format("{}", fmt::join(find.sizes, ",")));
  command.told.add("repeat", std::uint64_t{find.repeat});
  command.told.add("resolution", find.resolution);
}

void finish_sessions(const Typed& typed, Command& command, SessionsOptions& sessions) {
  sessions.after = typed.close ? AfterPairing::close : AfterPairing::keep;
  if (typed.close && sessions.transport == Transport::udp) {
    throw std::invalid_argument("--close is for TCP pairs");
  }
  command.scene.pairs = sessions.count;
  command.told.add("route", std::string(name_of(command.scene.route.kind)));
  command.told.add("transport", std::string(name_of(sessions.transport)));
  command.told.add("pairs", std::uint64_t{sessions.count});
  command.told.add("hold_s", sessions.quiet_s);
}

void finish_server(const Typed& typed, ServerOptions& server) {
  const bool v6 = typed.bind.find(':') != std::string::npos;
  server.control =
      parse_address(v6 ? "[" + typed.bind + "]" : typed.bind, {.host = {}, .port = kControlPort})
          .with_port(typed.port);
  if (!typed.relay.empty()) server.relay = parse_address(typed.relay, {.host = {}, .port = 7777});
  if (!typed.pairing.empty()) server.pairing = parse_address(typed.pairing);
  if (!typed.sink.empty()) server.sink = parse_address(typed.sink, {.host = "127.0.0.1"});
}

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
    for (auto& [name, mode] : modes) add_common(*app.get_subcommand(name), typed, command_);
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
    add_load(*latency, typed, command_, 100, kSeconds);
    add_latency(*latency, typed, std::get<LatencyCommand>(modes["latency"]).latency);
    auto* find = add("find-limit", "the highest rate of datagrams without loss, and with 0.5 %",
                     FindLimitCommand{});
    add_load(*find, typed, command_, kManyPairs, kTrialSeconds);
    add_find_limit(*find, std::get<FindLimitCommand>(modes["find-limit"]).find_limit);
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
    command_.scene.route = route_of(typed, command_.scene.tokens);
    command_.scene.account = CpuAccount(command_.pids);
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
