#include "bench/load/interrupt.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <csignal>

namespace tandem::bench {
namespace {

volatile std::sig_atomic_t signalled = 0;
int signal_event = -1;

void ring_event(int fd) {
  const std::uint64_t one = 1;
  // It can only fail by being full, and then it is readable.
  [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
}

// The handler is gone after the first one (SA_RESETHAND): the next one ends the process.
extern "C" void on_signal(int) {
  signalled = 1;
  ring_event(signal_event);
}

}  // namespace

Interrupt::Interrupt() : event_(require(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {
  signalled = 0;
  signal_event = event_.fd();
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int number : {SIGINT, SIGTERM}) ::sigaction(number, &action, nullptr);
}

Interrupt::Interrupt(const Interrupt* process)
    : process_(process), event_(require(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {}

Interrupt::~Interrupt() {
  if (process_ != nullptr) return;
  for (const int number : {SIGINT, SIGTERM}) ::signal(number, SIG_DFL);
  signal_event = -1;
}

bool Interrupt::raised() const {
  return signalled != 0;
}

void Interrupt::wake() const {
  ring_event(event_.fd());
}

bool Interrupt::wait_until(Clock::time_point end) const {
  for (;;) {
    const auto left = end - Clock::now();
    if (left <= Clock::duration::zero()) return true;
    if (wait({-1, POLLIN, 0}, left) == Woken::here) return false;
  }
}

bool Interrupt::wait_readable(int fd, int timeout_ms) const {
  return wait({fd, POLLIN, 0}, std::chrono::milliseconds(timeout_ms)) == Woken::readable;
}

Interrupt::Woken Interrupt::wait(pollfd file, Clock::duration timeout) const {
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(timeout).count();
  const timespec limit{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  // poll(2) passes over a negative descriptor.
  const int process = process_ != nullptr ? process_->event_.fd() : -1;
  std::array<pollfd, 3> waiting{{file, {event_.fd(), POLLIN, 0}, {process, POLLIN, 0}}};
  if (::ppoll(waiting.data(), waiting.size(), &limit, nullptr) <= 0) return Woken::not_yet;
  if (waiting[1].revents != 0 || waiting[2].revents != 0) return Woken::here;
  return Woken::readable;
}

}  // namespace tandem::bench
