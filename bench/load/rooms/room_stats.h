// What a run of room events is told by: how many of each kind were asked for and answered, how long
// each took from when it was due, and what went wrong by code. Plain values of one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "bench/load/histogram.h"

namespace tandem::bench {

enum class RoomEvent : std::uint8_t { login, connect, create, join, message, leave };
inline constexpr std::size_t kRoomEvents = 6;
[[nodiscard]] std::string_view name_of(RoomEvent event);

// By code. A server's texts are anybody's: beyond so many they count as one.
class ErrorCounts {
 public:
  static constexpr std::size_t kCodesMax = 64;
  static constexpr std::size_t kCodeBytesMax = 64;

  void add(std::string_view code, std::uint64_t times = 1);
  void merge(const ErrorCounts& other);
  [[nodiscard]] std::uint64_t total() const;
  [[nodiscard]] const std::map<std::string, std::uint64_t, std::less<>>& all() const {
    return counts_;
  }

 private:
  std::map<std::string, std::uint64_t, std::less<>> counts_;
};

struct RoomStats {
  struct Kind {
    std::uint64_t sent = 0;
    std::uint64_t answered = 0;  // of messages: copies that came
    Histogram latency{};
  };
  std::array<Kind, kRoomEvents> kinds{};
  ErrorCounts errors{};
  std::uint64_t notices = 0;  // events that nobody asked for: a player joined, a room changed

  [[nodiscard]] Kind& of(RoomEvent event) { return kinds[static_cast<std::size_t>(event)]; }
  [[nodiscard]] const Kind& of(RoomEvent event) const {
    return kinds[static_cast<std::size_t>(event)];
  }
  void merge(const RoomStats& other);
};

}  // namespace tandem::bench
