#include <liburing.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "bench/load/udp_load.h"
#include "bench/load/udp_run.h"
#include "common/assert.h"

namespace tandem::bench {
namespace {

using Clock = SendWindow::Clock;

constexpr int kReceiveBuffer = 1 << 20;
constexpr std::size_t kInboxSize = 2048;

class Ring {
 public:
  explicit Ring(unsigned entries) {
    const int result = ::io_uring_queue_init(
        entries, &ring_, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    if (result < 0) throw std::system_error(-result, std::generic_category(), "io_uring");
  }
  ~Ring() { ::io_uring_queue_exit(&ring_); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  io_uring* get() { return &ring_; }

  // A turn submits what it queued, so the ring always has room for the next.
  io_uring_sqe& next_entry() {
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    TANDEM_CHECK(entry != nullptr);
    return *entry;
  }

 private:
  io_uring ring_{};
};

// Neighbouring datagrams belong to different sockets, so sendmmsg has nothing to gather. A ring
// takes a batch of sends and receives in one system call; each completes at once or fails with
// EAGAIN, so no socket is ever polled and the relay is not billed for waking the generator.
class ScatteredLoad {
 public:
  explicit ScatteredLoad(const UdpLoadOptions& options);

  void turn(Clock::time_point now, Sending sending);
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] const DatagramCheck& check() const { return check_; }

 private:
  enum class Operation : std::uint64_t { send, receive };

  void queue_sends(std::size_t count);
  void queue_receives(std::size_t from, std::size_t count);
  void submit();
  void on_received(std::size_t slot, std::size_t size);
  void sweep();

  std::size_t batch_;
  std::vector<DatagramPair> pairs_;
  std::vector<std::uint32_t> next_numbers_;
  std::size_t header_size_;
  std::size_t datagram_size_;
  std::vector<std::uint8_t> outbox_;  // batch_ datagrams
  std::vector<std::uint8_t> inbox_;   // batch_ slots
  DatagramCheck check_;
  SendWindow window_;
  Ring ring_;
  std::size_t next_sender_ = 0;
  // Datagrams come back in the order in which they left, one a pair: receivers are asked in that
  // order.
  std::size_t next_receiver_ = 0;
  std::size_t asked_from_ = 0;
  std::size_t answered_ = 0;  // of those asked, up to and with the last that had something
  std::uint64_t sent_ = 0;
};

ScatteredLoad::ScatteredLoad(const UdpLoadOptions& options)
    : batch_(std::min(options.batch, options.pairs)),
      pairs_(join_udp_pairs(options.route, options.pairs, kReceiveBuffer)),
      next_numbers_(options.pairs),
      header_size_(options.route.kind == RouteKind::relay ? kDataHeaderSize : 0),
      datagram_size_(header_size_ + options.payload),
      outbox_(batch_ * datagram_size_),
      inbox_(batch_ * kInboxSize),
      check_(options.pairs, options.payload, options.verify),
      window_(options.window),
      ring_(static_cast<unsigned>(2 * batch_)) {
  for (std::size_t slot = 0; slot < batch_; ++slot) {
    fill_payload(std::span(outbox_).subspan(slot * datagram_size_ + header_size_, options.payload));
  }
  std::vector<int> files;
  for (const auto& pair : pairs_) {
    files.push_back(pair.a.fd());
    files.push_back(pair.b.fd());
  }
  const int result =
      ::io_uring_register_files(ring_.get(), files.data(), static_cast<unsigned>(files.size()));
  if (result < 0) throw std::system_error(-result, std::generic_category(), "register files");
}

void ScatteredLoad::turn(Clock::time_point now, Sending sending) {
  if (sending == Sending::on) {
    queue_sends(std::min(batch_, window_.room(sent_, check_.delivered())));
  }
  queue_receives(next_receiver_, batch_);
  submit();
  next_receiver_ = (next_receiver_ + answered_) % pairs_.size();
  if (window_.watch(sent_, check_.delivered(), now) != SendWindow::Silence::none) sweep();
}

void ScatteredLoad::queue_sends(std::size_t count) {
  for (std::size_t slot = 0; slot < count; ++slot) {
    const auto pair = next_sender_;
    next_sender_ = (next_sender_ + 1) % pairs_.size();
    const auto datagram = std::span(outbox_).subspan(slot * datagram_size_, datagram_size_);
    std::copy_n(pairs_[pair].header.begin(), header_size_, datagram.begin());
    stamp_payload(datagram.subspan(header_size_), static_cast<std::uint32_t>(pair),
                  next_numbers_[pair]++);
    io_uring_sqe& sqe = ring_.next_entry();
    ::io_uring_prep_send(&sqe, static_cast<int>(2 * pair), datagram.data(), datagram.size(),
                         MSG_DONTWAIT);
    sqe.flags |= IOSQE_FIXED_FILE;
    sqe.user_data = std::to_underlying(Operation::send);
  }
  sent_ += count;
}

void ScatteredLoad::queue_receives(std::size_t from, std::size_t count) {
  asked_from_ = from;
  answered_ = 0;
  for (std::size_t slot = 0; slot < count; ++slot) {
    const auto pair = (from + slot) % pairs_.size();
    io_uring_sqe& sqe = ring_.next_entry();
    ::io_uring_prep_recv(&sqe, static_cast<int>(2 * pair + 1), &inbox_[slot * kInboxSize],
                         kInboxSize, MSG_DONTWAIT);
    sqe.flags |= IOSQE_FIXED_FILE;
    sqe.user_data = slot << 1 | std::to_underlying(Operation::receive);
  }
}

void ScatteredLoad::submit() {
  const int submitted = ::io_uring_submit(ring_.get());
  if (submitted < 0) throw std::system_error(-submitted, std::generic_category(), "submit");
  unsigned head = 0;
  unsigned seen = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(ring_.get(), head, cqe) {
    ++seen;
    const auto operation = static_cast<Operation>(cqe->user_data & 1);
    if (operation == Operation::receive && cqe->res >= 0) {
      on_received(cqe->user_data >> 1, static_cast<std::size_t>(cqe->res));
    } else if (cqe->res < 0 && cqe->res != -EAGAIN) {
      throw std::system_error(-cqe->res, std::generic_category(), "datagram");
    }
  }
  ::io_uring_cq_advance(ring_.get(), seen);
}

void ScatteredLoad::on_received(std::size_t slot, std::size_t size) {
  const auto datagram = std::span<const std::uint8_t>(inbox_).subspan(slot * kInboxSize, size);
  answered_ = std::max(answered_, slot + 1);
  // Beside DATA a relay's client may be told of its pairing once more.
  if (header_size_ != 0 && (size < header_size_ || datagram[0] != pairs_[0].header[0])) return;
  const auto pair = (asked_from_ + slot) % pairs_.size();
  check_.feed(static_cast<std::uint32_t>(pair), datagram.subspan(header_size_));
}

// Asks every receiver: after a loss or a disorder the next datagram may lie anywhere.
void ScatteredLoad::sweep() {
  for (std::size_t from = 0; from < pairs_.size(); from += batch_) {
    queue_receives(from, batch_);
    submit();
  }
  next_receiver_ = next_sender_;
}

}  // namespace

Integrity run_udp_scattered(const UdpLoadOptions& options, const CpuAccount& account,
                            Report& report) {
  ScatteredLoad load(options);
  report.add("load", "udp_scattered");
  return run_and_report(load, options, account, report);
}

}  // namespace tandem::bench
