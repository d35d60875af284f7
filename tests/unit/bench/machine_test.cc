#include "bench/load/machine.h"

#include <doctest/doctest.h>
#include <sched.h>

namespace tandem::bench {
namespace {

TEST_CASE("this machine has a kernel and cores") {
  const Machine machine = this_machine();
  CHECK(machine.kernel.find('.') != std::string::npos);
  CHECK(machine.cores >= 1);
  CHECK(machine.cpu.find('\n') == std::string::npos);
}

TEST_CASE("a pinned process sees every core") {
  const unsigned cores = this_machine().cores;
  cpu_set_t before;
  REQUIRE(::sched_getaffinity(0, sizeof(before), &before) == 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(::sched_getcpu(), &one);
  REQUIRE(::sched_setaffinity(0, sizeof(one), &one) == 0);
  CHECK(this_machine().cores == cores);
  REQUIRE(::sched_setaffinity(0, sizeof(before), &before) == 0);
}

}  // namespace
}  // namespace tandem::bench
