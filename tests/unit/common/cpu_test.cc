#include "common/cpu.h"

#include <doctest/doctest.h>
#include <pthread.h>
#include <sched.h>

#include <array>
#include <cerrno>
#include <numeric>
#include <thread>

namespace tandem {
namespace {

using Cpus = std::vector<Cpu>;

Cpus first_cores(std::size_t count) {
  Cpus cpus(count);
  std::iota(cpus.begin(), cpus.end(), 0U);
  return cpus;
}

Config::Engine engine(std::uint32_t shards, Submission submission = Submission::automatic) {
  Config::Engine engine;
  engine.shards = shards;
  engine.submission = submission;
  return engine;
}

TEST_CASE("cpu lists") {
  CHECK(*parse_cpu_list("0-3,8") == Cpus{0, 1, 2, 3, 8});
  CHECK(*parse_cpu_list("5") == Cpus{5});
  CHECK(*parse_cpu_list(" 8 , 1-2,2-3 ") == Cpus{1, 2, 3, 8});
  CHECK(*parse_cpu_list("8191") == Cpus{8191});
  for (const char* wrong : {"", ",", "1,", "3-1", "-1", "1-", "a", "1-2-3", "8192", "0x1", "1 2",
                            "99999999999999999999", "+1"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_cpu_list(wrong).has_value());
  }
  CHECK(parse_cpu_list("3-1").error() == "3-1: ends before it begins");
}

TEST_CASE("formatting a list gives what parsing takes") {
  CHECK(format_cpu_list(Cpus{0, 1, 2, 3, 8}) == "0-3,8");
  CHECK(format_cpu_list(Cpus{}).empty());
  CHECK(format_cpu_list(Cpus{7}) == "7");
  for (const Cpus& cpus : {Cpus{0, 2, 4}, Cpus{1, 2, 4, 5, 6, 9}, first_cores(64)}) {
    CHECK(*parse_cpu_list(format_cpu_list(cpus)) == cpus);
  }
}

TEST_CASE("one shard a core, and one core for control where there are three") {
  CHECK(*plan_cpus(engine(0), first_cores(1)) == CpuPlan{{0}, {0}, {}});
  CHECK(*plan_cpus(engine(0), first_cores(2)) == CpuPlan{{0, 1}, {0, 1}, {}});
  CHECK(*plan_cpus(engine(0), first_cores(3)) == CpuPlan{{1, 2}, {0}, {}});
  CHECK(*plan_cpus(engine(0), first_cores(8)) == CpuPlan{{1, 2, 3, 4, 5, 6, 7}, {0}, {}});
  CHECK(*plan_cpus(engine(0), Cpus{4, 9, 11}) == CpuPlan{{9, 11}, {4}, {}});
}

TEST_CASE("the operator's number of shards holds, also beyond the cores") {
  CHECK(*plan_cpus(engine(1), first_cores(2)) == CpuPlan{{0}, {0, 1}, {}});
  CHECK(plan_cpus(engine(2), first_cores(4))->shards == Cpus{1, 2});
  CHECK(plan_cpus(engine(4), first_cores(2))->shards == Cpus{0, 1, 0, 1});
}

TEST_CASE("pollers take cores that shards leave over") {
  CHECK(*plan_cpus(engine(2), first_cores(5)) == CpuPlan{{1, 2}, {0}, {3, 4}});
  CHECK(plan_cpus(engine(2), first_cores(4))->pollers.empty());
  CHECK(plan_cpus(engine(0), first_cores(16))->pollers.empty());
  CHECK(plan_cpus(engine(2, Submission::defer), first_cores(5))->pollers.empty());

  CHECK(*plan_cpus(engine(0, Submission::sqpoll), first_cores(5)) == CpuPlan{{1, 2}, {0}, {3, 4}});
  CHECK(*plan_cpus(engine(0, Submission::sqpoll), first_cores(2)) == CpuPlan{{0}, {0, 1}, {1}});
  CHECK(*plan_cpus(engine(0, Submission::sqpoll), first_cores(1)) == CpuPlan{{0}, {0}, {}});
  // Three shards share the one core that is left.
  CHECK(*plan_cpus(engine(3, Submission::sqpoll), first_cores(5)) ==
        CpuPlan{{1, 2, 3}, {0}, {4, 4, 4}});
}

TEST_CASE("engine.cpus and engine.control_cpu are honoured") {
  Config::Engine chosen = engine(0);
  chosen.cpus = "2-5";
  CHECK(*plan_cpus(chosen, first_cores(8)) == CpuPlan{{3, 4, 5}, {2}, {}});
  chosen.control_cpu = 4;
  CHECK(*plan_cpus(chosen, first_cores(8)) == CpuPlan{{2, 3, 5}, {4}, {}});
  chosen.control_cpu = 0;
  CHECK(*plan_cpus(chosen, first_cores(8)) == CpuPlan{{2, 3, 4, 5}, {0}, {}});

  // On two cores the operator may want control apart; on one there is no choice.
  Config::Engine apart = engine(0);
  apart.control_cpu = 1;
  CHECK(*plan_cpus(apart, first_cores(2)) == CpuPlan{{0}, {1}, {}});
  apart.control_cpu = 0;
  CHECK(*plan_cpus(apart, first_cores(1)) == CpuPlan{{0}, {0}, {}});
}

TEST_CASE("cores that are not there are named with their key") {
  Config::Engine wrong = engine(0);
  wrong.cpus = "1,9";
  CHECK(plan_cpus(wrong, first_cores(4)).error() ==
        "engine.cpus: core 9 is offline or outside the affinity mask (0-3)");
  wrong.cpus.clear();
  wrong.control_cpu = 7;
  CHECK(plan_cpus(wrong, first_cores(4)).error() ==
        "engine.control_cpu: core 7 is offline or outside the affinity mask (0-3)");
  CHECK_FALSE(plan_cpus(engine(0), Cpus{}).has_value());
}

TEST_CASE("every plan places every shard on a core that is online") {
  for (std::size_t cores = 1; cores <= 12; ++cores) {
    for (std::uint32_t shards = 0; shards <= 12; ++shards) {
      for (const auto submission : {Submission::automatic, Submission::sqpoll, Submission::defer}) {
        CAPTURE(cores);
        CAPTURE(shards);
        const auto plan = plan_cpus(engine(shards, submission), first_cores(cores));
        REQUIRE(plan.has_value());
        CHECK(plan->shards.size() >= 1);
        if (shards > 0) CHECK(plan->shards.size() == shards);
        CHECK((plan->pollers.empty() || plan->pollers.size() == plan->shards.size()));
        CHECK_FALSE(plan->control.empty());
        for (const Cpu cpu : plan->shards) {
          CHECK(cpu < cores);
          for (const Cpu poller : plan->pollers) CHECK(poller != cpu);
        }
      }
    }
  }
}

TEST_CASE("a thread pins itself to one core and takes a name") {
  const Cpus online = online_cpus();
  REQUIRE_FALSE(online.empty());
  std::thread([&] {
    const std::array one = {online.back()};
    REQUIRE(pin_thread(one).has_value());
    CHECK(online_cpus() == Cpus{online.back()});
    CHECK(sched_getcpu() == static_cast<int>(online.back()));

    name_thread("tandem-shard-number-1");
    std::array<char, 16> name{};
    pthread_getname_np(pthread_self(), name.data(), name.size());
    CHECK(std::string_view(name.data()) == "tandem-shard-nu");

    CHECK(pin_thread(Cpus{}).error() == EINVAL);
    CHECK(pin_thread(Cpus{kCpusMax}).error() == EINVAL);
  }).join();
  CHECK(online_cpus() == online);
}

}  // namespace
}  // namespace tandem
