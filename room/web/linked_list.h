// A list whose links lie in its members, so that one is in it without memory of its own and leaves
// it in O(1). Knows nothing of them; a member that is destroyed leaves.
#pragma once

namespace tandem {

// What a member inherits, once for each list that it can be in: the tag tells them apart.
template <class Tag>
class ListHook {
 public:
  ListHook() = default;
  ~ListHook() { unlink(); }
  ListHook(const ListHook&) = delete;
  ListHook& operator=(const ListHook&) = delete;

  [[nodiscard]] bool linked() const { return next_ != nullptr; }
  void unlink() {
    if (!linked()) return;
    next_->previous_ = previous_;
    previous_->next_ = next_;
    next_ = previous_ = nullptr;
  }

 private:
  template <class Member, class OfTag>
  friend class LinkedList;

  ListHook* next_ = nullptr;
  ListHook* previous_ = nullptr;
};

template <class Member, class Tag>
class LinkedList {
 public:
  LinkedList() { head_.next_ = head_.previous_ = &head_; }
  // It is empty by then.
  ~LinkedList() { head_.next_ = head_.previous_ = nullptr; }
  LinkedList(const LinkedList&) = delete;
  LinkedList& operator=(const LinkedList&) = delete;

  [[nodiscard]] bool empty() const { return head_.next_ == &head_; }
  // Null where it is empty.
  [[nodiscard]] Member* front() const {
    return empty() ? nullptr : static_cast<Member*>(head_.next_);
  }
  // To the end, from wherever it was.
  void push_back(Member& member) {
    ListHook<Tag>& hook = member;
    hook.unlink();
    hook.next_ = &head_;
    hook.previous_ = head_.previous_;
    head_.previous_->next_ = &hook;
    head_.previous_ = &hook;
  }

 private:
  ListHook<Tag> head_;
};

}  // namespace tandem
