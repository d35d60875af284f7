#include <liburing.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "bench/load/schedule.h"
#include "bench/load/send_window.h"
#include "bench/load/udp_load.h"
#include "common/assert.h"

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

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
class ScatteredLoad : public Load {
 public:
  ScatteredLoad(std::vector<SocketPair> pairs, std::size_t first_pair, Ends ends,
                const UdpOptions& options);

  void start(Clock::time_point now) override;
  Turn turn(Clock::time_point now, Sending sending) override;
  void pace(double per_second) override;
  bool drained() const override {
    return knows_both_ && check_.delivered() + lost_before_ >= tally_.sent;
  }
  Clock::duration drain_timeout() const override { return 500ms; }
  Tally tally() const override;
  std::vector<std::uint64_t> delivered_by_flow() const override {
    std::vector<std::uint64_t> bytes;
    for (const auto flow : receivers_) bytes.push_back(check_.delivered_bytes_of(flow));
    return bytes;
  }
  bool waits() const override { return false; }

 private:
  enum class Operation : std::uint64_t { send, receive };

  // One direction of a pair. The files are the pair's: 2n is A's, 2n + 1 is B's.
  struct Flow {
    std::size_t from = 0;
    std::size_t to = 0;
    DataHeaderBytes header{};
    std::uint32_t next = 0;             // datagram to send
    std::uint32_t waited_for_from = 0;  // those before it were given up
  };

  std::size_t sends_due(Clock::time_point now) const;
  void queue_sends(std::size_t count, Clock::time_point now);
  void queue_receives(std::size_t from, std::size_t count);
  void submit();
  void on_unsent(int result, std::size_t size);
  void on_received(std::size_t slot, std::size_t size);
  void sweep();
  void give_up();

  std::vector<SocketPair> pairs_;
  UdpOptions options_;
  bool knows_both_;  // what is sent arrives here
  std::size_t first_flow_;
  std::vector<Flow> flows_;             // 2n is forward, 2n + 1 is reverse
  std::vector<std::size_t> senders_;    // flows that begin here
  std::vector<std::size_t> receivers_;  // and that end here, in the same order
  std::size_t header_size_;
  std::size_t slot_size_;
  std::vector<std::uint8_t> outbox_;  // batch slots
  std::vector<std::uint8_t> inbox_;   // batch slots
  DatagramCheck check_;
  SendWindow window_;
  std::optional<Schedule> schedule_;  // open loop
  std::optional<Ring> ring_;
  std::uint64_t lost_before_ = 0;  // in earlier starts: it will not come any more
  std::size_t next_sender_ = 0;
  // Datagrams come back in the order in which they left: receivers are asked in that order.
  std::size_t next_receiver_ = 0;
  std::size_t asked_from_ = 0;
  std::size_t answered_ = 0;  // of those asked, up to and with the last that had something
  Tally tally_;               // of what is sent
};

ScatteredLoad::ScatteredLoad(std::vector<SocketPair> pairs, std::size_t first_pair, Ends ends,
                             const UdpOptions& options)
    : pairs_(std::move(pairs)),
      options_(options),
      knows_both_(ends == Ends::both),
      first_flow_(2 * first_pair),
      flows_(2 * pairs_.size()),
      header_size_(pairs_.front().header[0] == 0 ? 0 : kDataHeaderSize),
      slot_size_(std::max<std::size_t>(2048, header_size_ + options.shape.size_max() + 1)),
      outbox_(options.batch * slot_size_),
      inbox_(options.batch * slot_size_),
      check_(flows_.size(), first_flow_, options.shape, options.verify),
      window_(options.window) {
  for (std::size_t i = 0; i < flows_.size(); ++i) {
    const bool reverse = i % 2 != 0;
    if (options.direction == (reverse ? Direction::forward : Direction::reverse)) continue;
    const SocketPair& pair = pairs_[i / 2];
    flows_[i] = {.from = i, .to = i ^ 1, .header = pair.header};
    if ((reverse ? pair.b : pair.a).open()) senders_.push_back(i);
    if ((reverse ? pair.a : pair.b).open()) receivers_.push_back(i);
  }
  for (std::size_t slot = 0; slot < options.batch; ++slot) {
    fill_payload(
        std::span(outbox_).subspan(slot * slot_size_ + header_size_, options.shape.size_max()));
  }
  pace(options.per_second);
}

void ScatteredLoad::pace(double per_second) {
  schedule_.reset();
  if (per_second > 0) schedule_.emplace(per_second);
}

Tally ScatteredLoad::tally() const {
  Tally tally = check_.tally(tally_);
  tally.gaps -= std::min(tally.gaps, tally.unsent);  // numbers that never left
  return tally;
}

// The ring belongs to the thread that takes the turns.
void ScatteredLoad::start(Clock::time_point now) {
  if (schedule_) schedule_->restart(now);
  lost_before_ = tally_.sent - std::min(tally_.sent, check_.delivered());
  window_.restart(tally_.sent, check_.delivered(), now);
  give_up();
  if (ring_) return;
  ring_.emplace(static_cast<unsigned>(2 * options_.batch));
  std::vector<int> files;  // of -1, what is on the other host, the kernel makes a gap
  for (const SocketPair& pair : pairs_) {
    files.push_back(pair.a.fd());
    files.push_back(pair.b.fd());
  }
  const int result =
      ::io_uring_register_files(ring_->get(), files.data(), static_cast<unsigned>(files.size()));
  if (result < 0) throw std::system_error(-result, std::generic_category(), "register files");
}

std::size_t ScatteredLoad::sends_due(Clock::time_point now) const {
  if (senders_.empty()) return 0;
  if (!schedule_) return std::min(options_.batch, window_.room(tally_.sent, check_.delivered()));
  return schedule_->due_by(now, options_.batch);
}

