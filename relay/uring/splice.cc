#include "relay/uring/splice.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tandem::uring {
namespace {

constexpr int kPipeBytes = 1 << 20;  // what fs.pipe-max-size lets an unprivileged process have

Pipe::Result move(int from, int to, uint32_t bytes) {
  const ssize_t moved =
      ::splice(from, nullptr, to, nullptr, bytes, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  if (moved > 0) return {Pipe::Outcome::moved, static_cast<uint32_t>(moved)};
  if (moved == 0) return {Pipe::Outcome::ended};
  if (errno == EAGAIN || errno == EINTR) return {Pipe::Outcome::blocked};
  return {Pipe::Outcome::failed, 0, errno};
}

}  // namespace

bool Pipe::open() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
  read_end_ = Descriptor(ends[0]);
  write_end_ = Descriptor(ends[1]);
  const int enlarged = ::fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);
  const int bytes = enlarged > 0 ? enlarged : ::fcntl(ends[1], F_GETPIPE_SZ);
  capacity_ = static_cast<uint32_t>(std::max(bytes, 0));
  bytes_ = 0;
  return capacity_ != 0;
}

void Pipe::close() {
  read_end_.reset();
  write_end_.reset();
  bytes_ = 0;
}

Pipe::Result Pipe::fill(int from, uint32_t bytes_max) {
  const uint32_t room = std::min(bytes_max, capacity_ - bytes_);
  if (room == 0) return {Outcome::blocked};
  const Result result = move(from, write_end_.get(), room);
  bytes_ += result.bytes;
  return result;
}

Pipe::Result Pipe::drain(int to) {
  if (bytes_ == 0) return {Outcome::blocked};
  const Result result = move(read_end_.get(), to, bytes_);
  bytes_ -= result.bytes;
  return result;
}

}  // namespace tandem::uring
