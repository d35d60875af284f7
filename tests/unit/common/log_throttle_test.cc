#include "common/log_throttle.h"

#include <doctest/doctest.h>

#include <string>

namespace tandem {
namespace {

using Admission = LogThrottle::Admission;
constexpr LogThrottle::Limits kThree = {
    .lines = 3, .window = 100, .events_max = 2, .lines_beyond = 4};

int admitted(LogThrottle& throttle, std::string_view msg, int lines, Nanos now) {
  int admitted = 0;
  for (int i = 0; i < lines; ++i) {
    if (throttle.admit("relay", msg, now) == Admission::write) ++admitted;
  }
  return admitted;
}

TEST_CASE("N lines a window, then one count") {
  LogThrottle throttle(kThree);
  CHECK(admitted(throttle, "full", 10, 0) == 3);
  CHECK(throttle.take_ended(95).empty());
  const auto ended = throttle.take_ended(105);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].component == "relay");
  CHECK(ended[0].msg == "full");
  CHECK(ended[0].lines == 7);
  CHECK(throttle.take_ended(1000).empty());
  CHECK(admitted(throttle, "full", 10, 1000) == 3);
}

TEST_CASE("a window that ends with the next line of its event is told too") {
  LogThrottle throttle(kThree);
  CHECK(throttle.take_ended(0).empty());
  CHECK(admitted(throttle, "full", 4, 0) == 3);
  CHECK(admitted(throttle, "full", 1, 100) == 1);
  const auto ended = throttle.take_ended(100);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].lines == 1);
}

TEST_CASE("events do not take each other's lines") {
  LogThrottle throttle(kThree);
  CHECK(admitted(throttle, "one", 5, 0) == 3);
  CHECK(admitted(throttle, "two", 5, 0) == 3);
  CHECK(throttle.admit("room", "one", 0) == Admission::write);
}

TEST_CASE("events beyond the table share one window, and the table stays bounded") {
  LogThrottle throttle(kThree);
  CHECK(admitted(throttle, "one", 1, 0) == 1);
  CHECK(admitted(throttle, "two", 1, 0) == 1);
  CHECK(admitted(throttle, "three", 3, 0) == 3);
  CHECK(admitted(throttle, "four", 3, 0) == 1);
  CHECK(admitted(throttle, "one", 2, 0) == 2);
  const auto ended = throttle.take_ended(100);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].msg.empty());
  CHECK(ended[0].lines == 2);
  // Windows that are over make room.
  CHECK(admitted(throttle, "five", 5, 200) == 3);
}

TEST_CASE("at the end everything held back is told") {
  LogThrottle throttle(kThree);
  CHECK(admitted(throttle, "one", 5, 0) == 3);
  CHECK(admitted(throttle, "two", 4, 0) == 3);
  CHECK(throttle.take_all().size() == 2);
  CHECK(throttle.take_all().empty());
}

}  // namespace
}  // namespace tandem
