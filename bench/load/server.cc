#include "bench/load/server.h"

#include <fmt/core.h>
#include <poll.h>

#include <cstdio>
#include <future>
#include <list>
#include <stdexcept>

#include "bench/load/echo_load.h"
#include "bench/load/far_request.h"
#include "bench/load/hex.h"
#include "bench/load/leg.h"
#include "bench/load/line_channel.h"

namespace tandem::bench {
namespace {

// A client that is alive asks every second or so.
constexpr int kSilenceMs = 60'000;

SocketAddress allowed(const std::optional<SocketAddress>& address, std::string_view option) {
  if (!address) {
    throw std::runtime_error(fmt::format("this server was not started with {}", option));
  }
  return *address;
}

// Where B goes is this command line's business alone; the request only says which way.
RouteOptions route_for(const ServerOptions& options, const FarRequest& request) {
  RouteOptions route{.kind = request.route};
  switch (request.route) {
    case RouteKind::direct:
      break;
    case RouteKind::proxy:
      route.sink = allowed(options.sink, "--sink");
      break;
    case RouteKind::relay:
      route.target = allowed(options.relay, "--relay");
      for (const auto& text : request.joins) {
        const auto token = parse_token_text(text);
        if (!token) throw std::runtime_error("that is no token");
        route.tokens.push_back({.a = {}, .b = *token});
      }
      break;
    case RouteKind::greeted:
      route.target = allowed(options.pairing, "--pairing");
      for (std::size_t i = 0; i < request.pairs; ++i) {
        route.greetings.push_back({.a = {},
                                   .b = from_hex(request.joins[i]),
                                   .expected_by_a = {},
                                   .expected_by_b = from_hex(request.expected[i])});
      }
      break;
  }
  return route;
}

MakeLoad maker_of(const FarRequest& request) {
  return [&request](std::vector<SocketPair> pairs, std::size_t first,
                    double share) -> std::unique_ptr<Load> {
    UdpOptions udp = request.udp;
    udp.per_second *= share;
    switch (request.load) {
      case FarLoad::bulk:
        return make_tcp_bulk(std::move(pairs), first, request.bulk);
      case FarLoad::scattered:
        return make_udp_scattered(std::move(pairs), first, Ends::b, udp);
      case FarLoad::trains:
        return make_udp_trains(std::move(pairs), first, Ends::b, udp);
      case FarLoad::echo:
        return request.transport == Transport::tcp ? make_tcp_echo(std::move(pairs))
                                                   : make_udp_echo(std::move(pairs));
    }
    return nullptr;
  };
}

// One client's run, from its request to its end.
class Session {
 public:
  Session(const ServerOptions& options, const Interrupt& interrupt, Socket socket)
      : options_(options), interrupt_(interrupt), channel_(std::move(socket), kFarLineMax) {}

  void run() {
    try {
      serve();
    } catch (const std::exception& error) {
      fmt::print(stderr, "tandem-bench: {}\n", error.what());
      try {
        answer({.error = error.what()});
      } catch (const std::exception&) {
        return;  // whom it concerned has gone
      }
    }
  }

 private:
  void serve();
  std::vector<SocketPair> join(const FarRequest& request);
  void obey(const Leg& leg);
  void answer(const FarAnswer& what) { channel_.send(encode_answer(what)); }
  std::string next_line() {
    const auto line = channel_.receive(&interrupt_, kSilenceMs);
    if (!line) throw std::runtime_error("the other host has gone");
    return *line;
  }

  const ServerOptions& options_;
  const Interrupt& interrupt_;
  LineChannel channel_;
};

void Session::serve() {
  const auto request = parse_request(next_line());
  if (!request) throw std::runtime_error("not a request: " + request.error());
  fmt::print("{} pairs, {}, {}\n", request->pairs, name_of(request->transport),
             name_of(request->route));
  std::fflush(stdout);
  auto pairs = join(*request);
  if (next_line() != "joined") throw std::runtime_error("the other host has not joined");
  answer({});
  obey(make_leg(std::string(name_of(request->route)), std::move(pairs), options_.threads,
                options_.cpus, interrupt_, maker_of(*request)));
}

std::vector<SocketPair> Session::join(const FarRequest& request) {
  const RouteOptions route = route_for(options_, request);
  const bool has_door = route.kind == RouteKind::direct || route.kind == RouteKind::proxy;
  const auto here = options_.control.with_port(0);
  FarAnswer ready;
  Door door;
  switch (request.transport) {
    case Transport::tcp:
      if (has_door) door = open_tcp_door(route, here);
      if (has_door) ready.port = local_address(door.listener.fd()).port();
      answer(ready);
      return join_tcp_pairs(route, request.pairs, Ends::b, std::move(door));
    case Transport::udp:
      if (has_door) door = open_udp_door(route, here, request.pairs);
      for (const auto& socket : door.sockets) {
        ready.udp_ports.push_back(local_address(socket.fd()).port());
      }
      answer(ready);
      return join_udp_pairs(route, request.pairs, Ends::b, std::move(door), channel_.fd());
  }
  return {};
}

// Until the other host closes, or fails to ask for a minute.
void Session::obey(const Leg& leg) {
  for (;;) {
    const auto line = channel_.receive(&interrupt_, kSilenceMs);
    for (const auto& worker : leg.workers) worker->rethrow_failure();
    if (!line) return;
    if (*line == "start") {
      leg.start();
    } else if (*line == "stop") {
      leg.stop();
    } else if (*line != "tally") {
      throw std::runtime_error("unknown command");
    }
    for (const auto& worker : leg.workers) worker->rethrow_failure();
    answer({.tally = leg.tally(), .cpu_s = CpuAccount({}).sample().generator_s});
  }
}

}  // namespace

// A latency run has two at once: one for the route and one for the direct leg.
void serve(const ServerOptions& options, const Interrupt& interrupt) {
  constexpr int kBacklog = 16;
  constexpr int kLookMs = 100;
  constexpr std::size_t kSessionsMax = 8;  // further ones wait in the backlog
  const Socket listener = tcp_listen(options.control, kBacklog);
  fmt::print("listening on {}\n", to_string(local_address(listener.fd())));
  std::fflush(stdout);
  std::list<std::future<void>> sessions;
  for (bool any = false; !interrupt.raised();) {
    const int watched = sessions.size() < kSessionsMax ? listener.fd() : -1;
    if (interrupt.wait_readable(watched, kLookMs)) {
      any = true;
      sessions.push_back(std::async(
          std::launch::async, [&options, &interrupt, socket = tcp_accept(listener.fd())]() mutable {
            const Interrupt own(&interrupt);
            Session(options, own, std::move(socket)).run();
          }));
    }
    sessions.remove_if([](const auto& session) {
      return session.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    });
    if (options.once && any && sessions.empty()) return;
  }
}

}  // namespace tandem::bench
