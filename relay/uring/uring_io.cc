#include "relay/uring/uring_io.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>

#include "common/assert.h"

namespace tandem {
namespace {

using namespace uring;

// A turn's worth of receives, sends and the rest of a train or two; more waits in the kernel.
constexpr uint32_t kCompletionsPerEntry = 4;

RingOptions ring_options(const UringOptions& options) {
  return {.submission = options.submission,
          .sq_entries = options.ring_entries,
          .cq_entries = options.ring_entries * kCompletionsPerEntry,
          .sqpoll_cpu = options.sqpoll_cpu,
          .sqpoll_idle_ms = options.sqpoll_idle_ms,
          .spin = options.busy_poll_us != 0};
}

const char* name_of(Pages pages) {
  switch (pages) {
    case Pages::ordinary:
      return "in ordinary pages";
    case Pages::transparent_huge:
      return "in transparent huge pages";
    case Pages::huge:
      return "in huge pages";
  }
  return "";
}

}  // namespace

Result<std::unique_ptr<UringIo>, std::string> UringIo::open(const UringOptions& options,
                                                            ShardSockets sockets) {
  auto ring = Ring::open(ring_options(options));
  if (!ring) return unexpected(std::move(ring.error()));
  Descriptor wake(::eventfd(0, EFD_CLOEXEC));
  if (!wake.open()) return unexpected(fmt::format("eventfd: {}", std::strerror(errno)));
  try {
    return std::unique_ptr<UringIo>(
        new UringIo(options, std::move(sockets), std::move(*ring), std::move(wake)));
  } catch (const std::exception& error) {
    return unexpected(std::string(error.what()));
  }
}

UringIo::UringIo(const UringOptions& options, ShardSockets sockets, Ring ring, Descriptor wake)
    : features_(probe_features()),
      sockets_(std::move(sockets)),
      ring_(std::move(ring)),
      wake_(std::move(wake)),
      busy_poll_(options.busy_poll_us * kNanosPerMicrosecond),
      now_(monotonic_now()),
      unix_now_(::tandem::unix_now()) {
  datagrams_ = std::make_unique<Datagrams>(ring_, sockets_, options, counters_);
  streams_ = std::make_unique<Streams>(ring_, sockets_, options, features_, counters_);
}

// The kernel must write into none of our buffers when they go. Another thread cannot cancel here
// (SINGLE_ISSUER), but when the owner ended, the kernel cancelled all that was its.
UringIo::~UringIo() {
  if (owner_ == std::this_thread::get_id()) cancel_everything();
}

void UringIo::cancel_everything() {
  constexpr Nanos kPatience = 10 * kNanosPerMillisecond;
  io_uring_sqe& sqe = ring_.next_sqe();
  sqe.opcode = IORING_OP_ASYNC_CANCEL;
  sqe.cancel_flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
  sqe.user_data = Op::pack(OpKind::ignored, 0);
  bool quiet = false;
  while (!quiet) {
    ring_.enter(Ring::Wait::until_event, kPatience);
    quiet = !ring_.completions_ready();
    ring_.drain([](const io_uring_cqe&) { return true; });
  }
}

void UringIo::start() {
  ring_.enable();
  owner_ = std::this_thread::get_id();
  arm_wake();
  StreamAction accept;
  accept.kind = StreamAction::Kind::accept_again;
  streams_->perform(accept);
}

void UringIo::arm_wake() {
  io_uring_sqe& sqe = ring_.next_sqe();
  sqe.opcode = IORING_OP_READ;
  sqe.fd = wake_.get();
  sqe.addr = reinterpret_cast<uint64_t>(&wake_count_);
  sqe.len = sizeof wake_count_;
  sqe.user_data = Op::pack(OpKind::wake, 0);
}

void UringIo::wake() const {
  const uint64_t one = 1;
  // EAGAIN: the count is full, so the read is about to end anyway.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

void UringIo::turn(std::optional<Nanos> deadline) {
  if (!owner_) start();
  datagrams_->begin_turn();
  streams_->begin_turn();
  wait(deadline);
  datagrams_->submitted();
  now_ = monotonic_now();
  unix_now_ = ::tandem::unix_now();
  ring_.drain([this](const io_uring_cqe& cqe) { return dispatch(cqe); });
}

void UringIo::wait(std::optional<Nanos> deadline) {
  if (ring_.completions_ready() || streams_->pending() || spin(deadline))
    return ring_.enter(Ring::Wait::none);
  if (!deadline) return ring_.enter(Ring::Wait::until_event);
  const Nanos left = *deadline - monotonic_now();
  if (left <= 0)
    ring_.enter(Ring::Wait::none);
  else
    ring_.enter(Ring::Wait::until_event, left);
}

// Whether there is work before `busy_poll_us` are over.
bool UringIo::spin(std::optional<Nanos> deadline) {
  if (busy_poll_ == 0) return false;
  ring_.enter(Ring::Wait::none);
  const Nanos until = std::min(monotonic_now() + busy_poll_, deadline.value_or(INT64_MAX));
  while (!ring_.work_ready())
    if (monotonic_now() >= until) return false;
  return true;
}

// False where the turn is full.
bool UringIo::dispatch(const io_uring_cqe& cqe) {
  const Op op = Op::unpack(cqe.user_data);
  switch (op.kind) {
    case OpKind::ignored:
      break;
    case OpKind::wake:
      arm_wake();
      break;
    case OpKind::datagram_receive:
    case OpKind::datagram_send:
    case OpKind::train_send:
    case OpKind::reply_send:
      datagrams_->complete(op, cqe);
      break;
    case OpKind::accept:
    case OpKind::stream_line:
    case OpKind::stream_read:
    case OpKind::stream_discard:
    case OpKind::stream_send:
    case OpKind::stream_send_zc:
    case OpKind::stream_watch:
    case OpKind::transfer_in:
    case OpKind::stream_room:
      streams_->complete(op, cqe);
      break;
  }
  return datagrams_->has_room() && streams_->has_room();
}

uint16_t UringIo::max_payload(const Endpoint& to, const LocalAddress& from) {
  constexpr uint32_t kDataHeader = 8;
  const uint32_t headers = to.address.is_v4() ? 28 : 48;
  const uint32_t mtu = std::min(path_mtu_.find(to.address, from.address, now_), 65535u);
  return static_cast<uint16_t>(mtu - headers - kDataHeader);
}

void UringIo::random(std::span<uint8_t> bytes) {
  for (uint8_t& byte : bytes) {
    if (random_used_ == random_.size()) {
      // Up to 256 bytes a call are never short (getrandom(2)); the pool saves a call for each
      // nonce.
      for (size_t at = 0; at < random_.size(); at += 256)
        TANDEM_CHECK(::getrandom(&random_[at], 256, 0) == 256);
      random_used_ = 0;
    }
    byte = std::exchange(random_[random_used_++], uint8_t{0});
  }
}

std::string UringIo::describe() const {
  return fmt::format("{}, receive {}{}, datagram buffers {}, stream buffers {}",
                     ring_.description(), streams_->bundles() ? "bundles" : "singles",
                     streams_->zero_copy() ? ", send_zc" : "", name_of(datagrams_->pages()),
                     name_of(streams_->pages()));
}

}  // namespace tandem
