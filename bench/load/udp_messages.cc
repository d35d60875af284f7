#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "bench/load/schedule.h"
#include "bench/load/udp_load.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

// Messages sent or received in one turn. As many of each: a burst that catches up after a pause of
// the generator's must not overflow its own sockets.
constexpr int kBurstMax = 64;

// Timed datagrams at a fixed rate. Unlike the scattered load it asks epoll who has something, since
// a datagram that is looked for in the wrong place looks late. It spins, as the TCP one does.
class DatagramMessageLoad : public Load {
 public:
  DatagramMessageLoad(std::vector<SocketPair> pairs, const MessageOptions& options,
                      std::size_t first_pair);

  void start(Clock::time_point now) override { schedule_.restart(now); }
  Turn turn(Clock::time_point now, Sending sending) override;
  bool drained() const override { return check_.delivered() >= tally_.sent; }
  Clock::duration drain_timeout() const override { return 500ms; }
  Tally tally() const override { return check_.tally(tally_); }
  std::vector<std::uint64_t> delivered_by_flow() const override {
    std::vector<std::uint64_t> bytes;
    for (std::size_t i = 0; i < pairs_.size(); ++i) bytes.push_back(check_.delivered_bytes_of(i));
    return bytes;
  }
  LatencyMeter* latencies() override { return &latencies_; }
  bool waits() const override { return false; }

 private:
  int send_due(Clock::time_point now);
  void send(std::size_t flow, std::int64_t due_ns);
  int receive_ready();
  void receive(std::size_t flow);

  std::vector<SocketPair> pairs_;
  std::size_t first_pair_;
  std::size_t header_size_;
  std::vector<std::uint32_t> next_numbers_;
  std::vector<std::uint8_t> outbox_;
  std::vector<std::uint8_t> inbox_;
  DatagramCheck check_;
  LatencyMeter latencies_;
  Socket epoll_;
  Schedule schedule_;
  std::size_t next_ = 0;
  Tally tally_;  // of what is sent
};

DatagramMessageLoad::DatagramMessageLoad(std::vector<SocketPair> pairs,
                                         const MessageOptions& options, std::size_t first_pair)
    : pairs_(std::move(pairs)),
      first_pair_(first_pair),
      header_size_(pairs_.front().header[0] == 0 ? 0 : kDataHeaderSize),
      next_numbers_(pairs_.size()),
      outbox_(header_size_ + options.size),
      inbox_(header_size_ + options.size + 1),
      check_(pairs_.size(), first_pair, {.sizes = {options.size}, .timed = true}, Verify::full),
      latencies_(pairs_.size()),
      epoll_(require(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      schedule_(options.per_second) {
  fill_payload(std::span(outbox_).subspan(header_size_));
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    const Socket& receiver = pairs_[i].b.open() ? pairs_[i].b : pairs_[i].a;
    epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
    require(::epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, receiver.fd(), &event), "epoll_ctl");
  }
}

Turn DatagramMessageLoad::turn(Clock::time_point now, Sending sending) {
  const int sent = sending == Sending::on ? send_due(now) : 0;
  for (int received = 0; received < kBurstMax;) {
    const int some = receive_ready();
    if (some == 0) break;
    received += some;
  }
  return sent == 0 ? Turn::idle : Turn::some;
}

int DatagramMessageLoad::send_due(Clock::time_point now) {
  int sent = 0;
  for (; sent < kBurstMax && schedule_.is_due(now); ++sent) {
    if (schedule_.lag(now) > kLate) ++tally_.late;
    send(next_, nanos(schedule_.take()));
    next_ = (next_ + 1) % pairs_.size();
  }
  return sent;
}

void DatagramMessageLoad::send(std::size_t flow, std::int64_t due_ns) {
  const auto payload = std::span(outbox_).subspan(header_size_);
  std::copy_n(pairs_[flow].header.begin(), header_size_, outbox_.begin());
  stamp_payload(payload, static_cast<std::uint32_t>(first_pair_ + flow), next_numbers_[flow]);
  stamp_due(payload, due_ns);
  const int fd = pairs_[flow].a.fd();
  if (::send(fd, outbox_.data(), outbox_.size(), MSG_DONTWAIT) >= 0) {
    ++next_numbers_[flow];
    ++tally_.sent;
    tally_.sent_bytes += payload.size();
  } else if (errno == EAGAIN || errno == ENOBUFS) {
    ++tally_.unsent;
  } else {
    throw_errno("sending a datagram");
  }
}

// One of each socket that has any; how many there were.
int DatagramMessageLoad::receive_ready() {
  std::array<epoll_event, 64> events;
  const int ready = ::epoll_wait(epoll_.fd(), events.data(), events.size(), 0);
  if (ready < 0 && errno != EINTR) throw_errno("epoll_wait");
  for (int i = 0; i < ready; ++i) receive(events[static_cast<std::size_t>(i)].data.u64);
  return std::max(ready, 0);
}

void DatagramMessageLoad::receive(std::size_t flow) {
  const SocketPair& pair = pairs_[flow];
  const int fd = pair.b.open() ? pair.b.fd() : pair.a.fd();
  const auto got = ::recv(fd, inbox_.data(), inbox_.size(), MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return;
  if (got < 0) throw_errno("receiving a datagram");
  const auto now_ns = nanos(Clock::now());
  const auto datagram = std::span<const std::uint8_t>(inbox_).first(static_cast<std::size_t>(got));
  // Beside DATA a relay's client may be told of its pairing once more.
  if (header_size_ != 0 && (datagram.size() < header_size_ || datagram[0] != pair.header[0]))
    return;
  const auto payload = datagram.subspan(header_size_);
  if (check_.feed(flow, payload) != DatagramCheck::Outcome::delivered) return;
  latencies_.record(flow, now_ns - due_of(payload));
}

}  // namespace

std::unique_ptr<Load> make_udp_messages(std::vector<SocketPair> pairs,
                                        const MessageOptions& options, std::size_t first_pair) {
  return std::make_unique<DatagramMessageLoad>(std::move(pairs), options, first_pair);
}

}  // namespace tandem::bench
