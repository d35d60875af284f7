// Owns how many datagrams of a closed loop may leave now. What has been silent for long is given
// up, so that a lost datagram does not narrow the window for good; where it comes after all, as
// after a relay's pause, the window is not wider for it either. Knows no socket.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bench/load/load.h"

namespace tandem::bench {

class SendWindow {
 public:
  explicit SendWindow(std::size_t size) : size_(size) {}

  // Sending begins, or goes on after a pause: what has not come by now is given up.
  void restart(std::uint64_t sent, std::uint64_t delivered, Clock::time_point now) {
    give_up(sent, delivered);
    last_delivered_ = delivered;
    last_progress_ = now;
  }

  [[nodiscard]] std::size_t under_way(std::uint64_t sent, std::uint64_t delivered) const {
    const auto settled = delivered + given_up_;
    return sent > settled ? sent - settled : 0;
  }
  [[nodiscard]] std::size_t room(std::uint64_t sent, std::uint64_t delivered) const {
    const auto used = under_way(sent, delivered);
    return used < size_ ? size_ - used : 0;
  }

  enum class Silence { none, short_time, given_up };
  // Once a turn. Where all that is under way is given up, whoever sends it has to remember what
  // that was, for came_late().
  Silence watch(std::uint64_t sent, std::uint64_t delivered, Clock::time_point now) {
    constexpr std::chrono::milliseconds kShort{2};
    constexpr std::chrono::milliseconds kGiveUp{20};
    if (delivered != last_delivered_ || sent == delivered + given_up_) {
      last_delivered_ = delivered;
      last_progress_ = now;
      return Silence::none;
    }
    if (now - last_progress_ < kShort) return Silence::none;
    if (now - last_progress_ < kGiveUp) return Silence::short_time;
    give_up(sent, delivered);
    last_progress_ = now;
    return Silence::given_up;
  }
  // One of those given up has come, and is among the delivered.
  void came_late() { given_up_ -= given_up_ > 0 ? 1 : 0; }

 private:
  void give_up(std::uint64_t sent, std::uint64_t delivered) {
    given_up_ = sent > delivered ? sent - delivered : 0;
  }

  std::size_t size_;
  std::uint64_t given_up_ = 0;
  std::uint64_t last_delivered_ = 0;
  Clock::time_point last_progress_{};
};

}  // namespace tandem::bench
