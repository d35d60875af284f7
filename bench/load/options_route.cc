#include <CLI/CLI.hpp>
#include <fstream>
#include <sstream>

#include "bench/load/options_typed.h"

namespace tandem::bench {
namespace {

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

}  // namespace

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

}  // namespace tandem::bench
