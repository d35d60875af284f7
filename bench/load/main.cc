// tandem-bench: drives load through a relay, a plain proxy or nothing, and prints what was
// delivered and what it cost. One subject a subcommand; this file only reads the command line.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <map>
#include <vector>

#include "bench/load/cpu_account.h"
#include "bench/load/report.h"
#include "bench/load/sessions_load.h"
#include "bench/load/tcp_load.h"
#include "bench/load/udp_load.h"

namespace {

using namespace tandem::bench;

struct CommonOptions {
  bool direct = false;
  std::string proxy;
  std::string relay;
  std::string sink;
  std::string key_file;
  std::vector<pid_t> pids;
  int cpu = -1;
  bool json = false;
};

constexpr int kExitDamaged = 2;

void add_common(CLI::App& app, CommonOptions& common) {
  auto* direct = app.add_flag("--direct", common.direct, "no relay: one end dials the other");
  auto* proxy = app.add_option("--via", common.proxy, "a plain proxy's HOST:PORT");
  auto* relay = app.add_option("--relay", common.relay, "a Tandem relay's HOST:PORT");
  app.add_option("--sink", common.sink, "[HOST:]PORT to which the proxy forwards")->needs(proxy);
  auto* key =
      app.add_option("--key-file", common.key_file, "the relay's keys, to mint tokens with");
  relay->needs(key)->excludes(proxy)->excludes(direct);
  direct->excludes(proxy);
  app.add_option("--pid", common.pids, "a process whose CPU and memory count as the relay's");
  app.add_option("--cpu", common.cpu, "pin the generator to this core");
  app.add_flag("--json", common.json, "print one JSON object");
}

RouteOptions route_of(const CommonOptions& common) {
  RouteOptions route;
  if (!common.relay.empty()) {
    route.kind = RouteKind::relay;
    route.target = parse_address(common.relay);
    route.key_file = common.key_file;
  } else if (!common.proxy.empty()) {
    route.kind = RouteKind::proxy;
    route.target = parse_address(common.proxy);
    if (!common.sink.empty()) route.sink = parse_address(common.sink);
  } else if (!common.direct) {
    throw CLI::ValidationError("one of --direct, --via and --relay is needed");
  }
  return route;
}

void add_tcp(CLI::App& app, TcpLoadOptions& tcp) {
  const std::map<std::string, Verify> verify{{"sampled", Verify::sampled}, {"full", Verify::full}};
  const std::map<std::string, Direction> direction{{"one", Direction::one_way},
                                                   {"both", Direction::both_ways}};
  app.add_option("--pairs", tcp.pairs)->capture_default_str();
  app.add_option("--seconds", tcp.seconds)->capture_default_str();
  app.add_option("--warm-up", tcp.warm_up_s, "seconds before")->capture_default_str();
  app.add_option("--direction", tcp.direction)->transform(CLI::CheckedTransformer(direction));
  app.add_option("--chunk", tcp.chunk, "bytes a call, bulk")->capture_default_str();
  app.add_option("--socket-buffer", tcp.socket_buffer, "bytes, 0 = auto")->capture_default_str();
  app.add_option("--verify", tcp.verify)->transform(CLI::CheckedTransformer(verify));
  auto* rate = app.add_option("--rate", tcp.rate, "messages a second, all pairs together");
  rate->check(CLI::PositiveNumber);
  app.add_option("--size", tcp.message_size, "bytes a message; 0 = bulk")
      ->check(CLI::IsMember({0}) | CLI::Range(16, 65536))
      ->capture_default_str();
}

Integrity run_tcp(const TcpLoadOptions& tcp, const CpuAccount& account, Report& report) {
  if (tcp.message_size == 0) return run_tcp_bulk(tcp, account, report);
  if (tcp.rate <= 0) throw CLI::ValidationError("--size needs --rate");
  return run_tcp_messages(tcp, account, report);
}

void add_udp(CLI::App& app, UdpLoadOptions& udp) {
  const std::map<std::string, Verify> verify{{"sampled", Verify::sampled}, {"full", Verify::full}};
  app.add_flag_callback(
      "--train", [&udp] { udp.shape = UdpShape::trains; },
      "one pair, back to back, instead of scattered");
  app.add_option("--pairs", udp.pairs)->capture_default_str();
  app.add_option("--payload", udp.payload, "bytes")
      ->check(CLI::Range(std::size_t{8}, std::size_t{1464}))
      ->capture_default_str();
  app.add_option("--window", udp.window, "datagrams under way")->capture_default_str();
  app.add_option("--batch", udp.batch, "datagrams a system call")->capture_default_str();
  app.add_option("--train-length", udp.train, "datagrams a send, with --train")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--seconds", udp.seconds)->capture_default_str();
  app.add_option("--warm-up", udp.warm_up_s, "seconds before")->capture_default_str();
  app.add_option("--verify", udp.verify)->transform(CLI::CheckedTransformer(verify));
}

Integrity run_udp(UdpLoadOptions& udp, const CpuAccount& account, Report& report) {
  switch (udp.shape) {
    case UdpShape::scattered:
      return run_udp_scattered(udp, account, report);
    case UdpShape::trains:
      udp.pairs = 1;
      return run_udp_trains(udp, account, report);
  }
  return Integrity::damaged;
}

void add_sessions(CLI::App& app, SessionsOptions& sessions) {
  const std::map<std::string, SessionKind> kind{{"tcp", SessionKind::tcp},
                                                {"udp", SessionKind::udp}};
  app.add_option("--kind", sessions.kind)->transform(CLI::CheckedTransformer(kind))->required();
  app.add_option("--count", sessions.count, "pairs")->capture_default_str();
  app.add_flag_callback(
      "--close", [&sessions] { sessions.after = AfterPairing::close; },
      "close each TCP pair once it is joined");
  app.add_option("--hold", sessions.quiet_s, "seconds to watch the idle pairs");
  app.add_option("--settle", sessions.settle_s, "seconds before")->capture_default_str();
  app.add_option("--in-flight", sessions.in_flight, "pairs at once")->capture_default_str();
  app.add_option("--workers", sessions.workers, "processes, TCP")->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Tandem's load generator; loopback only");
  app.require_subcommand(1);
  CommonOptions common;
  TcpLoadOptions tcp;
  auto* tcp_app = app.add_subcommand("tcp", "bulk, or messages with --size and --rate");
  UdpLoadOptions udp;
  auto* udp_app = app.add_subcommand("udp", "scattered datagrams, or trains");
  SessionsOptions sessions;
  auto* sessions_app =
      app.add_subcommand("sessions", "pairings a second, and what idle pairs cost");
  auto* reflect_app = app.add_subcommand("reflect", "what an unvalidated UDP source gets back");
  for (auto* subcommand : {tcp_app, udp_app, sessions_app, reflect_app})
    add_common(*subcommand, common);
  add_tcp(*tcp_app, tcp);
  add_udp(*udp_app, udp);
  add_sessions(*sessions_app, sessions);
  CLI11_PARSE(app, argc, argv);

  try {
    pin_to_cpu(common.cpu);
    const CpuAccount account(common.pids);
    Report report;
    Integrity integrity = Integrity::intact;
    if (tcp_app->parsed()) {
      tcp.route = route_of(common);
      integrity = run_tcp(tcp, account, report);
    }
    if (udp_app->parsed()) {
      udp.route = route_of(common);
      integrity = run_udp(udp, account, report);
    }
    if (sessions_app->parsed()) {
      sessions.route = route_of(common);
      integrity = run_sessions(sessions, account, report);
    }
    if (reflect_app->parsed()) integrity = run_reflection(route_of(common), report);
    report.print(common.json ? ReportFormat::json : ReportFormat::text);
    return integrity == Integrity::intact ? 0 : kExitDamaged;
  } catch (const CLI::Error& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    fmt::print(stderr, "tandem-bench: {}\n", error.what());
    return 1;
  }
}
