#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <memory>

#include "bench/load/tcp_load.h"

namespace tandem::bench {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kDrainTimeout = 10s;

struct Stream {
  int from;
  int to;
  std::uint32_t flow;
  std::uint64_t sent;
  PatternCheck check;
  bool ended;  // the FIN has come through
};

// A socket's part in the load: what it sends, what it receives, or both.
struct Port {
  int fd;
  Stream* out;
  Stream* in;
};

class BulkLoad {
 public:
  explicit BulkLoad(const TcpLoadOptions& options);

  void run_until(Clock::time_point end);
  // Sends a FIN on each stream and reads on to the other side's.
  void drain();

  [[nodiscard]] std::uint64_t sent() const;
  [[nodiscard]] std::uint64_t received() const;
  [[nodiscard]] std::uint64_t compared() const;
  [[nodiscard]] Integrity integrity() const;

 private:
  void add_stream(Port& from, Port& to);
  void watch(const Port& port, int operation, bool may_send);
  void turn(bool may_send);
  void send_some(Stream& stream);
  void receive_some(Stream& stream);

  std::size_t chunk_;
  Verify verify_;
  std::vector<SocketPair> pairs_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<std::unique_ptr<Stream>> streams_;
  PatternSource source_;
  PatternSource expected_;
  std::vector<std::uint8_t> inbox_;
  Socket epoll_;
};

BulkLoad::BulkLoad(const TcpLoadOptions& options)
    : chunk_(options.chunk),
      verify_(options.verify),
      pairs_(join_tcp_pairs(options.route, options.pairs)),
      source_(chunk_),
      expected_(chunk_),
      inbox_(chunk_),
      epoll_(require(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
  for (const auto& pair : pairs_) {
    for (const Socket* socket : {&pair.a, &pair.b}) {
      set_nonblocking(socket->fd());
      set_buffers(socket->fd(), options.socket_buffer, options.socket_buffer);
      ports_.push_back(std::make_unique<Port>(socket->fd(), nullptr, nullptr));
    }
    Port& a = *ports_[ports_.size() - 2];
    Port& b = *ports_.back();
    add_stream(a, b);
    if (options.direction == Direction::both_ways) add_stream(b, a);
    watch(a, EPOLL_CTL_ADD, true);
    watch(b, EPOLL_CTL_ADD, true);
  }
}

void BulkLoad::add_stream(Port& from, Port& to) {
  const auto flow = static_cast<std::uint32_t>(streams_.size());
  streams_.push_back(std::make_unique<Stream>(from.fd, to.fd, flow, std::uint64_t{0},
                                              PatternCheck(flow, verify_), false));
  from.out = to.in = streams_.back().get();
}

void BulkLoad::watch(const Port& port, int operation, bool may_send) {
  epoll_event event{};
  if (port.in != nullptr && !port.in->ended) event.events |= EPOLLIN;
  if (port.out != nullptr && may_send) event.events |= EPOLLOUT;
  event.data.ptr = const_cast<Port*>(&port);
  require(::epoll_ctl(epoll_.fd(), operation, port.fd, &event), "epoll_ctl");
}

void BulkLoad::run_until(Clock::time_point end) {
  while (Clock::now() < end) turn(true);
}

void BulkLoad::drain() {
  for (const auto& stream : streams_) {
    require(::shutdown(stream->from, SHUT_WR), "shutdown");
  }
  for (const auto& port : ports_) watch(*port, EPOLL_CTL_MOD, false);
  const auto deadline = Clock::now() + kDrainTimeout;
  const auto open = [](const auto& stream) { return !stream->ended; };
  while (std::ranges::any_of(streams_, open) && Clock::now() < deadline) turn(false);
}

// Waits for a moment where nothing is ready: a generator that spins would bill the machine for it.
void BulkLoad::turn(bool may_send) {
  constexpr int kWaitMs = 100;
  std::array<epoll_event, 64> events;
  const int ready = ::epoll_wait(epoll_.fd(), events.data(), events.size(), kWaitMs);
  if (ready < 0 && errno != EINTR) throw_errno("epoll_wait");
  for (int i = 0; i < ready; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    Port& port = *static_cast<Port*>(event.data.ptr);
    if (port.in != nullptr && (event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
      receive_some(*port.in);
      if (port.in->ended) watch(port, EPOLL_CTL_MOD, may_send);
    }
    if (may_send && port.out != nullptr && (event.events & EPOLLOUT) != 0) send_some(*port.out);
  }
}

void BulkLoad::send_some(Stream& stream) {
  const auto bytes = source_.at(stream.flow, stream.sent, chunk_);
  const auto sent = ::send(stream.from, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) throw_errno("send");
  if (sent > 0) stream.sent += static_cast<std::uint64_t>(sent);
}

void BulkLoad::receive_some(Stream& stream) {
  if (stream.ended) return;
  const auto got = ::recv(stream.to, inbox_.data(), inbox_.size(), MSG_DONTWAIT);
  if (got < 0 && errno != EAGAIN) throw_errno("recv");
  if (got == 0) stream.ended = true;
  if (got > 0) {
    stream.check.feed(std::span(inbox_).first(static_cast<std::size_t>(got)), expected_);
  }
}

std::uint64_t BulkLoad::sent() const {
  std::uint64_t total = 0;
  for (const auto& stream : streams_) total += stream->sent;
  return total;
}

std::uint64_t BulkLoad::received() const {
  std::uint64_t total = 0;
  for (const auto& stream : streams_) total += stream->check.received();
  return total;
}

std::uint64_t BulkLoad::compared() const {
  std::uint64_t total = 0;
  for (const auto& stream : streams_) total += stream->check.compared();
  return total;
}

Integrity BulkLoad::integrity() const {
  for (const auto& stream : streams_) {
    const bool whole = stream->ended && stream->sent == stream->check.received();
    if (!whole || stream->check.mismatches() != 0) return Integrity::damaged;
  }
  return Integrity::intact;
}

Clock::duration seconds(double s) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
}

}  // namespace

Integrity run_tcp_bulk(const TcpLoadOptions& options, const CpuAccount& account, Report& report) {
  BulkLoad load(options);
  load.run_until(Clock::now() + seconds(options.warm_up_s));
  const auto before = account.sample();
  const auto received_before = load.received();
  load.run_until(Clock::now() + seconds(options.seconds));
  const auto after = account.sample();
  const auto received = load.received() - received_before;
  load.drain();

  const auto use = use_between(before, after);
  const double gigabytes = static_cast<double>(received) / 1e9;
  report.add("load", "tcp_bulk");
  report.add("route", std::string(name_of(options.route.kind)));
  report.add("pairs", options.pairs);
  report.add("throughput_gbit_s", ratio(gigabytes * 8, use.wall_s));
  report.add("relay_cpu_s_per_gb", ratio(use.relay_s, gigabytes));
  report.add("machine_cpu_s_per_gb", ratio(use.machine_busy_s, gigabytes));
  report.add("both_cpu_s_per_gb", ratio(use.relay_s + use.generator_s, gigabytes));
  report.add("delivered_bytes", received);
  report.add("lost_bytes", load.sent() - load.received());
  report.add("compared_bytes", load.compared());
  report.add("intact", std::uint64_t{load.integrity() == Integrity::intact});
  report.add_use(use);
  return load.integrity();
}

}  // namespace tandem::bench
