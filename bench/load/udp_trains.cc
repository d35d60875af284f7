#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "bench/load/schedule.h"
#include "bench/load/send_window.h"
#include "bench/load/udp_load.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

constexpr int kSocketBuffer = 8 << 20;
constexpr std::size_t kTrainBytesMax = 65507;

// The kernel cuts each send into datagrams of one size (UDP_SEGMENT, Linux 4.18) and hands the
// receiver as many at once as came together (UDP_GRO, 5.0): the generator costs little, whatever
// the relay does.
class TrainLoad : public Load {
 public:
  TrainLoad(std::vector<SocketPair> pairs, std::size_t first_pair, Ends ends,
            const UdpOptions& options);

  void start(Clock::time_point now) override;
  Turn turn(Clock::time_point now, Sending sending) override;
  void pace(double per_second) override;
  bool drained() const override { return ends_ == Ends::both && check_.delivered() >= tally_.sent; }
  Clock::duration drain_timeout() const override { return 500ms; }
  Tally tally() const override { return check_.tally(tally_); }
  std::vector<std::uint64_t> delivered_by_flow() const override {
    std::vector<std::uint64_t> bytes;
    for (std::size_t i = 0; i < pairs_.size(); ++i) bytes.push_back(check_.delivered_bytes_of(i));
    return bytes;
  }
  bool waits() const override { return false; }

 private:
  bool may_send(Clock::time_point now) const;
  void send_train(Clock::time_point now);
  void receive_ready(std::size_t pair);
  void take(std::size_t pair, std::span<const std::uint8_t> datagrams);

  std::vector<SocketPair> pairs_;
  Ends ends_;
  std::size_t first_pair_;
  std::size_t header_size_;
  std::size_t datagram_size_;
  std::size_t train_;
  std::vector<std::uint8_t> outbox_;
  std::vector<std::uint8_t> inbox_;
  DatagramCheck check_;
  SendWindow window_;
  std::optional<Schedule> schedule_;  // of trains; open loop
  std::vector<std::uint32_t> next_numbers_;
  std::vector<std::uint32_t> waited_for_from_;  // the numbers before were given up
  std::size_t next_ = 0;
  Tally tally_;  // of what is sent
};

TrainLoad::TrainLoad(std::vector<SocketPair> pairs, std::size_t first_pair, Ends ends,
                     const UdpOptions& options)
    : pairs_(std::move(pairs)),
      ends_(ends),
      first_pair_(first_pair),
      header_size_(pairs_.front().header[0] == 0 ? 0 : kDataHeaderSize),
      datagram_size_(header_size_ + options.shape.size_max()),
      train_(std::min(options.train, kTrainBytesMax / datagram_size_)),
      outbox_(train_ * datagram_size_),
      inbox_(1 << 16),
      check_(pairs_.size(), first_pair, options.shape, options.verify),
      window_(options.window),
      next_numbers_(pairs_.size()),
      waited_for_from_(pairs_.size()) {
  for (std::size_t at = 0; at < outbox_.size(); at += datagram_size_) {
    fill_payload(std::span(outbox_).subspan(at + header_size_, datagram_size_ - header_size_));
  }
  for (const SocketPair& pair : pairs_) {
    if (pair.a.open()) {
      set_buffers(pair.a.fd(), kSocketBuffer, 0);
      set_option(pair.a.fd(), SOL_UDP, UDP_SEGMENT, static_cast<int>(datagram_size_),
                 "UDP_SEGMENT");
    }
    if (pair.b.open()) {
      set_buffers(pair.b.fd(), 0, kSocketBuffer);
      set_option(pair.b.fd(), SOL_UDP, UDP_GRO, 1, "UDP_GRO");
    }
  }
  pace(options.per_second);
}

void TrainLoad::pace(double per_second) {
  schedule_.reset();
  if (per_second > 0) schedule_.emplace(per_second / static_cast<double>(train_));
}

void TrainLoad::start(Clock::time_point now) {
  if (schedule_) schedule_->restart(now);
  window_.restart(tally_.sent, check_.delivered(), now);
  waited_for_from_ = next_numbers_;
}

bool TrainLoad::may_send(Clock::time_point now) const {
  if (ends_ == Ends::b) return false;
  return schedule_ ? schedule_->is_due(now)
                   : window_.room(tally_.sent, check_.delivered()) >= train_;
}

Turn TrainLoad::turn(Clock::time_point now, Sending sending) {
  const auto delivered_before = check_.delivered();
  const bool sends = sending == Sending::on && may_send(now);
  if (sends) send_train(now);
  for (std::size_t pair = 0; pair < pairs_.size(); ++pair) receive_ready(pair);
  if (window_.watch(tally_.sent, check_.delivered(), now) == SendWindow::Silence::given_up) {
    waited_for_from_ = next_numbers_;
  }
  if (sends) return Turn::full;
  return check_.delivered() == delivered_before ? Turn::idle : Turn::some;
}

void TrainLoad::send_train(Clock::time_point now) {
  const auto pair = next_;
  next_ = (next_ + 1) % pairs_.size();
  if (schedule_) {
    if (schedule_->lag(now) > kLate) tally_.late += train_;
    schedule_->take();
  }
  for (std::size_t i = 0; i < train_; ++i) {
    const auto datagram = std::span(outbox_).subspan(i * datagram_size_, datagram_size_);
    std::copy_n(pairs_[pair].header.begin(), header_size_, datagram.begin());
    stamp_payload(datagram.subspan(header_size_), static_cast<std::uint32_t>(first_pair_ + pair),
                  next_numbers_[pair] + static_cast<std::uint32_t>(i));
  }
  if (::send(pairs_[pair].a.fd(), outbox_.data(), outbox_.size(), MSG_DONTWAIT) < 0) {
    if (errno != EAGAIN && errno != ENOBUFS) throw_errno("sending a train");
    tally_.unsent += train_;
    return;
  }
  next_numbers_[pair] += static_cast<std::uint32_t>(train_);
  tally_.sent += train_;
  tally_.sent_bytes += train_ * (datagram_size_ - header_size_);
}

void TrainLoad::receive_ready(std::size_t pair) {
  constexpr int kReceivesMax = 64;  // then the sender has its turn
  if (!pairs_[pair].b.open()) return;
  for (int i = 0; i < kReceivesMax; ++i) {
    const auto got = ::recv(pairs_[pair].b.fd(), inbox_.data(), inbox_.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) throw_errno("receiving a train");
    take(pair, std::span<const std::uint8_t>(inbox_).first(static_cast<std::size_t>(got)));
  }
}

void TrainLoad::take(std::size_t pair, std::span<const std::uint8_t> datagrams) {
  // Beside DATA a relay's client may be told of its pairing once more.
  if (header_size_ != 0 && (datagrams.empty() || datagrams[0] != pairs_[pair].header[0])) return;
  while (!datagrams.empty()) {
    const auto datagram = datagrams.first(std::min(datagram_size_, datagrams.size()));
    datagrams = datagrams.subspan(datagram.size());
    const auto payload = datagram.subspan(std::min(header_size_, datagram.size()));
    if (check_.feed(pair, payload) != DatagramCheck::Outcome::delivered) continue;
    if (number_of(payload) < waited_for_from_[pair]) window_.came_late();
  }
}

}  // namespace

std::unique_ptr<Load> make_udp_trains(std::vector<SocketPair> pairs, std::size_t first_pair,
                                      Ends ends, const UdpOptions& options) {
  return std::make_unique<TrainLoad>(std::move(pairs), first_pair, ends, options);
}

}  // namespace tandem::bench
