#include "common/log_throttle.h"

namespace tandem {

LogThrottle::Admission LogThrottle::admit(std::string_view component, std::string_view msg,
                                          Nanos now) {
  Window* window = window_of(component, msg, now);
  const bool beyond = window == &beyond_;
  if (now >= window->ends) {
    beyond ? end("", "", *window) : end(component, msg, *window);
    *window = {.ends = now + limits_.window};
  }
  if (window->written < (beyond ? limits_.lines_beyond : limits_.lines)) {
    ++window->written;
    return Admission::write;
  }
  ++window->suppressed;
  return Admission::suppress;
}

std::vector<LogThrottle::Suppressed> LogThrottle::take_ended(Nanos now) {
  sweep(now);
  return std::exchange(ended_, {});
}

std::vector<LogThrottle::Suppressed> LogThrottle::take_all() {
  for (const auto& [event, window] : windows_) end(event.first, event.second, window);
  end("", "", beyond_);
  windows_.clear();
  beyond_ = {};
  return std::exchange(ended_, {});
}

LogThrottle::Window* LogThrottle::window_of(std::string_view component, std::string_view msg,
                                            Nanos now) {
  const auto known = windows_.find(std::pair(component, msg));
  if (known != windows_.end()) return &known->second;
  if (windows_.size() >= limits_.events_max) sweep(now);
  if (windows_.size() >= limits_.events_max) return &beyond_;
  return &windows_.emplace(Event(component, msg), Window{}).first->second;
}

void LogThrottle::end(std::string_view component, std::string_view msg, const Window& window) {
  if (window.suppressed == 0) return;
  ended_.push_back({std::string(component), std::string(msg), window.suppressed});
}

void LogThrottle::sweep(Nanos now) {
  if (now < sweep_at_) return;
  // A full table in a flood is walked ten times a window, not once a line.
  sweep_at_ = now + limits_.window / 10;
  for (auto at = windows_.begin(); at != windows_.end();) {
    if (now < at->second.ends) {
      ++at;
      continue;
    }
    end(at->first.first, at->first.second, at->second);
    at = windows_.erase(at);
  }
  if (now >= beyond_.ends) {
    end("", "", beyond_);
    beyond_ = {};
  }
}

}  // namespace tandem
