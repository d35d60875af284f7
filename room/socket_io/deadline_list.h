// Deadlines of one duration: whoever enters last is due last, so the list is in order by itself and
// nothing is searched, hashed or reserved. Intrusive: an entry holds its own links. Knows neither
// the clock nor what is due. One thread.
#pragma once

#include "common/assert.h"
#include "common/clock.h"

namespace tandem {

// A base of what is listed; an entry is in one list at most, and out of it before it goes.
class DeadlineEntry {
 public:
  DeadlineEntry() = default;
  DeadlineEntry(const DeadlineEntry&) = delete;
  DeadlineEntry& operator=(const DeadlineEntry&) = delete;

  [[nodiscard]] bool listed() const { return next_ != nullptr; }
  [[nodiscard]] Nanos deadline() const { return deadline_; }
  // Nothing where it is in no list.
  void unlist() {
    if (next_ == nullptr) return;
    next_->previous_ = previous_;
    previous_->next_ = next_;
    next_ = previous_ = nullptr;
  }

 protected:
  ~DeadlineEntry() { TANDEM_CHECK(!listed()); }

 private:
  template <class Entry>
  friend class DeadlineList;

  DeadlineEntry* next_ = nullptr;
  DeadlineEntry* previous_ = nullptr;
  Nanos deadline_ = 0;
};

template <class Entry>
class DeadlineList {
 public:
  DeadlineList() { ends_.next_ = ends_.previous_ = &ends_; }
  ~DeadlineList() {
    while (!empty()) ends_.next_->unlist();
    ends_.next_ = ends_.previous_ = nullptr;
  }
  DeadlineList(const DeadlineList&) = delete;
  DeadlineList& operator=(const DeadlineList&) = delete;

  [[nodiscard]] bool empty() const { return ends_.next_ == &ends_; }
  // Never before that of the last one.
  void push_back(Entry& entry, Nanos deadline) {
    DeadlineEntry& added = entry;
    TANDEM_CHECK(!added.listed() && (empty() || ends_.previous_->deadline_ <= deadline));
    added.deadline_ = deadline;
    added.next_ = &ends_;
    added.previous_ = ends_.previous_;
    ends_.previous_->next_ = &added;
    ends_.previous_ = &added;
  }
  // The one that is due first; null where there is none.
  [[nodiscard]] Entry* front() { return empty() ? nullptr : static_cast<Entry*>(ends_.next_); }
  // The first one, out of the list, if it is due; null where none is.
  [[nodiscard]] Entry* pop_due(Nanos now) {
    Entry* first = front();
    if (first == nullptr || ends_.next_->deadline_ > now) return nullptr;
    ends_.next_->unlist();
    return first;
  }

 private:
  struct Ends : DeadlineEntry {};
  Ends ends_;
};

}  // namespace tandem
