#include "room/process_metrics.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/clock.h"

namespace tandem {
namespace {

TEST_CASE("a name with blanks and parentheses does not shift the fields") {
  const auto stat = parse_process_stat(
      "1234 (a) (b c) S 1 1234 1234 0 -1 4194560 500 0 1 0 21 34 0 0 20 0 7 0 8888 "
      "123456789 4321 18446744073709551615 1 1 0\n");
  REQUIRE(stat);
  CHECK(stat->user_ticks == 21);
  CHECK(stat->system_ticks == 34);
  CHECK(stat->threads == 7);
  CHECK(stat->start_ticks == 8888);
  CHECK(stat->virtual_bytes == 123456789);
  CHECK(stat->resident_pages == 4321);
}

TEST_CASE("what is cut short or not a number gives nothing") {
  CHECK(!parse_process_stat(""));
  CHECK(!parse_process_stat("1234 (a"));
  CHECK(!parse_process_stat("1234 (a) S 1 2 3"));
  CHECK(!parse_process_stat("1234 (a) S 1 1 1 0 -1 4 5 0 1 0 x 34 0 0 20 0 7 0 8 9 4 1"));
}

TEST_CASE("figures of a table by the start of their line") {
  constexpr std::string_view kTable = "cpu  1 2 3\nMemTotal:    2048 kB\nbtime 1700000000\n";
  CHECK(find_figure(kTable, "MemTotal:") == 2048);
  CHECK(find_figure(kTable, "btime") == 1700000000);
  CHECK(!find_figure(kTable, "Total:"));
  CHECK(!find_figure(kTable, "btim"));
  CHECK(!find_figure("", "btime"));
  CHECK(!find_figure("btime", "btime"));
}

TEST_CASE("this process") {
  const ProcessSample before = sample_process();
  CHECK(before.threads >= 1);
  CHECK(before.resident_bytes > 100'000);
  CHECK(before.virtual_bytes >= before.resident_bytes);
  CHECK(before.host_memory_bytes > before.host_memory_available_bytes);
  CHECK(before.descriptors_open >= 3);
  CHECK(before.descriptors_max >= before.descriptors_open);
  CHECK(before.start_time <= static_cast<double>(unix_now()) + 1);
  CHECK(before.start_time > static_cast<double>(unix_now()) - 3600);

  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  CHECK(sample_process().descriptors_open == before.descriptors_open + 1);
  ::close(fd);
}

}  // namespace
}  // namespace tandem
