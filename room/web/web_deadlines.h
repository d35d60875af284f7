// When connections have to be done with what they are at. Every deadline of one kind is the same
// time after its beginning, so each kind is a list in order and costs O(1): no timer, no heap.
// Knows neither the clock nor what a connection is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "common/clock.h"
#include "room/web/linked_list.h"

namespace tandem {

enum class WebDeadline : std::uint8_t {
  request,  // a request's bytes, or a reply's taking
  idle,     // between two requests
  close,    // a WebSocket's close frame is to be answered
  linger,   // the other side is to close
  none,     // no deadline
};

struct DeadlineTag;

class DeadlineHook : public ListHook<DeadlineTag> {
 public:
  [[nodiscard]] WebDeadline deadline() const { return linked() ? kind_ : WebDeadline::none; }

 private:
  friend class WebDeadlines;
  Nanos since_ = 0;
  WebDeadline kind_ = WebDeadline::none;
};

class WebDeadlines {
 public:
  static constexpr std::size_t kKinds = 4;
  using Spans = std::array<Nanos, kKinds>;  // by WebDeadline

  explicit WebDeadlines(const Spans& spans) : spans_(spans) {}
  void set_spans(const Spans& spans) { spans_ = spans; }

  // From `now` on, in place of what it had. Returns when that will be.
  Nanos set(DeadlineHook& hook, WebDeadline kind, Nanos now) {
    hook.kind_ = kind;
    hook.since_ = now;
    lists_[index(kind)].push_back(hook);
    return now + spans_[index(kind)];
  }

  // One whose time is over, which has no deadline any more; null where there is none.
  [[nodiscard]] DeadlineHook* pop_due(Nanos now) {
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      DeadlineHook* const first = lists_[kind].front();
      if (first == nullptr || first->since_ + spans_[kind] > now) continue;
      first->unlink();
      return first;
    }
    return nullptr;
  }

  [[nodiscard]] std::optional<Nanos> next() const {
    std::optional<Nanos> earliest;
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      const DeadlineHook* const first = lists_[kind].front();
      if (first == nullptr) continue;
      const Nanos due = first->since_ + spans_[kind];
      if (!earliest || due < *earliest) earliest = due;
    }
    return earliest;
  }

 private:
  static std::size_t index(WebDeadline kind) { return static_cast<std::size_t>(kind); }

  Spans spans_;
  std::array<LinkedList<DeadlineHook, DeadlineTag>, kKinds> lists_;
};

}  // namespace tandem
