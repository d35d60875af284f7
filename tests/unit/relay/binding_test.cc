#include "relay/core/binding.h"

#include "tests/unit/relay/core_fixture.h"

namespace tandem {
namespace {

// The ERROR that the second BIND of this client gets.
uint8_t error_for(CoreFixture& f, const UdpClient& client) {
  const Bytes cookie = f.cookie_for(client);
  REQUIRE(!cookie.empty());
  f.feed(client.from, CoreFixture::bind_bytes(client, cookie));
  const Bytes error = f.only_word_to(client.from);
  REQUIRE(error.size() == 14);
  CHECK(error[0] == 0x0c);
  CHECK(error[1] == client.token[15]);
  CHECK(std::equal(client.nonce.begin(), client.nonce.end(), error.begin() + 4));
  CHECK(f.told<CommandDone>().empty());
  CHECK(f.datagrams_balance());
  return error[2];
}

uint16_t retry_of_last_error(const CoreFixture& f, const UdpClient& client) {
  return field<uint16_t>(f.only_word_to(client.from), 12);
}

// ---- before the address is proven ----

TEST_CASE("a BIND without a cookie gets a CHALLENGE and leaves nothing behind") {
  CoreFixture f;
  const UdpClient client{at(1), f.token(0)};
  Bytes bind = CoreFixture::bind_bytes(client);
  bind[2] = bind[3] = 0xff;  // all features
  f.feed(client.from, bind);
  const Bytes challenge = f.only_word_to(client.from);
  REQUIRE(challenge.size() == 28);
  CHECK(challenge[0] == 0x06);
  CHECK(challenge[1] == 0x00);
  CHECK(field<uint16_t>(challenge, 2) == 0);  // none is known, none is granted
  CHECK(std::equal(client.nonce.begin(), client.nonce.end(), challenge.begin() + 4));
  CHECK(field<uint32_t>(challenge, 12) == f.now / kSecond);
  CHECK(f.binds(BindOutcome::challenged) == 1);
  CHECK(f.counters().sessions.load() == 0);
  CHECK(f.shared->sessions.load() == 0);
  CHECK(f.datagrams_balance());
}

TEST_CASE("no token is looked at before the cookie: a forged one is challenged too") {
  CoreFixture f;
  UdpClient client{at(1), f.token(0)};
  client.token[24] ^= 1;
  CHECK(!f.cookie_for(client).empty());
  CHECK(f.counters().offences.load() == 0);
}

TEST_CASE("stale, forged and borrowed cookies are answered with a new one") {
  CoreFixture f;
  const UdpClient client{at(1), f.token(0)};
  Bytes cookie = f.cookie_for(client);
  SUBCASE("older than 60 seconds") {
    f.advance(61 * kSecond);
  }
  SUBCASE("a bit changed") {
    cookie[15] ^= 1;
  }
  SUBCASE("made for another port") {
    UdpClient other = client;
    other.from.port = 4001;
    cookie = f.cookie_for(other);
  }
  SUBCASE("made for another token") {
    UdpClient other = client;
    other.token = f.token(1);
    cookie = f.cookie_for(other);
  }
  f.feed(client.from, CoreFixture::bind_bytes(client, cookie));
  CHECK(f.only_word_to(client.from)[0] == 0x06);
  CHECK(f.counters().sessions.load() == 0);
}

TEST_CASE("a cookie holds for sixty seconds") {
  CoreFixture f;
  UdpClient client{at(1), f.token(0)};
  const Bytes cookie = f.cookie_for(client);
  f.advance(60 * kSecond);
  f.feed(client.from, CoreFixture::bind_bytes(client, cookie));
  CHECK(f.only_word_to(client.from)[0] == 0x07);
}

TEST_CASE("a BIND that is too short or has another session's shard key is dropped") {
  CoreFixture f;
  const UdpClient client{at(1), f.token(0)};
  Bytes bind = CoreFixture::bind_bytes(client);
  bind.resize(95);
  f.feed(client.from, bind);
  CHECK(f.last.replies.empty());
  CHECK(f.dropped(DropReason::malformed) == 1);
  bind = CoreFixture::bind_bytes(client);
  bind[1] ^= 1;
  f.feed(client.from, bind);
  CHECK(f.last.replies.empty());
  CHECK(f.dropped(DropReason::wrong_shard_key) == 1);
  CHECK(f.datagrams_balance());
}

TEST_CASE("challenges are within the source's budget, and back after a second") {
  CoreFixture f([](ShardSettings& s) { s.packets_per_second = 5; });
  const UdpClient client{at(1), f.token(0)};
  for (int i = 0; i < 5; ++i) REQUIRE(!f.cookie_for(client).empty());
  CHECK(f.cookie_for(client).empty());
  CHECK(f.dropped(DropReason::unvalidated_source_budget) == 1);
  CHECK(!f.cookie_for({at(2), f.token(0)}).empty());
  f.advance(kSecond);
  CHECK(!f.cookie_for(client).empty());
  CHECK(f.datagrams_balance());
}

TEST_CASE("the shard's budget bounds challenges whoever asks; who is exempt needs none") {
  CoreFixture f([](ShardSettings& s) {
    s.packets_per_second = 0;
    s.exempt = {*Network::parse("192.0.2.9")};
  });
  const UdpClient client{at(1), f.token(0)};
  for (uint32_t i = 0; i < kUnvalidatedPerShard / 10; ++i)
    f.feed(client.from, f.bind_bytes(client));
  CHECK(f.dropped(DropReason::unvalidated_shard_budget) == 0);
  CHECK(f.cookie_for({at(2), f.token(0)}).empty());
  CHECK(f.dropped(DropReason::unvalidated_shard_budget) == 1);
  CHECK(!f.cookie_for({at(9), f.token(0)}).empty());
}

TEST_CASE("a blocked source gets no CHALLENGE, and an ERROR once it has proved its address") {
  CoreFixture f;
  UdpClient client{at(1), f.token(0)};
  const Bytes cookie = f.cookie_for(client);
  f.command(AddBlock{1, *Network::parse("192.0.2.1"), 0, false});
  CHECK(f.cookie_for(client).empty());
  CHECK(f.dropped(DropReason::blocked) == 1);
  f.feed(client.from, CoreFixture::bind_bytes(client, cookie));
  const Bytes error = f.only_word_to(client.from);
  CHECK(error[0] == 0x0c);
  CHECK(error[2] == 9);
  CHECK(retry_of_last_error(f, client) == 300);
  CHECK(f.binds(BindOutcome::blocked) == 1);
}

// ---- the token is judged ----

TEST_CASE("a proof that the secret did not make is BAD_TOKEN and an offence") {
  CoreFixture f;
  const UdpClient client{at(1), f.token(0)};
  Bytes bind = CoreFixture::bind_bytes(client, f.cookie_for(client));
  SUBCASE("the proof changed") {
    bind[67] ^= 1;
  }
  SUBCASE("what it proves changed") {
    bind[11] ^= 1;
  }  // the nonce
  f.feed(client.from, bind);
  CHECK(f.only_word_to(client.from)[2] == 1);
  CHECK(f.binds(BindOutcome::bad_token) == 1);
  CHECK(f.counters().offences.load() == 1);
  REQUIRE(f.told<LogEvent>().size() == 1);
  CHECK(f.told<LogEvent>()[0].kind == LogKind::authentication_failed);
  CHECK(f.told<LogEvent>()[0].address == client.from.address);
  CHECK(f.counters().sessions.load() == 0);
}

TEST_CASE("what the claims may be wrong in is one outcome, BAD_TOKEN") {
  CoreFixture f;
  UdpClient client{at(1), f.token(0)};
  const auto sign = [&] {  // with the fleet's key, so that only the claims are wrong
    const Secret mac = mac16(f.settings.keys.keys()[0].bytes, std::span(client.token).first(24));
    std::copy(mac.begin(), mac.end(), client.token.begin() + 24);
  };
  SUBCASE("no key of that id") {
    client.token[1] = 9;
  }
  SUBCASE("another version") {
    client.token[0] = 2;
  }
  SUBCASE("a third slot") {
    client.token[2] = 2;
  }
  SUBCASE("an unknown flag") {
    client.token[3] |= 8;
  }
  SUBCASE("reserved bytes") {
    client.token[23] = 1;
  }
  SUBCASE("too long a life") {
    client.token = f.token(0, {.lifetime_s = 86'401});
  }
  sign();
  CHECK(error_for(f, client) == 1);
}

TEST_CASE("expires_at is the last second in which a token is taken") {
  CoreFixture f;
  UdpClient client{at(1), f.token(0, {.lifetime_s = 10})};
  f.advance(10 * kSecond);
  f.bind(client);
  CHECK(client.channel != 0);
  UdpClient late{at(2), f.token(1, {.lifetime_s = 10})};
  f.advance(11 * kSecond);
  CHECK(error_for(f, late) == 2);
  CHECK(f.binds(BindOutcome::expired) == 1);
  CHECK(f.counters().offences.load() == 0);
}

TEST_CASE("expiry does not end what is joined") {
  CoreFixture f;
  UdpClient a = f.bound(0, at(1), {.lifetime_s = 10});
  UdpClient b = f.bound(1, at(2), {.lifetime_s = 10});
  f.advance(20 * kSecond);
  f.feed(a.from, CoreFixture::data_bytes({a.from, a.token, a.nonce, b.channel}, 10));
  CHECK(f.last.forwards.size() == 1);
}

TEST_CASE("a token without the UDP flag is NOT_ALLOWED") {
  CoreFixture f;
  CHECK(error_for(f, {at(1), f.token(0, {.flags = kTokenTcp})}) == 7);
  CHECK(f.binds(BindOutcome::not_allowed) == 1);
  CHECK(f.counters().sessions.load() == 0);
}

TEST_CASE("a kicked session is KICKED until its tokens have expired") {
  CoreFixture f([](ShardSettings& s) { s.token_max_age_s = 100; });
  f.command(KickSession{1, kSession});
  const UdpClient client{at(1), f.token(0, {.lifetime_s = 100})};
  CHECK(error_for(f, client) == 8);
  CHECK(f.binds(BindOutcome::kicked) == 1);
  f.advance(100 * kSecond);
  CHECK(error_for(f, {at(2), f.token(0, {.lifetime_s = 50})}) == 8);
  f.advance(kSecond);
  UdpClient later{at(1), f.token(0, {.lifetime_s = 100})};
  f.bind(later);
  CHECK(later.channel != 0);
}

TEST_CASE("a draining shard takes no new session, but the counterpart of a known one") {
  CoreFixture f;
  UdpClient a = f.bound(0, at(1));
  f.command(SetDrain{true});
  UdpClient b = f.bound(1, at(2));
  CHECK(b.channel == a.channel);
  const UdpClient stranger{at(3), f.token(0, kSession + 0x100)};
  CHECK(error_for(f, stranger) == 5);
  CHECK(retry_of_last_error(f, stranger) == 1);
  CHECK(f.binds(BindOutcome::draining) == 1);
  f.command(SetDrain{false});
  CHECK(f.bound(0, at(3), kSession + 0x100).channel != 0);
}

TEST_CASE("sessions are counted over all shards, and one past the limit is OVER_CAPACITY") {
  CoreFixture f([](ShardSettings& s) { s.max_sessions = 2; });
  f.shared->sessions = 1;  // another shard's
  const UdpClient a = f.bound(0, at(1));
  const UdpClient stranger{at(3), f.token(0, kSession + 0x100)};
  CHECK(error_for(f, stranger) == 4);
  CHECK(retry_of_last_error(f, stranger) == 5);
  CHECK(f.binds(BindOutcome::over_capacity) == 1);
  CHECK(f.shared->sessions.load() == 2);
  CHECK(f.bound(1, at(2)).channel == a.channel);  // a known session is not over
}

TEST_CASE("the shard's own table may be full before that") {
  CoreFixture f;
  for (uint8_t i = 0; i < 64; ++i) (void)f.bound(0, at(i), kSession + 0x100u * i);
  CHECK(error_for(f, {at(100), f.token(0, kSession + 0x10000)}) == 4);
  CHECK(f.shared->sessions.load() == 64);
}

TEST_CASE("what a proven address may ask is bounded too, apart from what strangers use up") {
  CoreFixture f([](ShardSettings& s) { s.packets_per_second = 4; });
  const UdpClient client{at(1), f.token(0)};
  const Bytes cookie = f.cookie_for(client);
  for (int i = 0; i < 10; ++i) f.feed(client.from, CoreFixture::bind_bytes(client));  // forged
  for (int i = 0; i < 4; ++i) {
    f.feed(client.from, CoreFixture::bind_bytes(client, cookie));
    CHECK(f.only_word_to(client.from)[0] == 0x07);
  }
  f.feed(client.from, CoreFixture::bind_bytes(client, cookie));
  CHECK(f.last.replies.empty());
  CHECK(f.dropped(DropReason::over_packet_rate) == 1);
  CHECK(f.datagrams_balance());
}

// ---- bound ----

TEST_CASE("BOUND tells what the client needs to know") {
  CoreFixture f([](ShardSettings& s) { s.keepalive_interval = 20 * kSecond; });
  f.path_payload[at(1, 0x1234)] = 1300;
  const UdpClient client = f.bound(1, at(1, 0x1234), kSession + 5);
  const Bytes bound = f.only_word_to(client.from);
  REQUIRE(bound.size() == 40);
  CHECK(bound[0] == 0x07);
  CHECK(bound[1] == 0x05);
  CHECK(bound[2] == 0);  // waiting
  CHECK(bound[3] == 1);  // slot B
  CHECK(std::equal(client.nonce.begin(), client.nonce.end(), bound.begin() + 4));
  CHECK(field<uint32_t>(bound, 12) == client.channel);
  CHECK(client.channel != 0);
  CHECK(field<uint16_t>(bound, 16) == 20);
  CHECK(field<uint16_t>(bound, 18) == 1300);
  CHECK(bound[20] == 4);
  CHECK(bound[21] == 0);
  CHECK(field<uint16_t>(bound, 22) == 0x1234);
  CHECK(std::equal(bound.begin() + 24, bound.end(), client.from.address.bytes.begin()));
  CHECK(f.binds(BindOutcome::waiting) == 1);
  CHECK(f.counters().sessions.load() == 1);
  CHECK(f.counters().sessions_paired.load() == 0);
  CHECK(f.datagrams_balance());
}

TEST_CASE("max_payload is within the relay's own cap on packets") {
  CoreFixture f([](ShardSettings& s) { s.max_packet_size = 1200; });
  f.path_payload[at(1)] = 8964;
  (void)f.bound(0, at(1));
  CHECK(field<uint16_t>(f.only_word_to(at(1)), 18) == 1192);
}

TEST_CASE("when the counterpart binds, both are told, each with its own nonce") {
  CoreFixture f;
  UdpClient a{at(1), f.token(0)};
  f.path_payload[at(1)] = 1200;
  f.bind(a);
  // Its latest nonce is the one that counts.
  a.nonce.fill(0xaa);
  f.bind(a);
  CHECK(f.binds(BindOutcome::refreshed) == 1);

  UdpClient b{{*IpAddress::parse("2001:db8::2"), 5000}, f.token(1)};
  b.nonce.fill(0xbb);
  f.path_payload[b.from] = 1400;
  f.bind(b);
  CHECK(b.channel == a.channel);
  CHECK(f.last.replies.size() == 2);
  for (const UdpClient* client : {&a, &b}) {
    const Bytes bound = f.only_word_to(client->from);
    CHECK(bound[0] == 0x07);
    CHECK(bound[2] == 1);
    CHECK(bound[3] == (client == &a ? 0 : 1));
    CHECK(std::equal(client->nonce.begin(), client->nonce.end(), bound.begin() + 4));
    CHECK(field<uint32_t>(bound, 12) == a.channel);
    CHECK(field<uint16_t>(bound, 18) == 1200);  // the smaller of both
    CHECK(bound[20] == (client == &a ? 4 : 6));
  }
  CHECK(f.binds(BindOutcome::paired) == 1);
  CHECK(f.counters().sessions_paired.load() == 1);
  CHECK(f.counters().notices.load() == 1);
  REQUIRE(f.told<LogEvent>().size() == 1);
  CHECK(f.told<LogEvent>()[0].kind == LogKind::session_paired);
  CHECK(f.datagrams_balance());
}

TEST_CASE("repeating BIND is answered with the state, and only to who asked") {
  CoreFixture f;
  UdpClient a = f.bound(0, at(1));
  f.bind(a);
  CHECK(f.only_word_to(a.from)[2] == 0);
  const UdpClient b = f.bound(1, at(2));
  f.bind(a);
  CHECK(f.only_word_to(a.from)[2] == 1);
  CHECK(f.said_to(b.from).empty());
  CHECK(f.binds(BindOutcome::refreshed) == 2);
}

TEST_CASE("sessions have channels of their own") {
  CoreFixture f;
  CHECK(f.bound(0, at(1)).channel != f.bound(0, at(1), kSession + 0x100).channel);
}

TEST_CASE("both slots from one address and port are SESSION_FULL") {
  CoreFixture f;
  (void)f.bound(0, at(1));
  CHECK(error_for(f, {at(1), f.token(1)}) == 3);
  CHECK(f.binds(BindOutcome::session_full) == 1);
  CHECK(f.bound(1, at(1, 4001)).channel != 0);  // another port is another client
}

TEST_CASE("a slot's TCP lanes and its UDP side share its part of the session's connections") {
  CoreFixture f([](ShardSettings& s) { s.max_connections_per_session = 4; });
  f.join(at(1), f.token(0));
  f.join(at(1), f.token(0), " lane=1");
  CHECK(error_for(f, {at(1), f.token(0)}) == 3);
  // That is the one slot's part; the other has its own.
  UdpClient b = f.bound(1, at(2));
  // Who is bound may still move and repeat.
  f.join(at(2), f.token(1));
  f.bind(b);
  CHECK(f.only_word_to(b.from)[0] == 0x07);
  f.advance(2 * kSecond);
  CHECK(f.bound(1, at(3)).channel == b.channel);
}

// ---- roaming ----

struct Roaming {
  CoreFixture f;
  UdpClient a = f.bound(0, at(1));
  UdpClient b = f.bound(1, at(2));
};

TEST_CASE("a newer cookie moves the binding, and the address before is told") {
  Roaming r;
  r.f.advance(2 * kSecond);
  UdpClient moved{at(9, 999), r.a.token};
  moved.nonce.fill(0x99);
  r.f.bind(moved);
  CHECK(moved.channel == r.a.channel);
  const Bytes close = r.f.only_word_to(r.a.from);
  REQUIRE(close.size() == 16);
  CHECK(close[0] == 0x0b);
  CHECK(close[1] == 0);
  CHECK(close[2] == 6);
  CHECK(field<uint32_t>(close, 4) == r.a.channel);
  CHECK(std::equal(r.a.nonce.begin(), r.a.nonce.end(), close.begin() + 8));
  CHECK(r.f.only_word_to(moved.from)[2] == 1);
  CHECK(r.f.only_word_to(r.b.from)[2] == 1);  // max_payload may be another now
  CHECK(r.f.binds(BindOutcome::moved) == 1);
  CHECK(r.f.datagrams_balance());

  // From now on the new address speaks for the slot, and the old one does not.
  r.f.feed(r.a.from, CoreFixture::data_bytes(r.a, 4));
  CHECK(r.f.last.forwards.empty());
  CHECK(r.f.dropped(DropReason::wrong_source) == 1);
  r.f.feed(r.b.from, CoreFixture::data_bytes(r.b, 4));
  REQUIRE(r.f.last.forwards.size() == 1);
  CHECK(r.f.last.forwards[0].destination == moved.from);
}

TEST_CASE("one may roam to the other address family") {
  Roaming r;
  r.f.advance(2 * kSecond);
  UdpClient moved{{*IpAddress::parse("2001:db8::9"), 999}, r.a.token};
  r.f.bind(moved);
  CHECK(r.f.only_word_to(moved.from)[20] == 6);
  CHECK(moved.channel == r.a.channel);
}

TEST_CASE("a cookie that is not newer than the binding's does not move it: a newer one is given") {
  CoreFixture f;
  const UdpClient elsewhere{at(9), f.token(0)};
  const Bytes delayed = CoreFixture::bind_bytes(elsewhere, f.cookie_for(elsewhere));
  const UdpClient a = f.bound(0, at(1));
  f.advance(2 * kSecond);
  f.feed(elsewhere.from, delayed);
  CHECK(f.said_to(a.from).empty());
  CHECK(f.only_word_to(elsewhere.from)[0] == 0x06);
  CHECK(f.binds(BindOutcome::stale_move) == 1);
  CHECK(f.binds(BindOutcome::moved) == 0);
  CHECK(f.datagrams_balance());
}

TEST_CASE("after a move, the BIND of before does not win back; a repeated BIND counts as newer") {
  Roaming r;
  const Bytes replay = CoreFixture::bind_bytes(r.a, r.f.cookie_for(r.a));
  r.f.advance(2 * kSecond);
  UdpClient moved{at(9), r.a.token};
  r.f.bind(moved);
  r.f.advance(2 * kSecond);
  r.f.feed(r.a.from, replay);
  CHECK(r.f.said_to(moved.from).empty());
  CHECK(r.f.binds(BindOutcome::stale_move) == 1);

  // Someone holds a cookie made now; the binding is refreshed later, so that cookie is old.
  const UdpClient third{at(8), r.a.token};
  const Bytes held = CoreFixture::bind_bytes(third, r.f.cookie_for(third));
  r.f.advance(2 * kSecond);
  r.f.bind(moved);
  r.f.feed(third.from, held);
  CHECK(r.f.binds(BindOutcome::stale_move) == 2);
  CHECK(r.f.binds(BindOutcome::moved) == 1);
  r.f.feed(moved.from, CoreFixture::data_bytes(moved, 1));
  CHECK(r.f.last.forwards.size() == 1);
}

TEST_CASE("at most one move a second") {
  CoreFixture f;
  f.advance(900 * kNanosPerMillisecond);
  (void)f.bound(0, at(1));
  f.advance(50 * kNanosPerMillisecond);
  UdpClient moved{at(9), f.token(0)};
  f.bind(moved);
  CHECK(f.last.replies.empty());
  CHECK(f.dropped(DropReason::roam_too_soon) == 1);
  f.advance(50 * kNanosPerMillisecond);
  f.bind(moved);
  CHECK(f.only_word_to(moved.from)[0] == 0x07);
  CHECK(f.binds(BindOutcome::moved) == 1);
}

TEST_CASE("moving to the counterpart's address is SESSION_FULL, and nobody loses a binding") {
  Roaming r;
  r.f.advance(2 * kSecond);
  CHECK(error_for(r.f, {r.b.from, r.a.token}) == 3);
  r.f.feed(r.a.from, CoreFixture::data_bytes(r.a, 4));
  CHECK(r.f.last.forwards.size() == 1);
}

TEST_CASE("who has left may come back at once, from anywhere, to the same channel") {
  Roaming r;
  r.f.feed(r.a.from, CoreFixture::close_bytes(r.a));
  UdpClient back{at(9), r.a.token};
  r.f.bind(back);
  CHECK(back.channel == r.a.channel);
  CHECK(r.f.only_word_to(back.from)[2] == 1);
  CHECK(r.f.only_word_to(r.b.from)[2] == 1);
}

// ---- bans ----

TEST_CASE("proven bad tokens lead to a block, told to control and to the others") {
  CoreFixture f([](ShardSettings& s) {
    s.blacklist_threshold = 3;
    s.blacklist_duration = 60 * kSecond;
  });
  UdpClient client{at(1), f.token(0)};
  client.token[24] ^= 1;
  for (int i = 0; i < 2; ++i) CHECK(error_for(f, client) == 1);
  CHECK(f.counters().auto_blocks.load() == 0);
  const Bytes cookie = f.cookie_for(client);
  f.feed(client.from, CoreFixture::bind_bytes(client, cookie));
  CHECK(f.counters().auto_blocks.load() == 1);
  REQUIRE(f.told<AutoBlocked>().size() == 1);
  CHECK(f.told<AutoBlocked>()[0].address == client.from.address);
  CHECK(f.told<AutoBlocked>()[0].duration == 60 * kSecond);
  CHECK(f.cookie_for(client).empty());
  f.advance(60 * kSecond);
  CHECK(!f.cookie_for(client).empty());
}

TEST_CASE("who is exempt is neither counted nor banned") {
  CoreFixture f([](ShardSettings& s) {
    s.blacklist_threshold = 1;
    s.exempt = {*Network::parse("192.0.2.0/24")};
  });
  UdpClient client{at(1), f.token(0)};
  client.token[24] ^= 1;
  for (int i = 0; i < 3; ++i) CHECK(error_for(f, client) == 1);
  CHECK(f.counters().auto_blocks.load() == 0);
}

}  // namespace
}  // namespace tandem
