#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "bench/load/tcp_load.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

// One direction of a pair. Where its other half is on another host, that descriptor is -1.
struct Stream {
  int from;
  int to;
  std::uint64_t sent;
  PatternCheck check;
  std::uint32_t flow;
  bool ended = false;             // the FIN has come through
  std::uint64_t before_stop = 0;  // of what has been received
};

// A socket's part in the load: what it sends, what it receives, or both.
struct Port {
  int fd;
  Stream* out = nullptr;
  Stream* in = nullptr;
};

class BulkLoad : public Load {
 public:
  BulkLoad(std::vector<SocketPair> pairs, std::size_t first_pair, const BulkOptions& options);

  void start(Clock::time_point now) override;
  Turn turn(Clock::time_point now, Sending sending) override;
  // Sends a FIN on each stream; turns then read on to the other side's.
  void stop() override;
  bool drained() const override;
  Clock::duration drain_timeout() const override { return 10s; }
  Tally tally() const override;
  std::vector<std::uint64_t> delivered_by_flow() const override;
  bool waits() const override { return true; }

 private:
  void add_stream(Port* from, Port* to, std::size_t flow);
  void watch(Port& port, int operation);
  void send_paced(Clock::time_point now);
  void send_some(Stream& stream, std::size_t bytes_max);
  void receive_some(Port& port);

  std::vector<SocketPair> pairs_;
  std::size_t chunk_;
  double rate_;  // bytes a second and stream
  Verify verify_;
  bool sending_ = false;
  Tally tally_;
  Clock::time_point started_{};
  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<std::unique_ptr<Stream>> streams_;
  PatternSource source_;
  PatternSource expected_;
  std::vector<std::uint8_t> inbox_;
  Socket epoll_;
};

BulkLoad::BulkLoad(std::vector<SocketPair> pairs, std::size_t first_pair,
                   const BulkOptions& options)
    : pairs_(std::move(pairs)),
      chunk_(options.chunk),
      rate_(options.bytes_per_second_each),
      verify_(options.verify),
      source_(chunk_),
      expected_(chunk_),
      inbox_(chunk_),
      epoll_(require(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    const auto port_of = [&](const Socket& socket) -> Port* {
      if (!socket.open()) return nullptr;
      set_nonblocking(socket.fd());
      set_buffers(socket.fd(), options.socket_buffer, options.socket_buffer);
      return ports_.emplace_back(std::make_unique<Port>(Port{.fd = socket.fd()})).get();
    };
    Port* a = port_of(pairs_[i].a);
    Port* b = port_of(pairs_[i].b);
    const auto flow = 2 * (first_pair + i);
    if (options.direction != Direction::reverse) add_stream(a, b, flow);
    if (options.direction != Direction::forward) add_stream(b, a, flow + 1);
  }
  for (const auto& port : ports_) watch(*port, EPOLL_CTL_ADD);
}

void BulkLoad::add_stream(Port* from, Port* to, std::size_t flow) {
  const auto number = static_cast<std::uint32_t>(flow);
  auto stream = std::make_unique<Stream>(Stream{.from = from != nullptr ? from->fd : -1,
                                                .to = to != nullptr ? to->fd : -1,
                                                .sent = 0,
                                                .check = PatternCheck(number, verify_),
                                                .flow = number});
  if (from != nullptr) from->out = stream.get();
  if (to != nullptr) to->in = stream.get();
  streams_.push_back(std::move(stream));
}

void BulkLoad::watch(Port& port, int operation) {
  epoll_event event{};
  if (port.in != nullptr && !port.in->ended) event.events |= EPOLLIN;
  if (port.out != nullptr && sending_ && rate_ == 0) event.events |= EPOLLOUT;
  event.data.ptr = &port;
  require(::epoll_ctl(epoll_.fd(), operation, port.fd, &event), "epoll_ctl");
}

void BulkLoad::start(Clock::time_point now) {
  sending_ = true;
  started_ = now;
  for (const auto& port : ports_) watch(*port, EPOLL_CTL_MOD);
}

