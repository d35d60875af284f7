#include "room/web/readiness.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace tandem {
namespace {

bool control(int set, int operation, int descriptor, std::uint32_t events, ReadyTarget& target) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  return ::epoll_ctl(set, operation, descriptor, &event) == 0;
}

}  // namespace

ReadinessSet::ReadinessSet()
    : descriptor_(::epoll_create1(EPOLL_CLOEXEC)),
      events_(std::make_unique_for_overwrite<epoll_event[]>(kBatch)) {
  if (descriptor_ < 0) throw std::system_error(errno, std::system_category(), "epoll_create1");
}

ReadinessSet::~ReadinessSet() {
  ::close(descriptor_);
}

bool ReadinessSet::add(int descriptor, ReadyTarget& target) {
  return control(descriptor_, EPOLL_CTL_ADD, descriptor, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                 target);
}

bool ReadinessSet::add_listener(int descriptor, ReadyTarget& target) {
  return control(descriptor_, EPOLL_CTL_ADD, descriptor, EPOLLIN, target);
}

void ReadinessSet::mute(int descriptor, ReadyTarget& target, bool muted) {
  control(descriptor_, EPOLL_CTL_MOD, descriptor, muted ? 0u : std::uint32_t{EPOLLIN}, target);
}

void ReadinessSet::call_ready() {
  const int count = ::epoll_wait(descriptor_, events_.get(), kBatch, 0);
  for (int i = 0; i < count; ++i) {
    const std::uint32_t set = events_[static_cast<std::size_t>(i)].events;
    static_cast<ReadyTarget*>(events_[static_cast<std::size_t>(i)].data.ptr)
        ->on_ready({.readable = (set & EPOLLIN) != 0,
                    .writable = (set & EPOLLOUT) != 0,
                    .finished = (set & EPOLLRDHUP) != 0,
                    .broken = (set & (EPOLLERR | EPOLLHUP)) != 0});
  }
}

}  // namespace tandem
