#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <utility>
#include <vector>

#include "bench/load/far_request.h"
#include "bench/load/options_typed.h"
#include "common/units.h"

namespace tandem::bench {
namespace {

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

}  // namespace

void add_transport(CLI::App& app, const std::string& names, Transport& transport) {
  app.add_option(names, transport)->transform(word_of(kTransport));
}

void add_verify(CLI::App& app, Verify& verify) {
  app.add_option("--verify", verify, "sampled: stamps and each 16th block or datagram; full: all")
      ->transform(word_of(kVerify));
}

void add_watched(CLI::App& app, Command& command) {
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

}  // namespace tandem::bench
