#include "relay/core/lifecycle.h"

#include "tests/unit/relay/core_fixture.h"

namespace tandem {
namespace {

using Kind = StreamAction::Kind;

uint8_t close_reason(const Bytes& close) {
  REQUIRE(close.size() == 16);
  CHECK(close[0] == 0x0b);
  return close[2];
}

// ---- UDP ----

TEST_CASE("who is silent for keepalive_timeout loses its binding, and its counterpart is told") {
  CoreFixture f;
  const UdpClient a = f.bound(0, at(1));
  const UdpClient b = f.bound(1, at(2));
  f.advance(60 * kSecond);
  f.feed(b.from, CoreFixture::ping_bytes(b.channel, 16));
  f.advance(30 * kSecond - kSlack);
  CHECK(f.last.replies.empty());
  f.advance(2 * kSlack);
  const Bytes close = f.only_word_to(a.from);
  CHECK(close_reason(close) == 2);
  CHECK(std::equal(a.nonce.begin(), a.nonce.end(), close.begin() + 8));
  const Bytes bound = f.only_word_to(b.from);
  CHECK(bound[0] == 0x07);
  CHECK(bound[2] == 0);
  CHECK(field<uint32_t>(bound, 12) == b.channel);
  CHECK(f.counters().sessions_paired.load() == 0);
  CHECK(f.counters().notices.load() == 3);  // paired, closed, alone
  // It hears no more of the session.
  f.feed(b.from, CoreFixture::data_bytes(b, 1));
  CHECK(f.dropped(DropReason::not_paired) == 1);
  CHECK(f.datagrams_balance());
}

TEST_CASE("DATA and PING keep a binding, each side its own; what it receives does not count") {
  CoreFixture f;
  const UdpClient a = f.bound(0, at(1));
  const UdpClient b = f.bound(1, at(2));
  for (int i = 0; i < 9; ++i) {
    f.advance(10 * kSecond - kSlack);
    CHECK(f.last.replies.empty());
    f.feed(a.from,
           i % 2 == 0 ? CoreFixture::data_bytes(a, 1) : CoreFixture::ping_bytes(a.channel, 16));
    CHECK(f.last.forwards.size() == 1);
  }
  f.advance(10 * kSlack);
  CHECK(close_reason(f.only_word_to(b.from)) == 2);
  CHECK(f.only_word_to(a.from)[2] == 0);
}

TEST_CASE("repeating BIND keeps a binding too") {
  CoreFixture f([](ShardSettings& s) { s.pair_timeout = 3600 * kSecond; });
  UdpClient a = f.bound(0, at(1));
  for (int i = 0; i < 3; ++i) {
    f.advance(80 * kSecond);
    CHECK(f.last.replies.empty());
    f.bind(a);
  }
}

TEST_CASE("a counterpart that never comes is CLOSE 7 after pair_timeout") {
  CoreFixture f;
  UdpClient a = f.bound(0, at(1));
  f.advance(20 * kSecond);
  f.bind(a);  // repeating does not begin the wait anew
  f.advance(10 * kSecond - kSlack);
  CHECK(f.last.replies.empty());
  f.advance(2 * kSlack);
  CHECK(close_reason(f.only_word_to(a.from)) == 7);
}

TEST_CASE("moving does not begin the wait anew either") {
  CoreFixture f;
  const UdpClient a = f.bound(0, at(1));
  f.advance(20 * kSecond);
  UdpClient moved{at(9), a.token};
  f.bind(moved);
  f.advance(10 * kSecond + kSlack);
  CHECK(close_reason(f.only_word_to(moved.from)) == 7);
}

TEST_CASE("a counterpart that went is waited for until session_timeout: CLOSE 1") {
  CoreFixture f([](ShardSettings& s) { s.session_timeout = 100 * kSecond; });
  const UdpClient a = f.bound(0, at(1));
  const UdpClient b = f.bound(1, at(2));
  const auto keep_alive = [&] { f.feed(b.from, CoreFixture::ping_bytes(b.channel, 16)); };
  f.advance(40 * kSecond);
  keep_alive();
  f.feed(a.from, CoreFixture::close_bytes(a));
  for (int i = 0; i < 2; ++i) {
    f.advance(40 * kSecond);
    keep_alive();
  }
  f.advance(20 * kSecond - kSlack);
  CHECK(f.last.replies.empty());
  f.advance(2 * kSlack);
  CHECK(close_reason(f.only_word_to(b.from)) == 1);
}

TEST_CASE("both may fall silent at once") {
  CoreFixture f;
  const UdpClient a = f.bound(0, at(1));
  const UdpClient b = f.bound(1, at(2));
  f.advance(100 * kSecond);
  CHECK(close_reason(f.said_to(a.from)[0]) == 2);
  // The second may hear that it is alone before it is closed itself.
  CHECK(close_reason(f.said_to(b.from).back()) == 2);
}

// ---- sessions ----

TEST_CASE("a session without any connection ends after session_timeout, and its id is free") {
  CoreFixture f;
  const UdpClient a = f.bound(0, at(1));
  f.feed(a.from, CoreFixture::close_bytes(a));
  CHECK(f.counters().sessions.load() == 1);
  f.advance(300 * kSecond - kSlack);
  CHECK(f.counters().sessions.load() == 1);
  f.advance(2 * kSlack);
  CHECK(f.counters().sessions.load() == 0);
  CHECK(f.counters().sessions_closed.load() == 1);
  CHECK(f.shared->sessions.load() == 0);
  CHECK(f.last.replies.empty());
  REQUIRE(f.told<LogEvent>().size() == 1);
  CHECK(f.told<LogEvent>()[0].kind == LogKind::session_ended);
  CHECK(f.told<LogEvent>()[0].session_id == kSession);
  CHECK(!f.core->next_deadline());
  CHECK(f.bound(0, at(1)).channel != a.channel);  // its channel is not used again at once
}

TEST_CASE("who comes back in time finds its session and its channel") {
  CoreFixture f;
  const UdpClient a = f.bound(0, at(1));
  f.feed(a.from, CoreFixture::close_bytes(a));
  f.advance(299 * kSecond);
  CHECK(f.bound(0, at(1)).channel == a.channel);
  f.advance(2 * kSecond);
  CHECK(f.counters().sessions.load() == 1);
}

TEST_CASE("a drain does not wait for who might come back") {
  CoreFixture f;
  const UdpClient a = f.bound(0, at(1));
  f.command(SetDrain{true});
  f.advance(kSecond);
  CHECK(f.counters().sessions.load() == 1);
  f.feed(a.from, CoreFixture::close_bytes(a));
  f.advance(kSlack);
  CHECK(f.counters().sessions.load() == 0);
}

TEST_CASE("a silent but live lane is never cut, nor the session with it") {
  CoreFixture f;
  const auto [a, b] = f.lane();
  for (int i = 0; i < 10; ++i) {
    f.advance(3600 * kSecond);
    for (const Kind end : {Kind::close, Kind::reset, Kind::linger_close}) {
      CHECK(!f.was_asked(end, a));
      CHECK(!f.was_asked(end, b));
    }
  }
  CHECK(f.counters().sessions.load() == 1);
}

TEST_CASE("a session's time without connections begins when its last lane ends") {
  CoreFixture f;
  const auto [a, b] = f.lane();
  f.advance(1000 * kSecond);
  f.happens(StreamEvent::Kind::broken, a);
  f.advance(300 * kSecond - kSlack);
  CHECK(f.counters().sessions.load() == 1);
  f.advance(2 * kSlack);
  CHECK(f.counters().sessions.load() == 0);
}

TEST_CASE("max_lifetime ends all of a session: CLOSE 5 and resets") {
  CoreFixture f([](ShardSettings& s) { s.max_lifetime = 60 * kSecond; });
  const auto [a, b] = f.lane();
  f.join(at(1), f.token(0), " lane=1");
  const UdpClient udp_a = f.bound(0, at(1));
  const UdpClient udp_b = f.bound(1, at(2));
  f.advance(60 * kSecond - kSlack);
  CHECK(!f.was_asked(Kind::reset, a));
  f.advance(2 * kSlack);
  CHECK(f.was_asked(Kind::reset, a));
  CHECK(f.was_asked(Kind::reset, b));
  CHECK(f.ended(LaneEnd::lifetime) >= 1);
  CHECK(close_reason(f.only_word_to(udp_a.from)) == 5);
  CHECK(close_reason(f.only_word_to(udp_b.from)) == 5);
  CHECK(f.counters().sessions.load() == 0);
  CHECK(f.counters().sessions_paired.load() == 0);
}

TEST_CASE("a session is paired while a lane or its UDP path is, and told once") {
  CoreFixture f;
  const UdpClient a = f.bound(0, at(1));
  (void)f.bound(1, at(2));
  CHECK(f.counters().sessions_paired.load() == 1);
  const auto [x, y] = f.lane();
  CHECK(f.told<LogEvent>().empty());
  CHECK(f.counters().sessions_paired.load() == 1);
  f.feed(a.from, CoreFixture::close_bytes(a));
  CHECK(f.counters().sessions_paired.load() == 1);
  f.happens(StreamEvent::Kind::broken, x);
  CHECK(f.counters().sessions_paired.load() == 0);
}

TEST_CASE("a UDP client whose counterpart has lanes alone still has none on its path") {
  CoreFixture f;
  const UdpClient a = f.bound(0, at(1));
  f.join(at(2), f.token(1));
  CHECK(f.counters().sessions_paired.load() == 0);
  f.advance(30 * kSecond + kSlack);
  CHECK(close_reason(f.only_word_to(a.from)) == 7);
}

TEST_CASE("the bytes that a session carried are told at its end") {
  CoreFixture f;
  const auto [a, b] = f.lane();
  f.receive(a, 1000);
  f.receive(b, 24);
  f.command(KickSession{1, kSession});
  const auto events = f.told<LogEvent>();
  REQUIRE(events.size() == 2);
  CHECK(events[0].kind == LogKind::session_ended);
  CHECK(events[0].detail == "kicked");
  CHECK(events[0].value == 1024);
}

TEST_CASE("what every code is counted as") {
  CHECK(outcome_of(ErrorCode::bad_token) == JoinOutcome::bad_token);
  CHECK(outcome_of(ErrorCode::blocked) == JoinOutcome::blocked);
  CHECK(outcome_of(ErrorCode::timeout) == JoinOutcome::timeout);
  CHECK(outcome_of(ErrorCode::bad_version) == JoinOutcome::bad_version);
}

}  // namespace
}  // namespace tandem
