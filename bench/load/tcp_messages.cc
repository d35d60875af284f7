#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

#include "bench/load/latency.h"
#include "bench/load/tcp_load.h"

namespace tandem::bench {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kDrainTimeout = 5s;

// What a message begins with; the rest is filler.
struct MessageHead {
  std::uint32_t flow;
  std::uint32_t sequence;
  // When it was due, not when it left: a stall then shows in all the messages that it held up.
  std::int64_t due_ns;
};

struct MessageFlow {
  int from;
  int to;
  std::uint32_t flow;
  std::uint32_t sent = 0;
  std::uint32_t received = 0;
  std::vector<std::uint8_t> partial;  // the beginning of a message whose end has not come yet
};

std::int64_t nanos(Clock::time_point at) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}

class MessageLoad {
 public:
  explicit MessageLoad(const TcpLoadOptions& options);

  void run_for(double seconds);
  void drain();
  void forget_latencies() { latencies_.clear(); }

  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] std::uint64_t received() const { return received_; }
  [[nodiscard]] std::uint64_t held_up() const { return held_up_; }
  [[nodiscard]] Integrity integrity() const;
  [[nodiscard]] LatencySample& latencies() { return latencies_; }

 private:
  void send_due(Clock::time_point now);
  void receive_ready();
  void receive(MessageFlow& flow);
  void take(MessageFlow& flow, std::span<const std::uint8_t> message, std::int64_t now_ns);

  std::size_t size_;
  std::chrono::nanoseconds interval_;
  std::vector<SocketPair> pairs_;
  std::vector<MessageFlow> flows_;
  std::vector<std::uint8_t> outbox_;
  std::vector<std::uint8_t> inbox_;
  Socket epoll_;
  Clock::time_point due_{};
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t held_up_ = 0;
  std::uint64_t damaged_ = 0;
  LatencySample latencies_;
};

MessageLoad::MessageLoad(const TcpLoadOptions& options)
    : size_(std::max(options.message_size, sizeof(MessageHead))),
      interval_(static_cast<std::int64_t>(1e9 / options.rate)),
      pairs_(join_tcp_pairs(options.route, options.pairs)),
      outbox_(size_, std::uint8_t{0x5a}),
      inbox_(64 * 1024),
      epoll_(require(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
  flows_.reserve(pairs_.size());
  for (const auto& pair : pairs_) {
    set_nonblocking(pair.a.fd());
    set_nonblocking(pair.b.fd());
    flows_.push_back({.from = pair.a.fd(),
                      .to = pair.b.fd(),
                      .flow = static_cast<std::uint32_t>(flows_.size()),
                      .partial = {}});
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &flows_.back()}};
    require(::epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, pair.b.fd(), &event), "epoll_ctl");
  }
}

// Spins: a generator that sleeps would add its own wake-up to every latency.
void MessageLoad::run_for(double seconds) {
  auto now = Clock::now();
  const auto end = now + std::chrono::duration<double>(seconds);
  if (due_ == Clock::time_point{}) due_ = now;
  for (; now < end; now = Clock::now()) {
    send_due(now);
    receive_ready();
  }
}

void MessageLoad::drain() {
  const auto deadline = Clock::now() + kDrainTimeout;
  while (received_ + damaged_ < sent_ && Clock::now() < deadline) receive_ready();
}

void MessageLoad::send_due(Clock::time_point now) {
  constexpr int kBurstMax = 64;  // then the receivers have their turn
  for (int burst = 0; due_ <= now && burst < kBurstMax; ++burst, due_ += interval_) {
    MessageFlow& flow = flows_[(sent_ + held_up_) % flows_.size()];
    const MessageHead head{flow.flow, flow.sent, nanos(due_)};
    std::memcpy(outbox_.data(), &head, sizeof head);
    const auto sent = ::send(flow.from, outbox_.data(), size_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) throw_errno("send");
    if (sent < 0) {  // the route is over its capacity at this rate
      ++held_up_;
      continue;
    }
    if (sent != std::ssize(outbox_)) throw std::runtime_error("a message was taken by halves");
    ++flow.sent;
    ++sent_;
  }
}

void MessageLoad::receive_ready() {
  std::array<epoll_event, 64> events;
  const int ready = ::epoll_wait(epoll_.fd(), events.data(), events.size(), 0);
  if (ready < 0 && errno != EINTR) throw_errno("epoll_wait");
  for (int i = 0; i < ready; ++i) {
    receive(*static_cast<MessageFlow*>(events[static_cast<std::size_t>(i)].data.ptr));
  }
}

void MessageLoad::receive(MessageFlow& flow) {
  const auto kept = flow.partial.size();
  std::ranges::copy(flow.partial, inbox_.begin());
  const auto got = ::recv(flow.to, &inbox_[kept], inbox_.size() - kept, MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got < 0) throw_errno("recv");
  if (got == 0) throw std::runtime_error("a pair was closed under load");
  const auto now_ns = nanos(Clock::now());
  auto rest = std::span<const std::uint8_t>(inbox_).first(kept + static_cast<std::size_t>(got));
  for (; rest.size() >= size_; rest = rest.subspan(size_)) take(flow, rest.first(size_), now_ns);
  flow.partial.assign(rest.begin(), rest.end());
}

void MessageLoad::take(MessageFlow& flow, std::span<const std::uint8_t> message,
                       std::int64_t now_ns) {
  MessageHead head{};
  std::memcpy(&head, message.data(), sizeof head);
  const auto filler = message.subspan(sizeof head);
  if (head.flow != flow.flow || head.sequence != flow.received ||
      std::memcmp(filler.data(), &outbox_[sizeof head], filler.size()) != 0) {
    ++damaged_;
    return;
  }
  ++flow.received;
  ++received_;
  latencies_.add(now_ns - head.due_ns);
}

Integrity MessageLoad::integrity() const {
  return damaged_ == 0 && received_ == sent_ ? Integrity::intact : Integrity::damaged;
}

}  // namespace

Integrity run_tcp_messages(const TcpLoadOptions& options, const CpuAccount& account,
                           Report& report) {
  MessageLoad load(options);
  load.run_for(options.warm_up_s);
  load.forget_latencies();
  const auto before = account.sample();
  const auto received_before = load.received();
  load.run_for(options.seconds);
  const auto after = account.sample();
  const auto received = load.received() - received_before;
  load.drain();

  const auto use = use_between(before, after);
  const double millions = static_cast<double>(received) / 1e6;
  report.add("load", "tcp_messages");
  report.add("route", std::string(name_of(options.route.kind)));
  report.add("pairs", options.pairs);
  report.add("message_bytes", options.message_size);
  report.add("offered_per_s", options.rate);
  report.add("delivered_per_s", ratio(static_cast<double>(received), use.wall_s));
  report.add("relay_cpu_s_per_million", ratio(use.relay_s, millions));
  report.add("latency_p50_us", load.latencies().quantile_us(0.50));
  report.add("latency_p99_us", load.latencies().quantile_us(0.99));
  report.add("latency_p999_us", load.latencies().quantile_us(0.999));
  report.add("held_up", load.held_up());
  report.add("lost", load.sent() - load.received());
  report.add("intact", std::uint64_t{load.integrity() == Integrity::intact});
  report.add_use(use);
  return load.integrity();
}

}  // namespace tandem::bench
