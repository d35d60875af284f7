#include "bench/load/cpu_account.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <stdexcept>

#include "bench/load/socket.h"

namespace tandem::bench {
namespace {

constexpr double kBurnt = 0.15;  // seconds: well above the clock tick in which the kernel counts

double used_s() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

void burn() {
  for (const double end = used_s() + kBurnt; used_s() < end;) {
  }
}

// A process that has a child that burns CPU, and that waits for it when it is told to. Both are
// gone with the test.
class Parent {
 public:
  Parent() {
    require(::pipe(said_.data()), "pipe");
    require(::pipe(told_.data()), "pipe");
    pid_ = require(::fork(), "fork");
    if (pid_ == 0) live();
    ::close(said_[1]);
    ::close(told_[0]);
  }
  ~Parent() {
    ::close(said_[0]);
    ::close(told_[1]);
    if (pid_ > 0) end();
  }
  Parent(const Parent&) = delete;
  Parent& operator=(const Parent&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Until the child has burnt, or until it is waited for.
  void await() const {
    char byte = 0;
    if (::read(said_[0], &byte, 1) != 1) throw std::runtime_error("the process ended early");
  }
  void let_child_end() const { require(static_cast<int>(::write(told_[1], "x", 1)), "write"); }
  void end() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  [[noreturn]] void live() const {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(told_[1]);
    const pid_t child = ::fork();
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      burn();
      say();
      wait_for_word();
      ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    say();
    for (;;) ::pause();
  }
  void say() const {
    if (::write(said_[1], "x", 1) != 1) ::_exit(1);
  }
  void wait_for_word() const {
    char byte = 0;
    if (::read(told_[0], &byte, 1) != 1) ::_exit(1);
  }

  std::array<int, 2> said_{};
  std::array<int, 2> told_{};
  pid_t pid_ = 0;
};

TEST_CASE("a process counts with its children, also after they have ended") {
  const Parent parent;
  const CpuAccount account({parent.pid()});
  CHECK(account.has_relay());
  parent.await();
  const double alive = account.sample().relay_s;
  CHECK(alive >= kBurnt - 0.03);
  parent.let_child_end();
  parent.await();
  const double ended = account.sample().relay_s;
  CHECK(ended >= alive);
  CHECK(ended < alive + kBurnt / 2);  // not twice
}

TEST_CASE("a child that is named beside its parent counts once") {
  const Parent parent;
  parent.await();
  const CpuAccount once({parent.pid()});
  const CpuAccount twice({parent.pid(), parent.pid()});
  CHECK(twice.sample().relay_s < once.sample().relay_s + kBurnt / 2);
  CHECK(twice.resident_bytes() < once.resident_bytes() * 3 / 2);
}

TEST_CASE("a process that is gone is an error, not zero") {
  Parent parent;
  parent.await();  // it has waited itself then
  const CpuAccount account({parent.pid()});
  CHECK(account.resident_bytes() > 0);
  CHECK(account.switches() > 0);
  parent.end();
  CHECK_THROWS_AS((void)account.sample(), std::runtime_error);
  CHECK_THROWS_AS((void)account.resident_bytes(), std::runtime_error);
}

TEST_CASE("without a relay there is still the machine and this process") {
  const CpuAccount account({});
  CHECK(!account.has_relay());
  const CpuSample before = account.sample();
  CHECK(before.relay_s == 0);
  burn();
  const CpuUse use = use_between(before, account.sample());
  CHECK(use.wall_s >= kBurnt);
  CHECK(use.relay_s == 0);
  CHECK(use.generator_s >= kBurnt - 0.001);
  CHECK(use.machine_busy_s >= kBurnt - 0.05);  // in ticks
}

TEST_CASE("what was used between two samples, and by nobody of them") {
  const CpuSample from{.at = {},
                       .relay_s = 1,
                       .relay_kernel_s = 0.5,
                       .generator_s = 2,
                       .machine_busy_s = 10,
                       .stolen_s = 0.25};
  const CpuSample to{.at = from.at + std::chrono::milliseconds(2500),
                     .relay_s = 2.5,
                     .relay_kernel_s = 0.75,
                     .generator_s = 3,
                     .machine_busy_s = 14,
                     .stolen_s = 0.75};
  const CpuUse use = use_between(from, to);
  CHECK(use.wall_s == 2.5);
  CHECK(use.relay_s == 1.5);
  CHECK(use.relay_kernel_s == 0.25);
  CHECK(use.generator_s == 1);
  CHECK(use.machine_busy_s == 4);
  CHECK(use.stolen_s == 0.5);
  CHECK(use.foreign_s == 1.5);
}

TEST_CASE("a thread is pinned, or left where it is") {
  cpu_set_t before;
  REQUIRE(::sched_getaffinity(0, sizeof before, &before) == 0);
  pin_to_cpu(-1);
  cpu_set_t now;
  REQUIRE(::sched_getaffinity(0, sizeof now, &now) == 0);
  CHECK(CPU_EQUAL(&before, &now));
  const int cpu = ::sched_getcpu();
  pin_to_cpu(cpu);
  REQUIRE(::sched_getaffinity(0, sizeof now, &now) == 0);
  CHECK(CPU_COUNT(&now) == 1);
  CHECK(CPU_ISSET(static_cast<unsigned>(cpu), &now));
  CHECK_THROWS_AS(pin_to_cpu(1000), std::system_error);
  REQUIRE(::sched_setaffinity(0, sizeof before, &before) == 0);
}

}  // namespace
}  // namespace tandem::bench
