#include "bench/load/rooms/room_stats.h"

#include <doctest/doctest.h>

#include <fmt/format.h>

namespace tandem::bench {
namespace {

TEST_CASE("errors are counted by code") {
  ErrorCounts errors;
  errors.add("ROOM_FULL");
  errors.add("timeout", 3);
  errors.add("ROOM_FULL", 2);
  errors.add("none", 0);
  CHECK(errors.total() == 6);
  REQUIRE(errors.all().size() == 2);
  CHECK(errors.all().find("ROOM_FULL")->second == 3);
}

TEST_CASE("a code stands in one line of a report") {
  ErrorCounts errors;
  errors.add("a\nb\x7f\xff");
  errors.add(std::string(1000, 'x'));
  CHECK(errors.all().contains("a?b??"));
  CHECK(errors.all().contains(std::string(ErrorCounts::kCodeBytesMax, 'x')));
}

TEST_CASE("beyond so many codes they count as one, and none is forgotten") {
  ErrorCounts errors;
  for (int i = 0; i < 1000; ++i) errors.add(fmt::format("code {}", i));
  CHECK(errors.total() == 1000);
  CHECK(errors.all().size() == ErrorCounts::kCodesMax + 1);
  errors.add("code 0");
  CHECK(errors.all().find("code 0")->second == 2);
}

TEST_CASE("the parts of two threads are one") {
  RoomStats one;
  RoomStats other;
  one.of(RoomEvent::join).sent = 2;
  one.of(RoomEvent::join).latency.add(1000);
  other.of(RoomEvent::join).sent = 3;
  other.of(RoomEvent::join).answered = 1;
  other.of(RoomEvent::join).latency.add(5000);
  other.errors.add("timeout");
  other.notices = 4;
  one.merge(other);
  CHECK(one.of(RoomEvent::join).sent == 5);
  CHECK(one.of(RoomEvent::join).answered == 1);
  CHECK(one.of(RoomEvent::join).latency.count() == 2);
  CHECK(one.of(RoomEvent::join).latency.max_ns() == 5000);
  CHECK(one.of(RoomEvent::leave).latency.count() == 0);
  CHECK(one.errors.total() == 1);
  CHECK(one.notices == 4);
}

TEST_CASE("every kind has a name of its own") {
  CHECK(name_of(RoomEvent::login) == "login");
  CHECK(name_of(RoomEvent::connect) == "connect");
  CHECK(name_of(RoomEvent::create) == "create");
  CHECK(name_of(RoomEvent::join) == "join");
  CHECK(name_of(RoomEvent::message) == "message");
  CHECK(name_of(RoomEvent::leave) == "leave");
}

}  // namespace
}  // namespace tandem::bench
