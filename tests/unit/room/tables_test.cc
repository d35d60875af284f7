#include "room/ctl/tables.h"

#include <doctest/doctest.h>

#include "room/node_report.h"
#include "tests/unit/room/fake_relay.h"

namespace tandem {
namespace {

TEST_CASE("sessions stand in columns with units") {
  FakeRelay relay;
  std::vector<SessionRow> rows{relay.rows_.begin()->second};
  rows.push_back({.session_id = 1, .shard = 3, .ends = {}});
  CHECK(human_answer(admin::Sessions{}, encode_sessions(rows)) ==
        "SESSION           SHARD  STATE       AGE     IDLE       RATE    FROM A  FROM B  A"
        "                         B\n"
        "0123456789abcdef      0  paired   1m 30s  20.0 ms  122 KiB/s  1.00 MiB   512 B  "
        "192.0.2.7:4000 tcp*1+udp  [2001:db8::7]:5000 tcp*1\n"
        "0000000000000001      3  waiting    0 ns     0 ns      0 B/s       0 B     0 B  -"
        "                         -\n");
}

TEST_CASE("one session") {
  FakeRelay relay;
  CHECK(human_answer(admin::Session{}, encode_session(relay.rows_.begin()->second)) ==
        "session       0123456789abcdef\n"
        "shard         0\n"
        "state         paired\n"
        "age           1m 30s\n"
        "idle          20.0 ms\n"
        "rate          122 KiB/s\n"
        "dropped       4 datagrams\n"
        "\n"
        "SIDE  TCP                 STREAMS  UDP                 SENT  DATAGRAMS\n"
        "A     192.0.2.7:4001            1  192.0.2.7:4000  1.00 MiB        900\n"
        "B     [2001:db8::7]:5000        1  -                  512 B          0\n");
}

TEST_CASE("blocks") {
  const BlockRow rows[] = {{.network = *Network::parse("10.0.0.0/8")},
                           {.network = *Network::parse("2001:db8::/64"),
                            .remaining = 65 * kNanosPerSecond,
                            .automatic = true}};
  CHECK(human_answer(admin::Blocks{}, encode_blocks(rows)) ==
        "NETWORK        BY            REMAINING\n"
        "10.0.0.0/8     operator  until removed\n"
        "2001:db8::/64  relay            1m 05s\n");
}

TEST_CASE("status") {
  FakeRelay relay;
  NodeState node{.uptime = 90 * kNanosPerSecond,
                 .relay = RelayState::serving,
                 .sessions = 2,
                 .sessions_max = 10,
                 .shards = relay.shards(),
                 .process = {.resident_bytes = 1 << 20,
                             .descriptors_open = 12,
                             .descriptors_max = 1024,
                             .host_memory_bytes = 1 << 30,
                             .host_memory_available_bytes = 1 << 29}};
  const std::string page = human_answer(admin::Status{}, status_json(node, relay.features()));
  CHECK(page.find("status        ok, ready\n") != std::string::npos);
  CHECK(page.find("uptime        1m 30s\n") != std::string::npos);
  CHECK(page.find("sessions      2 of 10, room for 8\n") != std::string::npos);
  CHECK(page.find("memory        1.00 MiB, the host has 512 MiB left\n") != std::string::npos);
  CHECK(page.find("back end      io_uring, submission defer, zero copy off\n") !=
        std::string::npos);
  CHECK(page.find("kernel        recv_bundle, udp_gro\n") != std::string::npos);
  CHECK(page.find("    0    1         2       1        3  4.00 KiB  1.17 KiB          8        2"
                  "     25 %\n") != std::string::npos);
}

TEST_CASE("tokens: JOIN lines where a token can be shown whole") {
  MintedTokens minted{.session_id = 0xab,
                      .expires_at = 5,
                      .tcp = true,
                      .udp = true,
                      .prove = false,
                      .a = "AAA",
                      .b = "BBB"};
  CHECK(human_answer(MintRequest{}, encode_minted(minted)) ==
        "session 00000000000000ab\nA AAA\nB BBB\nTANDEM/1 JOIN AAA\nTANDEM/1 JOIN BBB\n");
  minted.b.clear();
  minted.prove = true;
  CHECK(human_answer(MintRequest{}, encode_minted(minted)) == "session 00000000000000ab\nA AAA\n");
  minted.prove = false;
  minted.tcp = false;
  CHECK(human_answer(MintRequest{}, encode_minted(minted)) == "session 00000000000000ab\nA AAA\n");
}

TEST_CASE("the short ones") {
  const std::string done = encode_done();
  CHECK(human_answer(admin::Kick{0xab}, done) == "kicked 00000000000000ab\n");
  CHECK(human_answer(admin::Block{*Network::parse("10.0.0.0/8"), 60}, done) ==
        "blocked 10.0.0.0/8 for 60 s\n");
  CHECK(human_answer(admin::Block{*Network::parse("10.0.0.0/8"), 0}, done) ==
        "blocked 10.0.0.0/8 until it is removed\n");
  CHECK(human_answer(admin::SetLogLevel{LogLevel::debug}, done) == "log level is debug\n");
  CHECK(human_answer(admin::Reload{}, encode_reloaded({{}, {}})) == "nothing changed\n");
  CHECK(human_answer(admin::Reload{}, encode_reloaded({{"log.level"}, {"listen.port"}})) ==
        "applied        log.level\nneeds restart  listen.port\n");
  CHECK(human_answer(admin::Backup{"/b/1"}, encode_backed_up("/b/1", 4096)) ==
        "backed up to /b/1, 4.00 KiB\n");
  CHECK(human_answer(admin::Version{}, encode_version("1.2.3")) == "tandemd 1.2.3\n");
}

TEST_CASE("an answer of another version shows what it has") {
  const AdminRequest requests[] = {admin::Status{}, admin::Sessions{}, admin::Session{},
                                   admin::Blocks{}, admin::Version{},  admin::Reload{},
                                   MintRequest{},   admin::Backup{}};
  for (const AdminRequest& request : requests)
    for (const char* answer : {R"({"ok":true})", R"({"ok":true,"relay":7,"sessions":{"x":1}})"})
      CHECK(!human_answer(request, answer).empty());
}

}  // namespace
}  // namespace tandem
