#include "bench/load/interrupt.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <thread>

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;

// Longer than anything here may take: whoever waits so long was not woken.
constexpr auto kLong = 60s;
constexpr int kLongMs = 60'000;

TEST_CASE("a moment is reached where nobody wakes") {
  const Interrupt interrupt;
  const auto end = Clock::now() + 10ms;
  CHECK(interrupt.wait_until(end));
  CHECK(Clock::now() >= end);
  CHECK(interrupt.wait_until(Clock::now() - 1s));
  CHECK(!interrupt.raised());
}

TEST_CASE("wake() ends a wait, and all later ones") {
  const Interrupt interrupt;
  std::thread waker([&] { interrupt.wake(); });
  CHECK(!interrupt.wait_until(Clock::now() + kLong));
  CHECK(!interrupt.wait_until(Clock::now() + kLong));
  CHECK(!interrupt.wait_readable(-1, kLongMs));
  waker.join();
  CHECK(!interrupt.raised());  // nobody asked the process for it
}

TEST_CASE("waking more than once is as good as once") {
  const Interrupt interrupt;
  for (int i = 0; i < 3; ++i) interrupt.wake();
  CHECK(!interrupt.wait_until(Clock::now() + kLong));
}

TEST_CASE("what is readable ends a wait; nothing and a wake are told as such") {
  std::array<int, 2> ends;
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
  const Socket one(ends[0]);
  const Socket other(ends[1]);
  const Interrupt interrupt;
  CHECK(!interrupt.wait_readable(one.fd(), 5));
  send_all(other.fd(), "x");
  CHECK(interrupt.wait_readable(one.fd(), kLongMs));
  interrupt.wake();
  CHECK(!interrupt.wait_readable(one.fd(), kLongMs));
}

TEST_CASE("one run of several is woken alone, and with the process") {
  const Interrupt process;
  const Interrupt one(&process);
  const Interrupt other(&process);
  one.wake();
  CHECK(!one.wait_until(Clock::now() + kLong));
  CHECK(other.wait_until(Clock::now() + 1ms));
  CHECK(process.wait_until(Clock::now() + 1ms));
  process.wake();
  CHECK(!other.wait_until(Clock::now() + kLong));
}

TEST_CASE("SIGINT and SIGTERM end the waits of the process and of its runs") {
  for (const int number : {SIGINT, SIGTERM}) {
    const Interrupt process;
    const Interrupt run(&process);
    CHECK(!process.raised());
    std::thread raiser([number] { ::raise(number); });
    CHECK(!run.wait_until(Clock::now() + kLong));
    raiser.join();
    CHECK(process.raised());
    CHECK(run.raised());
    CHECK(!process.wait_until(Clock::now() + kLong));
  }
}

TEST_CASE(
    "the second signal has its default effect again, and so has the first after all is over") {
  const auto is_default = [](int number) {
    struct sigaction action {};
    ::sigaction(number, nullptr, &action);
    return action.sa_handler == SIG_DFL;
  };
  {
    const Interrupt interrupt;
    CHECK(!is_default(SIGINT));
    ::raise(SIGINT);
    CHECK(is_default(SIGINT));
    CHECK(!is_default(SIGTERM));
  }
  CHECK(is_default(SIGTERM));
}

}  // namespace
}  // namespace tandem::bench
