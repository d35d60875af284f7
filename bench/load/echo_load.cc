#include "bench/load/echo_load.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

// Spins like the loads that it answers, so that no wake-up of its own is in their round trips.
class EchoLoad : public Load {
 public:
  explicit EchoLoad(std::vector<SocketPair> pairs);

  void start(Clock::time_point) override {}
  Turn turn(Clock::time_point now, Sending sending) override;
  bool drained() const override { return false; }  // whoever sends knows
  Clock::duration drain_timeout() const override { return 100ms; }
  Tally tally() const override { return {}; }  // the other host has it all
  std::vector<std::uint64_t> delivered_by_flow() const override { return {}; }
  bool waits() const override { return false; }

 protected:
  virtual void echo(std::size_t pair, std::span<const std::uint8_t> bytes) = 0;
  [[nodiscard]] int fd_of(std::size_t pair) const { return pairs_[pair].b.fd(); }
  [[nodiscard]] std::size_t count() const { return pairs_.size(); }
  [[nodiscard]] const DataHeaderBytes& header_of(std::size_t pair) const {
    return pairs_[pair].header;
  }

 private:
  std::vector<SocketPair> pairs_;
  std::vector<std::uint8_t> inbox_;
  Socket epoll_;
};

EchoLoad::EchoLoad(std::vector<SocketPair> pairs)
    : pairs_(std::move(pairs)),
      inbox_(1 << 16),
      epoll_(require(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    set_nonblocking(pairs_[i].b.fd());
    epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
    require(::epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, pairs_[i].b.fd(), &event), "epoll_ctl");
  }
}

Turn EchoLoad::turn(Clock::time_point, Sending) {
  std::array<epoll_event, 64> events;
  const int ready = ::epoll_wait(epoll_.fd(), events.data(), events.size(), 0);
  if (ready < 0 && errno != EINTR) throw_errno("epoll_wait");
  for (int i = 0; i < ready; ++i) {
    const auto pair = events[static_cast<std::size_t>(i)].data.u64;
    const auto got = ::recv(fd_of(pair), inbox_.data(), inbox_.size(), MSG_DONTWAIT);
    if (got < 0 && errno != EAGAIN && errno != ECONNREFUSED) throw_errno("receive");
    // The other host closes when it has what it wants.
    if (got == 0) ::epoll_ctl(epoll_.fd(), EPOLL_CTL_DEL, fd_of(pair), nullptr);
    if (got > 0) echo(pair, std::span(inbox_).first(static_cast<std::size_t>(got)));
  }
  return ready > 0 ? Turn::some : Turn::idle;
}

class TcpEcho : public EchoLoad {
 public:
  explicit TcpEcho(std::vector<SocketPair> pairs) : EchoLoad(std::move(pairs)), pending_(count()) {}

  Turn turn(Clock::time_point now, Sending sending) override {
    std::erase_if(waiting_, [this](std::size_t pair) { return flush(pair); });
    return EchoLoad::turn(now, sending);
  }

 private:
  void echo(std::size_t pair, std::span<const std::uint8_t> bytes) override {
    auto& pending = pending_[pair];
    if (pending.empty()) waiting_.push_back(pair);
    pending.insert(pending.end(), bytes.begin(), bytes.end());
    if (flush(pair)) waiting_.pop_back();
  }

  // True where nothing is left.
  bool flush(std::size_t pair) {
    auto& pending = pending_[pair];
    const auto sent =
        ::send(fd_of(pair), pending.data(), pending.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) throw_errno("send");
    if (sent > 0) pending.erase(pending.begin(), pending.begin() + sent);
    return pending.empty();
  }

  std::vector<std::vector<std::uint8_t>> pending_;
  std::vector<std::size_t> waiting_;  // pairs with something pending, each once
};

class UdpEcho : public EchoLoad {
 public:
  using EchoLoad::EchoLoad;

 private:
  void echo(std::size_t pair, std::span<const std::uint8_t> bytes) override {
    // Beside DATA a relay's client may be told of its pairing once more.
    const auto type = header_of(pair)[0];
    if (type != 0 && bytes[0] != type) return;
    // What the socket does not take is lost, and shows at the other host.
    (void)::send(fd_of(pair), bytes.data(), bytes.size(), MSG_DONTWAIT);
  }
};

}  // namespace

std::unique_ptr<Load> make_tcp_echo(std::vector<SocketPair> pairs) {
  return std::make_unique<TcpEcho>(std::move(pairs));
}
std::unique_ptr<Load> make_udp_echo(std::vector<SocketPair> pairs) {
  return std::make_unique<UdpEcho>(std::move(pairs));
}

}  // namespace tandem::bench
