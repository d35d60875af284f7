// Bytes that go from one socket to another through a pipe, within the kernel (splice(2)). Owns
// pipes and counts what lies in each; knows neither streams nor rings. IORING_OP_SPLICE is not
// used: the kernel hands it to a worker thread every time.
#pragma once

#include <cstdint>
#include <vector>

#include "relay/uring/listen.h"

namespace tandem::uring {

class Pipe {
 public:
  enum class Outcome : uint8_t {
    moved,    // `bytes` bytes
    blocked,  // nothing to read, or no room
    ended,    // FIN
    failed,   // errno
  };
  struct Result {
    Outcome outcome;
    uint32_t bytes = 0;
    int error = 0;
  };

  [[nodiscard]] bool open();
  [[nodiscard]] bool is_open() const { return read_end_.open(); }
  void close();
  // Sockets have to be O_NONBLOCK: towards a socket the flag of splice does not count (6.5).
  [[nodiscard]] Result fill(int from, uint32_t bytes_max);
  [[nodiscard]] Result drain(int to);
  [[nodiscard]] uint32_t bytes() const { return bytes_; }

 private:
  Descriptor read_end_;
  Descriptor write_end_;
  uint32_t bytes_ = 0;
  uint32_t capacity_ = 0;
};

}  // namespace tandem::uring
