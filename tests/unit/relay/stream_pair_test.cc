#include "relay/core/stream_pair.h"

#include "tests/unit/relay/core_fixture.h"

namespace tandem {
namespace {

using Kind = StreamAction::Kind;
using Event = StreamEvent::Kind;

// A lane whose PAIRED lines have left.
struct Lane {
  explicit Lane(const CoreFixture::Tweak& tweak = {}, const CoreFixture::Caps& caps = {})
      : f(tweak) {
    std::tie(a, b) = f.lane(caps);
    credit = f.granted(a);
    f.leave(a);
    f.leave(b);
  }
  [[nodiscard]] Stream& stream(StreamId id) { return f.core->state().streams[id.index]; }

  CoreFixture f;
  StreamId a;
  StreamId b;
  uint32_t credit = 0;
};

// ---- order ----

TEST_CASE("early data comes right after PAIRED and before what is read later") {
  CoreFixture f;
  const StreamId a = f.join(at(1), f.token(0), {}, "early of a,");
  const StreamId b = f.join(at(2), f.token(1), {}, "early of b");
  CHECK(f.heard(b) == "TANDEM/1 PAIRED\nearly of a,");
  CHECK(f.heard(a) == "TANDEM/1 WAIT\nTANDEM/1 PAIRED\nearly of b");
  // Sends are queued in the order in which they are asked for; reading begins behind them.
  size_t sends_before_reading = 0;
  for (const StreamAction& action : f.last.actions) {
    if (action.kind == Kind::read) break;
    sends_before_reading += action.kind == Kind::send_bytes ? 1 : 0;
  }
  CHECK(sends_before_reading == 4);  // PAIRED and early data for each
  f.receive(a, 100);
  REQUIRE(f.asked(Kind::send, b).size() == 1);
  CHECK(f.asked(Kind::send, b)[0].chunk.bytes == 100);
  CHECK(f.counters().stream_bytes.load() == 11 + 10 + 100);
}

TEST_CASE("early data stays readable until it has left") {
  CoreFixture f;
  const StreamId a = f.join(at(1), f.token(0), {}, "early");
  f.leave(a);  // WAIT; what came early is kept
  CHECK(f.counters().streams_half_open.load() == 1);
  const StreamId b = f.join(at(2), f.token(1));
  const auto sends = f.asked(Kind::send_bytes, b);
  REQUIRE(sends.size() == 2);
  CHECK(f.core->state().greetings.size() == 2);
  f.event({.kind = Event::sent, .stream = b, .bytes = 16, .chunks = 0});  // PAIRED alone
  CHECK(f.core->state().greetings.size() == 2);
  CHECK(std::memcmp(sends[1].data, "early", 5) == 0);
  f.event({.kind = Event::sent, .stream = b, .bytes = 5, .chunks = 0});
  CHECK(f.core->state().greetings.size() == 1);
  f.leave(a);
  CHECK(f.core->state().greetings.size() == 0);
}

TEST_CASE("a waiting stream holds no greeting once WAIT has left, unless something came early") {
  CoreFixture f;
  const StreamId a = f.join(at(1), f.token(0));
  CHECK(f.core->state().greetings.size() == 1);
  f.leave(a);
  CHECK(f.core->state().greetings.size() == 0);
}

TEST_CASE("both directions go on at once, each chunk to the other side") {
  Lane lane;
  lane.f.receive(lane.a, 10);
  CHECK(lane.f.asked(Kind::send, lane.b).size() == 1);
  CHECK(lane.f.asked(Kind::send, lane.a).empty());
  lane.f.receive(lane.b, 20);
  CHECK(lane.f.asked(Kind::send, lane.a).size() == 1);
}

// ---- credit ----

TEST_CASE("in flight and credit together are never more than the window") {
  Lane lane;
  CHECK(lane.credit == kLaneWindow);
  uint32_t left = lane.credit;
  uint32_t in_flight = 0;
  while (left != 0) {
    const uint32_t part = std::min(left, 48u << 10);
    lane.f.receive(lane.a, part);
    CHECK(!lane.f.was_asked(Kind::read, lane.a));
    left -= part;
    in_flight += part;
  }
  lane.f.happens(Event::read_ended, lane.a);
  CHECK(!lane.f.was_asked(Kind::read, lane.a));
  CHECK(lane.stream(lane.a).in_flight == kLaneWindow);
  CHECK(lane.f.counters().lane_pauses.load() == 1);
  // Reading goes on when half of the window is free, and for what is free.
  const auto sent = [&](uint32_t bytes) {
    lane.f.event({.kind = Event::sent, .stream = lane.b, .bytes = bytes, .chunks = 1});
    in_flight -= bytes;
  };
  while (in_flight > kLaneWindow / 2) {
    CHECK(lane.f.granted(lane.a) == 0);
    sent(48u << 10);
  }
  CHECK(lane.f.granted(lane.a) == kLaneWindow - in_flight);
  CHECK(lane.f.counters().lane_pauses.load() == 1);  // one, whatever left during it
  lane.f.receive(lane.a, kLaneWindow - in_flight);
  lane.f.happens(Event::read_ended, lane.a);
  CHECK(lane.f.counters().lane_pauses.load() == 2);
}

TEST_CASE("a paused direction does not hold up the other") {
  Lane lane;
  lane.f.receive(lane.a, lane.credit);
  lane.f.happens(Event::read_ended, lane.a);
  CHECK(lane.f.granted(lane.a) == 0);
  lane.f.receive(lane.b, 1000);
  CHECK(lane.f.asked(Kind::send, lane.a).size() == 1);
  lane.f.happens(Event::read_ended, lane.b);
  CHECK(lane.f.granted(lane.b) == kLaneWindow - 1000);
}

TEST_CASE("windows shrink as the buffers go, down to the least") {
  CoreFixture f;
  const auto window = [&](uint64_t free, uint64_t session) {
    f.stream_bytes_free = free;
    f.advance(0);
    const StreamId a = f.join(at(1), f.token(0, session));
    f.join(at(2), f.token(1, session));
    return f.granted(a);
  };
  CHECK(window(uint64_t{64} << 20, kSession) == kLaneWindow);
  CHECK(window(uint64_t{8} << 20, kSession + 0x100) == 512u << 10);
  CHECK(window(0, kSession + 0x200) == kLaneWindowMin);
}

TEST_CASE("early data counts as in flight") {
  CoreFixture f;
  const StreamId a = f.join(at(1), f.token(0), {}, "12345");
  f.join(at(2), f.token(1));
  CHECK(f.granted(a) == kLaneWindow - 5);
}

TEST_CASE("a flood of tiny chunks is paused, since each holds a buffer") {
  Lane lane;
  for (uint32_t i = 0; i < kLaneChunksMax; ++i) {
    lane.f.receive(lane.a, 1);
    CHECK(!lane.f.was_asked(Kind::pause, lane.a));
  }
  lane.f.receive(lane.a, 1);
  CHECK(lane.f.was_asked(Kind::pause, lane.a));
  lane.f.receive(lane.a, 1);  // it was on its way
  CHECK(!lane.f.was_asked(Kind::pause, lane.a));
  lane.f.happens(Event::read_ended, lane.a);
  CHECK(lane.f.granted(lane.a) == 0);
  CHECK(lane.stream(lane.a).credit == 0);
  const auto sent = [&](uint32_t chunks) {
    lane.f.event({.kind = Event::sent, .stream = lane.b, .bytes = chunks, .chunks = chunks});
  };
  sent(kLaneChunksMax / 2 + 1);
  CHECK(lane.f.granted(lane.a) == 0);
  sent(1);
  CHECK(lane.f.granted(lane.a) == kLaneWindow - kLaneChunksMax / 2);
}

TEST_CASE("what is received when the lane is over is given back") {
  Lane lane;
  lane.f.happens(Event::broken, lane.b);
  lane.f.receive(lane.a, 500);
  const auto released = lane.f.asked(Kind::release, lane.a);
  REQUIRE(released.size() == 1);
  CHECK(released[0].chunk.bytes == 500);
  CHECK(!lane.f.was_asked(Kind::send, lane.b));
  lane.f.happens(Event::read_ended, lane.a);
  CHECK(lane.f.last.actions.empty());
}

// ---- bulk ----

TEST_CASE("a lane that has carried much goes by transfer, once what is in buffers has left") {
  CoreFixture f;
  SharedCounts shared(SipKey{4});
  f.core = std::make_unique<RelayCore>(
      ShardPlace{.sessions_max = 4, .streams_max = 16, .transfer_after = 1000}, f.settings, shared,
      Environment{nullptr, nullptr,
                  [](void*, std::span<uint8_t> bytes) {
                    std::fill(bytes.begin(), bytes.end(), uint8_t{5});
                  }},
      f.now);
  f.advance(0);
  const auto [a, b] = f.lane();
  f.leave(a);
  f.leave(b);
  f.receive(a, 1000);
  f.happens(Event::read_ended, a);
  CHECK(f.last.actions.empty());
  f.leave(b);
  const auto transfers = f.asked(Kind::transfer, a);
  REQUIRE(transfers.size() == 1);
  CHECK(transfers[0].other == b);
  CHECK(transfers[0].bytes == kLaneWindow);
  f.event({.kind = Event::transferred, .stream = a, .bytes = 5000});
  CHECK(f.counters().stream_bytes.load() == 6000);
  f.happens(Event::read_ended, a);
  CHECK(f.was_asked(Kind::transfer, a));
  // The other direction has carried nothing.
  f.receive(b, 10);
  f.happens(Event::read_ended, b);
  CHECK(f.was_asked(Kind::read, b));
}

// ---- half-close and end ----

TEST_CASE("a FIN reaches the other side as a FIN, and the other direction goes on") {
  Lane lane;
  lane.f.receive(lane.a, 100);
  lane.f.happens(Event::finished, lane.a);
  CHECK(lane.f.was_asked(Kind::finish, lane.b));
  CHECK(!lane.f.was_asked(Kind::close, lane.a));
  CHECK(!lane.f.was_asked(Kind::close, lane.b));
  lane.f.leave(lane.b);
  CHECK(!lane.f.was_asked(Kind::read, lane.a));  // there is nothing more to read
  lane.f.receive(lane.b, 50);
  CHECK(lane.f.asked(Kind::send, lane.a).size() == 1);
  lane.f.happens(Event::read_ended, lane.b);
  CHECK(lane.f.granted(lane.b) != 0);
}

TEST_CASE("the lane ends when both have finished and everything has left") {
  Lane lane;
  bool b_first = false;
  SUBCASE("a's bytes leave last") {}
  SUBCASE("b's bytes leave last") {
    b_first = true;
  }
  const StreamId first = b_first ? lane.b : lane.a;
  const StreamId second = b_first ? lane.a : lane.b;
  lane.f.receive(lane.a, 100);
  lane.f.receive(lane.b, 200);
  lane.f.happens(Event::finished, lane.a);
  lane.f.happens(Event::finished, lane.b);
  CHECK(lane.f.was_asked(Kind::finish, lane.a));
  CHECK(!lane.f.was_asked(Kind::close, lane.a));
  lane.f.leave(first);
  CHECK(lane.f.last.actions.empty());
  lane.f.leave(second);
  CHECK(lane.f.was_asked(Kind::close, lane.a));
  CHECK(lane.f.was_asked(Kind::close, lane.b));
  CHECK(lane.f.ended(LaneEnd::finished) == 1);
  CHECK(lane.f.counters().sessions_paired.load() == 0);
}

TEST_CASE("PAIRED itself leaves before the end") {
  CoreFixture f;
  const auto [a, b] = f.lane();
  f.happens(Event::finished, a);
  f.happens(Event::finished, b);
  CHECK(!f.was_asked(Kind::close, a));
  f.leave(a);
  CHECK(f.last.actions.empty());
  f.leave(b);
  CHECK(f.was_asked(Kind::close, a));
  CHECK(f.was_asked(Kind::close, b));
}

TEST_CASE("with nothing left to send the second FIN ends it at once") {
  Lane lane;
  lane.f.happens(Event::finished, lane.a);
  lane.f.happens(Event::finished, lane.b);
  CHECK(lane.f.was_asked(Kind::close, lane.a));
  CHECK(lane.f.was_asked(Kind::close, lane.b));
}

TEST_CASE("the place of a lane that ended is free") {
  Lane lane;
  lane.f.happens(Event::finished, lane.a);
  lane.f.happens(Event::finished, lane.b);
  for (const StreamId id : {lane.a, lane.b}) lane.f.happens(Event::closed, id);
  CHECK(lane.f.counters().streams.load() == 0);
  CHECK(lane.f.shared->connections.estimate(at(1).address) == 0);
  CHECK(lane.f.heard(lane.f.join(at(1), lane.f.token(0))) == "TANDEM/1 WAIT\n");
}

// ---- reset ----

TEST_CASE("a reset of either side reaches the other as one") {
  Lane lane;
  bool of_b = false;
  SUBCASE("a's") {}
  SUBCASE("b's") {
    of_b = true;
  }
  SUBCASE("after its FIN") {
    lane.f.happens(Event::finished, lane.a);
  }
  const StreamId broken = of_b ? lane.b : lane.a;
  const StreamId other = of_b ? lane.a : lane.b;
  lane.f.happens(Event::broken, broken);
  CHECK(lane.f.was_asked(Kind::reset, other));
  CHECK(lane.f.was_asked(Kind::reset, broken));
  CHECK(lane.f.ended(LaneEnd::reset) == 1);
  // The other's own breaking, on its way meanwhile, says nothing new.
  lane.f.happens(Event::broken, other);
  CHECK(lane.f.last.actions.empty());
  CHECK(lane.f.ended(LaneEnd::reset) == 1);
}

TEST_CASE("a stream is watched while it is not read, so that its reset is seen") {
  CoreFixture f([](ShardSettings& s) { s.pair_timeout = 3600 * kSecond; });
  const auto [a, b] = f.lane();
  f.leave(a);
  f.leave(b);
  // Slot A waited and is watched from then on; what came with that is one event.
  f.receive(b, kLaneWindow);
  f.happens(Event::read_ended, b);
  CHECK(f.was_asked(Kind::watch, b));
  CHECK(f.asked(Kind::watch, b)[0].bytes == 0);  // a FIN waits until the bytes before it are read
  f.happens(Event::broken, b);
  CHECK(f.was_asked(Kind::reset, a));
}

TEST_CASE("watching is asked for once, and again after a FIN was seen") {
  Lane lane;
  lane.f.receive(lane.a, lane.credit);
  lane.f.happens(Event::read_ended, lane.a);
  CHECK(!lane.f.was_asked(Kind::watch, lane.a));  // still watched from when it waited
  lane.f.happens(Event::half_closed, lane.a);
  lane.f.event({.kind = Event::sent, .stream = lane.b, .bytes = 1, .chunks = 0});
  CHECK(lane.f.was_asked(Kind::watch, lane.a));
  lane.f.event({.kind = Event::sent, .stream = lane.b, .bytes = 1, .chunks = 0});
  CHECK(!lane.f.was_asked(Kind::watch, lane.a));
}

// ---- who is dead ----

TEST_CASE("whether the peer still acknowledges is asked every keepalive_timeout") {
  CoreFixture f([](ShardSettings& s) { s.keepalive_timeout = 90 * kSecond; });
  const auto [a, b] = f.lane();
  for (int i = 0; i < 3; ++i) {
    for (const StreamId id : {a, b}) {
      REQUIRE(f.asked(Kind::check_alive, id).size() == 1);
      CHECK(f.asked(Kind::check_alive, id)[0].bytes == 90'000);
    }
    f.advance(89 * kSecond);
    CHECK(f.last.actions.empty());
    f.advance(kSecond + kSlack);
  }
  // What the back end finds ends the lane as a reset does.
  f.happens(Event::broken, a);
  CHECK(f.was_asked(Kind::reset, b));
  f.advance(200 * kSecond);
  CHECK(!f.was_asked(Kind::check_alive, a));
}

TEST_CASE("one that waits is not asked: there is nothing that it could acknowledge") {
  CoreFixture f([](ShardSettings& s) { s.pair_timeout = 3600 * kSecond; });
  const StreamId a = f.join(at(1), f.token(0));
  CHECK(!f.was_asked(Kind::check_alive, a));
  f.advance(3000 * kSecond);
  CHECK(f.last.actions.empty());
}

// ---- rates ----

// 100,000 bytes a second, 2 seconds and a datagram at once.
void slow(ShardSettings& s) {
  s.session_bytes_per_second = 100'000;
}
constexpr uint32_t kBurst = 200'000 + 1472;

TEST_CASE("a session over its rate is not read, until the timer says that it may be") {
  Lane lane(slow);
  CHECK(lane.credit == kBurst);
  lane.f.receive(lane.a, lane.credit);
  lane.f.leave(lane.b);
  lane.f.happens(Event::read_ended, lane.a);
  CHECK(lane.f.granted(lane.a) == 0);
  lane.f.advance(100 * kNanosPerMillisecond);  // 10,000 bytes: not worth waking for
  CHECK(lane.f.granted(lane.a) == 0);
  lane.f.advance(70 * kNanosPerMillisecond);
  CHECK(lane.f.granted(lane.a) >= 16u << 10);
  CHECK(lane.f.granted(lane.a) <= 17'000);
}

TEST_CASE("a pause for the rate counts once, whatever happens during it") {
  Lane lane(slow);
  lane.f.receive(lane.a, lane.credit);
  lane.f.happens(Event::read_ended, lane.a);
  for (int i = 0; i < 10; ++i) {
    lane.f.event({.kind = Event::sent, .stream = lane.b, .bytes = 1000});
    CHECK(lane.f.granted(lane.a) == 0);
  }
  CHECK(lane.f.counters().rate_pauses.load() == 1);
  CHECK(lane.f.counters().lane_pauses.load() == 0);
  lane.f.advance(170 * kNanosPerMillisecond);
  lane.f.receive(lane.a, lane.f.granted(lane.a));
  lane.f.happens(Event::read_ended, lane.a);
  CHECK(lane.f.counters().rate_pauses.load() == 2);
}

TEST_CASE("both directions and all lanes of a session share its rate, with its datagrams") {
  Lane lane(slow);
  lane.f.receive(lane.a, 150'000);
  lane.f.leave(lane.b);
  lane.f.receive(lane.b, 1);
  lane.f.leave(lane.a);
  lane.f.happens(Event::read_ended, lane.b);
  CHECK(lane.f.granted(lane.b) == kBurst - 150'001);
  const StreamId a1 = lane.f.join(at(1), lane.f.token(0), " lane=1");
  lane.f.join(at(2), lane.f.token(1), " lane=1");
  CHECK(lane.f.granted(a1) == kBurst - 150'001);
  const UdpClient udp = lane.f.bound(0, at(1));
  (void)lane.f.bound(1, at(2));
  lane.f.feed(udp.from, CoreFixture::data_bytes(udp, 1000));
  CHECK(lane.f.last.forwards.size() == 1);
  lane.f.receive(lane.b, 1);
  lane.f.leave(lane.a);
  lane.f.happens(Event::read_ended, lane.b);
  CHECK(lane.f.granted(lane.b) == kBurst - 151'002);
}

TEST_CASE("a rate holds over time") {
  Lane lane(slow);
  uint64_t carried = 0;
  uint32_t credit = lane.credit;
  for (int i = 0; i < 2000; ++i) {  // ten seconds
    if (credit != 0) {
      lane.f.receive(lane.a, credit);
      carried += credit;
      lane.f.leave(lane.b);
      lane.f.happens(Event::read_ended, lane.a);
      credit = lane.f.granted(lane.a);
      if (credit != 0) continue;
    }
    lane.f.advance(5 * kNanosPerMillisecond);
    credit = lane.f.granted(lane.a);
  }
  const double seconds = static_cast<double>(lane.f.now - CoreFixture::kStart) / 1e9;
  CHECK(seconds > 9);
  CHECK(static_cast<double>(carried) <= kBurst + 100'000 * seconds);
  CHECK(static_cast<double>(carried) >= kBurst + 100'000 * seconds - 20'000);
}

TEST_CASE("a rate so small that its burst is less than a quantum still goes on, and is kept") {
  Lane lane([](ShardSettings& s) { s.session_bytes_per_second = 1000; });
  constexpr uint32_t kSmallBurst = 2000 + 1472;
  CHECK(lane.credit == kSmallBurst);
  lane.f.receive(lane.a, lane.credit);
  lane.f.leave(lane.b);
  lane.f.happens(Event::read_ended, lane.a);
  CHECK(lane.f.granted(lane.a) == 0);
  lane.f.advance(kSmallBurst * kSecond / 1000 + kSlack);
  CHECK(lane.f.granted(lane.a) == kSmallBurst);
}

TEST_CASE("a token's own rate bounds its lanes") {
  Lane lane({}, {.rate_kbps = 800});  // 100,000 bytes a second
  CHECK(lane.credit == kBurst);
}

TEST_CASE("the shard's share of the global bandwidth bounds all lanes") {
  CoreFixture f;
  f.command(SetGlobalShare{100'000});
  const auto [a, b] = f.lane();
  CHECK(f.granted(a) == kBurst);
  f.leave(b);
  f.receive(a, 100'000);
  CHECK(f.counters().demand.load() == 100'000);
  const StreamId c = f.join(at(3), f.token(0, kSession + 0x100));
  f.join(at(4), f.token(1, kSession + 0x100));
  CHECK(f.granted(c) == kBurst - 100'000);
}

TEST_CASE("early data is charged too") {
  CoreFixture f(slow);
  const StreamId a = f.join(at(1), f.token(0), {}, std::string(100, 'x'));
  f.join(at(2), f.token(1));
  CHECK(f.granted(a) == kBurst - 100);
}

TEST_CASE("a pause for the rate does not end the asking whether the peer lives") {
  Lane lane(slow);
  lane.f.receive(lane.a, lane.credit);
  lane.f.leave(lane.b);
  lane.f.happens(Event::read_ended, lane.a);
  lane.f.advance(kSecond);
  CHECK(lane.f.granted(lane.a) != 0);
  lane.f.advance(90 * kSecond + kSlack);
  CHECK(lane.f.was_asked(Kind::check_alive, lane.a));
}

TEST_CASE("a pause for the rate ends with its lane") {
  Lane lane(slow);
  lane.f.receive(lane.a, lane.credit);
  lane.f.happens(Event::read_ended, lane.a);
  lane.f.happens(Event::broken, lane.a);
  for (const StreamId id : {lane.a, lane.b}) lane.f.happens(Event::closed, id);
  lane.f.advance(10 * kSecond);
  CHECK(lane.f.last.actions.empty());
}

// ---- what control is shown ----

TEST_CASE("bytes are counted by the slot that sent them") {
  Lane lane;
  lane.f.receive(lane.a, 100);
  lane.f.receive(lane.b, 7);
  lane.f.command(DescribeSession{1, kSession});
  REQUIRE(lane.f.told<SessionRow>().size() == 1);
  CHECK(lane.f.told<SessionRow>()[0].ends[0].bytes == 100);
  CHECK(lane.f.told<SessionRow>()[0].ends[1].bytes == 7);
}

}  // namespace
}  // namespace tandem
