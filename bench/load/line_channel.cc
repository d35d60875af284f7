#include "bench/load/line_channel.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <stdexcept>

namespace tandem::bench {

void LineChannel::send(std::string_view line) {
  send_all(socket_.fd(), std::string(line) + '\n');
}

std::optional<std::string> LineChannel::receive(const Interrupt* interrupt, int timeout_ms) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  std::array<char, 4096> some;
  for (std::size_t searched = 0;;) {
    if (const auto lf = begun_.find('\n', searched); lf != std::string::npos) {
      std::string line = begun_.substr(0, lf);
      begun_.erase(0, lf + 1);
      return line;
    }
    if (begun_.size() > line_max_) throw std::runtime_error("a line of the other host has no end");
    searched = begun_.size();
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return std::nullopt;
    const auto timeout = static_cast<int>(left.count());
    if (interrupt != nullptr && !interrupt->wait_readable(socket_.fd(), timeout)) {
      return std::nullopt;
    }
    pollfd waiting{.fd = socket_.fd(), .events = POLLIN, .revents = 0};
    if (poll_some(std::span(&waiting, 1), timeout) == 0) continue;
    const auto got = ::recv(socket_.fd(), some.data(), some.size(), 0);
    if (got < 0 && errno != EAGAIN && errno != EINTR) return std::nullopt;
    if (got == 0) return std::nullopt;
    if (got > 0) begun_.append(some.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace tandem::bench
