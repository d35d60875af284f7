#include "bench/load/send_window.h"

#include <doctest/doctest.h>

namespace tandem::bench {
namespace {

using namespace std::chrono_literals;
using Silence = SendWindow::Silence;

constexpr Clock::time_point kStart{7h};

SendWindow started(std::size_t size) {
  SendWindow window(size);
  window.restart(0, 0, kStart);
  return window;
}

TEST_CASE("what was sent and has not come is under way, the rest is room") {
  const SendWindow window = started(10);
  CHECK(window.under_way(0, 0) == 0);
  CHECK(window.room(0, 0) == 10);
  CHECK(window.under_way(7, 3) == 4);
  CHECK(window.room(7, 3) == 6);
  CHECK(window.room(13, 3) == 0);
  CHECK(window.room(20, 3) == 0);      // by a batch too many
  CHECK(window.under_way(3, 5) == 0);  // some came twice
  CHECK(window.room(3, 5) == 10);
}

TEST_CASE("silence counts from the last that came") {
  SendWindow window = started(10);
  CHECK(window.watch(5, 0, kStart + 1ms) == Silence::none);
  CHECK(window.watch(5, 0, kStart + 2ms) == Silence::short_time);
  CHECK(window.watch(5, 1, kStart + 3ms) == Silence::none);
  CHECK(window.watch(5, 1, kStart + 4ms) == Silence::none);
  CHECK(window.watch(5, 1, kStart + 5ms) == Silence::short_time);
  CHECK(window.watch(5, 1, kStart + 22ms) == Silence::short_time);
  CHECK(window.room(5, 1) == 6);
  CHECK(window.watch(5, 1, kStart + 23ms) == Silence::given_up);
  CHECK(window.room(5, 1) == 10);
}

TEST_CASE("where nothing is under way there is no silence") {
  SendWindow window = started(10);
  CHECK(window.watch(0, 0, kStart + 1h) == Silence::none);
  CHECK(window.watch(5, 0, kStart + 1h + 1ms) == Silence::none);
  CHECK(window.watch(5, 5, kStart + 2h) == Silence::none);
  CHECK(window.watch(6, 5, kStart + 2h + 19ms) == Silence::short_time);
  CHECK(window.watch(6, 5, kStart + 2h + 20ms) == Silence::given_up);
}

TEST_CASE("the window does not shrink for good by what was lost") {
  SendWindow window = started(10);
  CHECK(window.watch(10, 4, kStart) == Silence::none);
  CHECK(window.watch(10, 4, kStart + 20ms) == Silence::given_up);
  CHECK(window.under_way(10, 4) == 0);
  CHECK(window.watch(10, 4, kStart + 1h) == Silence::none);
  CHECK(window.room(20, 14) == 10);  // six are missing, and known to be
  CHECK(window.room(20, 12) == 8);
}

TEST_CASE("nor does it grow by what was only late") {
  SendWindow window = started(10);
  CHECK(window.watch(10, 0, kStart + 20ms) == Silence::given_up);
  CHECK(window.room(20, 0) == 0);  // ten were sent in their place
  for (std::uint64_t late = 1; late <= 10; ++late) {
    window.came_late();
    CHECK(window.room(20, late) == 0);
  }
  CHECK(window.room(20, 12) == 2);
  window.came_late();  // more than there were
  CHECK(window.room(20, 13) == 3);
}

TEST_CASE("a second silence gives up what is missing by then, once") {
  SendWindow window = started(10);
  (void)window.watch(10, 4, kStart);
  CHECK(window.watch(10, 4, kStart + 20ms) == Silence::given_up);
  CHECK(window.watch(18, 4, kStart + 21ms) == Silence::none);
  CHECK(window.watch(18, 4, kStart + 40ms) == Silence::given_up);
  CHECK(window.under_way(18, 4) == 0);
  CHECK(window.room(18, 4) == 10);
}

TEST_CASE("after a pause it is whole, and the pause was no silence") {
  SendWindow window = started(10);
  window.restart(100, 90, kStart + 1h);
  CHECK(window.room(100, 90) == 10);
  CHECK(window.watch(105, 90, kStart + 1h + 1ms) == Silence::none);
  CHECK(window.under_way(105, 90) == 5);
}

}  // namespace
}  // namespace tandem::bench
