#include <netinet/udp.h>
#include <sys/socket.h>

#include <cerrno>

#include "bench/load/udp_load.h"
#include "bench/load/udp_run.h"

namespace tandem::bench {
namespace {

using Clock = SendWindow::Clock;

constexpr int kSocketBuffer = 8 << 20;
constexpr std::size_t kTrainBytesMax = 65507;

// The kernel cuts each send into datagrams of one size (UDP_SEGMENT, Linux 4.18) and hands the
// receiver as many at once as came together (UDP_GRO, 5.0): the generator costs little, whatever
// the relay does.
class TrainLoad {
 public:
  explicit TrainLoad(const UdpLoadOptions& options);

  void turn(Clock::time_point now, Sending sending);
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] const DatagramCheck& check() const { return check_; }

 private:
  void send_train();
  void receive_ready();

  DatagramPair pair_;
  std::size_t header_size_;
  std::size_t datagram_size_;
  std::size_t train_;
  std::vector<std::uint8_t> outbox_;
  std::vector<std::uint8_t> inbox_;
  DatagramCheck check_;
  SendWindow window_;
  std::uint64_t sent_ = 0;
};

TrainLoad::TrainLoad(const UdpLoadOptions& options)
    : pair_(std::move(join_udp_pairs(options.route, 1, kSocketBuffer).front())),
      header_size_(options.route.kind == RouteKind::relay ? kDataHeaderSize : 0),
      datagram_size_(header_size_ + options.payload),
      train_(std::min(options.train, kTrainBytesMax / datagram_size_)),
      outbox_(train_ * datagram_size_),
      inbox_(1 << 16),
      check_(1, options.payload, options.verify),
      window_(options.window) {
  for (std::size_t at = 0; at < outbox_.size(); at += datagram_size_) {
    const auto datagram = std::span(outbox_).subspan(at, datagram_size_);
    std::copy_n(pair_.header.begin(), header_size_, datagram.begin());
    fill_payload(datagram.subspan(header_size_));
  }
  set_nonblocking(pair_.a.fd());
  set_nonblocking(pair_.b.fd());
  set_buffers(pair_.a.fd(), kSocketBuffer, 0);
  set_option(pair_.a.fd(), SOL_UDP, UDP_SEGMENT, static_cast<int>(datagram_size_), "UDP_SEGMENT");
  set_option(pair_.b.fd(), SOL_UDP, UDP_GRO, 1, "UDP_GRO");
}

void TrainLoad::turn(Clock::time_point now, Sending sending) {
  if (sending == Sending::on && window_.room(sent_, check_.delivered()) >= train_) send_train();
  receive_ready();
  window_.watch(sent_, check_.delivered(), now);
}

void TrainLoad::send_train() {
  for (std::size_t i = 0; i < train_; ++i) {
    stamp_payload(std::span(outbox_).subspan(i * datagram_size_ + header_size_), 0,
                  static_cast<std::uint32_t>(sent_ + i));
  }
  if (::send(pair_.a.fd(), outbox_.data(), outbox_.size(), 0) < 0) {
    if (errno == EAGAIN) return;
    throw_errno("sending a train");
  }
  sent_ += train_;
}

void TrainLoad::receive_ready() {
  constexpr int kReceivesMax = 64;  // then the sender has its turn
  for (int i = 0; i < kReceivesMax; ++i) {
    const auto got = ::recv(pair_.b.fd(), inbox_.data(), inbox_.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) throw_errno("receiving a train");
    auto rest = std::span<const std::uint8_t>(inbox_).first(static_cast<std::size_t>(got));
    if (header_size_ != 0 && (rest.empty() || rest[0] != pair_.header[0])) continue;
    for (; !rest.empty(); rest = rest.subspan(std::min(datagram_size_, rest.size()))) {
      const auto datagram = rest.first(std::min(datagram_size_, rest.size()));
      check_.feed(0, datagram.subspan(std::min(header_size_, datagram.size())));
    }
  }
}

}  // namespace

Integrity run_udp_trains(const UdpLoadOptions& options, const CpuAccount& account, Report& report) {
  TrainLoad load(options);
  report.add("load", "udp_trains");
  return run_and_report(load, options, account, report);
}

}  // namespace tandem::bench
