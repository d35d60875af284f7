#include "relay/uring/ring.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "common/assert.h"
#include "relay/uring/kernel_abi.h"

namespace tandem::uring {
namespace {

// 0, 1 (root and a group only) or 2 (nobody); nothing on kernels before 6.6, which cannot switch
// off.
std::optional<int> io_uring_disabled() {
  std::FILE* file = std::fopen("/proc/sys/kernel/io_uring_disabled", "re");
  if (file == nullptr) return std::nullopt;
  int value = 0;
  const bool read = std::fscanf(file, "%d", &value) == 1;
  std::fclose(file);
  return read ? std::optional(value) : std::nullopt;
}

std::string explain(int error) {
  utsname kernel{};
  ::uname(&kernel);
  if (error == EPERM && io_uring_disabled().value_or(0) != 0)
    return "io_uring is switched off on this host: set kernel.io_uring_disabled = 0 (sysctl)";
  if (error == EPERM)
    return "io_uring_setup is refused (EPERM): a seccomp filter or a container's policy forbids it";
  if (error == ENOSYS)
    return "io_uring_setup does not exist (ENOSYS): this kernel has no io_uring or a seccomp "
           "filter "
           "hides it";
  if (error == EINVAL)
    return fmt::format("io_uring of kernel {} lacks what is needed: Linux 6.1 or newer",
                       kernel.release);
  if (error == ENOMEM)
    return "io_uring_setup is out of memory: raise the memory limit or lower engine.ring_entries";
  return fmt::format("io_uring_setup: {}", std::strerror(error));
}

bool wants_sqpoll(const RingOptions& options) {
  switch (options.submission) {
    case Submission::sqpoll:
      return true;
    case Submission::defer:
      return false;
    case Submission::automatic:
      return options.sqpoll_cpu >= 0;
  }
  return false;
}

io_uring_params parameters(const RingOptions& options) {
  io_uring_params params{};
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER;
  params.cq_entries = options.cq_entries;
  if (wants_sqpoll(options)) {
    params.flags |= IORING_SETUP_SQPOLL;
    params.sq_thread_idle = options.sqpoll_idle_ms;
    if (options.sqpoll_cpu >= 0) {
      params.flags |= IORING_SETUP_SQ_AFF;
      params.sq_thread_cpu = static_cast<uint32_t>(options.sqpoll_cpu);
    }
  } else {
    params.flags |= IORING_SETUP_DEFER_TASKRUN;
    // An atomic bit operation for each piece of work: only for those who look at it.
    if (options.spin) params.flags |= IORING_SETUP_TASKRUN_FLAG;
  }
  return params;
}

template <class T>
T* at(void* base, uint32_t offset) {
  return reinterpret_cast<T*>(static_cast<uint8_t*>(base) + offset);
}

}  // namespace

Result<Ring, std::string> Ring::open(const RingOptions& options) {
  io_uring_params params = parameters(options);
  params.flags |= abi::kSetupNoSqarray;
  int fd = ::io_uring_setup(options.sq_entries, &params);
  if (fd == -EINVAL) {
    params = parameters(options);
    fd = ::io_uring_setup(options.sq_entries, &params);
  }
  if (fd < 0) return unexpected(explain(-fd));
  Ring ring;
  ring.fd_ = fd;
  ring.map(params);
  return ring;
}

void Ring::map(const io_uring_params& params) {
  flags_ = params.flags;
  features_ = params.features;
  const size_t sq_bytes = (flags_ & abi::kSetupNoSqarray) != 0
                              ? 0
                              : params.sq_off.array + params.sq_entries * sizeof(uint32_t);
  const size_t cq_bytes = params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe);
  rings_bytes_ = std::max(sq_bytes, cq_bytes);  // one mapping for both since 5.4
  rings_ = ::mmap(nullptr, rings_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_,
                  IORING_OFF_SQ_RING);
  TANDEM_CHECK(rings_ != MAP_FAILED);
  void* sqes = ::mmap(nullptr, params.sq_entries * sizeof(io_uring_sqe), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_POPULATE, fd_, IORING_OFF_SQES);
  TANDEM_CHECK(sqes != MAP_FAILED);
  sqes_ = static_cast<io_uring_sqe*>(sqes);
  sq_entries_ = params.sq_entries;
  sq_head_ = at<uint32_t>(rings_, params.sq_off.head);
  sq_tail_ = at<uint32_t>(rings_, params.sq_off.tail);
  sq_flags_ = at<uint32_t>(rings_, params.sq_off.flags);
  if ((flags_ & abi::kSetupNoSqarray) == 0) {
    uint32_t* array = at<uint32_t>(rings_, params.sq_off.array);
    for (uint32_t i = 0; i < sq_entries_; ++i) array[i] = i;
  }
  cq_head_ = at<uint32_t>(rings_, params.cq_off.head);
  cq_tail_ = at<uint32_t>(rings_, params.cq_off.tail);
  cq_mask_ = params.cq_entries - 1;
  cqes_ = at<io_uring_cqe>(rings_, params.cq_off.cqes);
  messages_.emplace(sq_entries_ * sizeof(Message));
}

