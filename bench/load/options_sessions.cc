#include <CLI/CLI.hpp>

#include "bench/load/options_typed.h"

namespace tandem::bench {

void add_sessions(CLI::App& app, Typed& typed, SessionsOptions& sessions) {
  add_transport(app, "--kind,--transport", sessions.transport);
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

}  // namespace tandem::bench
