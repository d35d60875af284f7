// tandem-bench: an iperf for relays. This file runs what the command line asks for and sees to it
// that the report goes where it should; what is asked for is options', the doing the modes'.
#include <fmt/core.h>
#include <time.h>
#include <unistd.h>

#include <fstream>

#include "bench/load/far_request.h"
#include "bench/load/http_client.h"
#include "bench/load/metrics_text.h"
#include "bench/load/options.h"
#include "bench/load/progress.h"
#include "bench/load/summary.h"
#include "bench/load/throughput.h"

namespace {

using namespace tandem::bench;

constexpr int kExitFailed = 1;
constexpr int kExitDamaged = 2;

std::string utc_now() {
  const time_t now = ::time(nullptr);
  tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  return {text, ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

// The relay's metrics page before the run, and what was counted until after it.
class RelayMetrics {
 public:
  explicit RelayMetrics(const std::string& address)
      : address_(address), url_(parse_url(address)), before_(read()) {}
  [[nodiscard]] RelayTold until_now() const { return told_between(before_, read()); }

 private:
  // A connection for each: the relay closes idle ones.
  [[nodiscard]] std::vector<MetricSample> read() const {
    const auto answer = HttpClient(url_).get(url_.path);
    if (answer.status != 200) {
      throw std::runtime_error(
          fmt::format("the metrics page at {} answers {}", address_, answer.status));
    }
    auto samples = parse_metrics(answer.body);
    if (!samples)
      throw std::runtime_error("the metrics page at " + address_ + ": " + samples.error());
    return std::move(*samples);
  }

  std::string address_;
  Url url_;
  std::vector<MetricSample> before_;
};

struct Run {
  const Scene& scene;
  Report& report;

  Integrity operator()(const TcpCommand& c) const { return run_tcp(scene, c.bulk, report); }
  Integrity operator()(const UdpCommand& c) const { return run_udp(scene, c.shape, c.udp, report); }
  Integrity operator()(const LatencyCommand& c) const {
    return run_latency(scene, c.latency, report);
  }
  Integrity operator()(const SessionsCommand& c) const {
    return run_sessions(scene, c.sessions, report);
  }
  Integrity operator()(const FindLimitCommand& c) const {
    return run_find_limit(scene, c.find_limit, report);
  }
  Integrity operator()(const ReflectCommand&) const { return run_reflection(scene, report); }
  Integrity operator()(const RoomsCommand& c) const { return run_rooms(scene, c.rooms, report); }
  Integrity operator()(const MatchesCommand& c) const {
    return run_matches(scene, c.matches, report);
  }
  Integrity operator()(const ServerCommand& c) const {
    serve(c.server, *scene.interrupt);
    return Integrity::intact;
  }
};

bool has_pairs(const Command& command) {
  return !std::holds_alternative<RoomsCommand>(command.mode) &&
         !std::holds_alternative<MatchesCommand>(command.mode);
}

// Before the run, so that it is not for nothing.
void check_writable(const std::string& path) {
  if (!path.empty() && !std::ofstream(path, std::ios::app)) {
    throw std::runtime_error("cannot write " + path);
  }
}

void write_file(const std::string& path, const std::string& text) {
  if (path.empty()) return;
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

void write(const Report& report, const OutputOptions& output) {
  write_file(output.json_file, to_json(report));
  write_file(output.csv_file, to_csv(report));
  write_file(output.html_file, to_html(report));
  fmt::print("{}", output.json ? to_json(report) : to_text(report));
}

int run(Command& command) {
  const Interrupt interrupt;
  Progress progress(command.mode_name, command.output.json);
  Scene& scene = command.scene;
  scene.interrupt = &interrupt;
  scene.tell = [&progress](const Interval& interval) { progress.tell(interval); };
  scene.note = [&progress](const std::string& line) { progress.note(line); };
  if (!scene.cpus.empty()) pin_to_cpu(scene.cpus.front());

  Report report;
  report.mode = command.mode_name;
  report.started_at = utc_now();
  report.machine = this_machine();
  report.options = command.told;
  if (std::holds_alternative<ServerCommand>(command.mode)) {
    (void)std::visit(Run{scene, report}, command.mode);
    return 0;
  }
  for (const auto* path :
       {&command.output.json_file, &command.output.csv_file, &command.output.html_file}) {
    check_writable(*path);
  }
  (void)scene.account.sample();  // a measured process that is not there is told of at once
  std::optional<RelayMetrics> metrics;
  // The room modes read it themselves: the server's memory and CPU.
  if (!command.metrics_url.empty() && has_pairs(command)) metrics.emplace(command.metrics_url);
  const Integrity integrity = std::visit(Run{scene, report}, command.mode);
  if (metrics) {
    report.relay = metrics->until_now();
    warn_of_caps(*report.relay, report);
  }
  progress.end();
  write(report, command.output);
  return integrity == Integrity::intact ? 0 : kExitDamaged;
}

}  // namespace

int main(int argc, char** argv) {
  auto parsed = parse_command_line(argc, argv);
  if (const int* exit_code = std::get_if<int>(&parsed)) return *exit_code;
  try {
    return run(std::get<Command>(parsed));
  } catch (const std::exception& error) {
    fmt::print(stderr, "tandem-bench: {}\n", error.what());
    return kExitFailed;
  }
}
