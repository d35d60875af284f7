#include "room/room_stats.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace tandem {
namespace {

TEST_CASE("what clients call an event, a way or an error is one of a fixed set") {
  for (std::size_t i = 0; i < kEventTypes; ++i) {
    const auto type = static_cast<EventType>(i);
    CHECK(event_type(event_name(type)) == type);
  }
  CHECK(event_type("room:create") == EventType::room_create);
  CHECK(event_type("p2p:failure") == EventType::p2p_failure);
  CHECK(event_type("relay:report") == EventType::relay_report);
  for (const char* name : {"", "room", "room:create ", "ROOM:CREATE", "x"})
    CHECK(event_type(name) == EventType::other);
  CHECK(connection_type("") == ConnectionType::unknown);
  CHECK(connection_type("srflx") == ConnectionType::srflx);
  CHECK(connection_type("carrier pigeon") == ConnectionType::other);

  RoomStats stats;
  stats.record_error("BANNED");
  stats.record_error("no code of ours");
  for (const auto& [code, count] : stats.errors())
    CHECK(count == (code == "BANNED" || code == "OTHER" ? 1 : 0));
  CHECK(stats.errors().size() == 15);
}

TEST_CASE("a duration is counted with its bound") {
  DurationHistogram histogram;
  CHECK(DurationHistogram::kBounds[4] == kNanosPerMillisecond);
  histogram.count(0);
  histogram.count(10 * kNanosPerMicrosecond);
  histogram.count(10 * kNanosPerMicrosecond + 1);
  histogram.count(kNanosPerMillisecond);
  histogram.count(5 * kNanosPerSecond);
  histogram.count(5 * kNanosPerSecond + 1);
  CHECK(histogram.counts() ==
        DurationHistogram::Counts{2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1});
  CHECK(histogram.total() == 6);
  CHECK(histogram.sum() ==
        10 * kNanosPerSecond + kNanosPerMillisecond + 20 * kNanosPerMicrosecond + 2);
}

TEST_CASE("events are counted by type and together") {
  RoomStats stats;
  stats.record_event(EventType::room_create, 1);
  stats.record_event(EventType::room_create, kNanosPerMillisecond);
  stats.record_event(EventType::other, 1);
  CHECK(stats.events(EventType::room_create).total() == 2);
  CHECK(stats.events(EventType::room_list).total() == 0);
  CHECK(stats.events_total() == 3);
  CHECK(stats.event_counts()[0] == 2);
  CHECK(stats.event_counts()[4] == 1);
}

TEST_CASE("who failed to come in, and who was too fast") {
  RoomStats stats;
  stats.record_bad_token(JwtFault::expired);
  stats.record_bad_token(JwtFault::malformed);
  stats.record_missing_token();
  stats.record_bad_operator_token();
  CHECK(stats.bad_tokens(JwtFault::expired) == 1);
  CHECK(stats.bad_tokens(JwtFault::bad_signature) == 0);
  CHECK(stats.authentications_failed() == 3);
  CHECK(stats.bad_operator_tokens() == 1);
  stats.record_limited(LimitScope::code);
  stats.record_limited(LimitScope::request);
  stats.record_limited(LimitScope::request);
  CHECK(stats.limited(LimitScope::request) == 2);
  CHECK(stats.limited_total() == 3);
}

TEST_CASE("the share of pairs that reached each other") {
  RoomStats stats;
  stats.record_p2p_success(ConnectionType::lan);  // 1 of 1
  stats.record_p2p_failure();                     // 1 of 2
  stats.record_p2p_failure();                     // 1 of 3
  CHECK(stats.p2p_successes(ConnectionType::lan) == 1);
  CHECK(stats.p2p_successes_total() == 1);
  CHECK(stats.p2p_failures() == 2);
  CHECK(stats.success_rate().counts() == SuccessRate::Counts{2, 0, 0, 0, 0, 0, 0, 1, 0});
  CHECK(stats.success_rate().sum() == doctest::Approx(1 + 0.5 + 1.0 / 3));

  // Only the last 64 count.
  SuccessRate rate;
  for (int i = 0; i < 64; ++i) rate.record(false);
  for (int i = 0; i < 63; ++i) rate.record(true);
  CHECK(rate.counts().back() == 0);
  CHECK(rate.counts()[7] == 0);
  rate.record(true);
  CHECK(rate.counts()[7] == 1);
}

TEST_CASE("the games with the most rooms, and all others as one") {
  TextMap<std::uint32_t> rooms;
  CHECK(largest_games(rooms, 50).empty());
  for (int i = 0; i < 60; ++i) rooms[fmt::format("game-{:02}", i)] = 1;
  ++rooms["game-59"];
  rooms["other"] = 1;
  rooms["bad\ngame"] = 1;
  const auto shares = largest_games(rooms, 50);
  REQUIRE(shares.size() == 51);
  CHECK(shares.front() == GameShare{"game-59", 2});
  CHECK(shares[1] == GameShare{"game-00", 1});
  CHECK(shares[49] == GameShare{"game-48", 1});
  CHECK(shares.back() == GameShare{"other", 12});
  const TextMap<std::uint32_t> few{{"game-00", 1}, {"game-59", 2}};
  CHECK(largest_games(few, 50) == std::vector<GameShare>{{"game-59", 2}, {"game-00", 1}});
}

}  // namespace
}  // namespace tandem
