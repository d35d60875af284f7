#include "relay/core/joining.h"

#include <cerrno>

#include "common/hex.h"
#include "tests/unit/relay/core_fixture.h"

namespace tandem {
namespace {

using Kind = StreamAction::Kind;

// The stream was told this code and is being closed behind it.
bool refused(CoreFixture& f, StreamId id, const std::string& code) {
  return f.heard(id).ends_with("\n") && f.heard(id).find("TANDEM/1 ERR " + code) == 0 &&
         f.was_asked(Kind::linger_close, id) && !f.was_asked(Kind::read, id);
}

std::string claims_text(const TokenBytes& token) {
  return token_text(token).substr(0, 32);
}

std::string proof_line(const TokenBytes& token, std::string_view nonce_hex, uint8_t lane,
                       uint8_t takeover) {
  std::array<uint8_t, 16 + 24 + 2> proven;
  REQUIRE(hex_decode(nonce_hex, std::span(proven).first<16>()));
  std::copy_n(token.begin(), 24, proven.begin() + 16);
  proven[40] = lane;
  proven[41] = takeover;
  const Secret proof = mac16(secret_of(token), proven);
  char digits[32];
  hex_encode(proof, digits);
  return "TANDEM/1 PROOF " + std::string(digits, 32) + "\n";
}

// ---- JOIN ----

TEST_CASE("the first waits, the second pairs both") {
  CoreFixture f;
  const StreamId a = f.accept(at(1));
  const auto reads = f.asked(Kind::read_line, a);
  REQUIRE(reads.size() == 1);
  CHECK(reads[0].bytes == 256);
  f.type(a, CoreFixture::join_line(f.token(0)));
  CHECK(f.heard(a) == "TANDEM/1 WAIT\n");
  CHECK(f.joins(JoinOutcome::waiting) == 1);
  CHECK(f.counters().sessions_paired.load() == 0);

  const StreamId b = f.join(at(2), f.token(1));
  CHECK(f.heard(a) == "TANDEM/1 WAIT\nTANDEM/1 PAIRED\n");
  CHECK(f.heard(b) == "TANDEM/1 PAIRED\n");
  CHECK(f.joins(JoinOutcome::paired) == 1);
  CHECK(f.granted(a) != 0);
  CHECK(f.granted(b) != 0);
  CHECK(f.counters().sessions_paired.load() == 1);
  CHECK(f.counters().sessions.load() == 1);
}

TEST_CASE("a line may come in pieces, and end in CR LF") {
  CoreFixture f;
  const StreamId a = f.accept(at(1));
  std::string line = CoreFixture::join_line(f.token(0), " lane=2 colour=green");
  line.back() = '\r';
  line += '\n';
  for (const char c : line) f.type(a, std::string_view(&c, 1));
  CHECK(f.heard(a) == "TANDEM/1 WAIT\n");
}

TEST_CASE("lanes are joined by number, and sessions by id") {
  CoreFixture f;
  const StreamId a0 = f.join(at(1), f.token(0));
  const StreamId b1 = f.join(at(2), f.token(1), " lane=1");
  const StreamId other = f.join(at(3), f.token(1, kSession + 0x100));
  CHECK(f.joins(JoinOutcome::waiting) == 3);
  f.join(at(2), f.token(1));
  CHECK(f.heard(a0).ends_with("PAIRED\n"));
  f.join(at(1), f.token(0), " lane=1");
  CHECK(f.heard(b1).ends_with("PAIRED\n"));
  CHECK(f.heard(other) == "TANDEM/1 WAIT\n");
}

TEST_CASE("two of one slot never meet") {
  CoreFixture f;
  const StreamId a = f.join(at(1), f.token(0));
  const StreamId again = f.join(at(2), f.token(0));
  CHECK(refused(f, again, "SESSION_FULL"));
  CHECK(f.heard(a) == "TANDEM/1 WAIT\n");
  CHECK(f.joins(JoinOutcome::session_full) == 1);
}

// ---- what is refused ----

TEST_CASE("what is not a JOIN is BAD_REQUEST and an offence") {
  CoreFixture f;
  const StreamId a = f.accept(at(1));
  SUBCASE("TLS") {
    f.type(a, "\x16");
  }
  SUBCASE("another protocol") {
    f.type(a, "GET / HTTP/1.1\r\n");
  }
  SUBCASE("another verb") {
    f.type(a, "TANDEM/1 LEAVE now\n");
  }
  SUBCASE("too long") {
    f.type(a, "TANDEM/1 JOIN " + std::string(242, 'x'));
  }
  CHECK(refused(f, a, "BAD_REQUEST "));
  CHECK(f.joins(JoinOutcome::bad_request) == 1);
  CHECK(f.counters().offences.load() == 1);
  REQUIRE(f.told<LogEvent>().size() == 1);
  CHECK(f.told<LogEvent>()[0].kind == LogKind::bad_request);
}

TEST_CASE("another version is BAD_VERSION and no offence") {
  CoreFixture f;
  const StreamId a = f.accept(at(1));
  f.type(a, "TANDEM/2 JOIN x\n");
  CHECK(refused(f, a, "BAD_VERSION "));
  CHECK(f.joins(JoinOutcome::bad_version) == 1);
  CHECK(f.counters().offences.load() == 0);
}

TEST_CASE("a token that does not verify is BAD_TOKEN and an offence") {
  CoreFixture f;
  TokenBytes token = f.token(0);
  const StreamId a = f.accept(at(1));
  SUBCASE("its MAC") {
    token[39] ^= 1;
    f.type(a, CoreFixture::join_line(token));
  }
  SUBCASE("its claims") {
    token[19] ^= 1;
    f.type(a, CoreFixture::join_line(token));
  }
  SUBCASE("its text") {
    f.type(a, "TANDEM/1 JOIN AQEA\n");
  }
  SUBCASE("its life") {
    f.type(a, CoreFixture::join_line(f.token(0, {.lifetime_s = 86'401})));
  }
  CHECK(refused(f, a, "BAD_TOKEN "));
  CHECK(f.joins(JoinOutcome::bad_token) == 1);
  CHECK(f.counters().offences.load() == 1);
  REQUIRE(f.told<LogEvent>().size() == 1);
  CHECK(f.told<LogEvent>()[0].kind == LogKind::authentication_failed);
  CHECK(f.counters().sessions.load() == 0);
}

TEST_CASE("an expired token is EXPIRED") {
  CoreFixture f;
  const TokenBytes token = f.token(0, {.lifetime_s = 5});
  f.advance(5 * kSecond);
  const StreamId in_time = f.join(at(1), token);
  CHECK(f.heard(in_time) == "TANDEM/1 WAIT\n");
  f.advance(kSecond);
  CHECK(refused(f, f.join(at(1), token, " lane=1"), "EXPIRED "));
  CHECK(f.joins(JoinOutcome::expired) == 1);
  CHECK(f.counters().offences.load() == 0);
}

TEST_CASE("a token without the TCP flag, and JOIN where it asks for PROVE, are NOT_ALLOWED") {
  CoreFixture f;
  CHECK(refused(f, f.join(at(1), f.token(0, {.flags = kTokenUdp})), "NOT_ALLOWED "));
  CHECK(refused(f, f.join(at(1), f.token(0, {.flags = kTokenTcp | kTokenProve})), "NOT_ALLOWED "));
  CHECK(f.joins(JoinOutcome::not_allowed) == 2);
  CHECK(f.counters().sessions.load() == 0);
}

TEST_CASE("lanes past the token's or the server's are NOT_ALLOWED, the smaller of both slots'") {
  CoreFixture f;
  CHECK(refused(f, f.join(at(1), f.token(0), " lane=4"), "NOT_ALLOWED "));
  CHECK(f.heard(f.join(at(1), f.token(0), " lane=3")) == "TANDEM/1 WAIT\n");
  CHECK(refused(f, f.join(at(1), f.token(0, {.lanes_max = 2}), " lane=2"), "NOT_ALLOWED "));
  // The other slot's token said 2.
  CHECK(refused(f, f.join(at(2), f.token(1), " lane=2"), "NOT_ALLOWED "));
  CHECK(f.heard(f.join(at(2), f.token(1), " lane=1")) == "TANDEM/1 WAIT\n");
  // More than the server's is the server's.
  CHECK(refused(f, f.join(at(3), f.token(0, {.lanes_max = 9}, kSession + 0x100), " lane=4"),
                "NOT_ALLOWED "));
}

TEST_CASE("a slot's part of the session's connections bounds its lanes and its UDP side") {
  CoreFixture f([](ShardSettings& s) { s.max_connections_per_session = 4; });
  (void)f.bound(0, at(1));
  CHECK(f.heard(f.join(at(1), f.token(0))) == "TANDEM/1 WAIT\n");
  CHECK(refused(f, f.join(at(1), f.token(0), " lane=1"), "SESSION_FULL "));
  CHECK(f.heard(f.join(at(2), f.token(1), " lane=1")) == "TANDEM/1 WAIT\n");
}

TEST_CASE("a kicked session is KICKED") {
  CoreFixture f;
  f.command(KickSession{1, kSession});
  CHECK(refused(f, f.join(at(1), f.token(0)), "KICKED "));
  CHECK(f.joins(JoinOutcome::kicked) == 1);
}

TEST_CASE("a draining shard says DRAINING to new sessions and pairs the known ones") {
  CoreFixture f;
  const StreamId a = f.join(at(1), f.token(0));
  f.command(SetDrain{true});
  f.join(at(2), f.token(1));
  CHECK(f.heard(a).ends_with("PAIRED\n"));
  CHECK(refused(f, f.join(at(3), f.token(0, kSession + 0x100)), "DRAINING retry=1 "));
  CHECK(f.joins(JoinOutcome::draining) == 1);
}

TEST_CASE("one session too many is OVER_CAPACITY") {
  CoreFixture f([](ShardSettings& s) { s.max_sessions = 1; });
  f.join(at(1), f.token(0));
  CHECK(refused(f, f.join(at(3), f.token(0, kSession + 0x100)), "OVER_CAPACITY retry=5 "));
  CHECK(f.joins(JoinOutcome::over_capacity) == 1);
}

// ---- who may come at all ----

TEST_CASE("a blocked address is told so without being read") {
  CoreFixture f;
  f.command(AddBlock{1, *Network::parse("192.0.2.1"), 0, false});
  const StreamId a = f.accept(at(1));
  CHECK(refused(f, a, "BLOCKED "));
  CHECK(!f.was_asked(Kind::read_line, a));
  CHECK(f.joins(JoinOutcome::blocked) == 1);
}

TEST_CASE("connections of one address are limited, over all shards, until they end") {
  CoreFixture f([](ShardSettings& s) { s.connections_per_address = 3; });
  f.shared->connections.add(at(1).address);  // another shard's
  const StreamId first = f.accept(at(1));
  f.accept(at(1));
  CHECK(refused(f, f.accept(at(1)), "RATE_LIMITED retry=1 "));
  CHECK(f.joins(JoinOutcome::rate_limited) == 1);
  REQUIRE(f.told<LogEvent>().size() == 1);
  CHECK(f.told<LogEvent>()[0].kind == LogKind::rate_limited);
  CHECK(f.counters().offences.load() == 0);
  f.happens(StreamEvent::Kind::closed, {2, 1});
  f.happens(StreamEvent::Kind::closed, first);
  CHECK(f.was_asked(Kind::read_line, f.accept(at(1))));
  CHECK(f.was_asked(Kind::read_line, f.accept(at(2))));
}

TEST_CASE("half-open connections are limited apart: who has joined is none any more") {
  CoreFixture f([](ShardSettings& s) { s.half_open_per_address = 1; });
  const StreamId first = f.accept(at(1));
  CHECK(refused(f, f.accept(at(1)), "RATE_LIMITED retry=1 "));
  f.type(first, CoreFixture::join_line(f.token(0)));
  const StreamId next = f.accept(at(1));
  CHECK(f.was_asked(Kind::read_line, next));
  f.happens(StreamEvent::Kind::broken, next);
  f.happens(StreamEvent::Kind::closed, next);
  CHECK(f.was_asked(Kind::read_line, f.accept(at(1))));
}

TEST_CASE("new connections a minute are limited, and going on is an offence") {
  CoreFixture f([](ShardSettings& s) { s.new_connections_per_minute = 4; });
  for (int i = 0; i < 4; ++i) CHECK(f.was_asked(Kind::read_line, f.accept(at(1))));
  CHECK(refused(f, f.accept(at(1)), "RATE_LIMITED retry=1 "));
  CHECK(f.counters().offences.load() == 1);
  CHECK(f.shared->connections.estimate(at(1).address) == 4);
  f.advance(15 * kSecond);
  CHECK(f.was_asked(Kind::read_line, f.accept(at(1))));
  CHECK(refused(f, f.accept(at(1)), "RATE_LIMITED"));
}

TEST_CASE("new connections and offences are counted over all shards") {
  CoreFixture f([](ShardSettings& s) {
    s.new_connections_per_minute = 4;
    s.blacklist_threshold = 3;
  });
  // the second shard's part of what is shared
  const auto limit = f.core->state().arrival_rate;
  for (int i = 0; i < 2; ++i)
    REQUIRE(f.shared->arrivals.charge(limit, at(1).address, f.now, kArrivalUnits) ==
            RateVerdict::conforms);
  for (int i = 0; i < 2; ++i)
    REQUIRE(f.shared->offences.count(at(1).address, f.now, 3) == OffenceVerdict::counted);
  for (int i = 0; i < 2; ++i) CHECK(f.was_asked(Kind::read_line, f.accept(at(1))));
  CHECK(refused(f, f.accept(at(1)), "RATE_LIMITED retry=1 "));
  REQUIRE(f.told<AutoBlocked>().size() == 1);
  CHECK(f.told<AutoBlocked>()[0].address == at(1).address);
}

TEST_CASE("who is exempt has no limits and is not counted") {
  CoreFixture f([](ShardSettings& s) {
    s.connections_per_address = s.half_open_per_address = s.new_connections_per_minute = 1;
    s.exempt = {*Network::parse("192.0.2.0/24")};
  });
  for (int i = 0; i < 3; ++i) CHECK(f.was_asked(Kind::read_line, f.accept(at(1))));
  CHECK(f.shared->connections.estimate(at(1).address) == 0);
  f.happens(StreamEvent::Kind::broken, {0, 1});
  f.happens(StreamEvent::Kind::closed, {0, 1});
  CHECK(f.shared->connections.estimate(at(1).address) == 0);
}

TEST_CASE("offences lead to a block that the next connection meets") {
  CoreFixture f([](ShardSettings& s) { s.blacklist_threshold = 3; });
  for (int i = 0; i < 2; ++i) f.type(f.accept(at(1)), "\x16");
  CHECK(f.told<AutoBlocked>().empty());
  f.type(f.accept(at(1)), "\x16");
  REQUIRE(f.told<AutoBlocked>().size() == 1);
  CHECK(f.told<AutoBlocked>()[0].address == at(1).address);
  CHECK(refused(f, f.accept(at(1)), "BLOCKED "));
  CHECK(f.was_asked(Kind::read_line, f.accept(at(2))));
}

// ---- silence ----

TEST_CASE("closing before the first byte is a health check: no offence, nothing logged") {
  CoreFixture f;
  const StreamId a = f.accept(at(1));
  SUBCASE("FIN") {
    f.hang_up(a);
  }
  SUBCASE("reset") {
    f.happens(StreamEvent::Kind::broken, a);
  }
  CHECK(f.was_asked(Kind::close, a));
  CHECK(f.heard(a).empty());
  CHECK(f.told<LogEvent>().empty());
  CHECK(f.joins(JoinOutcome::health_check) == 1);
  CHECK(f.counters().offences.load() == 0);
  f.happens(StreamEvent::Kind::closed, a);
  CHECK(f.counters().streams.load() == 0);
  CHECK(f.counters().streams_half_open.load() == 0);
  CHECK(!f.core->next_deadline());
}

TEST_CASE("closing or breaking in the middle of a line is no offence either") {
  CoreFixture f;
  const StreamId a = f.accept(at(1));
  f.type(a, "TANDEM/1 JO");
  SUBCASE("FIN") {
    f.hang_up(a);
  }
  SUBCASE("reset") {
    f.happens(StreamEvent::Kind::broken, a);
  }
  CHECK(f.was_asked(Kind::close, a));
  CHECK(f.joins(JoinOutcome::gone) == 1);
  CHECK(f.counters().offences.load() == 0);
}

TEST_CASE("who says nothing in time gets ERR TIMEOUT, and is closed if it does not read it") {
  CoreFixture f;
  const StreamId a = f.accept(at(1));
  Nanos waited = 0;
  SUBCASE("nothing at all") {}
  SUBCASE("a part of a line") {
    f.type(a, "TANDEM/1 JO");
  }
  SUBCASE("a byte now and then") {
    waited = 6 * kSecond;
    f.advance(waited);
    f.type(a, "T");
  }
  f.advance(10 * kSecond - kSlack - waited);
  CHECK(f.last.actions.empty());
  f.advance(2 * kSlack);
  CHECK(refused(f, a, "TIMEOUT retry=1 "));
  CHECK(f.joins(JoinOutcome::timeout) == 1);
  f.advance(2 * kSecond + kSlack);
  CHECK(f.was_asked(Kind::close, a));
  f.happens(StreamEvent::Kind::closed, a);
  CHECK(f.counters().streams.load() == 0);
}

TEST_CASE("an ERR does not lie where more of the client may still be read to") {
  CoreFixture f;
  const StreamId a = f.accept(at(1));
  const StreamAction read = f.asked(Kind::read_line, a)[0];
  f.advance(10 * kSecond + kSlack);
  const auto sends = f.asked(Kind::send_bytes, a);
  REQUIRE(sends.size() == 1);
  CHECK((sends[0].data + sends[0].bytes <= read.into || sends[0].data >= read.into + read.bytes));
}

TEST_CASE("a counterpart that does not come in time is ERR TIMEOUT") {
  CoreFixture f;
  const StreamId a = f.join(at(1), f.token(0));
  f.leave(a);  // WAIT has left, its greeting is free
  f.advance(30 * kSecond - kSlack);
  CHECK(!f.was_asked(Kind::linger_close, a));
  f.advance(2 * kSlack);
  CHECK(f.heard(a).starts_with("TANDEM/1 WAIT\nTANDEM/1 ERR TIMEOUT retry=1 "));
  CHECK(f.was_asked(Kind::linger_close, a));
  // Its place is free again at once.
  CHECK(f.heard(f.join(at(1), f.token(0))) == "TANDEM/1 WAIT\n");
}

TEST_CASE("what comes after an ERR is on its way changes nothing") {
  CoreFixture f;
  const StreamId a = f.accept(at(1));
  f.type(a, "\x16");
  for (const auto kind : {StreamEvent::Kind::read_ended, StreamEvent::Kind::finished,
                          StreamEvent::Kind::half_closed}) {
    f.happens(kind, a);
    CHECK(f.last.actions.empty());
  }
  f.leave(a);
  CHECK(f.last.actions.empty());
  f.happens(StreamEvent::Kind::broken, a);
  CHECK(f.was_asked(Kind::close, a));
}

// ---- PROVE ----

struct Proving {
  explicit Proving(std::string_view words = {}, const CoreFixture::Caps& caps = {}) {
    token = f.token(0, caps);
    a = f.accept(at(1));
    f.type(a, "TANDEM/1 PROVE " + claims_text(token) + std::string(words) + "\n");
    REQUIRE(f.heard(a).starts_with("TANDEM/1 NONCE "));
    REQUIRE(f.heard(a).size() == 48);
    nonce = f.heard(a).substr(15, 32);
  }
  CoreFixture f;
  TokenBytes token;
  StreamId a;
  std::string nonce;
};

TEST_CASE("PROVE is answered with a NONCE, and its PROOF joins") {
  Proving p(" lane=2", {.flags = kTokenTcp | kTokenProve});
  p.f.type(p.a, proof_line(p.token, p.nonce, 2, 0));
  CHECK(p.f.heard(p.a).ends_with("TANDEM/1 WAIT\n"));
  p.f.join(at(2), p.f.token(1), " lane=2");
  CHECK(p.f.heard(p.a).ends_with("TANDEM/1 PAIRED\n"));
}

TEST_CASE("a NONCE whose end has not left yet stays what it is when its greeting is another's") {
  Proving p;
  const StreamAction sent = p.f.asked(Kind::send_bytes, p.a).at(0);
  p.f.type(p.a, proof_line(p.token, p.nonce, 0, 0));
  const StreamId b = p.f.join(at(2), p.f.token(1));
  CHECK(p.f.heard(b).ends_with(kPairedLine));
  p.f.leave(b);  // it lets go of what it was given
  for (uint8_t guest = 3; guest < 5; ++guest) {
    p.f.type(p.f.accept(at(guest)), "TANDEM/1 PROVE " + claims_text(p.f.token(1)) + "\n");
  }
  CHECK(std::string(sent.data, sent.data + sent.bytes) == p.f.heard(p.a).substr(0, 48));
}

TEST_CASE("PROVE may take over, proved as such") {
  Proving p(" takeover=1");
  const StreamId holder = p.f.join(at(3), p.f.token(0));
  p.f.type(p.a, proof_line(p.token, p.nonce, 0, 1));
  CHECK(p.f.was_asked(Kind::close, holder));
  CHECK(p.f.heard(p.a).ends_with("TANDEM/1 WAIT\n"));
}

TEST_CASE("nonces are not repeated") {
  Proving p;
  const StreamId b = p.f.accept(at(1));
  p.f.type(b, "TANDEM/1 PROVE " + claims_text(p.token) + "\n");
  CHECK(p.f.heard(b) != p.f.heard(p.a));
}

TEST_CASE("a PROOF of something else is BAD_TOKEN and an offence") {
  Proving p(" lane=2");
  std::string line = proof_line(p.token, p.nonce, 2, 0);
  SUBCASE("another lane") {
    line = proof_line(p.token, p.nonce, 1, 0);
  }
  SUBCASE("a takeover that was not asked for") {
    line = proof_line(p.token, p.nonce, 2, 1);
  }
  SUBCASE("another nonce") {
    line = proof_line(p.token, std::string(32, '0'), 2, 0);
  }
  SUBCASE("another secret") {
    line = proof_line(p.f.token(1), p.nonce, 2, 0);
  }
  SUBCASE("no such key") {
    p.token[1] = 9;
    p.a = p.f.accept(at(1));
    p.f.type(p.a, "TANDEM/1 PROVE " + claims_text(p.token) + "\n");
    line = proof_line(p.token, p.f.heard(p.a).substr(15, 32), 0, 0);
  }
  p.f.type(p.a, line);
  CHECK(p.f.heard(p.a).find("TANDEM/1 ERR BAD_TOKEN ") == 48);
  CHECK(p.f.was_asked(Kind::linger_close, p.a));
  CHECK(p.f.counters().offences.load() == 1);
}

TEST_CASE("what is no PROOF is BAD_REQUEST; none in time is TIMEOUT; leaving is no health check") {
  Proving p;
  SUBCASE("another line") {
    p.f.type(p.a, "TANDEM/1 PROOF 12\n");
    CHECK(p.f.heard(p.a).find("TANDEM/1 ERR BAD_REQUEST ") == 48);
  }
  SUBCASE("none") {
    p.f.advance(10 * kSecond + kSlack);
    CHECK(p.f.heard(p.a).find("TANDEM/1 ERR TIMEOUT ") == 48);
  }
  SUBCASE("gone") {
    p.f.hang_up(p.a);
    CHECK(p.f.joins(JoinOutcome::gone) == 1);
    CHECK(p.f.joins(JoinOutcome::health_check) == 0);
  }
}

TEST_CASE("a proven token is judged like one that was shown") {
  Proving p({}, {.lifetime_s = 2});
  p.f.advance(3 * kSecond);
  p.f.type(p.a, proof_line(p.token, p.nonce, 0, 0));
  CHECK(p.f.heard(p.a).find("TANDEM/1 ERR EXPIRED ") == 48);
}

TEST_CASE("a PROOF may be followed by the stream's first bytes") {
  Proving p;
  p.f.type(p.a, proof_line(p.token, p.nonce, 0, 0) + "early");
  const StreamId b = p.f.join(at(2), p.f.token(1));
  CHECK(p.f.heard(b) == "TANDEM/1 PAIRED\nearly");
}

// ---- takeover ----

TEST_CASE("a newcomer with takeover=1 replaces who holds the lane") {
  CoreFixture f;
  const auto [a, b] = f.lane();
  const StreamId again = f.join(at(3), f.token(0), " takeover=1");
  CHECK(f.was_asked(Kind::close, a));
  CHECK(f.was_asked(Kind::reset, b));
  CHECK(f.heard(again) == "TANDEM/1 WAIT\n");
  CHECK(f.ended(LaneEnd::takeover) == 1);
  // The counterpart joins again.
  f.join(at(2), f.token(1));
  CHECK(f.heard(again).ends_with("PAIRED\n"));
}

TEST_CASE("taking over a waiting one closes it alone") {
  CoreFixture f;
  const StreamId a = f.join(at(1), f.token(0));
  const StreamId again = f.join(at(3), f.token(0), " takeover=1");
  CHECK(f.was_asked(Kind::close, a));
  CHECK(f.heard(again) == "TANDEM/1 WAIT\n");
  CHECK(f.joins(JoinOutcome::session_full) == 0);
}

TEST_CASE("takeover=1 of a free lane is a plain JOIN, and takeover=0 replaces nobody") {
  CoreFixture f;
  const StreamId a = f.join(at(1), f.token(0), " takeover=1");
  CHECK(f.heard(a) == "TANDEM/1 WAIT\n");
  CHECK(refused(f, f.join(at(1), f.token(0), " takeover=0"), "SESSION_FULL "));
}

TEST_CASE("one that waits and has half-closed gives way: whoever closed does that") {
  CoreFixture f;
  const StreamId a = f.join(at(1), f.token(0));
  const auto watches = f.asked(Kind::watch, a);
  REQUIRE(watches.size() == 1);
  CHECK(watches[0].bytes == 1);  // for its FIN too
  f.happens(StreamEvent::Kind::half_closed, a);
  CHECK(f.was_asked(Kind::watch, a));  // a reset is still to be seen
  const StreamId again = f.join(at(3), f.token(0));
  CHECK(f.was_asked(Kind::close, a));
  CHECK(f.heard(again) == "TANDEM/1 WAIT\n");
}

TEST_CASE("one that waits and has half-closed may still be paired") {
  CoreFixture f;
  const StreamId a = f.join(at(1), f.token(0), {}, "all I had to say");
  f.happens(StreamEvent::Kind::half_closed, a);
  const StreamId b = f.join(at(2), f.token(1));
  CHECK(f.heard(b) == "TANDEM/1 PAIRED\nall I had to say");
  CHECK(f.granted(a) != 0);  // its FIN is read and passed on
}

TEST_CASE("a reset while waiting frees the place") {
  CoreFixture f;
  const StreamId a = f.join(at(1), f.token(0));
  f.happens(StreamEvent::Kind::broken, a);
  CHECK(f.was_asked(Kind::close, a));
  CHECK(f.ended(LaneEnd::reset) == 1);
  CHECK(f.heard(f.join(at(1), f.token(0))) == "TANDEM/1 WAIT\n");
}

// ---- other shards' ----

TEST_CASE("a connection of another shard's session is handed over, whole") {
  CoreFixture f({}, 2);
  const TokenBytes token = f.token(0, kSession + 1);
  const std::string line = CoreFixture::join_line(token) + "early";
  const StreamId a = f.join(at(1), token, {}, "early");
  const auto actions = f.asked(Kind::hand_over, a);
  REQUIRE(actions.size() == 1);
  CHECK(actions[0].bytes == 1);
  CHECK(f.heard(a).empty());
  CHECK(f.joins(JoinOutcome::handed_over) == 1);
  const auto departure = f.core->departure(a);
  CHECK(departure.remote == at(1));
  CHECK(departure.local == CoreFixture::kLocal);
  CHECK(std::string(departure.read.begin(), departure.read.end()) == line);

  SUBCASE("it is gone from here") {
    f.core->departed(a);
    CHECK(f.counters().streams.load() == 0);
    CHECK(f.shared->connections.estimate(at(1).address) == 0);
    CHECK(f.shared->half_open.estimate(at(1).address) == 0);
    CHECK(!f.core->next_deadline());
  }
  SUBCASE("the other's ring is full") {
    f.core->departure_failed(a);
    const auto& actions_now = f.core->decisions().actions;
    REQUIRE(actions_now.size() == 2);
    const std::string said(reinterpret_cast<const char*>(actions_now[0].data),
                           actions_now[0].bytes);
    CHECK(said.starts_with("TANDEM/1 ERR OVER_CAPACITY retry=5 "));
    CHECK(actions_now[1].kind == Kind::linger_close);
  }
}

TEST_CASE("one that arrives from another shard joins here") {
  CoreFixture f({}, 2);
  const std::string line = CoreFixture::join_line(f.token(0)) + "early";
  const StreamId a{900, 1};
  f.core->on_handed_over(a, at(1), CoreFixture::kLocal,
                         {reinterpret_cast<const uint8_t*>(line.data()), line.size()});
  CHECK(f.shared->connections.estimate(at(1).address) == 1);
  CHECK(f.shared->half_open.estimate(at(1).address) == 0);
  const StreamId b = f.join(at(2), f.token(1));
  CHECK(f.heard(b) == "TANDEM/1 PAIRED\nearly");
  CHECK(f.counters().connections.load() == 1);  // it was accepted elsewhere
}

TEST_CASE("a token that does not verify is refused where it came") {
  CoreFixture f({}, 2);
  TokenBytes token = f.token(0, kSession + 1);
  SUBCASE("its MAC") {
    token[39] ^= 1;
  }
  SUBCASE("no such key") {
    token[1] = 9;
  }
  const StreamId a = f.join(at(1), token);
  CHECK(!f.was_asked(Kind::hand_over, a));
  CHECK(refused(f, a, "BAD_TOKEN "));
}

TEST_CASE("PROVE is handed over before the NONCE") {
  CoreFixture f({}, 2);
  const StreamId a = f.accept(at(1));
  f.type(a, "TANDEM/1 PROVE " + claims_text(f.token(0, kSession + 1)) + "\n");
  CHECK(f.was_asked(Kind::hand_over, a));
  CHECK(f.heard(a).empty());
}

// ---- PROXY protocol ----

struct Balanced {
  explicit Balanced(const CoreFixture::Tweak& tweak = {})
      : f([&](ShardSettings& s) {
          s.proxy_protocol = true;
          s.trusted_proxies = {*Network::parse("10.0.0.0/8")};
          if (tweak) tweak(s);
        }) {}
  CoreFixture f;
  const Endpoint balancer{IpAddress::v4(10, 0, 0, 1), 1};
};

// Version 2, with `tail` bytes of TLVs.
std::string v2_header(bool local, size_t tail = 0) {
  std::string header("\r\n\r\n\0\r\nQUIT\n", 12);
  header += local ? '\x20' : '\x21';
  header += '\x11';
  const size_t length = 12 + tail;
  header += static_cast<char>(length >> 8);
  header += static_cast<char>(length);
  header += std::string("\xc0\x00\x02\x07\xc6\x33\x64\x01\x10\x01\x1e\x61", 12);  // 192.0.2.7:4097
  return header + std::string(tail, '\0');
}

TEST_CASE("the address in a PROXY header is the client's: it counts, is limited and banned") {
  Balanced b([](ShardSettings& s) { s.connections_per_address = 1; });
  const std::string header = [] {
    std::string text = "PROXY TCP4 192.0.2.7 198.51.100.1 4097 7777\r\n";
    SUBCASE("version 1") {}
    SUBCASE("version 2") {
      text = v2_header(false);
    }
    SUBCASE("version 2 with TLVs") {
      text = v2_header(false, 100);
    }
    return text;
  }();
  const StreamId first = b.f.accept(b.balancer);
  CHECK(b.f.shared->connections.estimate(b.balancer.address) == 0);
  b.f.type(first, header + CoreFixture::join_line(b.f.token(0)) + "early");
  CHECK(b.f.heard(first) == "TANDEM/1 WAIT\n");
  CHECK(b.f.shared->connections.estimate(at(7).address) == 1);
  b.f.command(DescribeSession{1, kSession});
  REQUIRE(b.f.told<SessionRow>().size() == 1);
  CHECK(b.f.told<SessionRow>()[0].ends[0].tcp == at(7, 4097));

  const StreamId second = b.f.accept(b.balancer);
  b.f.type(second, header);
  CHECK(refused(b.f, second, "RATE_LIMITED "));
  b.f.command(AddBlock{1, *Network::parse("192.0.2.7"), 0, false});
  const StreamId third = b.f.accept(b.balancer);
  b.f.type(third, header);
  CHECK(refused(b.f, third, "BLOCKED "));
}

TEST_CASE("header and line may come in any pieces") {
  Balanced b;
  const StreamId id = b.f.accept(b.balancer);
  for (const char c : v2_header(false) + CoreFixture::join_line(b.f.token(0))) {
    b.f.type(id, std::string_view(&c, 1));
  }
  CHECK(b.f.heard(id) == "TANDEM/1 WAIT\n");
}

TEST_CASE("the longest header, line and proof fit one after the other") {
  Balanced b;
  const TokenBytes token = b.f.token(0);
  const StreamId id = b.f.accept(b.balancer);
  std::string line = "TANDEM/1 PROVE " + claims_text(token) + " x=";
  line += std::string(256 - line.size() - 1, 'x') + "\n";
  b.f.type(id, v2_header(false, 512 - 16 - 12) + line);
  REQUIRE(b.f.heard(id).size() == 48);
  std::string proof = proof_line(token, b.f.heard(id).substr(15, 32), 0, 0);
  b.f.type(id, proof);
  CHECK(b.f.heard(id).ends_with("TANDEM/1 WAIT\n"));
}

TEST_CASE("the balancer's own checks are health checks") {
  Balanced b;
  const StreamId id = b.f.accept(b.balancer);
  SUBCASE("LOCAL") {
    b.f.type(id, v2_header(true));
  }
  SUBCASE("nothing") {
    b.f.hang_up(id);
  }
  SUBCASE("a header and nothing behind it") {
    b.f.type(id, v2_header(false));
    b.f.hang_up(id);
  }
  CHECK(b.f.was_asked(Kind::close, id));
  CHECK(b.f.joins(JoinOutcome::health_check) == 1);
  CHECK(b.f.told<LogEvent>().empty());
}

TEST_CASE("UNKNOWN leaves the balancer's address") {
  Balanced b;
  const StreamId id = b.f.accept(b.balancer);
  b.f.type(id, "PROXY UNKNOWN\r\n" + CoreFixture::join_line(b.f.token(0)));
  CHECK(b.f.heard(id) == "TANDEM/1 WAIT\n");
  CHECK(b.f.shared->connections.estimate(b.balancer.address) == 1);
}

TEST_CASE("a broken header is BAD_REQUEST, and no offence of the balancer's clients") {
  Balanced b;
  const StreamId id = b.f.accept(b.balancer);
  b.f.type(id, CoreFixture::join_line(b.f.token(0)));
  CHECK(refused(b.f, id, "BAD_REQUEST "));
  CHECK(b.f.counters().offences.load() == 0);
}

TEST_CASE("who is not a trusted balancer is reset unread") {
  Balanced b;
  const StreamId id = b.f.accept(at(1));
  CHECK(b.f.was_asked(Kind::reset, id));
  CHECK(b.f.joins(JoinOutcome::not_allowed) == 1);
  REQUIRE(b.f.told<LogEvent>().size() == 1);
  CHECK(b.f.told<LogEvent>()[0].address == at(1).address);
}

TEST_CASE("a header that does not come in time is ERR TIMEOUT") {
  Balanced b;
  const StreamId id = b.f.accept(b.balancer);
  b.f.advance(10 * kSecond + kSlack);
  CHECK(refused(b.f, id, "TIMEOUT retry=1 "));
}

// ---- the shard's own limits ----

TEST_CASE("more half-open connections than there are greetings are reset") {
  CoreFixture f({}, 1, kGreetingsMax + 10);
  f.settings.half_open_per_address = f.settings.connections_per_address = 0;
  for (uint32_t i = 0; i < kGreetingsMax; ++i) f.accept(at(1));
  const StreamId over = f.accept(at(1));
  CHECK(f.was_asked(Kind::reset, over));
  CHECK(f.joins(JoinOutcome::over_capacity) == 1);
  CHECK(f.counters().streams_half_open.load() == kGreetingsMax);
  f.hang_up({0, 1});
  f.happens(StreamEvent::Kind::closed, {0, 1});
  CHECK(f.was_asked(Kind::read_line, f.accept(at(1))));
}

TEST_CASE("one that had gone before it was accepted is a health check, and accepting goes on") {
  CoreFixture f;
  f.event({.kind = StreamEvent::Kind::accept_failed, .error = ENOTCONN});
  CHECK(f.joins(JoinOutcome::health_check) == 1);
  CHECK(f.counters().accept_failures.load() == 0);
  CHECK(f.told<LogEvent>().empty());
  CHECK(!f.core->next_deadline());
}

TEST_CASE("accepting begins again a while after it failed") {
  CoreFixture f;
  f.event({.kind = StreamEvent::Kind::accept_failed, .error = EMFILE});
  CHECK(f.counters().accept_failures.load() == 1);
  REQUIRE(f.told<LogEvent>().size() == 1);
  CHECK(f.told<LogEvent>()[0].kind == LogKind::accept_failed);
  CHECK(f.told<LogEvent>()[0].value == EMFILE);
  CHECK(f.last.actions.empty());
  f.advance(kAcceptRetry + kSlack);
  REQUIRE(f.last.actions.size() == 1);
  CHECK(f.last.actions[0].kind == Kind::accept_again);
}

}  // namespace
}  // namespace tandem
