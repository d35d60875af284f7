#include <CLI/CLI.hpp>

#include "bench/load/far_request.h"
#include "bench/load/options_typed.h"

namespace tandem::bench {

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

void finish_server(const Typed& typed, ServerOptions& server) {
  const bool v6 = typed.bind.find(':') != std::string::npos;
  server.control =
      parse_address(v6 ? "[" + typed.bind + "]" : typed.bind, {.host = {}, .port = kControlPort})
          .with_port(typed.port);
  if (!typed.relay.empty()) server.relay = parse_address(typed.relay, {.host = {}, .port = 7777});
  if (!typed.pairing.empty()) server.pairing = parse_address(typed.pairing);
  if (!typed.sink.empty()) server.sink = parse_address(typed.sink, {.host = "127.0.0.1"});
}

}  // namespace tandem::bench