Turn ScatteredLoad::turn(Clock::time_point now, Sending sending) {
  const auto delivered_before = check_.delivered();
  const auto sends = sending == Sending::on ? sends_due(now) : 0;
  queue_sends(sends, now);
  if (knows_both_) {
    const auto under_way = window_.under_way(tally_.sent, check_.delivered());
    queue_receives(next_receiver_, std::min(options_.batch, under_way));
    submit();
    next_receiver_ = (next_receiver_ + answered_) % receivers_.size();
    const auto silence = window_.watch(tally_.sent, check_.delivered(), now);
    if (silence == SendWindow::Silence::given_up) give_up();
    // At the end what was given up may still come.
    if (silence != SendWindow::Silence::none || sending == Sending::off) sweep();
  } else {
    submit();
    sweep();
  }
  const auto done = std::max(sends, check_.delivered() - delivered_before);
  if (done == 0) return Turn::idle;
  return done >= options_.batch / 2 ? Turn::full : Turn::some;
}

void ScatteredLoad::queue_sends(std::size_t count, Clock::time_point now) {
  for (std::size_t slot = 0; slot < count; ++slot) {
    Flow& flow = flows_[senders_[next_sender_]];
    next_sender_ = (next_sender_ + 1) % senders_.size();
    const auto number = first_flow_ + flow.from;
    const auto payload_size = options_.shape.size_of(number, flow.next);
    const auto datagram =
        std::span(outbox_).subspan(slot * slot_size_, header_size_ + payload_size);
    const auto payload = datagram.subspan(header_size_);
    std::copy_n(flow.header.begin(), header_size_, datagram.begin());
    stamp_payload(payload, static_cast<std::uint32_t>(number), flow.next++);
    if (schedule_) {
      if (schedule_->lag(now) > kLate) ++tally_.late;
      schedule_->take();
    }
    io_uring_sqe& sqe = ring_->next_entry();
    ::io_uring_prep_send(&sqe, static_cast<int>(flow.from), datagram.data(), datagram.size(),
                         MSG_DONTWAIT);
    sqe.flags |= IOSQE_FIXED_FILE;
    sqe.user_data = payload_size << 1 | std::to_underlying(Operation::send);
    tally_.sent_bytes += payload_size;
  }
  tally_.sent += count;
}

void ScatteredLoad::queue_receives(std::size_t from, std::size_t count) {
  asked_from_ = from;
  answered_ = 0;
  for (std::size_t slot = 0; slot < count; ++slot) {
    const Flow& flow = flows_[receivers_[(from + slot) % receivers_.size()]];
    io_uring_sqe& sqe = ring_->next_entry();
    ::io_uring_prep_recv(&sqe, static_cast<int>(flow.to), &inbox_[slot * slot_size_], slot_size_,
                         MSG_DONTWAIT);
    sqe.flags |= IOSQE_FIXED_FILE;
    sqe.user_data = slot << 1 | std::to_underlying(Operation::receive);
  }
}

void ScatteredLoad::submit() {
  const int submitted = ::io_uring_submit(ring_->get());
  if (submitted < 0) throw std::system_error(-submitted, std::generic_category(), "submit");
  unsigned head = 0;
  unsigned seen = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(ring_->get(), head, cqe) {
    ++seen;
    if (static_cast<Operation>(cqe->user_data & 1) == Operation::send) {
      if (cqe->res < 0) on_unsent(cqe->res, cqe->user_data >> 1);
    } else if (cqe->res >= 0) {
      on_received(cqe->user_data >> 1, static_cast<std::size_t>(cqe->res));
    } else if (cqe->res != -EAGAIN) {
      throw std::system_error(-cqe->res, std::generic_category(), "receiving a datagram");
    }
  }
  ::io_uring_cq_advance(ring_->get(), seen);
}

// What the socket did not take is no offered load.
void ScatteredLoad::on_unsent(int result, std::size_t size) {
  if (result != -EAGAIN && result != -ENOBUFS) {
    throw std::system_error(-result, std::generic_category(), "sending a datagram");
  }
  --tally_.sent;
  tally_.sent_bytes -= size;
  ++tally_.unsent;
}

void ScatteredLoad::on_received(std::size_t slot, std::size_t size) {
  const auto datagram = std::span<const std::uint8_t>(inbox_).subspan(slot * slot_size_, size);
  const auto flow = receivers_[(asked_from_ + slot) % receivers_.size()];
  answered_ = std::max(answered_, slot + 1);
  // Beside DATA a relay's client may be told of its pairing once more.
  if (header_size_ != 0 && (size < header_size_ || datagram[0] != flows_[flow].header[0])) return;
  const auto payload = datagram.subspan(header_size_);
  if (check_.feed(flow, payload) != DatagramCheck::Outcome::delivered) return;
  if (number_of(payload) < flows_[flow].waited_for_from) window_.came_late();
}

// Asks every receiver: after a loss or a disorder the next datagram may lie anywhere.
void ScatteredLoad::sweep() {
  for (std::size_t from = 0; from < receivers_.size(); from += options_.batch) {
    queue_receives(from, std::min(options_.batch, receivers_.size() - from));
    submit();
  }
  next_receiver_ = next_sender_;
}

void ScatteredLoad::give_up() {
  for (Flow& flow : flows_) flow.waited_for_from = flow.next;
}

}  // namespace

std::unique_ptr<Load> make_udp_scattered(std::vector<SocketPair> pairs, std::size_t first_pair,
                                         Ends ends, const UdpOptions& options) {
  return std::make_unique<ScatteredLoad>(std::move(pairs), first_pair, ends, options);
}

}  // namespace tandem::bench