Ring::Ring(Ring&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      flags_(other.flags_),
      features_(other.features_),
      rings_(std::exchange(other.rings_, nullptr)),
      rings_bytes_(other.rings_bytes_),
      sqes_(std::exchange(other.sqes_, nullptr)),
      sq_entries_(other.sq_entries_),
      sq_tail_local_(other.sq_tail_local_),
      sq_head_(other.sq_head_),
      sq_tail_(other.sq_tail_),
      sq_flags_(other.sq_flags_),
      cq_head_(other.cq_head_),
      cq_tail_(other.cq_tail_),
      cq_mask_(other.cq_mask_),
      cqes_(other.cqes_),
      messages_(std::move(other.messages_)) {}

Ring::~Ring() {
  if (fd_ < 0) return;
  ::munmap(sqes_, sq_entries_ * sizeof(io_uring_sqe));
  ::munmap(rings_, rings_bytes_);
  ::close(fd_);
}

void Ring::enable() {
  TANDEM_CHECK(apply(IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0);
}

int Ring::apply(unsigned opcode, const void* argument, unsigned count) {
  return ::io_uring_register(static_cast<unsigned>(fd_), opcode, argument, count);
}

io_uring_sqe& Ring::next_sqe() {
  while (unconsumed() == sq_entries_) enter(Wait::none);
  io_uring_sqe& sqe = sqes_[sq_tail_local_++ & (sq_entries_ - 1)];
  std::memset(&sqe, 0, sizeof sqe);
  return sqe;
}

uint32_t Ring::unconsumed() const {
  return sq_tail_local_ - std::atomic_ref(*sq_head_).load(std::memory_order_acquire);
}

void Ring::publish() {
  counters_.sqes.add(sq_tail_local_ - *sq_tail_);
  std::atomic_ref(*sq_tail_).store(sq_tail_local_, std::memory_order_release);
}

void Ring::enter(Wait wait, std::optional<Nanos> timeout) {
  publish();
  unsigned flags = 0;
  unsigned to_submit = unconsumed();
  if (sqpoll()) {
    // The poller announces its sleep and then looks at the tail once more; we publish the tail and
    // then look for the announcement. The fence keeps the two from missing each other.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if ((std::atomic_ref(*sq_flags_).load(std::memory_order_relaxed) & IORING_SQ_NEED_WAKEUP) != 0)
      flags |= IORING_ENTER_SQ_WAKEUP;
    if (to_submit == sq_entries_) flags |= IORING_ENTER_SQ_WAIT;
    if (overflown()) flags |= IORING_ENTER_GETEVENTS;
    if (flags == 0 && wait == Wait::none) return;
  } else {
    flags |= IORING_ENTER_GETEVENTS;
  }
  __kernel_timespec time{};
  io_uring_getevents_arg argument{};
  if (wait == Wait::until_event) {
    flags |= IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    if (timeout) {
      time = {*timeout / kNanosPerSecond, *timeout % kNanosPerSecond};
      argument.ts = reinterpret_cast<uint64_t>(&time);
    }
  }
  const bool extended = (flags & IORING_ENTER_EXT_ARG) != 0;
  counters_.enters.add();
  const int result = ::io_uring_enter2(
      static_cast<unsigned>(fd_), to_submit, extended ? 1 : 0, flags,
      extended ? reinterpret_cast<sigset_t*>(&argument) : nullptr, extended ? sizeof argument : 0);
  // EBUSY: completions overflow and want to be read first; EAGAIN: no memory for requests now. Both
  // leave the queue as it is for the next turn.
  TANDEM_CHECK(result >= 0 || result == -ETIME || result == -EINTR || result == -EBUSY ||
               result == -EAGAIN);
}

bool Ring::overflown() const {
  return (std::atomic_ref(*sq_flags_).load(std::memory_order_relaxed) & IORING_SQ_CQ_OVERFLOW) != 0;
}

bool Ring::completions_ready() const {
  return std::atomic_ref(*cq_tail_).load(std::memory_order_acquire) != *cq_head_ || overflown();
}

bool Ring::work_ready() const {
  return completions_ready() ||
         (std::atomic_ref(*sq_flags_).load(std::memory_order_relaxed) & IORING_SQ_TASKRUN) != 0;
}

std::string Ring::description() const {
  return fmt::format("{}{}", sqpoll() ? "sqpoll" : "defer",
                     (flags_ & abi::kSetupNoSqarray) != 0 ? ", no_sqarray" : "");
}

}  // namespace tandem::uring
