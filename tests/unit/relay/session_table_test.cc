#include "relay/core/session_table.h"

#include <doctest/doctest.h>

#include "relay/core/local_addresses.h"
#include "relay/core/stream_table.h"

namespace tandem {
namespace {

TEST_CASE("a session is found by its id until it is closed") {
  SessionTable table(4, SipKey{1});
  CHECK(table.find(7) == kNone);
  const uint32_t session = table.open(7);
  REQUIRE(session != kNone);
  CHECK(table[session].id == 7);
  CHECK(table.find(7) == session);
  CHECK(table.find(8) == kNone);
  table.close(session);
  CHECK(table.find(7) == kNone);
  CHECK(table.size() == 0);
}

TEST_CASE("a full table takes none, and one again after another has gone") {
  SessionTable table(2, SipKey{1});
  const uint32_t first = table.open(1);
  REQUIRE(table.open(2) != kNone);
  CHECK(table.open(3) == kNone);
  CHECK(table.find(3) == kNone);
  table.close(first);
  const uint32_t third = table.open(3);
  REQUIRE(third != kNone);
  CHECK(table.find(3) == third);
  CHECK(table.path_of(table[third]) == nullptr);  // nothing of the last tenant
}

TEST_CASE("a path is found by its channel and goes with its session") {
  SessionTable table(2, SipKey{1});
  const uint32_t session = table.open(1);
  CHECK(table.path_of(table[session]) == nullptr);
  UdpPath& path = table.open_path(session, 0xabcdef01);
  CHECK(path.session == session);
  CHECK(table.path_of(table[session]) == &path);
  CHECK(table.find_path(0xabcdef01) == &path);
  CHECK(table.find_path(0xabcdef02) == nullptr);
  table.close(session);
  CHECK(table.find_path(0xabcdef01) == nullptr);
}

TEST_CASE("sessions and channels may come and go for ever") {
  SessionTable table(2, SipKey{1});
  for (uint32_t i = 1; i <= 1000; ++i) {
    const uint32_t session = table.open(i);
    table.open_path(session, i * 0x9e3779b9);
    table.close(session);
    REQUIRE(table.find_path(i * 0x9e3779b9) == nullptr);
  }
}

TEST_CASE("channels with the same low bits are told apart, and erasing keeps the others") {
  SessionTable table(3, SipKey{1});
  uint32_t sessions[3];
  for (uint32_t i = 0; i < 3; ++i) {
    sessions[i] = table.open(i);
    table.open_path(sessions[i], i << 16 | 5);
  }
  table.close(sessions[0]);
  CHECK(table.find_path(5) == nullptr);
  for (uint32_t i = 1; i < 3; ++i) {
    REQUIRE(table.find_path(i << 16 | 5) != nullptr);
    CHECK(table.find_path(i << 16 | 5)->session == sessions[i]);
  }
}

TEST_CASE("live sessions are listed") {
  SessionTable table(4, SipKey{1});
  const uint32_t a = table.open(1);
  const uint32_t b = table.open(2);
  const uint32_t c = table.open(3);
  table.close(b);
  CHECK(table.next_live(0) == a);
  CHECK(table.next_live(a + 1) == c);
  CHECK(table.next_live(c + 1) == Slab<Session>::kNone);
}

TEST_CASE("a path is paired when both ends are bound, and bound when one is") {
  UdpPath path;
  CHECK(!path.any_bound());
  path.ends[1].remote.port = 1;
  CHECK(path.any_bound());
  CHECK(!path.paired());
  path.ends[0].remote.port = 2;
  CHECK(path.paired());
}

TEST_CASE("local addresses keep their numbers, and there are only so many") {
  LocalAddresses locals;
  const auto address = [](uint32_t i) { return LocalAddress{IpAddress::from_v4(i), 0}; };
  for (uint32_t i = 0; i < LocalAddresses::kMax; ++i) REQUIRE(locals.number_of(address(i)) == i);
  CHECK(locals.number_of(address(17)) == 17);
  CHECK(locals[17] == address(17));
  CHECK(!locals.number_of(address(LocalAddresses::kMax)));
  // The same address on another socket is another one: replies leave by the socket they came to.
  LocalAddresses two;
  CHECK(two.number_of({IpAddress::from_v4(1), 0}) != two.number_of({IpAddress::from_v4(1), 1}));
}

TEST_CASE("a stream is found by its handle until it is closed") {
  StreamTable table(4);
  const StreamId id{2, 9};
  CHECK(table.find(id) == nullptr);
  Stream& stream = table.open(id);
  CHECK(table.find(id) == &stream);
  CHECK(table.find({2, 11}) == nullptr);
  stream.in_flight = 5;
  table.close(stream);
  CHECK(table.find(id) == nullptr);
  CHECK(table.size() == 0);
  CHECK(table.open({2, 11}).in_flight == 0);
}

}  // namespace
}  // namespace tandem
