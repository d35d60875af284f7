#include "bench/load/far_client.h"

#include <stdexcept>

#include "bench/load/hex.h"
#include "bench/load/line_channel.h"

namespace tandem::bench {
namespace {

// A server answers a request at once. B may need its own time for joining, and then for what is
// under way.
constexpr int kFirstAnswerTimeoutMs = 10'000;
constexpr int kAnswerTimeoutMs = 20'000;

class FarEnd : public FarHalf {
 public:
  FarEnd(const SocketAddress& control, const Interrupt& interrupt)
      : name_(to_string(control)),
        channel_(tcp_connect(control), kFarLineMax),
        interrupt_(interrupt) {}

  FarAnswer ask(std::string_view line, int timeout_ms = kAnswerTimeoutMs) {
    channel_.send(line);
    return await(timeout_ms);
  }
  // An interrupt ends the waiting for a run. One that has begun is asked what there was all the
  // same.
  FarAnswer await(int timeout_ms) {
    const auto line = channel_.receive(begun_ ? nullptr : &interrupt_, timeout_ms);
    if (!line && !begun_ && interrupt_.raised()) {
      throw std::runtime_error("interrupted before the run");
    }
    if (!line) throw std::runtime_error("the tandem-bench -s at " + name_ + " does not answer");
    const auto answer = parse_answer(*line);
    if (!answer) throw std::runtime_error("is " + name_ + " a tandem-bench -s? " + answer.error());
    if (!answer->error.empty()) throw std::runtime_error("the other host: " + answer->error);
    return *answer;
  }

  void start() override {
    begun_ = true;
    (void)ask("start");
    running_ = true;
  }
  // Between two runs nothing changes.
  Tally tally() override {
    if (running_) last_ = ask("tally");
    return last_.tally;
  }
  double cpu_s() const override { return last_.cpu_s; }
  void stop() override {
    last_ = ask("stop");
    running_ = false;
  }

 private:
  std::string name_;
  LineChannel channel_;
  const Interrupt& interrupt_;
  bool begun_ = false;
  FarAnswer last_;
  bool running_ = false;
};

void add_joins(const RouteOptions& route, FarRequest& request) {
  for (std::size_t i = 0; i < request.pairs; ++i) {
    if (route.kind == RouteKind::relay) request.joins.push_back(token_text(route.tokens[i].b));
    if (route.kind != RouteKind::greeted) continue;
    request.joins.push_back(to_hex(route.greetings[i].b));
    request.expected.push_back(to_hex(route.greetings[i].expected_by_b));
  }
}

std::vector<SocketPair> join_near(const RouteOptions& route, Transport transport,
                                  std::size_t pairs) {
  switch (transport) {
    case Transport::tcp:
      return join_tcp_pairs(route, pairs, Ends::a, {});
    case Transport::udp:
      return join_udp_pairs(route, pairs, Ends::a, {});
  }
  return {};
}

}  // namespace

FarJoined join_with_far_host(const SocketAddress& control, const RouteOptions& route,
                             FarRequest request, const Interrupt& interrupt) {
  request.route = route.kind;
  add_joins(route, request);
  auto far = std::make_unique<FarEnd>(control, interrupt);
  const FarAnswer ready = far->ask(encode_request(request), kFirstAnswerTimeoutMs);
  RouteOptions near = route;
  if (route.kind == RouteKind::direct) {
    near.target = control.with_port(ready.port);
    near.udp_ports = ready.udp_ports;
    if (request.transport == Transport::udp && ready.udp_ports.size() != request.pairs) {
      throw std::runtime_error("the other host did not tell a port for each pair");
    }
  }
  try {
    FarJoined joined{.pairs = join_near(near, request.transport, request.pairs), .far = nullptr};
    (void)far->ask("joined");
    joined.far = std::move(far);
    return joined;
  } catch (const std::runtime_error&) {
    // Where the other host failed too, its reason is the better one.
    constexpr int kReasonTimeoutMs = 200;
    try {
      (void)far->await(kReasonTimeoutMs);
    } catch (const std::runtime_error& reason) {
      if (std::string_view(reason.what()).starts_with("the other host: ")) throw reason;
    }
    throw;
  }
}

}  // namespace tandem::bench
