#include "common/assert.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "common/slab.h"
#include "common/spsc_ring.h"
#include "common/timer_wheel.h"

namespace tandem {
namespace {

struct End {
  int signal = 0;    // 0 where it ended by itself
  std::string said;  // on standard error
};

// Runs the body in a child. Pages and descriptors are its own, so an abort there ends nothing here.
template <class Body>
End run_in_child(Body body) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGABRT, SIG_DFL);  // doctest's handler would report the parent's test
    ::dup2(ends[1], STDERR_FILENO);
    body();
    ::_exit(0);
  }
  ::close(ends[1]);
  End end;
  char piece[256];
  for (ssize_t got; (got = ::read(ends[0], piece, sizeof piece)) > 0;)
    end.said.append(piece, static_cast<std::size_t>(got));
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return end;
}

TEST_CASE("a check that holds does nothing, once") {
  int evaluated = 0;
  const End end = run_in_child([] { TANDEM_CHECK(1 + 1 == 2); });
  TANDEM_CHECK(++evaluated == 1);
  CHECK(evaluated == 1);
  CHECK(end.signal == 0);
  CHECK(end.said.empty());
}

TEST_CASE("one that does not hold says where and what, and aborts") {
  const End end = run_in_child([] { TANDEM_CHECK(1 + 1 == 3); });
  CHECK(end.signal == SIGABRT);
  CHECK(end.said.find("assert_test.cc:") != std::string::npos);
  CHECK(end.said.find("check failed: 1 + 1 == 3\n") != std::string::npos);
}

TEST_CASE("a stale handle is a bug of ours") {
  const End end = run_in_child([] {
    Slab<int> slab(2);
    const Handle handle = slab.acquire().value();
    slab.release(handle);
    slab.release(handle);
  });
  CHECK(end.signal == SIGABRT);
  CHECK(run_in_child([] { (void)Slab<int>(2)[0]; }).signal == SIGABRT);
}

TEST_CASE("so are a timer past the last and a ring of no power of two") {
  CHECK(run_in_child([] { TimerWheel(2, 0).schedule(2, 0); }).signal == SIGABRT);
  CHECK(run_in_child([] { (void)SpscRing<int>(3); }).signal == SIGABRT);
  CHECK(run_in_child([] { (void)SpscRing<int>(0); }).signal == SIGABRT);
}

}  // namespace
}  // namespace tandem
