#include "relay/core/operations.h"

#include "tests/unit/relay/core_fixture.h"

namespace tandem {
namespace {

using Kind = StreamAction::Kind;

// The only answer of the last command.
CommandOutcome outcome(const CoreFixture& f, RequestId request) {
  const auto done = f.told<CommandDone>();
  REQUIRE(done.size() == 1);
  CHECK(done[0].request == request);
  return done[0].outcome;
}

Network network(std::string_view text) {
  return *Network::parse(text);
}

// ---- kick ----

TEST_CASE("a kick ends all of a session and refuses it from then on") {
  CoreFixture f;
  const auto [a, b] = f.lane();
  const StreamId waiting = f.join(at(1), f.token(0), " lane=1");
  const UdpClient udp = f.bound(0, at(1));
  (void)f.lane({}, kSession + 0x100);
  f.command(KickSession{7, kSession});
  CHECK(outcome(f, 7) == CommandOutcome::done);
  CHECK(f.was_asked(Kind::reset, a));
  CHECK(f.was_asked(Kind::reset, b));
  // Before PAIRED the line is still the relay's to speak.
  CHECK(f.heard(waiting).starts_with("TANDEM/1 WAIT\nTANDEM/1 ERR KICKED "));
  CHECK(f.was_asked(Kind::linger_close, waiting));
  CHECK(f.only_word_to(udp.from)[2] == 3);
  CHECK(f.counters().sessions.load() == 1);
  CHECK(f.ended(LaneEnd::kicked) == 2);
  const auto events = f.told<LogEvent>();
  REQUIRE(events.size() == 2);
  CHECK(events[1].kind == LogKind::session_kicked);
  CHECK(events[1].session_id == kSession);
  // No datagram of it is known any more.
  f.feed(udp.from, CoreFixture::data_bytes(udp, 1));
  CHECK(f.dropped(DropReason::no_channel) == 1);
}

TEST_CASE("kicking who is not there is not_found, and still keeps it away") {
  CoreFixture f;
  f.command(KickSession{7, kSession});
  CHECK(outcome(f, 7) == CommandOutcome::not_found);
  f.join(at(1), f.token(0));
  CHECK(f.joins(JoinOutcome::kicked) == 1);
}

TEST_CASE("a full table of kicked sessions is told, and the session is cut all the same") {
  CoreFixture f;
  for (uint32_t i = 0; i < kRevocationsMax; ++i) f.command(KickSession{0, i});
  CHECK(f.told<CommandDone>().empty());  // nobody waits for request 0
  const auto [a, b] = f.lane();
  f.command(KickSession{8, kSession});
  CHECK(outcome(f, 8) == CommandOutcome::table_full);
  CHECK(f.was_asked(Kind::reset, a));
}

// ---- block ----

TEST_CASE("a block cuts whoever is connected from there, and nobody else") {
  CoreFixture f;
  const auto [a, b] = f.lane();  // hosts 1 and 2
  const StreamId waiting = f.join(at(1), f.token(0), " lane=1");
  const StreamId other = f.join(at(2), f.token(1), " lane=2");
  const UdpClient udp_a = f.bound(0, at(1));
  const UdpClient udp_b = f.bound(1, at(2));
  f.command(AddBlock{7, network("192.0.2.1"), 0, false});
  CHECK(outcome(f, 7) == CommandOutcome::done);
  CHECK(f.was_asked(Kind::reset, a));
  CHECK(f.was_asked(Kind::reset, b));  // its lane is over
  CHECK(f.heard(waiting).find("TANDEM/1 ERR BLOCKED") != std::string::npos);
  CHECK(f.was_asked(Kind::linger_close, waiting));
  CHECK(!f.was_asked(Kind::linger_close, other));
  CHECK(f.only_word_to(udp_a.from)[2] == 3);
  CHECK(f.only_word_to(udp_b.from)[0] == 0x07);
  CHECK(f.only_word_to(udp_b.from)[2] == 0);
  CHECK(f.ended(LaneEnd::blocked) == 2);
  CHECK(f.counters().sessions.load() == 1);
}

TEST_CASE("a block tells those who are still joining, and closes when they have read it") {
  CoreFixture f;
  const StreamId silent = f.accept(at(1));
  const StreamId proving = f.accept(at(1));
  // Claims are the first 24 bytes of a token: 32 characters.
  f.type(proving, "TANDEM/1 PROVE " + std::string(token_text(f.token(0))).substr(0, 32) + "\n");
  REQUIRE(f.heard(proving).starts_with("TANDEM/1 NONCE "));
  const StreamId refused = f.accept(at(1));
  f.type(refused, "?");
  const StreamId other = f.accept(at(2));
  f.command(AddBlock{7, network("192.0.2.1"), 0, false});
  for (const StreamId id : {silent, proving}) {
    CHECK(f.heard(id).find("TANDEM/1 ERR BLOCKED") != std::string::npos);
    CHECK(f.was_asked(Kind::linger_close, id));
  }
  CHECK(f.joins(JoinOutcome::blocked) == 2);
  CHECK(f.heard(refused).find("BLOCKED") == std::string::npos);
  CHECK(f.heard(other).empty());
}

TEST_CASE("a block meets who was between two shards when it came") {
  CoreFixture f({}, 2);
  f.command(AddBlock{7, network("192.0.2.1"), 0, false});
  const std::string line = CoreFixture::join_line(f.token(0));
  const StreamId late{900, 1};
  f.core->on_handed_over(late, at(1), CoreFixture::kLocal,
                         {reinterpret_cast<const uint8_t*>(line.data()), line.size()});
  f.advance(0);
  CHECK(f.heard(late).find("TANDEM/1 ERR BLOCKED") != std::string::npos);
}

TEST_CASE("a block of a wider network leaves who is exempt") {
  CoreFixture f([](ShardSettings& s) { s.exempt = {network("192.0.2.1")}; });
  const StreamId exempt = f.join(at(1), f.token(0));
  const StreamId other = f.join(at(3), f.token(0), " lane=1");
  const UdpClient udp = f.bound(0, at(1));
  f.command(AddBlock{7, network("192.0.2.0/24"), 0, false});
  CHECK(!f.was_asked(Kind::linger_close, exempt));
  CHECK(f.was_asked(Kind::linger_close, other));
  CHECK(f.said_to(udp.from).empty());
}

TEST_CASE("an automatic block of another shard leaves what is joined") {
  CoreFixture f;
  (void)f.lane();
  f.command(AddBlock{0, network("192.0.2.1"), 60 * kSecond, true});
  CHECK(f.last.actions.empty());
  CHECK(f.told<CommandDone>().empty());
  f.accept(at(1));
  CHECK(f.joins(JoinOutcome::blocked) == 1);
  f.advance(60 * kSecond);
  CHECK(f.was_asked(Kind::read_line, f.accept(at(1))));
}

TEST_CASE("a block of a network ends with its time or when it is taken back") {
  CoreFixture f;
  f.command(AddBlock{1, network("192.0.2.0/24"), 60 * kSecond, false});
  f.accept(at(9));
  CHECK(f.joins(JoinOutcome::blocked) == 1);
  f.command(RemoveBlock{2, network("192.0.2.0/24")});
  CHECK(outcome(f, 2) == CommandOutcome::done);
  CHECK(f.was_asked(Kind::read_line, f.accept(at(9))));
  f.command(RemoveBlock{3, network("192.0.2.0/24")});
  CHECK(outcome(f, 3) == CommandOutcome::not_found);
}

TEST_CASE("what is exempt is not blocked, and a full list is told") {
  CoreFixture f([](ShardSettings& s) { s.exempt = {network("10.0.0.0/8")}; });
  f.command(AddBlock{1, network("10.1.2.3"), 0, false});
  CHECK(outcome(f, 1) == CommandOutcome::not_found);
  for (uint32_t i = 0; i < kBlockedNetworksMax; ++i) {
    f.command(AddBlock{1, {IpAddress::from_v4(0xac000000u + i * 256), 120}, 0, false});
    CHECK(outcome(f, 1) == CommandOutcome::done);
  }
  f.command(AddBlock{2, network("203.0.113.0/24"), 0, false});
  CHECK(outcome(f, 2) == CommandOutcome::table_full);
}

TEST_CASE("blocks are listed with what is left of them, over more than one page") {
  CoreFixture f;
  f.command(ListBlocks{3});
  CHECK(f.told<BlockRow>().empty());
  REQUIRE(f.told<ListEnd>().size() == 1);
  f.command(AddBlock{1, network("192.0.2.0/24"), 0, false});
  f.command(AddBlock{1, network("2001:db8::/64"), 60 * kSecond, true});
  for (uint8_t host = 0; host < 150; ++host) {
    f.command(AddBlock{0, {IpAddress::v4(203, 0, 113, host), 128}, 10 * kSecond, false});
  }
  f.advance(9 * kSecond);
  f.command(ListBlocks{4});
  const auto rows = f.told<BlockRow>();
  CHECK(rows.size() == 152);
  for (const BlockRow& row : rows) {
    CHECK(row.request == 4);
    if (row.network == network("192.0.2.0/24")) {
      CHECK(row.remaining == 0);  // until it is removed
      CHECK(!row.automatic);
    } else if (row.network == network("2001:db8::/64")) {
      CHECK(row.remaining == 51 * kSecond);
      CHECK(row.automatic);
    } else {
      CHECK(row.remaining == kSecond);
    }
  }
  REQUIRE(f.told<ListEnd>().size() == 1);
  CHECK(f.told<ListEnd>()[0].request == 4);
  CHECK(f.told<ListEnd>()[0].next_cursor == 0);
  f.advance(kSecond);
  f.command(ListBlocks{5});
  CHECK(f.told<BlockRow>().size() == 2);
}

// ---- sessions ----

TEST_CASE("a session is described as an operator sees it") {
  CoreFixture f([](ShardSettings& s) { s.session_bytes_per_second = 10'000; });
  const UdpClient a = f.bound(0, at(1), {.rate_kbps = 8});
  (void)f.bound(1, at(2, 5));
  f.join(at(1, 6), f.token(0), " lane=2");
  f.join(at(1, 7), f.token(0), " lane=1");
  f.advance(5 * kSecond);
  for (int i = 0; i < 5; ++i) f.feed(a.from, CoreFixture::data_bytes(a, 1000));
  f.advance(2 * kSecond);
  f.command(DescribeSession{9, kSession});
  const auto rows = f.told<SessionRow>();
  REQUIRE(rows.size() == 1);
  const SessionRow& row = rows[0];
  CHECK(row.request == 9);
  CHECK(row.session_id == kSession);
  CHECK(row.shard == 0);
  CHECK(row.paired);
  CHECK(row.age == 7 * kSecond);
  CHECK(row.idle == 2 * kSecond);
  CHECK(row.rate_bytes_per_second == 1000);
  CHECK(row.dropped_packets == 2);
  CHECK(row.ends[0].udp == at(1));
  CHECK(row.ends[1].udp == at(2, 5));
  CHECK(row.ends[0].bytes == 3000);
  CHECK(row.ends[0].packets == 3);
  CHECK(row.ends[1].packets == 0);
  CHECK(row.ends[0].tcp_streams == 2);
  CHECK(row.ends[0].tcp == at(1, 7));  // of the lowest lane
  CHECK(row.ends[1].tcp_streams == 0);
  CHECK(row.ends[1].tcp.port == 0);
  CHECK(f.told<CommandDone>().empty());
}

TEST_CASE("the rate shown is the one that holds") {
  CoreFixture f([](ShardSettings& s) { s.session_bytes_per_second = 10'000; });
  (void)f.bound(0, at(1));
  (void)f.bound(0, at(1), {.rate_kbps = 1000}, kSession + 0x100);
  for (const uint64_t id : {kSession, kSession + 0x100}) {
    f.command(DescribeSession{9, id});
    REQUIRE(f.told<SessionRow>().size() == 1);
    CHECK(f.told<SessionRow>()[0].rate_bytes_per_second == 10'000);
  }
}

TEST_CASE("describing who is not there is not_found") {
  CoreFixture f;
  f.command(DescribeSession{9, kSession});
  CHECK(outcome(f, 9) == CommandOutcome::not_found);
  CHECK(f.told<SessionRow>().empty());
}

TEST_CASE("sessions are listed page by page, each once") {
  CoreFixture f;
  for (uint8_t i = 0; i < 10; ++i) (void)f.bound(0, at(i), kSession + 0x100u * i);
  f.command(KickSession{0, kSession + 0x300});
  std::map<uint64_t, int> seen;
  uint32_t cursor = 0;
  uint32_t pages = 0;
  do {
    f.command(ListSessions{5, cursor, 4});
    CHECK(f.told<SessionRow>().size() <= 4);
    for (const SessionRow& row : f.told<SessionRow>()) ++seen[row.session_id];
    const ListEnd end = f.told<ListEnd>().at(0);
    CHECK(end.request == 5);
    cursor = end.next_cursor;
    ++pages;
  } while (cursor != 0);
  CHECK(pages == 3);
  CHECK(seen.size() == 9);
  for (const auto& [id, times] : seen) CHECK(times == 1);
}

TEST_CASE("a page that just fits is the last") {
  CoreFixture f;
  for (uint8_t i = 0; i < 4; ++i) (void)f.bound(0, at(i), kSession + 0x100u * i);
  f.command(ListSessions{5, 0, 4});
  CHECK(f.told<SessionRow>().size() == 4);
  CHECK(f.told<ListEnd>()[0].next_cursor == 0);
}

// ---- settings ----

TEST_CASE("new settings hold from then on, also for what is open, and control is told") {
  CoreFixture f;
  const UdpClient a = f.bound(0, at(1));
  (void)f.bound(1, at(2));
  ShardSettings next = f.settings;
  next.session_bytes_per_second = 1000;
  next.max_packet_size = 1300;
  next.keepalive_timeout = 20 * kSecond;
  f.command(ApplySettings{5, &next});
  REQUIRE(f.told<SettingsApplied>().size() == 1);
  CHECK(f.told<SettingsApplied>()[0].request == 5);
  CHECK(f.told<SettingsApplied>()[0].settings == &next);
  f.feed(a.from, CoreFixture::data_bytes(a, 1293));
  CHECK(f.dropped(DropReason::too_large) == 1);
  for (int i = 0; i < 3; ++i) f.feed(a.from, CoreFixture::data_bytes(a, 1250));
  CHECK(f.dropped(DropReason::over_session_bandwidth) == 1);
  f.advance(20 * kSecond + kSlack);
  CHECK(f.said_to(a.from)[0][0] == 0x0b);  // the timer that ran is the new one
}

TEST_CASE("keys change with the settings") {
  CoreFixture f;
  const TokenBytes old_token = f.token(0);
  ShardSettings next = f.settings;
  next.keys = {};
  std::array<uint8_t, 32> key;
  key.fill(8);
  REQUIRE(next.keys.add(2, key) == Keyring::AddOutcome::added);
  f.command(ApplySettings{5, &next});
  f.join(at(1), old_token);
  CHECK(f.joins(JoinOutcome::bad_token) == 1);
  f.settings.keys = next.keys;
  f.join(at(1), f.token(0));
  CHECK(f.joins(JoinOutcome::waiting) == 1);
}

TEST_CASE("a token's own rate outlives new settings") {
  CoreFixture f;
  const UdpClient a = f.bound(0, at(1), {.rate_kbps = 8});
  (void)f.bound(1, at(2));
  ShardSettings next = f.settings;
  next.session_bytes_per_second = 50'000;
  f.command(ApplySettings{5, &next});
  for (int i = 0; i < 4; ++i) f.feed(a.from, CoreFixture::data_bytes(a, 1000));
  CHECK(f.dropped(DropReason::over_session_bandwidth) == 1);
}

// ---- stop ----

TEST_CASE("stopping ends every session: CLOSE 4 and resets") {
  CoreFixture f;
  const auto [a, b] = f.lane();
  const StreamId waiting = f.join(at(3), f.token(0, kSession + 0x100));
  const UdpClient udp = f.bound(0, at(4), kSession + 0x200);
  CHECK(!f.core->stopping());
  f.command(StopShard{});
  CHECK(f.core->stopping());
  CHECK(f.was_asked(Kind::reset, a));
  CHECK(f.was_asked(Kind::reset, b));
  CHECK(f.was_asked(Kind::close, waiting));
  CHECK(f.only_word_to(udp.from)[2] == 4);
  CHECK(f.counters().sessions.load() == 0);
  CHECK(f.shared->sessions.load() == 0);
}

}  // namespace
}  // namespace tandem