void BulkLoad::stop() {
  sending_ = false;
  for (const auto& stream : streams_) stream->before_stop = stream->check.received();
  for (const auto& port : ports_) {
    watch(*port, EPOLL_CTL_MOD);
    // A peer that is gone takes no FIN; what it did not get is seen as lost.
    if (port->out != nullptr && ::shutdown(port->fd, SHUT_WR) < 0 && errno != ENOTCONN) {
      throw_errno("shutdown");
    }
  }
}

Turn BulkLoad::turn(Clock::time_point now, Sending) {
  constexpr int kWaitMs = 50;
  constexpr int kPacedWaitMs = 1;
  if (sending_ && rate_ > 0) send_paced(now);
  std::array<epoll_event, 64> events;
  const int ready = ::epoll_wait(epoll_.fd(), events.data(), events.size(),
                                 sending_ && rate_ > 0 ? kPacedWaitMs : kWaitMs);
  if (ready < 0 && errno != EINTR) throw_errno("epoll_wait");
  for (int i = 0; i < ready; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    Port& port = *static_cast<Port*>(event.data.ptr);
    if (port.in != nullptr && (event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
      receive_some(port);
    } else if ((event.events & EPOLLERR) != 0) {
      throw std::runtime_error("a pair was reset under load");
    }
    if ((event.events & EPOLLOUT) != 0) send_some(*port.out, chunk_);
  }
  return ready > 0 ? Turn::some : Turn::idle;
}

// Up to what is due at this moment, so a stream that was held up catches up.
void BulkLoad::send_paced(Clock::time_point now) {
  const auto due =
      static_cast<std::uint64_t>(rate_ * std::chrono::duration<double>(now - started_).count());
  for (const auto& stream : streams_) {
    while (stream->from >= 0 && stream->sent < due) {
      const auto before = stream->sent;
      send_some(*stream, static_cast<std::size_t>(due - stream->sent));
      if (stream->sent == before) break;
    }
  }
}

void BulkLoad::send_some(Stream& stream, std::size_t bytes_max) {
  const auto bytes = source_.at(stream.flow, stream.sent, std::min(chunk_, bytes_max));
  const auto sent = ::send(stream.from, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) throw_errno("a pair was closed under load: send");
  if (sent <= 0) return;
  stream.sent += static_cast<std::uint64_t>(sent);
  tally_.sent_bytes += static_cast<std::uint64_t>(sent);
}

void BulkLoad::receive_some(Port& port) {
  Stream& stream = *port.in;
  if (stream.ended) return;
  const auto got = ::recv(port.fd, inbox_.data(), inbox_.size(), MSG_DONTWAIT);
  if (got < 0 && errno != EAGAIN) throw_errno("a pair was closed under load: receive");
  if (got == 0) {
    stream.ended = true;
    // Whoever was to pass it on has kept some, and it is not under way.
    if (stream.from >= 0 && stream.check.received() != stream.sent) ++tally_.damaged;
    watch(port, EPOLL_CTL_MOD);
  }
  if (got <= 0) return;
  PatternCheck& check = stream.check;
  tally_.damaged -= check.mismatches();
  tally_.compared_bytes -= check.compared();
  check.feed(std::span(inbox_).first(static_cast<std::size_t>(got)), expected_);
  tally_.damaged += check.mismatches();
  tally_.compared_bytes += check.compared();
  tally_.delivered_bytes += static_cast<std::uint64_t>(got);
}

Tally BulkLoad::tally() const {
  Tally tally = tally_;
  if (sending_) return tally;
  tally.unfinished = static_cast<std::uint64_t>(std::ranges::count_if(streams_, [](const auto& s) {
    return s->to >= 0 && !s->ended && s->check.received() > s->before_stop;
  }));
  return tally;
}

bool BulkLoad::drained() const {
  return std::ranges::all_of(streams_, [](const auto& s) { return s->to < 0 || s->ended; });
}

std::vector<std::uint64_t> BulkLoad::delivered_by_flow() const {
  std::vector<std::uint64_t> bytes;
  for (const auto& stream : streams_) {
    if (stream->to >= 0) bytes.push_back(stream->check.received());
  }
  return bytes;
}

}  // namespace

std::unique_ptr<Load> make_tcp_bulk(std::vector<SocketPair> pairs, std::size_t first_pair,
                                    const BulkOptions& options) {
  return std::make_unique<BulkLoad>(std::move(pairs), first_pair, options);
}

}  // namespace tandem::bench
