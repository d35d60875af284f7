#include "bench/load/worker_line.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>

#include "bench/load/socket.h"

using namespace tandem::bench;

namespace {

struct Line {
  Socket here;
  Socket there;
};

Line make_line() {
  std::array<int, 2> ends{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
  return {Socket(ends[0]), Socket(ends[1])};
}

}  // namespace

TEST_CASE("messages come whole and in order, then the end") {
  Line line = make_line();
  CHECK(tell(line.there.fd(), WorkerWord::progress, 12'000));
  CHECK(tell(line.there.fd(), WorkerWord::failed, "nobody is there"));
  CHECK(tell(line.there.fd(), WorkerWord::failed, ""));
  line.there = Socket();

  const auto first = hear(line.here.fd());
  REQUIRE(first);
  CHECK(first->word == WorkerWord::progress);
  CHECK(unpack_count(first->payload) == 12'000);
  const auto second = hear(line.here.fd());
  REQUIRE(second);
  CHECK(second->word == WorkerWord::failed);
  CHECK(second->payload == "nobody is there");
  const auto third = hear(line.here.fd());
  REQUIRE(third);
  CHECK(third->payload.empty());
  CHECK_FALSE(hear(line.here.fd()));
}

TEST_CASE("a message that breaks off is none, and nobody is told to who is gone") {
  Line line = make_line();
  send_all(line.there.fd(), std::string_view("\0\0\0\0\5\0\0\0abc", 11));
  line.there = Socket();
  CHECK_FALSE(hear(line.here.fd()));
  CHECK_FALSE(tell(line.here.fd(), WorkerWord::alive, 1));
}

TEST_CASE("a share's histogram keeps its counts, its quantiles and its maximum") {
  WorkerShare share{.pairs = 3, .cpu_s = 1.25, .waits = {}};
  share.waits.add(1500);
  share.waits.add(1'234'567, 4);
  share.waits.add(98'765'432'101);
  const auto copy = unpack_share(pack(share));
  CHECK(copy.pairs == 3);
  CHECK(copy.cpu_s == 1.25);
  CHECK(copy.waits.count() == 6);
  CHECK(copy.waits.buckets() == share.waits.buckets());
  CHECK(copy.waits.max_ns() == 98'765'432'101);
  CHECK(copy.waits.quantile_ns(0.5) == share.waits.quantile_ns(0.5));
  CHECK(copy.waits.mean_ns() == doctest::Approx(share.waits.mean_ns()).epsilon(0.001));
}

TEST_CASE("a share of nothing") {
  const auto copy = unpack_share(pack({}));
  CHECK(copy.pairs == 0);
  CHECK(copy.waits.count() == 0);
}
