#include "relay/core/datagram_path.h"

#include "relay/core/stun.h"
#include "tests/unit/relay/core_fixture.h"

namespace tandem {
namespace {

// A session whose two ends are bound.
struct Pair {
  explicit Pair(const CoreFixture::Tweak& tweak = {}, const CoreFixture::Caps& caps = {})
      : f(tweak), a(f.bound(0, at(1), caps)), b(f.bound(1, at(2), caps)) {}

  void send(size_t payload, size_t packets = 1) {
    Bytes train;
    for (size_t i = 0; i < packets; ++i) {
      const Bytes one = CoreFixture::data_bytes(a, payload);
      train.insert(train.end(), one.begin(), one.end());
    }
    f.feed(a.from, train, static_cast<uint16_t>(8 + payload));
  }
  [[nodiscard]] uint32_t forwarded_packets() const {
    uint32_t packets = 0;
    for (const OutgoingDatagram& forward : f.last.forwards) packets += forward.packets;
    return packets;
  }

  CoreFixture f;
  UdpClient a;
  UdpClient b;
};

// ---- what is forwarded ----

TEST_CASE("DATA goes to the counterpart, unchanged and from where it lies") {
  Pair p;
  Bytes data = CoreFixture::data_bytes(p.a, 100);
  data[2] = 0x5a;  // reserved: nobody looks
  p.f.feed(p.a.from, data);
  REQUIRE(p.f.last.forwards.size() == 1);
  const OutgoingDatagram& out = p.f.last.forwards[0];
  CHECK(out.destination == p.b.from);
  CHECK(out.source == CoreFixture::kLocal);
  CHECK(out.buffer == 77);
  CHECK(out.packets == 1);
  CHECK(Bytes(out.data, out.data + out.length) == data);
  CHECK(p.f.counters().datagrams_forwarded.load() == 1);
  CHECK(p.f.counters().datagram_bytes.load() == 100);
  CHECK(p.f.datagrams_balance());

  p.f.feed(p.b.from, CoreFixture::data_bytes(p.b, 1));
  REQUIRE(p.f.last.forwards.size() == 1);
  CHECK(p.f.last.forwards[0].destination == p.a.from);
}

TEST_CASE("it leaves from the local address that the receiver's BIND reached") {
  CoreFixture f;
  UdpClient a = f.bound(0, at(1));
  const UdpClient b{at(2), f.token(1)};
  const LocalAddress other{IpAddress::v4(198, 51, 100, 9), 1};
  Bytes first = CoreFixture::bind_bytes(b);
  Bytes second = CoreFixture::bind_bytes(b, f.cookie_for(b));
  Datagram datagram{.source = b.from,
                    .local = other,
                    .data = second.data(),
                    .length = 96,
                    .segment_size = 96,
                    .buffer = 1};
  f.core->on_datagrams({&datagram, 1});
  CHECK(f.core->decisions().replies[0].source == other);
  f.core->decisions() = {};
  f.feed(a.from, CoreFixture::data_bytes(a, 1));
  REQUIRE(f.last.forwards.size() == 1);
  CHECK(f.last.forwards[0].source == other);
}

TEST_CASE("empty payloads are forwarded too") {
  Pair p;
  p.send(0, 3);
  CHECK(p.forwarded_packets() == 3);
  CHECK(p.f.counters().datagram_bytes.load() == 0);
}

TEST_CASE("a train of one channel stays one, its last segment may be shorter") {
  Pair p;
  Bytes train;
  for (const size_t payload : {100, 100, 40}) {
    const Bytes one = CoreFixture::data_bytes(p.a, payload);
    train.insert(train.end(), one.begin(), one.end());
  }
  p.f.feed(p.a.from, train, 108);
  REQUIRE(p.f.last.forwards.size() == 1);
  const OutgoingDatagram& out = p.f.last.forwards[0];
  CHECK(out.packets == 3);
  CHECK(out.segment_size == 108);
  CHECK(out.length == train.size());
  CHECK(p.f.counters().datagram_bytes.load() == 240);
  CHECK(p.f.datagrams_balance());
}

TEST_CASE("a train of several channels is cut where they change, in order") {
  CoreFixture f;
  const UdpClient a1 = f.bound(0, at(1));
  const UdpClient b1 = f.bound(1, at(2));
  const UdpClient a2 = f.bound(0, at(1), kSession + 0x100);
  const UdpClient b2 = f.bound(1, at(3), kSession + 0x100);
  Bytes train;
  for (const UdpClient* client : {&a1, &a1, &a2, &a1}) {
    const Bytes one = CoreFixture::data_bytes(*client, 50);
    train.insert(train.end(), one.begin(), one.end());
  }
  f.feed(at(1), train, 58);
  REQUIRE(f.last.forwards.size() == 3);
  CHECK(f.last.forwards[0].destination == b1.from);
  CHECK(f.last.forwards[0].packets == 2);
  CHECK(f.last.forwards[1].destination == b2.from);
  CHECK(f.last.forwards[1].data == f.last.forwards[0].data + 116);
  CHECK(f.last.forwards[2].destination == b1.from);
  CHECK(f.last.forwards[2].packets == 1);
  CHECK(f.datagrams_balance());
}

TEST_CASE("a batch is as large as the datagrams in its trains, whatever becomes of them") {
  Pair p;
  Bytes train;
  for (int i = 0; i < 5; ++i) {
    const Bytes one = CoreFixture::data_bytes(p.a, 100);
    train.insert(train.end(), one.begin(), one.end());
  }
  Bytes unknown(30, 0xff);
  const auto received = [&](Bytes& bytes, uint16_t segment) {
    return Datagram{.source = p.a.from,
                    .local = CoreFixture::kLocal,
                    .data = bytes.data(),
                    .length = static_cast<uint32_t>(bytes.size()),
                    .segment_size = segment,
                    .buffer = 1};
  };
  Bytes empty;
  const std::vector<Datagram> batch{received(train, 108), received(unknown, 30),
                                    received(empty, 0)};
  CHECK(p.f.core->on_datagrams(batch) == 7);
  CHECK(p.f.datagrams_balance());
  CHECK(p.f.core->on_datagrams({}) == 0);
}

TEST_CASE("each segment of a mixed train is judged by itself") {
  Pair p;
  Bytes train = CoreFixture::data_bytes(p.a, 92);
  const Bytes ping = CoreFixture::ping_bytes(p.a.channel, 100);
  train.insert(train.end(), ping.begin(), ping.end());
  const Bytes data = CoreFixture::data_bytes(p.a, 92);
  train.insert(train.end(), data.begin(), data.end());
  train.insert(train.end(), {0x08, 0, 0, 0});  // too short for a header
  p.f.feed(p.a.from, train, 100);
  REQUIRE(p.f.last.forwards.size() == 3);
  CHECK(p.f.last.forwards[0].destination == p.b.from);
  CHECK(p.f.last.forwards[1].destination == p.a.from);  // the PONG
  CHECK(p.f.last.forwards[2].destination == p.b.from);
  CHECK(p.f.dropped(DropReason::malformed) == 1);
  CHECK(p.f.datagrams_balance());
}

// ---- what is not ----

TEST_CASE("each reason to drop is told apart") {
  Pair p;
  Bytes data = CoreFixture::data_bytes(p.a, 10);
  Endpoint source = p.a.from;
  uint16_t segment = 0;
  bool truncated = false;
  DropReason reason{};
  uint64_t count = 1;
  SUBCASE("nothing in it") {
    data.clear();
    reason = DropReason::empty;
  }
  SUBCASE("larger than a buffer, all of its segments") {
    data = Bytes(300);
    segment = 100;
    truncated = true;
    reason = DropReason::truncated;
    count = 3;
  }
  SUBCASE("nobody's first byte") {
    data[0] = 0x80;
    reason = DropReason::unknown_type;
  }
  SUBCASE("the nearest types on either side") {
    data[0] = 0x0d;
    reason = DropReason::unknown_type;
  }
  SUBCASE("STUN without its cookie") {
    data[0] = 0x01;
    reason = DropReason::unknown_type;
  }
  SUBCASE("what only a relay sends") {
    data[0] = 0x07;
    reason = DropReason::unexpected_type;
  }
  SUBCASE("shorter than its header") {
    data.resize(7);
    reason = DropReason::malformed;
  }
  SUBCASE("no such channel") {
    data[7] ^= 1;
    reason = DropReason::no_channel;
  }
  SUBCASE("channel 0") {
    std::fill_n(data.begin() + 4, 4, 0);
    reason = DropReason::no_channel;
  }
  SUBCASE("another address") {
    source = at(3);
    reason = DropReason::wrong_source;
  }
  SUBCASE("another port") {
    source.port = 1;
    reason = DropReason::wrong_source;
  }
  SUBCASE("another shard key") {
    data[1] ^= 1;
    reason = DropReason::wrong_shard_key;
  }
  SUBCASE("above max_packet_size") {
    data.resize(1473);
    reason = DropReason::too_large;
  }
  p.f.feed(source, data, segment, truncated);
  CHECK(p.f.last.forwards.empty());
  CHECK(p.f.last.replies.empty());
  CHECK(p.f.dropped(reason) == count);
  CHECK(p.f.counters().datagrams_dropped.total() == count);
  CHECK(p.f.datagrams_balance());
}

TEST_CASE("max_packet_size is the largest that passes, in a train as alone") {
  Pair p;
  p.send(1464);
  CHECK(p.forwarded_packets() == 1);
  p.send(1465, 2);
  CHECK(p.forwarded_packets() == 0);
  CHECK(p.f.dropped(DropReason::too_large) == 2);
}

TEST_CASE("nobody hears one whose counterpart has not come or has gone") {
  CoreFixture f;
  const UdpClient a = f.bound(0, at(1));
  f.feed(a.from, CoreFixture::data_bytes(a, 10));
  CHECK(f.dropped(DropReason::not_paired) == 1);
  const UdpClient b = f.bound(1, at(2));
  f.feed(a.from, CoreFixture::data_bytes(a, 10));
  CHECK(f.last.forwards.size() == 1);
  f.feed(b.from, CoreFixture::close_bytes(b));
  f.feed(a.from, CoreFixture::data_bytes(a, 10));
  CHECK(f.dropped(DropReason::not_paired) == 2);
  f.feed(b.from, CoreFixture::data_bytes(b, 10));
  CHECK(f.dropped(DropReason::wrong_source) == 1);
}

// ---- caps ----

TEST_CASE("packets past the rate are dropped from the end of a train, and come back with time") {
  Pair p([](ShardSettings& s) { s.packets_per_second = 10; });
  p.send(50, 14);
  REQUIRE(p.f.last.forwards.size() == 1);
  CHECK(p.f.last.forwards[0].packets == 10);
  CHECK(p.f.last.forwards[0].length == 580);
  CHECK(p.f.dropped(DropReason::over_packet_rate) == 4);
  p.send(50);
  CHECK(p.forwarded_packets() == 0);
  // Each end has its own.
  p.f.feed(p.b.from, CoreFixture::data_bytes(p.b, 1));
  CHECK(p.forwarded_packets() == 1);
  p.f.advance(kSecond / 2);
  p.send(50, 14);
  CHECK(p.forwarded_packets() == 5);
  CHECK(p.f.datagrams_balance());
}

TEST_CASE("who is exempt has no packet rate") {
  Pair p([](ShardSettings& s) {
    s.packets_per_second = 1;
    s.exempt = {*Network::parse("192.0.2.1")};
  });
  p.send(50, 200);
  CHECK(p.forwarded_packets() == 200);
}

TEST_CASE(
    "keeping over the packet rate is an offence, ten a second at most; a burst is not a ban") {
  Pair p([](ShardSettings& s) {
    s.packets_per_second = 10;
    s.blacklist_threshold = 100;
  });
  for (int i = 0; i < 50; ++i) p.send(50, 20);  // in the shard's first moment
  CHECK(p.f.counters().offences.load() == 1);
  for (int i = 0; i < 98; ++i) {
    p.f.advance(100 * kNanosPerMillisecond);
    p.send(50, 20);
  }
  CHECK(p.f.counters().offences.load() == 99);
  CHECK(p.f.counters().auto_blocks.load() == 0);
  p.f.advance(100 * kNanosPerMillisecond);
  p.send(50, 20);
  CHECK(p.f.counters().auto_blocks.load() == 1);
}

// 1,000 bytes a second for 2 seconds, and one largest packet on top.
constexpr uint64_t kBurst = 2000 + 1472;

TEST_CASE("the session's bandwidth counts payload, both directions together") {
  Pair p([](ShardSettings& s) { s.session_bytes_per_second = 1000; });
  p.send(1000);
  p.f.feed(p.b.from, CoreFixture::data_bytes(p.b, 1000));
  CHECK(p.forwarded_packets() == 1);
  p.send((kBurst - 2000) / 2, 2);
  CHECK(p.forwarded_packets() == 2);
  p.send(1);
  CHECK(p.forwarded_packets() == 0);
  CHECK(p.f.dropped(DropReason::over_session_bandwidth) == 1);
  p.f.advance(kSecond);
  p.send(1001);
  CHECK(p.forwarded_packets() == 0);
  p.send(1000);
  CHECK(p.forwarded_packets() == 1);
  // Another session has its own.
  const UdpClient c = p.f.bound(0, at(3), kSession + 0x100);
  (void)p.f.bound(1, at(4), kSession + 0x100);
  p.f.feed(c.from, CoreFixture::data_bytes(c, 1000));
  CHECK(p.forwarded_packets() == 1);
  CHECK(p.f.datagrams_balance());
}

TEST_CASE("as much of a train passes as the bandwidth allows, whole packets from its start") {
  Pair p([](ShardSettings& s) { s.session_bytes_per_second = 1000; });
  p.send(100, 40);
  CHECK(p.forwarded_packets() == kBurst / 100);
  CHECK(p.f.dropped(DropReason::over_session_bandwidth) == 40 - kBurst / 100);
  p.send(static_cast<size_t>(kBurst % 100));  // what was not used is left
  CHECK(p.forwarded_packets() == 1);
}

TEST_CASE("the shorter last segment is charged as it is") {
  Pair p([](ShardSettings& s) { s.session_bytes_per_second = 1000; });
  p.send(1000);
  p.send(1000);
  p.send(kBurst - 2000 - 150);
  // 150 are left: one of 100 and one of 50 fit, two of 100 do not
  Bytes train = CoreFixture::data_bytes(p.a, 100);
  const Bytes shorter = CoreFixture::data_bytes(p.a, 50);
  train.insert(train.end(), shorter.begin(), shorter.end());
  p.f.feed(p.a.from, train, 108);
  CHECK(p.forwarded_packets() == 2);
  CHECK(p.f.dropped(DropReason::over_session_bandwidth) == 0);
}

TEST_CASE("a token's own rate holds where it is less, the smaller of the two slots'") {
  CoreFixture f([](ShardSettings& s) { s.session_bytes_per_second = 100'000; });
  const UdpClient a = f.bound(0, at(1), {.rate_kbps = 16});  // 2,000 bytes a second
  (void)f.bound(1, at(2), {.rate_kbps = 8});                 // 1,000
  for (const size_t payload : {1000, 1000, 1000, 472}) {
    f.feed(a.from, CoreFixture::data_bytes(a, payload));
    CHECK(f.last.forwards.size() == 1);
  }
  f.feed(a.from, CoreFixture::data_bytes(a, 1));
  CHECK(f.last.forwards.empty());
  CHECK(f.dropped(DropReason::over_session_bandwidth) == 1);
}

TEST_CASE("a token's rate above the server's changes nothing") {
  Pair p([](ShardSettings& s) { s.session_bytes_per_second = 1000; }, {.rate_kbps = 1'000'000});
  p.send(100, 40);
  CHECK(p.forwarded_packets() == kBurst / 100);
}

TEST_CASE("the shard's share of the global bandwidth is over all of its sessions") {
  Pair p;
  const UdpClient c = p.f.bound(0, at(3), kSession + 0x100);
  (void)p.f.bound(1, at(4), kSession + 0x100);
  p.f.command(SetGlobalShare{1000});
  p.send(100, 30);
  CHECK(p.forwarded_packets() == 30);
  p.f.feed(c.from, CoreFixture::data_bytes(c, 1000));
  CHECK(p.forwarded_packets() == 0);
  CHECK(p.f.dropped(DropReason::over_global_bandwidth) == 1);
  // What came within the other caps is what the shard asks for, dropped or not.
  CHECK(p.f.counters().demand.load() == 4000);
  p.f.command(SetGlobalShare{0});
  p.f.feed(c.from, CoreFixture::data_bytes(c, 1000));
  CHECK(p.forwarded_packets() == 1);
  CHECK(p.f.datagrams_balance());
}

// ---- PING ----

TEST_CASE("a PING from a bound address becomes its PONG, of any size and with the clock") {
  Pair p;
  for (const size_t size : {16u, 23u, 24u, 1472u}) {
    Bytes ping = CoreFixture::ping_bytes(p.a.channel, size);
    p.f.feed(p.a.from, ping);
    REQUIRE(p.f.last.forwards.size() == 1);
    const OutgoingDatagram& out = p.f.last.forwards[0];
    CHECK(out.destination == p.a.from);
    ping[0] = 0x0a;
    if (size >= 24) store_big_endian(&ping[16], static_cast<uint64_t>(p.f.now / 1000));
    CHECK(Bytes(out.data, out.data + out.length) == ping);
  }
  CHECK(p.f.datagrams_balance());
}

TEST_CASE("a PING from elsewhere is answered with channel 0: bind again") {
  Pair p;
  SUBCASE("another address") {
    p.f.feed(at(3), CoreFixture::ping_bytes(p.a.channel, 24));
  }
  SUBCASE("no such channel") {
    p.f.feed(p.a.from, CoreFixture::ping_bytes(p.a.channel ^ 1, 24));
  }
  SUBCASE("unbound, for anyone") {
    p.f.feed(at(3), CoreFixture::ping_bytes(0, 1200));
  }
  REQUIRE(p.f.last.forwards.size() == 1);
  CHECK(p.f.last.forwards[0].data[0] == 0x0a);
  CHECK(load_big_endian<uint32_t>(p.f.last.forwards[0].data + 4) == 0);
}

TEST_CASE("PINGs that are too short, or too large for who is not bound, are dropped") {
  Pair p;
  p.f.feed(p.a.from, CoreFixture::ping_bytes(p.a.channel, 15));
  CHECK(p.f.dropped(DropReason::malformed) == 1);
  p.f.feed(at(3), CoreFixture::ping_bytes(0, 1201));
  CHECK(p.f.dropped(DropReason::too_large) == 1);
  p.f.feed(at(3), CoreFixture::ping_bytes(p.a.channel, 1201));
  CHECK(p.f.dropped(DropReason::too_large) == 2);
  CHECK(p.f.last.forwards.empty());
  CHECK(p.f.datagrams_balance());
}

TEST_CASE("PINGs count against the packet rate of the bound and the budget of the others") {
  Pair p([](ShardSettings& s) { s.packets_per_second = 4; });
  for (int i = 0; i < 5; ++i) p.f.feed(p.a.from, CoreFixture::ping_bytes(p.a.channel, 16));
  CHECK(p.f.dropped(DropReason::over_packet_rate) == 1);
  for (int i = 0; i < 5; ++i) p.f.feed(at(3), CoreFixture::ping_bytes(0, 16));
  CHECK(p.f.dropped(DropReason::unvalidated_source_budget) == 1);
  CHECK(p.f.datagrams_balance());
}

TEST_CASE("who is blocked gets no PONG and no STUN answer") {
  CoreFixture f;
  f.command(AddBlock{1, *Network::parse("192.0.2.3"), 0, false});
  f.feed(at(3), CoreFixture::ping_bytes(0, 16));
  CHECK(f.last.forwards.empty());
  CHECK(f.dropped(DropReason::blocked) == 1);
}

// ---- CLOSE ----

TEST_CASE("CLOSE with the client's nonce ends its binding, without an answer") {
  Pair p;
  p.f.feed(p.a.from, CoreFixture::close_bytes(p.a));
  CHECK(p.f.said_to(p.a.from).empty());
  CHECK(p.f.dropped(DropReason::close_accepted) == 1);
  const Bytes bound = p.f.only_word_to(p.b.from);
  CHECK(bound[0] == 0x07);
  CHECK(bound[2] == 0);
  CHECK(std::equal(p.b.nonce.begin(), p.b.nonce.end(), bound.begin() + 4));
  CHECK(p.f.counters().sessions_paired.load() == 0);
  CHECK(p.f.counters().notices.load() == 2);  // paired, and alone
  CHECK(p.f.datagrams_balance());
}

TEST_CASE("a CLOSE that is not proven does nothing") {
  Pair p;
  UdpClient forger = p.a;
  DropReason reason{};
  SUBCASE("another nonce") {
    forger.nonce[7] ^= 1;
    reason = DropReason::close_unproven;
  }
  SUBCASE("the counterpart's nonce is not one's own") {
    p.b.nonce.fill(9);
    p.f.bind(p.b);
    forger.nonce = p.b.nonce;
    reason = DropReason::close_unproven;
  }
  SUBCASE("another address") {
    forger.from = at(3);
    reason = DropReason::wrong_source;
  }
  SUBCASE("no such channel") {
    forger.channel ^= 1;
    reason = DropReason::no_channel;
  }
  p.f.feed(forger.from, CoreFixture::close_bytes(forger));
  CHECK(p.f.last.replies.empty());
  CHECK(p.f.dropped(reason) == 1);
  p.send(1);
  CHECK(p.forwarded_packets() == 1);
}

TEST_CASE("a CLOSE of another length is malformed") {
  Pair p;
  Bytes close = CoreFixture::close_bytes(p.a);
  close.push_back(0);
  p.f.feed(p.a.from, close);
  CHECK(p.f.dropped(DropReason::malformed) == 1);
}

// ---- STUN ----

Bytes stun_binding_request() {
  Bytes request(20);
  request[1] = 0x01;
  store_big_endian(&request[4], kStunMagicCookie);
  request[19] = 9;
  return request;
}

TEST_CASE("a STUN Binding request is answered within the budget") {
  CoreFixture f([](ShardSettings& s) { s.packets_per_second = 2; });
  for (int i = 0; i < 2; ++i) {
    f.feed(at(3), stun_binding_request());
    const Bytes answer = f.only_word_to(at(3));
    CHECK(field<uint16_t>(answer, 0) == 0x0101);
    CHECK(field<uint16_t>(answer, 20) == 0x0020);  // XOR-MAPPED-ADDRESS
    CHECK(field<uint16_t>(answer, 26) == (4000 ^ 0x2112));
  }
  f.feed(at(3), stun_binding_request());
  CHECK(f.last.replies.empty());
  CHECK(f.dropped(DropReason::unvalidated_source_budget) == 1);
  CHECK(f.datagrams_balance());
}

TEST_CASE("other STUN is dropped and counted") {
  CoreFixture f;
  Bytes indication = stun_binding_request();
  indication[1] = 0x11;
  f.feed(at(3), indication);
  CHECK(f.dropped(DropReason::stun_method) == 1);
  Bytes lying = stun_binding_request();
  lying[3] = 4;
  f.feed(at(3), lying);
  CHECK(f.dropped(DropReason::stun_malformed) == 1);
  CHECK(f.last.replies.empty());
  CHECK(f.datagrams_balance());
}

// ---- forged traffic ----

TEST_CASE("nothing that is forged spends a bound client's rate or bans anybody") {
  Pair p([](ShardSettings& s) {
    s.packets_per_second = 10;
    s.blacklist_threshold = 1;
  });
  for (int i = 0; i < 100; ++i) {
    p.f.feed(at(66), CoreFixture::data_bytes(p.a, 10));  // the channel, guessed
    p.f.feed(p.a.from, CoreFixture::ping_bytes(0, 16));  // the address, forged
    p.f.feed(p.a.from, CoreFixture::bind_bytes({p.a.from, p.a.token}));
    UdpClient forger = p.a;
    forger.nonce.fill(0);
    p.f.feed(p.a.from, CoreFixture::close_bytes(forger));
    p.f.feed(p.a.from, stun_binding_request());
  }
  CHECK(p.f.dropped(DropReason::unvalidated_source_budget) > 0);
  CHECK(p.f.counters().offences.load() == 0);
  CHECK(p.f.counters().auto_blocks.load() == 0);
  p.send(10, 10);
  CHECK(p.forwarded_packets() == 10);
  p.f.feed(p.b.from, CoreFixture::ping_bytes(p.b.channel, 16));
  CHECK(p.forwarded_packets() == 1);
  CHECK(p.f.datagrams_balance());
}

TEST_CASE("what is not DATA keeps no binding alive when it is forged") {
  Pair p([](ShardSettings& s) { s.keepalive_timeout = 10 * kSecond; });
  p.f.advance(9 * kSecond);
  p.f.feed(at(66), CoreFixture::ping_bytes(p.a.channel, 16));
  p.f.advance(kSecond + kSlack);
  CHECK(p.f.said_to(p.a.from).size() >= 1);  // CLOSE
  CHECK(p.f.said_to(p.a.from)[0][0] == 0x0b);
}

// ---- other shards' ----

TEST_CASE("what belongs to another shard is passed on and counted there") {
  CoreFixture f({}, 2);
  UdpClient mine = f.bound(0, at(1));
  const UdpClient theirs{at(1), f.token(0, kSession + 1), {}, 5};
  SUBCASE("alone") {
    for (const Bytes& bytes : {CoreFixture::bind_bytes(theirs), CoreFixture::data_bytes(theirs, 9),
                               CoreFixture::close_bytes(theirs)}) {
      f.feed(at(1), bytes);
      REQUIRE(f.last.strays.size() == 1);
      CHECK(f.last.strays[0].shard == 1);
      CHECK(f.last.strays[0].source == at(1));
      CHECK(Bytes(f.last.strays[0].bytes.begin(), f.last.strays[0].bytes.end()) == bytes);
    }
    CHECK(f.counters().strays.load() == 3);
  }
  SUBCASE("behind one of ours, segment by segment") {
    Bytes train = CoreFixture::data_bytes(mine, 50);
    for (const size_t payload : {50, 50, 20}) {
      const Bytes one = CoreFixture::data_bytes(theirs, payload);
      train.insert(train.end(), one.begin(), one.end());
    }
    f.feed(at(1), train, 58);
    CHECK(f.dropped(DropReason::not_paired) == 1);
    REQUIRE(f.last.strays.size() == 3);
    CHECK(f.last.strays[0].bytes.size() == 58);
    CHECK(f.last.strays[2].bytes.size() == 28);
  }
  CHECK(f.last.replies.empty());
  CHECK(f.datagrams_balance());
}

TEST_CASE("STUN and what is not understood belong to whoever got them") {
  CoreFixture f({}, 2);
  f.feed(at(3), stun_binding_request());
  CHECK(f.said_to(at(3)).size() == 1);
  f.feed(at(3), {0x07, 0x01});
  CHECK(f.dropped(DropReason::unexpected_type) == 1);
  CHECK(f.last.strays.empty());
}

}  // namespace
}  // namespace tandem
