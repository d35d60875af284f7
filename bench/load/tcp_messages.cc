#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "bench/load/schedule.h"
#include "bench/load/tcp_load.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

// Bytes of one flow that wait for their socket. Past it the route is far over its capacity at this
// rate, and further messages never leave.
constexpr std::size_t kPendingMax = 1 << 20;

// What a message begins with; the rest is filler.
struct MessageHead {
  std::uint32_t flow_sealed;
  std::uint32_t sequence;
  // When it was due, not when it left: a stall then shows in all the messages that it held up.
  std::int64_t due_ns;
};
static_assert(sizeof(MessageHead) == kMessageSizeMin);

struct MessageFlow {
  int from;
  int to;              // the same where the other host echoes
  std::uint32_t flow;  // among all of the run
  std::uint32_t sent = 0;
  std::uint32_t received = 0;
  std::uint32_t before_stop = 0;      // of what has been received
  std::vector<std::uint8_t> pending;  // what the socket has not taken yet
  std::vector<std::uint8_t> partial;  // the beginning of a message whose end has not come yet
  std::uint64_t received_bytes = 0;
};

// Spins: a generator that sleeps would add its own wake-up to every latency.
class MessageLoad : public Load {
 public:
  MessageLoad(std::vector<SocketPair> pairs, const MessageOptions& options, std::size_t first_pair);

  void start(Clock::time_point now) override {
    schedule_.restart(now);
    stopped_ = false;
  }
  Turn turn(Clock::time_point now, Sending sending) override;
  void stop() override;
  bool drained() const override { return tally_.delivered + tally_.damaged >= tally_.sent; }
  Clock::duration drain_timeout() const override { return 5s; }
  Tally tally() const override;
  std::vector<std::uint64_t> delivered_by_flow() const override;
  LatencyMeter* latencies() override { return &latencies_; }
  bool waits() const override { return false; }

 private:
  int send_due(Clock::time_point now);
  void send(MessageFlow& flow, std::int64_t due_ns);
  void flush_pending();
  void receive_ready();
  void receive(MessageFlow& flow);
  void take(MessageFlow& flow, std::span<const std::uint8_t> message, std::int64_t now_ns);

  std::size_t size_;
  std::vector<SocketPair> pairs_;
  std::vector<MessageFlow> flows_;
  std::vector<MessageFlow*> waiting_;  // those with something pending
  std::vector<std::uint8_t> outbox_;
  std::vector<std::uint8_t> inbox_;
  Socket epoll_;
  Schedule schedule_;
  std::size_t next_ = 0;
  bool stopped_ = false;
  Tally tally_;
  LatencyMeter latencies_;
};

MessageLoad::MessageLoad(std::vector<SocketPair> pairs, const MessageOptions& options,
                         std::size_t first_pair)
    : size_(options.size),
      pairs_(std::move(pairs)),
      outbox_(size_, std::uint8_t{0x5a}),
      inbox_(size_ + 64 * 1024),
      epoll_(require(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      schedule_(options.per_second),
      latencies_(pairs_.size()) {
  flows_.reserve(pairs_.size());
  for (const auto& pair : pairs_) {
    const Socket& receiver = pair.b.open() ? pair.b : pair.a;
    set_nonblocking(pair.a.fd());
    set_nonblocking(receiver.fd());
    flows_.push_back({.from = pair.a.fd(),
                      .to = receiver.fd(),
                      .flow = static_cast<std::uint32_t>(first_pair + flows_.size()),
                      .pending = {},
                      .partial = {}});
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &flows_.back()}};
    require(::epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, receiver.fd(), &event), "epoll_ctl");
  }
}

Turn MessageLoad::turn(Clock::time_point now, Sending sending) {
  const int sent = sending == Sending::on ? send_due(now) : 0;
  flush_pending();
  receive_ready();
  return sent == 0 ? Turn::idle : Turn::some;
}

int MessageLoad::send_due(Clock::time_point now) {
  constexpr int kBurstMax = 64;  // then the receivers have their turn
  int sent = 0;
  for (; sent < kBurstMax && schedule_.is_due(now); ++sent) {
    if (schedule_.lag(now) > kLate) ++tally_.late;
    MessageFlow& flow = flows_[next_];
    next_ = (next_ + 1) % flows_.size();
    send(flow, nanos(schedule_.take()));
  }
  return sent;
}

void MessageLoad::send(MessageFlow& flow, std::int64_t due_ns) {
  if (flow.pending.size() + size_ > kPendingMax) {
    ++tally_.unsent;
    return;
  }
  const MessageHead head{flow.flow ^ seal_of(due_ns), flow.sent++, due_ns};
  std::memcpy(outbox_.data(), &head, sizeof head);
  ++tally_.sent;
  tally_.sent_bytes += size_;
  std::size_t taken = 0;
  if (flow.pending.empty()) {
    const auto sent = ::send(flow.from, outbox_.data(), size_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) throw_errno("a pair was closed under load: send");
    taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    if (taken == size_) return;
    waiting_.push_back(&flow);
  }
  const auto rest = outbox_.begin() + static_cast<std::ptrdiff_t>(taken);
  flow.pending.insert(flow.pending.end(), rest, outbox_.end());
}

void MessageLoad::flush_pending() {
  std::erase_if(waiting_, [](MessageFlow* flow) {
    auto& pending = flow->pending;
    const auto sent =
        ::send(flow->from, pending.data(), pending.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) throw_errno("a pair was closed under load: send");
    if (sent > 0) pending.erase(pending.begin(), pending.begin() + sent);
    return pending.empty();
  });
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
  if (got < 0) throw_errno("a pair was closed under load: receive");
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
  if (head.flow_sealed != (flow.flow ^ seal_of(head.due_ns)) || head.sequence != flow.received ||
      std::memcmp(message.data() + sizeof head, outbox_.data() + sizeof head,
                  size_ - sizeof head) != 0) {
    ++tally_.damaged;
    return;
  }
  ++flow.received;
  flow.received_bytes += size_;
  ++tally_.delivered;
  tally_.delivered_bytes += size_;
  tally_.compared_bytes += size_;
  latencies_.record(static_cast<std::size_t>(&flow - flows_.data()), now_ns - head.due_ns);
}

void MessageLoad::stop() {
  stopped_ = true;
  for (MessageFlow& flow : flows_) flow.before_stop = flow.received;
}

Tally MessageLoad::tally() const {
  Tally tally = tally_;
  if (!stopped_) return tally;
  tally.unfinished = static_cast<std::uint64_t>(std::ranges::count_if(
      flows_, [](const auto& f) { return f.received < f.sent && f.received > f.before_stop; }));
  return tally;
}

std::vector<std::uint64_t> MessageLoad::delivered_by_flow() const {
  std::vector<std::uint64_t> bytes;
  for (const auto& flow : flows_) bytes.push_back(flow.received_bytes);
  return bytes;
}

}  // namespace

std::unique_ptr<Load> make_tcp_messages(std::vector<SocketPair> pairs,
                                        const MessageOptions& options, std::size_t first_pair) {
  return std::make_unique<MessageLoad>(std::move(pairs), options, first_pair);
}

}  // namespace tandem::bench
