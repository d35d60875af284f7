// How often one event may be logged: N lines in a window for each (component, msg), then silence
// and a count. Pure: time is an argument. Knows no sink and no format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"

namespace tandem {

class LogThrottle {
 public:
  struct Limits {
    std::uint32_t lines = 20;  // a window, for each event
    Nanos window = 10 * kNanosPerSecond;
    // Events that are told apart. The rest share one window of `lines_beyond`: addresses stand in
    // some messages, and whoever has many must not fill the memory or the disk with them.
    std::size_t events_max = 4096;
    std::uint32_t lines_beyond = 1000;
  };

  struct Suppressed {
    std::string component;  // empty, like msg: the events beyond events_max
    std::string msg;
    std::uint64_t lines = 0;
  };

  enum class Admission : std::uint8_t { write, suppress };

  LogThrottle() : LogThrottle(Limits()) {}
  explicit LogThrottle(const Limits& limits) : limits_(limits) {}

  [[nodiscard]] Admission admit(std::string_view component, std::string_view msg, Nanos now);

  // The windows that ended with lines held back, each once and at most a tenth of a window late.
  // Cheap to call for every line: it looks at all windows no more often than that.
  [[nodiscard]] std::vector<Suppressed> take_ended(Nanos now);

  // The same for all windows, ended or not: at the end of the log.
  [[nodiscard]] std::vector<Suppressed> take_all();

 private:
  // Ordered, since the names hold text that strangers pick: no hash to attack.
  using Event = std::pair<std::string, std::string>;
  struct ByName {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      const int order = std::string_view(a.first).compare(b.first);
      return order != 0 ? order < 0 : std::string_view(a.second) < std::string_view(b.second);
    }
  };
  struct Window {
    Nanos ends = 0;
    std::uint32_t written = 0;
    std::uint64_t suppressed = 0;
  };

  Window* window_of(std::string_view component, std::string_view msg, Nanos now);
  void end(std::string_view component, std::string_view msg, const Window& window);
  void sweep(Nanos now);

  Limits limits_;
  std::map<Event, Window, ByName> windows_;
  Window beyond_;
  std::vector<Suppressed> ended_;
  Nanos sweep_at_ = std::numeric_limits<Nanos>::min();
};

}  // namespace tandem
